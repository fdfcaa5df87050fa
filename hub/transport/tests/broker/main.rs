//! The transport against a real RabbitMQ (a private node from the system's package), and the same
//! behaviour from the twin in memory.
//!
//! One node serves all tests that leave it standing, each in a virtual host of its own; the tests that
//! stop, kill or starve a node share a second one, one after the other.

#![allow(
    clippy::unwrap_used,
    reason = "tests panic to fail; clippy's own exception stops at helper functions"
)]

mod cluster;
mod faults;
mod life;
mod reach;
mod strangers;
mod suite;
mod together;
mod twin;
mod world;
