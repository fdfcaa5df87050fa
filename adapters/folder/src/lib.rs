//! The folder adapter: documents as files in a directory. The example to copy for an adapter of one's own,
//! and a complete adapter for every system that can read and write files.
//!
//! Reading order: [`layout`] (which folder holds what), [`sending`] (how a dropped file gets its message
//! id), [`plan`] (how several files move all or nothing), [`folder`] (the SDK's trait), [`filing`]
//! (answers), [`orders`] (recalls and the like, for clerks), [`reports`] (dropped status files), [`watch`] (looking and sending), [`settings`] and [`run`].
//!
//! Its promise: killed at any point, nothing is lost and nothing is doubled. Its means: the state *is* the
//! directory; every change of state is one rename, flushed before the next.
//!
//! What it leaves out: the content of packets (it makes status packets, it never changes a document's),
//! unpacking attachments, several systems in one process.

pub mod facts;
pub mod filing;
pub mod folder;
pub mod layout;
pub mod orders;
pub mod plan;
pub mod reports;
pub mod run;
pub mod sending;
pub mod settings;
pub mod texts;
pub mod watch;

pub use folder::{AutoArrived, Behaviour, FolderAdapter};
