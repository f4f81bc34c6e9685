//! The names of the fault points before each action of the machine.

use longhaul_engine::download::Action;

pub(super) const fn name_of(action: &Action) -> &'static str {
    match action {
        Action::Recover(_) => "transfer.recover",
        Action::Ask(_) => "transfer.ask",
        Action::Stream(_) => "transfer.stream",
        Action::Limit { .. } => "transfer.limit",
        Action::Stop { .. } => "transfer.stop",
        Action::Drain { .. } => "transfer.drain",
        Action::Record(_) => "transfer.record",
        Action::Sync => "transfer.sync",
        Action::Verify(_) => "transfer.verify",
        Action::Name(_) => "transfer.name",
        Action::Publish { .. } => "transfer.publish",
        Action::Discard(_) => "transfer.discard",
        Action::Seal => "transfer.seal",
        Action::Close(_) => "transfer.close",
        Action::ReleasePlace => "transfer.release_place",
        Action::Tell(_) => "transfer.tell",
        Action::Exit(_) => "transfer.exit",
    }
}
