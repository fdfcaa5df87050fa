//! Bad days on in-memory twins: a ledger that cannot commit, a broker that comes and goes, a clock that is
//! set back. Tokio's time is paused, so that waits cost nothing; the same days on real parts are in
//! `tests/it/`.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod broker;
mod clock;
mod disk;
mod ledger;
mod twin;
