//! Chains that were proven, and for how long each proof stands: so that of a system that sends thousands of
//! documents the signature of its authority is checked once, and only its own each time.
//!
//! Only what held is remembered, never a refusal. The proofs are part of one [`super::Trust`] value, which never
//! changes once it is in force: new anchors, lists or policies make a new value, and that begins with none.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock};

use truc_model::Sha256;

/// Most chains whose proof is remembered; at one more all are forgotten, and each is proven anew when it is
/// seen again. A province has some hundred systems.
pub const MAX_PROVEN: usize = 4096;

/// When a chain that was proven holds. Seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Window {
    /// Every certificate of the path is valid from here ...
    pub(super) from: i64,
    /// ... to here, both included: for the moment of signing.
    pub(super) to: i64,
    /// Every list that the policy needs is in force before this moment of the judge's clock; `None`: for ever.
    pub(super) fresh_before: Option<i64>,
}

impl Window {
    fn holds(&self, signed_at: i64, now: i64) -> bool {
        (self.from..=self.to).contains(&signed_at) && self.fresh_before.is_none_or(|end| now < end)
    }
}

/// The proofs of one [`super::Trust`], by the digest of the certificates as they came.
#[derive(Debug, Default)]
pub(super) struct Proven(RwLock<HashMap<Sha256, Window>>);

impl Proven {
    /// Whether this chain was proven for these moments.
    pub(super) fn holds(&self, chain: Sha256, signed_at: i64, now: i64) -> bool {
        let proven = self.0.read().unwrap_or_else(PoisonError::into_inner);
        proven
            .get(&chain)
            .is_some_and(|window| window.holds(signed_at, now))
    }

    /// Remembers a proof.
    pub(super) fn remember(&self, chain: Sha256, window: Window) {
        let mut proven = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if proven.len() >= MAX_PROVEN && !proven.contains_key(&chain) {
            proven.clear();
        }
        proven.insert(chain, window);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window {
        from: 10,
        to: 20,
        fresh_before: Some(100),
    };

    #[test]
    fn a_proof_stands_within_its_window_alone() {
        let proven = Proven::default();
        let (chain, other) = (Sha256::of(b"1"), Sha256::of(b"2"));
        assert!(!proven.holds(chain, 15, 50));
        proven.remember(chain, WINDOW);
        for (signed_at, now, holds) in [
            (9, 50, false),
            (10, 50, true),
            (20, 50, true),
            (21, 50, false),
            (15, 99, true),
            (15, 100, false),
        ] {
            assert_eq!(proven.holds(chain, signed_at, now), holds, "{signed_at} {now}");
        }
        assert!(!proven.holds(other, 15, 50));
        let fresh_before = None;
        proven.remember(
            chain,
            Window {
                fresh_before,
                ..WINDOW
            },
        );
        assert!(proven.holds(chain, 15, i64::MAX));
    }

    #[test]
    fn at_one_more_than_fit_all_are_forgotten() {
        let proven = Proven::default();
        let chain = |n: usize| Sha256::of(&n.to_be_bytes());
        for n in 0..MAX_PROVEN {
            proven.remember(chain(n), WINDOW);
        }
        // One that is known takes no place.
        proven.remember(chain(0), WINDOW);
        assert!(proven.holds(chain(1), 15, 50));
        proven.remember(chain(MAX_PROVEN), WINDOW);
        assert!(!proven.holds(chain(1), 15, 50));
        assert!(proven.holds(chain(MAX_PROVEN), 15, 50));
    }
}
