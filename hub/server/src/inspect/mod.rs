//! Looks at the signatures inside attached PDFs, in processes of their own: a PDF is a stranger's bytes, and
//! what reads it may take too long, too much memory, or die, without costing the hub more than that.
//!
//! ```text
//! hub: Pool ──length, bytes──→ worker (truc pdf-worker): truc_pdf::inspect
//!           ←──one line JSON──
//! ```
//!
//! What comes back is an indicator (`docs/reference/pdf-signature.md`). It decides nothing, so nothing waits
//! for it without bound: when no worker is free in time, the word is `unchecked`.

mod pool;
pub mod worker;

pub use pool::{Pool, Program, Settings, WAITING_MAX};
