// Begins a download, cancels it as soon as something of it has come, and prints what
// resume_download.js goes on with: cancel_download.js URL DESTINATION
const [url, destination] = Script.args;
const task = BackgroundURLSession.startDownload({ url, destination });

await new Promise((resolve) => {
  task.onProgress = resolve;
});
const resumeData = await task.cancelByProducingResumeData();
if (resumeData === null) {
  throw new Error("there is nothing to go on with");
}
console.log(resumeData.toBase64String());
