//! The ledger in PostgreSQL, on a server of its own: one for all tests of this program, and a schema of its own for
//! each.
#![allow(clippy::unwrap_used, reason = "a test suite")]

mod bench;
mod contract;
mod damage;
mod hubs;
mod plans;
mod schema;
mod server;
mod tls;
mod words;
