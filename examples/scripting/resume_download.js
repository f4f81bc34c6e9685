// Goes on with a download that cancel_download.js has cancelled: resume_download.js DATA DESTINATION
const [text, destination] = Script.args;

const task = BackgroundURLSession.resumeDownload({
  resumeData: Data.fromBase64String(text),
  destination,
  notifyOnFinished: true,
});

task.onFinishDownload = (error, info) => {
  if (error) {
    console.error("failed:", error);
  } else {
    console.log("saved:", info.destination);
  }
};
