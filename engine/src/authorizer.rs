//! What a task shows to a server that wants to know who asks, and when its owner is asked instead.

use crate::authorization_challenge::{Answers, Challenge as Asked};
use crate::failure::{Failure, FailureKind};
use crate::http::authorization::{self, AnswerContext, Credentials};
use crate::http::challenge::{self, Challenge};
use crate::http::head::ResponseHead;
use crate::retry::Jitter;
use crate::safe_url::HttpUrl;
use crate::session::SessionRules;
use crate::task::{DownloadSpec, UploadSpec};

/// Answers to the challenges of one request: the first one, and some for nonces that grew too old
/// on the way. A server with a new nonce for each answer would otherwise be asked for ever.
const ANSWERS_MAX: u32 = 4;

/// What one transfer knows of its server's challenges.
#[derive(Debug, Default)]
pub(crate) struct Authorizer {
    challenges: Vec<Challenge>,
    nonce_count: u32,
    client_nonce: String,
}

/// Who wants something of a server, and what it may be shown.
#[derive(Clone, Copy)]
pub(crate) struct Applicant<'a> {
    /// The URL that the task was given: only its origin is shown anything.
    url: &'a HttpUrl,
    own: Option<&'a Credentials>,
    challenge_statuses: &'a [u16],
    rules: &'a SessionRules,
    answers: &'a Answers,
}

/// One request on its way through redirects and challenges.
#[derive(Clone, Copy)]
pub(crate) struct Petition<'a> {
    pub(crate) method: &'a str,
    pub(crate) url: &'a HttpUrl,
    /// Every hop so far had the origin that the caller named.
    pub(crate) is_same_origin: bool,
    /// How often credentials went with it.
    pub(crate) answers: u32,
}

/// What an answer that wants credentials leads to.
#[derive(Debug)]
pub(crate) enum Verdict {
    /// The request is sent again: [`Authorizer::field`] has an answer now.
    Show,
    /// The owner of the task is asked this.
    Ask(Box<Asked>),
    /// Nobody is to be asked about it: the task fails.
    Fail(Failure),
}

impl Authorizer {
    /// The value of `Authorization` that goes with a request; a secret.
    pub(crate) fn field(
        &mut self,
        applicant: Applicant<'_>,
        petition: Petition<'_>,
    ) -> Option<String> {
        if !petition.is_same_origin {
            return None;
        }
        let credentials = applicant.credentials()?;
        if self.challenges.is_empty() {
            // A bearer token is sent unasked, as every API expects; a password is not.
            let is_token = matches!(credentials, Credentials::Bearer(_));
            return is_token
                .then(|| authorization::unasked(credentials))
                .flatten();
        }
        self.nonce_count += 1;
        let context = AnswerContext {
            method: petition.method,
            uri: petition.url.request_target(),
            nonce_count: self.nonce_count,
            cnonce: &self.client_nonce,
        };
        authorization::answer(credentials, &self.challenges, &context)
    }

    /// An answer wants credentials, or its status is one that the owner is asked about.
    pub(crate) fn challenged(
        &mut self,
        head: &ResponseHead,
        (applicant, petition): (Applicant<'_>, Petition<'_>),
        jitter: &mut Jitter,
    ) -> Verdict {
        let offered = match head.status {
            401 => challenge::of_server(head),
            407 => challenge::of_proxy(head),
            _ => Vec::new(),
        };
        let Some(offered) = applicant.answers.left_of(offered) else {
            return Verdict::Fail(unauthorized("every way to authenticate was rejected"));
        };
        if head.status == 401 && self.may_show(&offered, applicant, petition) {
            self.take(offered, jitter);
            return Verdict::Show;
        }
        if applicant.answers.is_default_handling {
            return Verdict::Fail(unauthorized(
                "the server wants other credentials than those that are there",
            ));
        }
        Verdict::Ask(Box::new(Asked::new(
            petition.url,
            head.status,
            &offered,
            applicant.answers.unproven,
        )))
    }

    /// Whether credentials are worth a try: the first time, or when only a nonce was too old.
    fn may_show(
        &self,
        offered: &[Challenge],
        applicant: Applicant<'_>,
        petition: Petition<'_>,
    ) -> bool {
        let is_stale = offered.iter().any(is_stale);
        let is_worth_it = petition.answers == 0
            || (is_stale && self.challenges != offered && petition.answers < ANSWERS_MAX);
        let context = AnswerContext {
            method: petition.method,
            uri: petition.url.request_target(),
            nonce_count: 1,
            cnonce: "",
        };
        let can_answer = |credentials| authorization::answer(credentials, offered, &context);
        petition.is_same_origin
            && is_worth_it
            && applicant.credentials().and_then(can_answer).is_some()
    }

    fn take(&mut self, offered: Vec<Challenge>, jitter: &mut Jitter) {
        self.challenges = offered;
        self.nonce_count = 0;
        // One for each nonce of the server's (RFC 7616 3.4: the -sess algorithms bind both).
        let (high, low) = (jitter.next_u64(), jitter.next_u64());
        self.client_nonce = format!("{high:016x}{low:016x}");
    }
}

impl<'a> Applicant<'a> {
    pub(crate) fn of_download(
        spec: &'a DownloadSpec,
        rules: &'a SessionRules,
        answers: &'a Answers,
    ) -> Self {
        Self {
            url: &spec.url,
            own: spec.credentials.as_ref(),
            challenge_statuses: &spec.options.challenge_statuses,
            rules,
            answers,
        }
    }

    pub(crate) fn of_upload(
        spec: &'a UploadSpec,
        rules: &'a SessionRules,
        answers: &'a Answers,
    ) -> Self {
        Self {
            url: &spec.url,
            own: spec.credentials.as_ref(),
            challenge_statuses: &spec.options.challenge_statuses,
            rules,
            answers,
        }
    }

    /// Whether the owner wants to be asked about an answer of this status instead of having it
    /// handled as any other.
    pub(crate) fn is_asked_about(self, status: u16) -> bool {
        !self.answers.is_default_handling && self.challenge_statuses.contains(&status)
    }

    /// What the origin of the task's URL may be shown: the task's own before the session's. Under
    /// default handling it is the other way round, because the task's own were not taken.
    fn credentials(self) -> Option<&'a Credentials> {
        let shared = self.rules.credentials_for(self.url);
        match self.answers.is_default_handling {
            true => shared.or(self.own),
            false => self.own.or(shared),
        }
    }
}

fn unauthorized(why: &str) -> Failure {
    Failure::new(FailureKind::Authentication, why)
}

/// Whether only the nonce of an answer was too old, so that the same password is worth a try.
const fn is_stale(challenge: &Challenge) -> bool {
    matches!(challenge, Challenge::Digest(digest) if digest.stale)
}
