//! Every call of the control API, in the order of its description.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    AtClient, AtClientSession, AtRefreshTask, AtRoot, AtSession, AtTask, Call, EngineDocument,
    Method, RequestDocument, ResumedDocument, SessionDocument, StartDocument, TaskDocument,
};
use crate::authorization_challenge::Disposition;
use crate::conditions::Conditions;
use crate::delayed_request::DelayedRequest;
use crate::id::{Sequence, SessionId, TaskId};
use crate::resume_data::ResumeData;
use crate::session::{Invalidation, SessionRules};
use crate::task::{Adjustment, Collision, Desired, NotificationTitles};

/// Writes the calls down, and [`visit`] and `with_calls!` with all of them.
macro_rules! calls {
    ($(
        $(#[doc = $doc:literal])+
        $method:ident $path:literal, $at:ty, $answer:ty;
        $name:ident { $( $(#[$meta:meta])* $field:ident : $kind:ty ),* $(,)? }
    )*) => {
        $(
            $(#[doc = $doc])+
            #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
            #[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
            pub struct $name { $( $(#[$meta])* pub $field: $kind, )* }

            impl Call for $name {
                const METHOD: Method = Method::$method;
                const PATH: &'static str = $path;
                const NAME: &'static str = stringify!($name);
                const SUMMARY: &'static str = concat!($($doc),+).trim_ascii();
                type At = $at;
                type Answer = $answer;
            }
        )*

        /// Gives another macro the names of all calls, in the order of the description: what handles
        /// them all is made of one list.
        #[macro_export]
        macro_rules! with_calls {
            ($then:ident) => { $then! { $($name)* } };
        }

        /// Shows every call to a visitor, in the order of the description.
        pub fn visit(visitor: &mut impl Visitor) {
            $( visitor.call::<$name>(); )*
        }
    };
}

/// Is shown every call, one after the other; see [`visit`].
pub trait Visitor {
    /// Is shown one.
    fn call<C: Call>(&mut self);
}

calls! {
    /// Tells which engine answers.
    Get "/v1", AtRoot, EngineDocument;
    GetEngine {}

    /// Stops the engine in good order; transfers go on when it is started again.
    Post "/v1/shutdown", AtRoot, ();
    Shutdown {}

    /// Tells what network and power are like, as far as is known.
    Get "/v1/conditions", AtRoot, Conditions;
    GetConditions {}

    /// Sets what network and power are like by hand, until the engine stops; `null` is left to the machine. Answers what holds now.
    Put "/v1/conditions", AtRoot, Conditions;
    SetConditions {
        /// What is set.
        conditions: Conditions,
    }

    /// Sets the bytes per second of all tasks together, until the engine stops; `null` lifts the limit.
    Put "/v1/rate-limit", AtRoot, ();
    SetEngineRateLimit {
        /// At least 1.
        bytes_per_second: Option<u64>,
    }

    /// Removes the bytes that resume data stands for; answers when they are gone.
    Post "/v1/resume-data/discard", AtRoot, ();
    DiscardResumeData {
        /// The resume data.
        data: ResumeData,
    }

    /// Lists all sessions by their identifiers.
    Get "/v1/sessions", AtRoot, Vec<SessionDocument>;
    ListSessions {}

    /// Tells of one session.
    Get "/v1/sessions/{session}", AtSession, SessionDocument;
    GetSession {}

    /// Lets a session take no new tasks and end with the last that it has; answers after the commit.
    Post "/v1/sessions/{session}/invalidate", AtSession, ();
    InvalidateSession {
        /// Whether its live tasks are cancelled.
        how: Invalidation,
    }

    /// Says that facts up to and including this one were taken care of; answers after the commit.
    Post "/v1/sessions/{session}/acknowledge", AtSession, ();
    Acknowledge {
        /// The number of the last one.
        up_to: Sequence,
    }

    /// Tells whether no task of a session is live and no fact is after this one.
    Get "/v1/sessions/{session}/drained", AtSession, bool;
    IsDrained {
        /// The last fact that was heard.
        heard: Sequence,
    }

    /// Sets the bytes per second of a session's tasks together, until the engine stops; `null` lifts the limit.
    Put "/v1/sessions/{session}/rate-limit", AtSession, ();
    SetSessionRateLimit {
        /// At least 1.
        bytes_per_second: Option<u64>,
    }

    /// Lists the tasks of a session by their numbers.
    Get "/v1/sessions/{session}/tasks", AtSession, Vec<TaskDocument>;
    ListTasks {}

    /// Makes tasks in one transaction; answers after the commit with one result for each, in their order.
    Post "/v1/sessions/{session}/tasks", AtSession, Vec<StartDocument>;
    StartTasks {
        /// What to make.
        requests: Vec<RequestDocument>,
        /// It may have been asked before, and the answer lost: what is there is taken over.
        #[serde(default)]
        is_repeated: bool,
    }

    /// Makes a task that goes on with what another one left; answers after the commit.
    Post "/v1/sessions/{session}/resume", AtSession, ResumedDocument;
    ResumeTask {
        /// What the other task left.
        data: ResumeData,
        /// What is asked anew.
        anew: AskedAnew,
        /// It is started while its app is in the background, and discretionary.
        #[serde(default)]
        is_discretionary: bool,
        /// It may have been asked before, and the answer lost.
        #[serde(default)]
        is_repeated: bool,
    }

    /// Tells the first task after this one that waits to be told whether it shall begin.
    Get "/v1/sessions/{session}/awaiting-begin", AtSession, Option<TaskId>;
    NextAwaitingBegin {
        /// Tasks up to this number are passed over.
        after: TaskId,
    }

    /// Tells of one task.
    Get "/v1/sessions/{session}/tasks/{task}", AtTask, TaskDocument;
    GetTask {}

    /// Changes an option of a task, at once; answers after the commit.
    Patch "/v1/sessions/{session}/tasks/{task}", AtTask, ();
    AdjustTask {
        /// What is changed.
        adjustment: Adjustment,
    }

    /// Sets what is wanted of a task; answers after the commit. Harmless to repeat.
    Put "/v1/sessions/{session}/tasks/{task}/desired", AtTask, ();
    SetDesired {
        /// What is wanted.
        desired: Desired,
    }

    /// Answers the challenge that a task waits with; answers after the commit.
    Post "/v1/sessions/{session}/tasks/{task}/challenge", AtTask, ();
    AnswerChallenge {
        /// The answer.
        disposition: Disposition,
    }

    /// Decides about a delayed task whose time has come; answers after the commit.
    Post "/v1/sessions/{session}/tasks/{task}/begin", AtTask, ();
    DecideBegin {
        /// What becomes of it.
        decision: DelayedRequest,
    }

    /// Opens a session for a client, making it when it is not there, and makes tasks in it before any goes on; answers after the commit.
    Put "/v1/clients/{client}/sessions/{session}", AtClientSession, Vec<StartDocument>;
    OpenSession {
        /// Its configuration.
        #[serde(default)]
        rules: SessionRules,
        /// What to make in it.
        #[serde(default)]
        requests: Vec<RequestDocument>,
        /// A delegate of it is there.
        #[serde(default)]
        has_delegate: bool,
        /// It may have been asked before, and the answer lost: what is there is taken over.
        #[serde(default)]
        is_repeated: bool,
    }

    /// Gives a session up that the client has opened: it lives on without an owner.
    Delete "/v1/clients/{client}/sessions/{session}", AtClientSession, ();
    CloseSession {}

    /// Says whether a delegate of a session is there that the client has open.
    Put "/v1/clients/{client}/sessions/{session}/delegate", AtClientSession, ();
    SetDelegate {
        /// Whether one is.
        is_there: bool,
    }

    /// Says that a person brought the app to the foreground: the next call of it has no delay of its own.
    Post "/v1/clients/{client}/foreground", AtClient, ();
    CameToForeground {}

    /// Waits for the end of a task: the stream of the client tells it, with the number of this wait.
    Post "/v1/clients/{client}/waits", AtClient, ();
    WaitForEnd {
        /// A number that the client has no other wait of.
        wait: u64,
        /// The session.
        session: SessionId,
        /// The task.
        task: TaskId,
    }

    /// Forgets a wait.
    Post "/v1/clients/{client}/waits/forget", AtClient, ();
    ForgetWait {
        /// Its number.
        wait: u64,
    }

    /// Says whether the client takes refresh tasks. The stream of the client tells them.
    Put "/v1/clients/{client}/refresh", AtClient, ();
    ListenForRefresh {
        /// Whether it does.
        is_listening: bool,
    }

    /// Completes a refresh task; answers after the commit.
    Post "/v1/clients/{client}/refresh/{number}/complete", AtRefreshTask, ();
    CompleteRefresh {}
}

/// What is asked anew of a task that is made of resume data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(schemars::JsonSchema))]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum AskedAnew {
    /// A download.
    Download {
        /// The file, absolute.
        #[serde(with = "crate::serial::PathText")]
        destination: PathBuf,
        /// What to do when it exists; as was asked first without it.
        #[serde(default)]
        collision: Option<Collision>,
        /// The titles of the notification at its end; those of the first task without them.
        #[serde(default)]
        notify_on_finished: Option<NotificationTitles>,
    },
    /// An upload.
    Upload {
        /// The titles of the notification at its end; those of the first task without them.
        #[serde(default)]
        notify_on_finished: Option<NotificationTitles>,
    },
}
