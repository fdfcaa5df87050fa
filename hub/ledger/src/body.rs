//! Bodies: the bytes of packets, either in the ledger itself or apart, in the store of large bodies.
//!
//! Of a body apart the ledger holds digest and size, and says when it may go; its bytes never enter a
//! transaction or a message (`docs/reference/bodies.md`). A body that the ledger lets go is *leaving* until the
//! store has deleted its bytes too, so a hub that is killed in between leaves nothing behind; or until a new document
//! names it, and it is kept again.
//!
//! One digest is in one place. Bytes that come a second time, the other way, stay where they were first.

use std::sync::Arc;

use truc_model::{Sha256, SystemId};

/// Most bodies in one call about those that leave.
pub const LEAVING_MAX: usize = 256;

/// A body, by where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// In the ledger: these are they.
    Here(Arc<[u8]>),
    /// In the store of large bodies, under their digest.
    Apart {
        /// How many bytes.
        size: u64,
    },
}

impl Body {
    /// How many bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Here(bytes) => bytes.len() as u64,
            Self::Apart { size } => *size,
        }
    }

    /// How many bytes of it are in memory.
    #[must_use]
    pub fn bytes_in_memory(&self) -> u64 {
        self.here().map_or(0, |bytes| bytes.len() as u64)
    }

    /// The bytes, when they are in the ledger.
    #[must_use]
    pub const fn here(&self) -> Option<&Arc<[u8]>> {
        match self {
            Self::Here(bytes) => Some(bytes),
            Self::Apart { .. } => None,
        }
    }

    /// Where it is.
    #[must_use]
    pub const fn place(&self) -> BodyPlace {
        match self {
            Self::Here(_) => BodyPlace::Here,
            Self::Apart { .. } => BodyPlace::Apart,
        }
    }
}

impl<T: Into<Arc<[u8]>>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self::Here(bytes.into())
    }
}

/// Where the bytes of a kept body are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BodyPlace {
    /// In the ledger.
    Here,
    /// In the store of large bodies.
    Apart,
}

/// A body apart that the ledger let go, and whose bytes the store still has to delete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LeavingBody {
    /// Its digest.
    pub sha256: Sha256,
    /// How many bytes it has.
    pub size: u64,
    /// The event `bodies-deleted` that let it go.
    pub event: u64,
}

/// May this system read this body?
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MayRead {
    /// Who asks.
    pub system: SystemId,
    /// For what.
    pub sha256: Sha256,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_knows_its_size_and_what_it_costs() {
        let here = Body::from(b"four".as_slice());
        assert_eq!(
            (here.size(), here.bytes_in_memory(), here.place()),
            (4, 4, BodyPlace::Here)
        );
        let apart = Body::Apart { size: 1 << 40 };
        assert_eq!(
            (apart.size(), apart.bytes_in_memory(), apart.here()),
            (1 << 40, 0, None)
        );
    }
}
