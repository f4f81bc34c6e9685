// The API of the Scripting app's document, over a few functions of the host. Its value is called
// with them and with the script's arguments, and answers with what the host calls back.
(host, args) => {
  "use strict";

  // The callbacks of every task that the script has an object of.
  const known = new Map();

  // An opaque value: resume data.
  class Data {
    #bytes;

    constructor(bytes) {
      this.#bytes = bytes;
    }

    static fromBase64String(text) {
      return new Data(Uint8Array.fromBase64(text));
    }

    get size() {
      return this.#bytes.length;
    }

    getBytes() {
      return this.#bytes.slice();
    }

    toBase64String() {
      return this.#bytes.toBase64();
    }

    toString() {
      return `Data(${this.size} bytes)`;
    }
  }

  class URLSessionTask {
    #id;

    constructor(id) {
      this.#id = id;
    }

    get id() {
      return this.#id;
    }

    get state() {
      return host.state(this.#id);
    }

    get onProgress() {
      return known.get(this.#id).onProgress?.call;
    }

    set onProgress(call) {
      listen(this.#id, "onProgress", call);
    }

    get onComplete() {
      return known.get(this.#id).onComplete?.call;
    }

    set onComplete(call) {
      listen(this.#id, "onComplete", call);
    }

    suspend() {
      host.suspend(this.#id);
    }

    resume() {
      host.resume(this.#id);
    }

    cancel() {
      host.cancel(this.#id);
    }

    async cancelByProducingResumeData() {
      const bytes = host.cancelByProducingResumeData(this.#id);
      return bytes ? new Data(bytes) : null;
    }

    toString() {
      return `${this.constructor.name}(${this.#id})`;
    }
  }

  class URLSessionDownloadTask extends URLSessionTask {
    get onFinishDownload() {
      return known.get(this.id).onFinishDownload?.call;
    }

    set onFinishDownload(call) {
      listen(this.id, "onFinishDownload", call);
    }
  }

  class URLSessionUploadTask extends URLSessionTask {}

  // Sets a callback, or unsets it with null. One for the end is called once, and once more when it
  // is set again.
  function listen(id, name, call) {
    if (call != null && typeof call !== "function") {
      throw new TypeError(`${name} must be a function`);
    }
    const callbacks = known.get(id);
    callbacks[name] = call ? { call, wasCalled: false } : undefined;
    const wantsEnd = callbacks.onFinishDownload || callbacks.onComplete;
    host.listen(id, wantsEnd ? "end" : callbacks.onProgress ? "progress" : "nothing");
  }

  // The one object of a task.
  function taskOf(id, Kind) {
    if (!known.has(id)) {
      known.set(id, { task: new Kind(id) });
    }
    return known.get(id).task;
  }

  function checked(options, caller, names) {
    if (typeof options !== "object" || options === null) {
      throw new TypeError(`${caller} needs an object of options`);
    }
    for (const name of names) {
      if (typeof options[name] !== "string") {
        throw new TypeError(`${caller} needs the string "${name}"`);
      }
    }
    const { notifyOnFinished: notify, headers, method } = options;
    const hasTitles = typeof notify?.success === "string" && typeof notify?.failure === "string";
    if (notify != null && typeof notify !== "boolean" && !hasTitles) {
      throw new TypeError(`${caller} needs "notifyOnFinished" as { success, failure } or true`);
    }
    if (headers != null && Object.values(headers).some((value) => typeof value !== "string")) {
      throw new TypeError(`${caller} needs strings as "headers"`);
    }
    if (method != null && typeof method !== "string") {
      throw new TypeError(`${caller} needs a string as "method"`);
    }
    return options;
  }

  function resumeDataOf(options, caller) {
    if (!(options.resumeData instanceof Data)) {
      throw new TypeError(`${caller} needs the Data "resumeData"`);
    }
    return Array.from(options.resumeData.getBytes());
  }

  const BackgroundURLSession = Object.freeze({
    startDownload(options) {
      checked(options, "startDownload", ["url", "destination"]);
      return taskOf(host.startDownload(options), URLSessionDownloadTask);
    },

    resumeDownload(options) {
      checked(options, "resumeDownload", ["destination"]);
      const resumeData = resumeDataOf(options, "resumeDownload");
      return taskOf(host.resumeDownload({ ...options, resumeData }), URLSessionDownloadTask);
    },

    async getDownloadTasks() {
      return host.downloadTasks().map((id) => taskOf(id, URLSessionDownloadTask));
    },

    startUpload(options) {
      checked(options, "startUpload", ["filePath", "toURL"]);
      return taskOf(host.startUpload(options), URLSessionUploadTask);
    },

    // A server that takes a file in one request has nothing to go on with, so no upload of this host
    // leaves resume data, and there is none that could be given.
    resumeUpload(options) {
      checked(options, "resumeUpload", []);
      resumeDataOf(options, "resumeUpload");
      throw new Error("this is no resume data of an upload; start the upload anew");
    },

    async getUploadTasks() {
      return host.uploadTasks().map((id) => taskOf(id, URLSessionUploadTask));
    },
  });

  function show(value) {
    const hasText = [Error, Data, URLSessionTask].some((Kind) => value instanceof Kind);
    if (typeof value !== "object" || hasText) {
      return String(value);
    }
    try {
      return JSON.stringify(value);
    } catch {
      return String(value);
    }
  }

  const line = (values) => values.map(show).join(" ");
  const console = {
    log: (...values) => host.print(line(values)),
    info: (...values) => host.print(line(values)),
    warn: (...values) => host.printError(line(values)),
    error: (...values) => host.printError(line(values)),
  };

  const timers = new Map();

  function setTimeout(call, delay = 0, ...values) {
    const timer = host.setTimer(Number(delay));
    timers.set(timer, () => call(...values));
    return timer;
  }

  function clearTimeout(timer) {
    if (timers.delete(timer)) {
      host.clearTimer(timer);
    }
  }

  const Script = Object.freeze({ env: "index", args: Object.freeze(args) });
  Object.assign(globalThis, { BackgroundURLSession, Data, Script, console, setTimeout, clearTimeout });

  function run(call, ...values) {
    try {
      call(...values);
    } catch (error) {
      host.fail(error instanceof Error ? `${error}\n${error.stack}` : show(error));
    }
  }

  function runOnce(callback, ...values) {
    if (callback && !callback.wasCalled) {
      callback.wasCalled = true;
      run(callback.call, ...values);
    }
  }

  return {
    progressed(id, progress) {
      const callback = known.get(id)?.onProgress;
      if (callback) {
        run(callback.call, { progress });
      }
    },

    ended(id, failure, bytes, destination) {
      const callbacks = known.get(id);
      let error = null;
      if (failure != null) {
        error = new Error(failure);
        error.resumeData = bytes ? new Data(bytes) : null;
      }
      runOnce(callbacks.onFinishDownload, error, error ? null : { destination });
      runOnce(callbacks.onComplete, error);
    },

    due(timer) {
      const call = timers.get(timer);
      timers.delete(timer);
      run(call);
    },
  };
};
