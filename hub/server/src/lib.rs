//! The hub: takes documents in from connected systems, checks, records, routes and delivers them, and
//! can say at any moment where each of them is.
//!
//! Read `flow/` in the order documents travel. `app` puts the parts together; `cli` is the program
//! `truc`; `demo` shows the whole on one machine; `authority` makes certificates for demo and tests.

pub mod alert;
pub mod app;
pub mod authority;
pub mod bench;
pub mod cli;
pub mod config;
pub mod deadlines;
pub mod demo;
pub mod flow;
pub mod hubs;
pub mod inspect;
pub mod queues;
pub mod store;
pub mod telemetry;
pub mod trust;
pub mod web;
