// Begins to send a file, breaks that off, and goes on where the server stands when it can tell, else
// from the start: resume_upload.js FILE URL
const [filePath, toURL] = Script.args;
const first = BackgroundURLSession.startUpload({ filePath, toURL });

const resumeData = await first.cancelByProducingResumeData();
console.log(resumeData === null ? "from the start" : "resumed");

const task =
  resumeData === null
    ? BackgroundURLSession.startUpload({ filePath, toURL })
    : BackgroundURLSession.resumeUpload({ resumeData });
task.onComplete = (error) => {
  if (error) {
    console.error("failed:", error);
  } else {
    console.log("complete");
  }
};
