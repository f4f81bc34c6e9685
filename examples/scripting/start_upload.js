// Sends a file: start_upload.js FILE URL [METHOD]
const [filePath, toURL, method] = Script.args;

const task = BackgroundURLSession.startUpload({
  filePath,
  toURL,
  method,
  headers: { "Content-Type": "application/octet-stream" },
  notifyOnFinished: { success: "The file was sent", failure: "The file could not be sent" },
});

task.onProgress = ({ progress }) => console.log(`${Math.floor(progress * 100)} %`);
task.onComplete = (error) => {
  if (error) {
    console.error("failed:", error);
  } else {
    console.log("complete");
  }
};
