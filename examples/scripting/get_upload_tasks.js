// Takes the uploads of earlier runs back, and lets those go on that were suspended.
const tasks = await BackgroundURLSession.getUploadTasks();
console.log(`${tasks.length} uploads`);

for (const task of tasks) {
  console.log(`${task} is ${task.state}`);
  task.onComplete = (error) => {
    if (error) {
      console.error(`${task} failed: ${error.message}`);
    } else {
      console.log(`${task} complete`);
    }
  };
  task.resume();
}
