// Takes the downloads of earlier runs back, and lets those go on that were suspended.
const tasks = await BackgroundURLSession.getDownloadTasks();
console.log(`${tasks.length} downloads`);

for (const task of tasks) {
  console.log(`${task} is ${task.state}`);
  task.onFinishDownload = (error, info) => {
    if (!error) {
      console.log(`${task} saved: ${info.destination}`);
    }
  };
  task.onComplete = (error) => {
    if (error) {
      console.error(`${task} failed: ${error.message}`);
    } else {
      console.log(`${task} complete`);
    }
  };
  task.resume();
}
