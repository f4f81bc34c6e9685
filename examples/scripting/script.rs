//! One run of a script: its engine, and the turns in which it hears of things.

use std::cell::RefCell;
use std::error::Error;
use std::process::ExitCode;
use std::rc::Rc;

use longhaul::{Outcome, Progress, ResumeData, TaskId};
use rquickjs::promise::PromiseState;
use rquickjs::{
    CatchResultExt as _, CaughtError, Coerced, Context, Ctx, Exception, Function, Module, Object,
    Persistent, Runtime, Value,
};

use crate::bridge::{self, Host};
use crate::tasks::{News, Tasks};
use crate::timers::Timers;

/// The document's API in the script's own language.
const PRELUDE: &str = include_str!("prelude.js");

/// A script to be run.
pub(crate) struct Script {
    /// Its path, as errors show it.
    pub(crate) name: String,
    pub(crate) source: String,
    /// `Script.args`
    pub(crate) arguments: Vec<String>,
}

/// A promise that was rejected and that nobody has taken up yet.
struct Rejection {
    promise: Persistent<Value<'static>>,
    reason: String,
}

type Rejections = Rc<RefCell<Vec<Rejection>>>;

impl Script {
    /// Runs it until nothing is left that it waits for. What it does not catch is told on standard
    /// error and makes the exit code 1.
    pub(crate) fn run(self, tasks: Tasks) -> Result<ExitCode, Box<dyn Error>> {
        let host = Rc::new(RefCell::new(Host {
            tasks,
            timers: Timers::default(),
            has_failed: false,
        }));
        let rejections = Rejections::default();
        let runtime = Runtime::new()?;
        track(&runtime, &rejections);
        Context::full(&runtime)?.with(|ctx| self.run_in(&ctx, &host, &rejections))?;
        // It holds the functions of the host.
        drop(runtime);
        let Ok(host) = Rc::try_unwrap(host) else {
            return Err("the script's engine still runs".into());
        };
        let Host {
            tasks, has_failed, ..
        } = host.into_inner();
        tasks.close()?;
        Ok(ExitCode::from(u8::from(has_failed)))
    }

    fn run_in(
        self,
        ctx: &Ctx<'_>,
        host: &Rc<RefCell<Host>>,
        rejections: &Rejections,
    ) -> Result<(), Box<dyn Error>> {
        let prelude: Function<'_> = ctx.eval(PRELUDE).catch(ctx).map_err(text)?;
        let object = bridge::host(ctx, host)?;
        let hooks: Object<'_> = prelude
            .call((object, self.arguments))
            .catch(ctx)
            .map_err(text)?;
        let module = Module::evaluate(ctx.clone(), self.name.as_str(), self.source);
        let end = module.catch(ctx).map_err(text)?;
        loop {
            while ctx.execute_pending_job() {}
            for Rejection { reason, .. } in rejections.borrow_mut().drain(..) {
                host.borrow_mut().fail(&reason);
            }
            let Some(news) = next(&mut host.borrow_mut())? else {
                break;
            };
            tell(ctx, &hooks, host, news)?;
        }
        if end.state() == PromiseState::Pending {
            host.borrow_mut()
                .fail("the script waits for something that can not come");
        }
        Ok(())
    }
}

/// Waits for the next thing to tell; `None` when there is nothing left.
fn next(host: &mut Host) -> Result<Option<News>, longhaul::Error> {
    loop {
        let next_timer = host.timers.next();
        if next_timer.is_none() && !host.tasks.has_more() {
            return Ok(None);
        }
        if let Some(news) = host.tasks.wait(next_timer)? {
            return Ok(Some(news));
        }
    }
}

fn tell<'js>(
    ctx: &Ctx<'js>,
    hooks: &Object<'js>,
    host: &Rc<RefCell<Host>>,
    news: News,
) -> Result<(), Box<dyn Error>> {
    match news {
        News::Progressed(id, progress) => {
            let call: Function<'_> = hooks.get("progressed")?;
            call.call::<_, ()>((id.get(), fraction(progress)))
                .catch(ctx)
                .map_err(text)?;
        }
        News::Ended(id, outcome) => tell_end(ctx, hooks, host, id, &outcome)?,
        News::Warning(warning) => eprintln!("scripting: {warning}"),
        News::Due => {
            let call: Function<'_> = hooks.get("due")?;
            let due = host.borrow_mut().timers.take_due();
            if let Some(timer) = due {
                call.call::<_, ()>((timer,)).catch(ctx).map_err(text)?;
            }
        }
    }
    Ok(())
}

fn tell_end<'js>(
    ctx: &Ctx<'js>,
    hooks: &Object<'js>,
    host: &Rc<RefCell<Host>>,
    id: TaskId,
    outcome: &Outcome,
) -> Result<(), Box<dyn Error>> {
    let (failure, data) = failure(outcome);
    let destination = match outcome {
        Outcome::Finished(file) => Some(&file.path),
        Outcome::Skipped(path) => Some(path),
        Outcome::Uploaded(_)
        | Outcome::Failed(_)
        | Outcome::Cancelled
        | Outcome::CancelledResumable(_) => None,
    };
    let destination = destination.map(|path| path.to_string_lossy().into_owned());
    let data = bridge::bytes(ctx, data)?;
    let call: Function<'_> = hooks.get("ended")?;
    call.call::<_, ()>((id.get(), failure, data, destination))
        .catch(ctx)
        .map_err(text)?;
    host.borrow_mut().tasks.told(id)?;
    Ok(())
}

/// The error of an end, when it is one, with what can be gone on with.
fn failure(outcome: &Outcome) -> (Option<String>, Option<&ResumeData>) {
    let cancelled = || Some("the task was cancelled".to_owned());
    match outcome {
        Outcome::Finished(_) | Outcome::Skipped(_) | Outcome::Uploaded(_) => (None, None),
        Outcome::Failed(failure) => (Some(failure.to_string()), failure.resume_data()),
        Outcome::Cancelled => (cancelled(), None),
        Outcome::CancelledResumable(data) => (cancelled(), Some(data)),
    }
}

/// Between 0 and 1; 0 as long as the length is not known.
fn fraction(progress: Progress) -> f64 {
    // One of the two is 0: a task moves in one direction.
    let moved = progress.received_bytes.max(progress.sent_bytes);
    let total = progress.total_bytes.unwrap_or(0);
    if total == 0 {
        return 0.0;
    }
    #[allow(clippy::cast_precision_loss, reason = "it is shown to a person")]
    let fraction = moved as f64 / total as f64;
    fraction
}

/// Remembers rejected promises until somebody takes them up.
fn track(runtime: &Runtime, rejections: &Rejections) {
    let rejections = Rc::clone(rejections);
    runtime.set_host_promise_rejection_tracker(Some(Box::new(
        move |ctx, promise, reason, is_taken_up| {
            let mut rejections = rejections.borrow_mut();
            if is_taken_up {
                rejections
                    .retain(|it| it.promise.clone().restore(&ctx).ok().as_ref() != Some(&promise));
            } else {
                rejections.push(Rejection {
                    promise: Persistent::save(&ctx, promise),
                    reason: described(&reason),
                });
            }
        },
    )));
}

/// Something thrown, for a person.
fn described(thrown: &Value<'_>) -> String {
    let Ok(Coerced(text)) = thrown.get::<Coerced<String>>() else {
        return "something that has no text was thrown".to_owned();
    };
    let stack = thrown.as_exception().and_then(Exception::stack);
    format!("{text}\n{}", stack.unwrap_or_default())
        .trim_end()
        .to_owned()
}

#[allow(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn text(error: CaughtError<'_>) -> String {
    match error {
        CaughtError::Exception(exception) => described(&exception.into_value()),
        CaughtError::Value(value) => described(&value),
        CaughtError::Error(error) => error.to_string(),
    }
}
