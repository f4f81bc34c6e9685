// Downloads a file: start_download.js URL DESTINATION
const [url, destination] = Script.args;

const task = BackgroundURLSession.startDownload({
  url,
  destination,
  headers: { "User-Agent": "scripting example" },
  notifyOnFinished: { success: "The file is there", failure: "The file could not be had" },
});

task.onProgress = ({ progress }) => console.log(`${Math.floor(progress * 100)} %`);
task.onFinishDownload = (error, info) => {
  if (!error) {
    console.log("saved:", info.destination);
  }
};
task.onComplete = (error) => {
  if (error) {
    console.error("failed:", error);
  } else {
    console.log("complete");
  }
};
