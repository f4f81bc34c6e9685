//! The network part of a transfer: requests, their answers, their bodies.

use std::rc::Rc;

use actix::{ActorFutureExt, AsyncContext, Context, Handler, Message, SpawnHandle, WrapFuture};
use longhaul_engine::download::{Ask, ConnId, Input, PartUse, Stream};
use longhaul_engine::failure::{Failure, FailureKind};
use longhaul_engine::http::framing::Framing;

use super::TransferActor;
use super::pump::{Control, Created, End, Pump, PumpPart};
use crate::fault;
use crate::file::place::PartPlace;
use crate::net::{Body, Method, NetFailure, Request, Response};

/// Bytes of an error's or a redirect's body that are read for the sake of its connection.
pub(super) const DRAIN_BYTES_MAX: u64 = 64 * 1024;

/// One connection of the machine.
pub(super) enum Line {
    /// A request is under way.
    Asking(SpawnHandle),
    /// The head has come; the body waits for the machine's word.
    Answered(Body),
    /// The body is not wanted; it is read away before the next request.
    Drained(Body),
    /// The body goes to the file.
    Streaming(Rc<Control>),
}

impl TransferActor {
    pub(super) fn ask(&mut self, ask: Ask, context: &mut Context<Self>) {
        let Some(running) = &mut self.running else {
            return;
        };
        let drained = match running.lines.remove(&ask.conn) {
            Some(Line::Drained(body) | Line::Answered(body)) => Some(body),
            Some(Line::Asking(_) | Line::Streaming(_)) | None => None,
        };
        let (client, probe) = (running.client.clone(), running.metrics.probe());
        let request = Request {
            method: Method::Get,
            url: ask.url.as_url().clone(),
            headers: ask.headers,
            idle_timeout: self.parts.session.rules.timeout_for_request,
        };
        let send = async move {
            fault::point("transfer.asking");
            if let Some(body) = drained {
                body.discard(DRAIN_BYTES_MAX).await;
            }
            client.send_probed(request, probe).await
        };
        let conn = ask.conn;
        let handle = context.spawn(
            send.into_actor(self)
                .map(move |answer, actor, context| actor.answered(conn, answer, context)),
        );
        if let Some(running) = &mut self.running {
            running.lines.insert(conn, Line::Asking(handle));
        }
    }

    fn answered(
        &mut self,
        conn: ConnId,
        answer: Result<Response, NetFailure>,
        context: &mut Context<Self>,
    ) {
        fault::point("transfer.answered");
        let Some(running) = &mut self.running else {
            return;
        };
        match answer {
            Ok(response) => {
                tracing::debug!(
                    status = response.head.status,
                    reused = response.facts.reused,
                    "answer"
                );
                running.lines.insert(conn, Line::Answered(response.body));
                self.feed(
                    Input::Head {
                        conn,
                        head: response.head,
                    },
                    context,
                );
            }
            Err(failure) => {
                running.lines.remove(&conn);
                self.feed(
                    Input::AskFailed {
                        conn,
                        failure: from_net(&failure),
                    },
                    context,
                );
            }
        }
    }

    pub(super) fn drain(&mut self, conn: ConnId) {
        let Some(running) = &mut self.running else {
            return;
        };
        if let Some(Line::Answered(body)) = running.lines.remove(&conn) {
            running.lines.insert(conn, Line::Drained(body));
        }
    }

    pub(super) fn stop_line(&mut self, conn: ConnId, context: &mut Context<Self>) {
        let Some(running) = &mut self.running else {
            return;
        };
        match running.lines.get(&conn) {
            Some(Line::Streaming(control)) => control.stop(),
            Some(Line::Asking(handle)) => {
                context.cancel_future(*handle);
                running.lines.remove(&conn);
            }
            Some(Line::Answered(_) | Line::Drained(_)) => {
                running.lines.remove(&conn);
            }
            None => {}
        }
    }

    pub(super) fn limit(&self, conn: ConnId, until: u64) {
        let lines = self.running.as_ref().map(|running| &running.lines);
        if let Some(Line::Streaming(control)) = lines.and_then(|lines| lines.get(&conn)) {
            control.limit(until);
        }
    }

    pub(super) fn stream(&mut self, stream: Stream, context: &mut Context<Self>) {
        let fallback = self.parts.session.world.parts_dir.clone();
        let task = self.parts.task;
        let Some(running) = &mut self.running else {
            return;
        };
        let Some(Line::Answered(body)) = running.lines.remove(&stream.conn) else {
            return;
        };
        let part = match stream.part {
            PartUse::Existing => match running.part.clone() {
                Some(part) => PumpPart::Open(part),
                None => return self.feed(Input::FileFailed(no_part()), context),
            },
            PartUse::Create(plan) => {
                running.part = None;
                running.tails.clear();
                match PartPlace::new(&plan.target, task, &fallback) {
                    Ok(place) => PumpPart::Create(place, plan),
                    Err(failure) => return self.feed(Input::FileFailed(failure), context),
                }
            }
        };
        let control = Rc::new(Control::new(stream.until));
        running
            .lines
            .insert(stream.conn, Line::Streaming(Rc::clone(&control)));
        let ends_with_body = match body.framing() {
            Framing::Length(length) => stream.until == Some(stream.from + length),
            Framing::Chunked | Framing::UntilClose | Framing::Empty => true,
        };
        let pump = Pump {
            conn: stream.conn,
            body,
            part,
            position: stream.from,
            ends_with_body,
            place: stream.is_last.then(|| Rc::clone(&self.place)),
            control,
            blocks: self.parts.session.world.blocks.clone(),
            limits: self.parts.limits.clone(),
            report: context.address(),
        };
        let conn = stream.conn;
        let run = pump.run();
        context.spawn(
            run.into_actor(self)
                .map(move |end, actor, context| actor.ended(conn, end, context)),
        );
    }

    fn ended(&mut self, conn: ConnId, end: End, context: &mut Context<Self>) {
        fault::point("transfer.body_ended");
        let Some(running) = &mut self.running else {
            return;
        };
        running.lines.remove(&conn);
        if let Some((written, tail)) = end.tail {
            running.tails.insert(written, tail);
        }
        if let Some(created) = end.created {
            self.part_created(created, context);
        }
        if let Some((received, written)) = end.moved {
            self.feed(
                Input::Wrote {
                    conn,
                    received,
                    written,
                },
                context,
            );
        }
        match end.result {
            Ok(()) => self.feed(
                Input::Ended {
                    conn,
                    result: Ok(()),
                },
                context,
            ),
            Err(Stop::Net(failure)) => {
                self.feed(
                    Input::Ended {
                        conn,
                        result: Err(from_net(&failure)),
                    },
                    context,
                );
            }
            Err(Stop::Stopped) => {
                let failure = Failure::new(FailureKind::Disconnected, "the transfer was stopped");
                self.feed(
                    Input::Ended {
                        conn,
                        result: Err(failure),
                    },
                    context,
                );
            }
            Err(Stop::File(failure)) => {
                self.feed(
                    Input::Ended {
                        conn,
                        result: Err(failure),
                    },
                    context,
                );
            }
            Err(Stop::TargetTaken(path)) => self.feed(Input::TargetTaken(path), context),
        }
    }
}

/// Why a pump ended before its body did.
#[derive(Debug)]
pub(super) enum Stop {
    /// The network.
    Net(NetFailure),
    /// The file.
    File(Failure),
    /// The target exists and must not be replaced.
    TargetTaken(std::path::PathBuf),
    /// It was told to.
    Stopped,
}

/// A pump has made its part file, or moved bytes. Its end is not a message: it comes with the last
/// of these facts.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(super) struct Moved {
    pub(super) conn: ConnId,
    pub(super) created: Option<Created>,
    pub(super) received: u64,
    pub(super) written: u64,
}

impl Handler<Moved> for TransferActor {
    type Result = ();

    fn handle(&mut self, message: Moved, context: &mut Self::Context) {
        fault::point("transfer.moved");
        let Moved {
            conn,
            created,
            received,
            written,
        } = message;
        if let Some(created) = created {
            self.part_created(created, context);
        }
        self.feed(
            Input::Wrote {
                conn,
                received,
                written,
            },
            context,
        );
    }
}

fn no_part() -> Failure {
    Failure::new(
        FailureKind::File,
        "the part file is not open any more; start the transfer again",
    )
}

/// What a failure of the network means to the rules.
pub(super) fn from_net(failure: &NetFailure) -> Failure {
    let kind = match failure {
        NetFailure::InvalidInput { .. } => FailureKind::InvalidRequest,
        NetFailure::Dns { .. } => FailureKind::Resolve,
        NetFailure::Connect { .. } => FailureKind::Connect,
        NetFailure::ConnectTimeout { .. } | NetFailure::IdleTimeout { .. } => FailureKind::TimedOut,
        NetFailure::Tls { .. } => FailureKind::Tls,
        NetFailure::Proxy {
            status: Some(407), ..
        } => FailureKind::Authentication,
        NetFailure::Proxy { .. } => FailureKind::Proxy,
        NetFailure::Reset { .. } | NetFailure::Truncated { .. } => FailureKind::Disconnected,
        NetFailure::Protocol(_)
        | NetFailure::HeadTooLarge
        | NetFailure::TooManyInterim
        | NetFailure::Http09
        | NetFailure::UnsupportedTransferCoding
        | NetFailure::ConflictingLength
        | NetFailure::LongBody { .. } => FailureKind::Protocol,
    };
    Failure::new(kind, failure.to_string())
}
