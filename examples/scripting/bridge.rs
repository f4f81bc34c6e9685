//! The functions that the prelude stands on: what a script asks for, as calls of the library.

use std::cell::RefCell;
use std::rc::Rc;

use longhaul::{
    DownloadRequest, Error, NotificationTitles, ResumeData, ResumeRequest, ResumeUploadRequest,
    TaskId, TaskState, UploadRequest,
};
use rquickjs::{Ctx, Exception, FromJs, Function, Object, Result, TypedArray, Value};

use crate::tasks::{Ear, Tasks};
use crate::timers::Timers;

/// The titles of a notification when a script only says that it wants one.
const TITLES: (&str, &str) = ("Transfer finished", "Transfer failed");

/// What a script acts on. No borrow of it is held while the script runs.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) tasks: Tasks,
    pub(crate) timers: Timers,
    /// Something was thrown that nobody caught.
    pub(crate) has_failed: bool,
}

type Shared = Rc<RefCell<Host>>;

/// An answer of the library.
type Answer<T> = std::result::Result<T, Error>;

/// What a script may want of a task.
type Wish = fn(&mut Tasks, TaskId) -> Answer<()>;

/// What `startDownload` is given.
struct Download {
    url: String,
    destination: String,
    headers: Vec<(String, String)>,
    notify: Option<NotificationTitles>,
}

/// What `startUpload` is given.
struct Upload {
    file_path: String,
    to_url: String,
    method: Option<String>,
    headers: Vec<(String, String)>,
    notify: Option<NotificationTitles>,
}

/// What `resumeDownload` is given.
struct Resumption {
    data: Vec<u8>,
    destination: String,
    notify: Option<NotificationTitles>,
}

/// What `resumeUpload` is given.
struct UploadResumption {
    data: Vec<u8>,
    notify: Option<NotificationTitles>,
}

impl Host {
    /// Tells a person of something that nobody caught.
    pub(crate) fn fail(&mut self, text: &str) {
        eprintln!("{text}");
        self.has_failed = true;
    }
}

/// Makes the object `host` of the prelude.
pub(crate) fn host<'js>(ctx: &Ctx<'js>, host: &Shared) -> Result<Object<'js>> {
    let object = Object::new(ctx.clone())?;
    add_starts(ctx, &object, host)?;
    add_tasks(ctx, &object, host)?;
    add_surroundings(ctx, &object, host)?;
    Ok(object)
}

fn add_starts<'js>(ctx: &Ctx<'js>, object: &Object<'js>, host: &Shared) -> Result<()> {
    let start = |asked: Download, tasks: &mut Tasks| tasks.start_download(asked.request()?);
    object.set("startDownload", starting(ctx, host, start)?)?;
    let resume = |asked: Resumption, tasks: &mut Tasks| tasks.resume_download(asked.request()?);
    object.set("resumeDownload", starting(ctx, host, resume)?)?;
    let start = |asked: Upload, tasks: &mut Tasks| tasks.start_upload(asked.request()?);
    object.set("startUpload", starting(ctx, host, start)?)?;
    let resume = |asked: UploadResumption, tasks: &mut Tasks| tasks.resume_upload(asked.request()?);
    object.set("resumeUpload", starting(ctx, host, resume)?)?;
    object.set("downloadTasks", finding(ctx, host, Tasks::download_tasks)?)?;
    object.set("uploadTasks", finding(ctx, host, Tasks::upload_tasks)?)
}

/// A function that starts a task as it is asked.
fn starting<'js, A: FromJs<'js> + 'js>(
    ctx: &Ctx<'js>,
    host: &Shared,
    start: fn(A, &mut Tasks) -> Answer<TaskId>,
) -> Result<Function<'js>> {
    let shared = Rc::clone(host);
    let call = move |ctx: Ctx<'js>, asked: A| {
        let started = start(asked, &mut shared.borrow_mut().tasks);
        thrown(&ctx, started).map(TaskId::get)
    };
    Function::new(ctx.clone(), call)
}

/// A function that finds tasks.
fn finding<'js>(
    ctx: &Ctx<'js>,
    host: &Shared,
    find: fn(&mut Tasks) -> Answer<Vec<TaskId>>,
) -> Result<Function<'js>> {
    let shared = Rc::clone(host);
    let call = move |ctx: Ctx<'js>| {
        let found = thrown(&ctx, find(&mut shared.borrow_mut().tasks))?;
        Ok::<_, rquickjs::Error>(found.into_iter().map(TaskId::get).collect::<Vec<_>>())
    };
    Function::new(ctx.clone(), call)
}

fn add_tasks<'js>(ctx: &Ctx<'js>, object: &Object<'js>, host: &Shared) -> Result<()> {
    let shared = Rc::clone(host);
    let state = move |ctx: Ctx<'js>, id: u64| {
        thrown(
            &ctx,
            shared.borrow().tasks.state(TaskId::new(id)).map(state_name),
        )
    };
    object.set("state", Function::new(ctx.clone(), state)?)?;

    let wishes: [(&str, Wish); 3] = [
        ("suspend", Tasks::suspend),
        ("resume", Tasks::resume),
        ("cancel", Tasks::cancel),
    ];
    for (name, wish) in wishes {
        let shared = Rc::clone(host);
        let call = move |ctx: Ctx<'js>, id: u64| {
            thrown(&ctx, wish(&mut shared.borrow_mut().tasks, TaskId::new(id)))
        };
        object.set(name, Function::new(ctx.clone(), call)?)?;
    }

    let shared = Rc::clone(host);
    let produce = move |ctx: Ctx<'js>, id: u64| {
        let tasks = &mut shared.borrow_mut().tasks;
        let produced = thrown(&ctx, tasks.cancel_by_producing_resume_data(TaskId::new(id)))?;
        bytes(&ctx, produced.as_ref())
    };
    object.set(
        "cancelByProducingResumeData",
        Function::new(ctx.clone(), produce)?,
    )?;

    let shared = Rc::clone(host);
    let listen = move |id: u64, ear: Ear| shared.borrow_mut().tasks.listen(TaskId::new(id), ear);
    object.set("listen", Function::new(ctx.clone(), listen)?)
}

fn add_surroundings<'js>(ctx: &Ctx<'js>, object: &Object<'js>, host: &Shared) -> Result<()> {
    object.set(
        "print",
        Function::new(ctx.clone(), |line: String| println!("{line}"))?,
    )?;
    object.set(
        "printError",
        Function::new(ctx.clone(), |line: String| eprintln!("{line}"))?,
    )?;

    let shared = Rc::clone(host);
    let fail = move |text: String| shared.borrow_mut().fail(&text);
    object.set("fail", Function::new(ctx.clone(), fail)?)?;

    let shared = Rc::clone(host);
    let set = move |delay_ms: f64| shared.borrow_mut().timers.set(delay_ms);
    object.set("setTimer", Function::new(ctx.clone(), set)?)?;

    let shared = Rc::clone(host);
    let clear = move |timer: u32| shared.borrow_mut().timers.clear(timer);
    object.set("clearTimer", Function::new(ctx.clone(), clear)?)
}

/// Resume data as the prelude takes it.
pub(crate) fn bytes<'js>(
    ctx: &Ctx<'js>,
    data: Option<&ResumeData>,
) -> Result<Option<TypedArray<'js, u8>>> {
    data.map(|data| TypedArray::new(ctx.clone(), data.as_bytes()))
        .transpose()
}

impl Download {
    fn request(self) -> Answer<DownloadRequest> {
        let mut request = DownloadRequest::new(&self.url, self.destination)?;
        for (name, value) in &self.headers {
            request = request.header(name, value)?;
        }
        match self.notify {
            Some(titles) => request.notify_on_finished(titles.success, titles.failure),
            None => Ok(request),
        }
    }
}

impl Upload {
    fn request(self) -> Answer<UploadRequest> {
        // The system that the scripts are written for sends a POST again whose answer was lost.
        let mut request = UploadRequest::new(&self.to_url, self.file_path)?.repeatable();
        if let Some(method) = self.method {
            request = request.method(&method)?;
        }
        for (name, value) in &self.headers {
            request = request.header(name, value)?;
        }
        match self.notify {
            Some(titles) => request.notify_on_finished(titles.success, titles.failure),
            None => Ok(request),
        }
    }
}

impl UploadResumption {
    fn request(self) -> Answer<ResumeUploadRequest> {
        let request = ResumeUploadRequest::new(ResumeData::from_bytes(self.data)?);
        match self.notify {
            Some(titles) => request.notify_on_finished(titles),
            None => Ok(request),
        }
    }
}

impl Resumption {
    fn request(self) -> Answer<ResumeRequest> {
        let request = ResumeRequest::new(ResumeData::from_bytes(self.data)?, self.destination)?;
        match self.notify {
            Some(titles) => request.notify_on_finished(titles),
            None => Ok(request),
        }
    }
}

impl<'js> FromJs<'js> for Download {
    fn from_js(_: &Ctx<'js>, value: Value<'js>) -> Result<Self> {
        let options: Object<'js> = value.get()?;
        Ok(Self {
            url: options.get("url")?,
            destination: options.get("destination")?,
            headers: headers(&options)?,
            notify: titles(&options)?,
        })
    }
}

impl<'js> FromJs<'js> for Upload {
    fn from_js(_: &Ctx<'js>, value: Value<'js>) -> Result<Self> {
        let options: Object<'js> = value.get()?;
        Ok(Self {
            file_path: options.get("filePath")?,
            to_url: options.get("toURL")?,
            method: options.get("method")?,
            headers: headers(&options)?,
            notify: titles(&options)?,
        })
    }
}

impl<'js> FromJs<'js> for Resumption {
    fn from_js(_: &Ctx<'js>, value: Value<'js>) -> Result<Self> {
        let options: Object<'js> = value.get()?;
        Ok(Self {
            data: options.get("resumeData")?,
            destination: options.get("destination")?,
            notify: titles(&options)?,
        })
    }
}

impl<'js> FromJs<'js> for UploadResumption {
    fn from_js(_: &Ctx<'js>, value: Value<'js>) -> Result<Self> {
        let options: Object<'js> = value.get()?;
        Ok(Self {
            data: options.get("resumeData")?,
            notify: titles(&options)?,
        })
    }
}

impl<'js> FromJs<'js> for Ear {
    fn from_js(_: &Ctx<'js>, value: Value<'js>) -> Result<Self> {
        Ok(match value.get::<String>()?.as_str() {
            "end" => Self::End,
            "progress" => Self::Progress,
            _ => Self::Closed,
        })
    }
}

fn headers(options: &Object<'_>) -> Result<Vec<(String, String)>> {
    let Some(headers) = options.get::<_, Option<Object<'_>>>("headers")? else {
        return Ok(Vec::new());
    };
    headers.props::<String, String>().collect()
}

/// `notifyOnFinished`: two titles, or `true`.
fn titles(options: &Object<'_>) -> Result<Option<NotificationTitles>> {
    let asked: Value<'_> = options.get("notifyOnFinished")?;
    if let Some(titles) = asked.as_object() {
        return Ok(Some(NotificationTitles {
            success: titles.get("success")?,
            failure: titles.get("failure")?,
        }));
    }
    let (success, failure) = TITLES;
    Ok((asked.as_bool() == Some(true)).then(|| NotificationTitles {
        success: success.to_owned(),
        failure: failure.to_owned(),
    }))
}

/// An error of the library as an exception with its text.
fn thrown<T>(ctx: &Ctx<'_>, answer: Answer<T>) -> Result<T> {
    answer.map_err(|error| Exception::throw_message(ctx, &error.to_string()))
}

const fn state_name(state: TaskState) -> &'static str {
    match state {
        TaskState::Running => "running",
        TaskState::Suspended => "suspended",
        TaskState::Canceling => "canceling",
        TaskState::Completed => "completed",
    }
}
