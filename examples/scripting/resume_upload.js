// Sends a file and, when that fails, begins it once more with what the failed task has left:
// resume_upload.js FILE URL
const [filePath, toURL] = Script.args;

const first = BackgroundURLSession.startUpload({ filePath, toURL });
first.onComplete = (error) => {
  if (!error?.resumeData) {
    console.log(error ? "failed for good" : "complete");
    return;
  }
  const again = BackgroundURLSession.resumeUpload({
    resumeData: error.resumeData,
    notifyOnFinished: { success: "The file was sent", failure: "The file could not be sent" },
  });
  again.onComplete = (error) => console.log(error ? "failed again" : "complete at last");
};
