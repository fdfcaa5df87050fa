//! envelope
pub mod seal;
