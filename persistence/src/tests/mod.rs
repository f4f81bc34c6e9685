//! Tests of the store as a whole, and what they share.

mod challenges;
mod changes;
mod crashes;
mod disk;
mod looking;
mod opening;
mod records;
mod registering;
mod resuming;
mod samples;
mod scenario;
mod scheduling;
mod sessions;
mod strategies;
