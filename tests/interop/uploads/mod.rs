//! `longhaul put` against the servers that people upload to, through everything that can break an
//! upload on its way.

mod cuts;
mod handover;
mod proxies;
mod refusals;
mod site;
