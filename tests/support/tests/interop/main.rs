//! The real servers and clients of the kit behave as their documentation here says.

mod downloads;
mod proxies;
mod scripted;
mod uploads;
