//! What the hub is told of deliveries: words, made into `taken` messages within the wire's limits.

use truc_model::DeliveryUid;
use truc_model::wire::{Declined, Taken, Withdrawn};

use crate::journal::Reason;

/// What became of a delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    /// The adapter has it.
    Taken,
    /// The adapter declined it.
    Declined(Reason),
    /// It was not handed over and never will be: for these agencies' codes; none: for all.
    Withdrawn(Vec<String>),
}

/// The messages that say these words; none for none.
pub(crate) fn messages(words: Vec<(DeliveryUid, Word)>) -> Vec<Taken> {
    let mut all = Vec::new();
    let mut message = Taken::default();
    // Of the message under way.
    let (mut count, mut bytes) = (0, 0);
    for (delivery, word) in words.into_iter().flat_map(split) {
        let more = match &word {
            Word::Withdrawn(codes) => codes.iter().map(String::len).sum(),
            _ => 0,
        };
        if count == Taken::MAX_DELIVERIES || bytes + more > Taken::CODES_BYTES_MAX {
            all.push(std::mem::take(&mut message));
            (count, bytes) = (0, 0);
        }
        count += 1;
        bytes += more;
        match word {
            Word::Taken => message.taken.push(delivery),
            Word::Declined(Reason { code, reason }) => message.refused.push(Declined {
                delivery,
                code,
                reason,
            }),
            Word::Withdrawn(codes) => message.withdrawn.push(Withdrawn { delivery, codes }),
        }
    }
    if count > 0 {
        all.push(message);
    }
    all
}

/// One word as several, when its codes are too many for one message. A code is never cut.
fn split((delivery, word): (DeliveryUid, Word)) -> Vec<(DeliveryUid, Word)> {
    let Word::Withdrawn(codes) = word else {
        return vec![(delivery, word)];
    };
    let mut parts = vec![Vec::new()];
    let mut bytes = 0;
    for code in codes {
        if bytes + code.len() > Taken::CODES_BYTES_MAX {
            parts.push(Vec::new());
            bytes = 0;
        }
        bytes += code.len();
        if let Some(part) = parts.last_mut() {
            part.push(code);
        }
    }
    let word = |codes| (delivery, Word::Withdrawn(codes));
    parts.into_iter().map(word).collect()
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn id(number: usize) -> DeliveryUid {
        DeliveryUid::new(Uuid::from_u128(number as u128))
    }

    #[test]
    fn a_message_holds_as_many_as_it_may() {
        let words = |count: usize| {
            (0..count)
                .map(|number| (id(number), Word::Taken))
                .collect::<Vec<_>>()
        };
        assert_eq!(messages(Vec::new()), []);
        assert_eq!(messages(words(Taken::MAX_DELIVERIES)).len(), 1);
        let two = messages(words(Taken::MAX_DELIVERIES + 1));
        assert_eq!(
            (two.len(), two[1].taken.as_slice()),
            (2, [id(Taken::MAX_DELIVERIES)].as_slice())
        );
    }

    #[test]
    fn codes_go_into_as_many_messages_as_they_need() {
        let code = "x".repeat(32);
        let most = Taken::CODES_BYTES_MAX / 32;
        let word = |codes| (id(1), Word::Withdrawn(vec![code.clone(); codes]));
        assert_eq!(messages(vec![word(most)]).len(), 1);
        let two = messages(vec![word(most), word(1)]);
        assert_eq!((two.len(), two[1].withdrawn[0].codes.len()), (2, 1));
        let split = messages(vec![word(most + 1), (id(2), Word::Taken)]);
        assert_eq!(split.len(), 2);
        assert_eq!((split[1].withdrawn[0].codes.len(), split[1].taken.len()), (1, 1));
        // For all is not for nobody.
        let all = messages(vec![(id(1), Word::Withdrawn(Vec::new()))]);
        assert_eq!(
            all[0].withdrawn,
            [Withdrawn {
                delivery: id(1),
                codes: Vec::new()
            }]
        );
    }
}
