// Begins a download and suspends it as soon as something of it has come; get_download_tasks.js lets
// it go on: suspend_download.js URL DESTINATION
const [url, destination] = Script.args;
const task = BackgroundURLSession.startDownload({ url, destination });

await new Promise((resolve) => {
  task.onProgress = resolve;
});
task.suspend();
console.log(`${task} is ${task.state}`);
