//! Alerts: what the hub calls people for, and how they are told.
//!
//! An alert is a row of the ledger, raised once for a kind and a subject; what must be told of it is put into
//! messages to channels there, too ([`truc_ledger::alert`]). Here stand who is told what and when ([`route`]),
//! the words ([`message`]), and the channels themselves ([`webhook`], [`mail`]); what is looked at ([`watch`], `bodies`),
//! what events mean ([`signal`]), the sending ([`send`]), what happens without a ledger ([`unrecorded`]), and the part of
//! a running hub that does all that ([`service`]).

mod bodies;
pub mod channel;
pub mod mail;
pub mod message;
pub mod route;
pub mod send;
pub mod service;
pub mod signal;
pub mod unrecorded;
pub mod watch;
pub mod webhook;

#[cfg(test)]
mod test_http;
#[cfg(test)]
mod test_smtp;
#[cfg(test)]
mod test_tls;
#[cfg(test)]
mod tests;
