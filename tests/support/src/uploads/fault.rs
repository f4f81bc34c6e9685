//! Faults: what a server does to single requests, whatever it is like otherwise.

use super::answer::Answer;
use super::asked::Step;
use crate::gate::Gate;

/// Something that goes wrong once, with the next request it fits, unless it is told otherwise.
///
/// ```
/// use longhaul_support::uploads::{Fault, Step};
///
/// // The second and third append are answered with 423 and change nothing.
/// let busy = Fault::status(423).on(Step::Append).skip(1).times(2);
/// # let _ = busy;
/// ```
#[derive(Clone, Debug)]
pub struct Fault {
    act: Act,
    step: Option<Step>,
    method: Option<String>,
    skip: u32,
    times: u32,
    from_offset: u64,
}

/// What is done.
#[derive(Clone, Debug)]
pub(super) enum Act {
    /// This answer, and nothing happens to the upload.
    Answer(Answer),
    /// 409 as the server words it.
    Conflict,
    /// These bytes in place of an answer, then FIN.
    Raw(Vec<u8>),
    /// The upload is gone, with this status.
    Forget(u16),
    /// The upload loses its bytes from this offset on.
    Regress(u64),
    /// The connection ends when so many bytes of the body were read.
    Cut(u64, End),
    /// No more than so many bytes of the body are read; the answer is about these.
    Acknowledge(u64),
    /// The connection ends in place of the answer.
    Withhold(End),
    /// Nothing is read beyond the head until the gate opens.
    HoldHead(Gate),
    /// No more than so many bytes of the body are read until the gate opens.
    HoldAt(u64, Gate),
    /// Nothing is answered until the gate opens.
    HoldAnswer(Gate),
    /// The answer has this `Upload-Offset`.
    ClaimOffset(u64),
    /// The answer says that the upload is complete.
    ClaimComplete,
    /// The first byte of the body arrives as another one.
    Damage,
}

/// How a connection ends early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Fin,
    Reset,
}

impl Fault {
    fn new(act: Act) -> Self {
        Self {
            act,
            step: None,
            method: None,
            skip: 0,
            times: 1,
            from_offset: 0,
        }
    }

    /// This status, and nothing happens to the upload.
    pub fn status(status: u16) -> Self {
        Self::new(Act::Answer(Answer::text(status, "as the test wants it")))
    }

    /// A redirect (301, 302, 303, 307 or 308) to `location`.
    pub fn redirect(status: u16, location: &str) -> Self {
        Self::status(status).field("Location", location)
    }

    /// 409 as [`super::Conflict`] of the server says, although the offset was right.
    pub fn conflict() -> Self {
        Self::new(Act::Conflict)
    }

    /// These bytes in place of an answer, then FIN. They need not be HTTP.
    pub fn raw(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(Act::Raw(bytes.into()))
    }

    /// The upload that the request is for is gone: 404 or 410, from now on.
    pub fn forget(status: u16) -> Self {
        Self::new(Act::Forget(status))
    }

    /// The server has lost the upload's bytes from `offset` on before it looks at the request.
    pub fn regress_to(offset: u64) -> Self {
        Self::new(Act::Regress(offset))
    }

    /// FIN when `bytes` of the body were read; what the client still sends is answered with a RST.
    pub fn cut_at(bytes: u64) -> Self {
        Self::new(Act::Cut(bytes, End::Fin))
    }

    /// RST when `bytes` of the body were read.
    pub fn reset_at(bytes: u64) -> Self {
        Self::new(Act::Cut(bytes, End::Reset))
    }

    /// The answer is about the first `bytes` of the body, and no more of it is read: a success that
    /// acknowledges less than was sent.
    pub fn acknowledge_at(bytes: u64) -> Self {
        Self::new(Act::Acknowledge(bytes))
    }

    /// Everything is done as it should, and FIN comes in place of the answer.
    pub fn withhold() -> Self {
        Self::new(Act::Withhold(End::Fin))
    }

    /// Everything is done as it should, and RST comes in place of the answer. The request must not
    /// be chunked.
    pub fn withhold_reset() -> Self {
        Self::new(Act::Withhold(End::Reset))
    }

    /// Nothing is done until `gate` opens.
    pub fn hold_head(gate: &Gate) -> Self {
        Self::new(Act::HoldHead(gate.clone()))
    }

    /// The body is read up to `bytes` of it, and on when `gate` opens. Another request may take the
    /// upload over meanwhile.
    pub fn hold_at(bytes: u64, gate: &Gate) -> Self {
        Self::new(Act::HoldAt(bytes, gate.clone()))
    }

    /// Everything is done as it should, and the answer comes when `gate` opens.
    pub fn hold_answer(gate: &Gate) -> Self {
        Self::new(Act::HoldAnswer(gate.clone()))
    }

    /// The answer says this offset, true or not.
    pub fn claim_offset(offset: u64) -> Self {
        Self::new(Act::ClaimOffset(offset))
    }

    /// The answer says that the upload is complete, true or not.
    pub fn claim_complete() -> Self {
        Self::new(Act::ClaimComplete)
    }

    /// The first byte of the body arrives as another one: what a checksum is for.
    pub fn damage() -> Self {
        Self::new(Act::Damage)
    }

    /// With one more field in the answer of [`Fault::status`]; other faults have none.
    pub fn field(mut self, name: &str, value: &str) -> Self {
        if let Act::Answer(answer) = self.act {
            self.act = Act::Answer(answer.with(name, value));
        }
        self
    }

    /// With this body in the answer of [`Fault::status`]; other faults have none.
    pub fn body(mut self, body: &[u8]) -> Self {
        if let Act::Answer(answer) = &mut self.act {
            answer.body = body.to_vec();
        }
        self
    }

    /// To requests of this step only.
    pub fn on(mut self, step: Step) -> Self {
        self.step = Some(step);
        self
    }

    /// To requests with this method only, as it stands on the wire.
    pub fn method(mut self, method: &str) -> Self {
        self.method = Some(method.into());
        self
    }

    /// Not to the first `count` requests that it fits.
    pub fn skip(mut self, count: u32) -> Self {
        self.skip = count;
        self
    }

    /// To so many requests.
    pub fn times(mut self, count: u32) -> Self {
        self.times = count;
        self
    }

    /// To every request.
    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    /// To requests for uploads that have `offset` bytes or more only.
    pub fn from_offset(mut self, offset: u64) -> Self {
        self.from_offset = offset;
        self
    }

    /// The gate at which it may make a request wait.
    pub(super) fn gate(&self) -> Option<&Gate> {
        match &self.act {
            Act::HoldHead(gate) | Act::HoldAt(_, gate) | Act::HoldAnswer(gate) => Some(gate),
            Act::Answer(_)
            | Act::Conflict
            | Act::Raw(_)
            | Act::Forget(_)
            | Act::Regress(_)
            | Act::Cut(..)
            | Act::Acknowledge(_)
            | Act::Withhold(_)
            | Act::ClaimOffset(_)
            | Act::ClaimComplete
            | Act::Damage => None,
        }
    }

    /// What it does to a request that fits, if it is due.
    fn take(&mut self, step: Step, method: &str, offset: u64) -> Option<Act> {
        let fits = self.step.is_none_or(|wanted| wanted == step)
            && self.method.as_ref().is_none_or(|wanted| wanted == method)
            && offset >= self.from_offset;
        if !fits || self.times == 0 {
            return None;
        }
        if self.skip > 0 {
            self.skip -= 1;
            return None;
        }
        if self.times != u32::MAX {
            self.times -= 1;
        }
        Some(self.act.clone())
    }
}

/// The first of `faults` that is due for a request; the others stay due.
pub(super) fn due(faults: &mut [Fault], step: Step, method: &str, offset: u64) -> Option<Act> {
    let mut faults = faults.iter_mut();
    faults.find_map(|fault| fault.take(step, method, offset))
}

#[cfg(test)]
mod tests {
    use super::{Act, Fault, Step, due};

    #[test]
    fn a_fault_is_due_to_the_requests_it_fits_and_no_others() {
        let mut faults = [
            Fault::forget(404).on(Step::Status).from_offset(10),
            Fault::forget(423).on(Step::Append).skip(1).times(2),
            Fault::forget(405).method("PATCH").always(),
        ];
        let mut next = |step, method: &str, offset| match due(&mut faults, step, method, offset) {
            Some(Act::Forget(status)) => Some(status),
            Some(other) => panic!("{other:?}"),
            None => None,
        };
        for (step, method, offset, status) in [
            (Step::Create, "POST", 0, None),
            (Step::Append, "POST", 0, None),
            (Step::Append, "POST", 0, Some(423)),
            (Step::Append, "PATCH", 0, Some(423)),
            (Step::Append, "PATCH", 0, Some(405)),
            (Step::Append, "PATCH", 0, Some(405)),
            (Step::Status, "HEAD", 9, None),
            (Step::Status, "HEAD", 10, Some(404)),
            (Step::Status, "HEAD", 10, None),
        ] {
            assert_eq!(next(step, method, offset), status, "{step:?} {method}");
        }
    }
}
