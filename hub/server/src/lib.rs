//! The hub: takes documents in from connected systems, checks, records, routes and delivers them, and
//! can say at any moment where each of them is.
//!
//! Read `flow/` in the order documents travel: ingest, verify, record, route, deliver, track. `app`
//! puts the parts together; `cli` is the program `truc`; `demo` shows the whole on one machine.

pub mod config;
