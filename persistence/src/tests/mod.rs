//! Tests of the store as a whole, and what they share.

mod changes;
mod crashes;
mod disk;
mod opening;
mod records;
mod registering;
mod samples;
mod scenario;
mod scheduling;
mod strategies;
