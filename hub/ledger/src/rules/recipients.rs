//! Recipients at hand in a batch: all those of a document, or only those of the messages that the batch is about.
//!
//! A broadcast has as many recipients as there are agencies, and a message for each of their systems: whoever read
//! all recipients for each message would read the square of their number.

use std::collections::HashMap;

use truc_model::{DeliveryUid, DocumentUid};

use crate::rows::RecipientRow;

/// See the top of this file.
#[derive(Debug, Default)]
pub(crate) struct Recipients(HashMap<DocumentUid, AtHand>);

#[derive(Debug, Default)]
struct AtHand {
    /// By position.
    rows: Vec<RecipientRow>,
    /// Whether they are all that the document has.
    all: bool,
}

impl Recipients {
    /// One, whatever others are at hand. One that is there already stays as it is: it may have moved since.
    pub(crate) fn load(&mut self, row: RecipientRow) {
        let rows = &mut self.0.entry(row.document).or_default().rows;
        if let Err(place) = rows.binary_search_by_key(&row.position, |known| known.position) {
            rows.insert(place, row);
        }
    }

    /// All that these documents have.
    pub(crate) fn load_all(&mut self, documents: &[DocumentUid], rows: Vec<RecipientRow>) {
        for row in rows {
            self.load(row);
        }
        for document in documents {
            if let Some(known) = self.0.get_mut(document) {
                known.all = true;
            }
        }
    }

    /// All that a new document has, by position.
    pub(crate) fn add(&mut self, document: DocumentUid, rows: Vec<RecipientRow>) {
        self.0.insert(document, AtHand { rows, all: true });
    }

    /// Whether all of a document are at hand.
    pub(crate) fn has_all(&self, document: DocumentUid) -> bool {
        self.0.get(&document).is_some_and(|known| known.all)
    }

    /// All of a document, by position; none when nobody asked for them. To ask this of a document of which only
    /// some are at hand is a defect.
    pub(crate) fn all(&self, document: DocumentUid) -> &[RecipientRow] {
        let known = self.0.get(&document);
        debug_assert!(
            known.is_none_or(|known| known.all),
            "only some recipients of {document} were loaded"
        );
        known.map_or(&[], |known| known.rows.as_slice())
    }

    /// Those for whom a message is or was.
    pub(crate) fn of_delivery(
        &self,
        document: DocumentUid,
        delivery: DeliveryUid,
    ) -> impl Iterator<Item = &RecipientRow> {
        let rows = self.0.get(&document).into_iter().flat_map(|known| &known.rows);
        rows.filter(move |row| row.delivery == Some(delivery))
    }

    /// One of them.
    pub(crate) fn at(&self, document: DocumentUid, position: u32) -> Option<&RecipientRow> {
        let rows = &self.0.get(&document)?.rows;
        let place = rows.binary_search_by_key(&position, |row| row.position);
        place.ok().and_then(|place| rows.get(place))
    }

    /// One of them, to be changed.
    pub(crate) fn at_mut(&mut self, document: DocumentUid, position: u32) -> Option<&mut RecipientRow> {
        let rows = &mut self.0.get_mut(&document)?.rows;
        let place = rows.binary_search_by_key(&position, |row| row.position);
        place.ok().and_then(|place| rows.get_mut(place))
    }
}

#[cfg(test)]
mod tests {
    use truc_model::{AgencyId, BusinessState, ChangeState, Party, TransportState};
    use uuid::Uuid;

    use super::*;

    const DOCUMENT: DocumentUid = DocumentUid::new(Uuid::from_u128(1));

    fn row(position: u32, delivery: u128) -> RecipientRow {
        RecipientRow {
            document: DOCUMENT,
            position,
            party: Party::Agency(AgencyId(position)),
            codes: Vec::new(),
            system: None,
            delivery: Some(DeliveryUid::new(Uuid::from_u128(delivery))),
            state: TransportState::Scheduled {
                since: jiff::Timestamp::UNIX_EPOCH,
            },
            business: BusinessState::default(),
            change: ChangeState::default(),
            revision: 0,
            recalled: None,
        }
    }

    fn positions<'a>(rows: impl IntoIterator<Item = &'a RecipientRow>) -> Vec<u32> {
        rows.into_iter().map(|row| row.position).collect()
    }

    #[test]
    fn some_become_all_and_what_moved_meanwhile_stays_moved() {
        let mut recipients = Recipients::default();
        assert!(recipients.all(DOCUMENT).is_empty(), "nobody asked for them");
        recipients.load(row(2, 8));
        recipients.load(row(1, 7));
        assert!(!recipients.has_all(DOCUMENT));
        if let Some(moved) = recipients.at_mut(DOCUMENT, 2) {
            moved.revision = 5;
        }
        recipients.load_all(&[DOCUMENT], vec![row(0, 7), row(1, 7), row(2, 8), row(3, 9)]);
        assert!(recipients.has_all(DOCUMENT));
        assert_eq!(positions(recipients.all(DOCUMENT)), [0, 1, 2, 3]);
        assert_eq!(recipients.at(DOCUMENT, 2).map(|row| row.revision), Some(5));
        assert!(recipients.at(DOCUMENT, 4).is_none());
        let delivery = DeliveryUid::new(Uuid::from_u128(7));
        assert_eq!(positions(recipients.of_delivery(DOCUMENT, delivery)), [0, 1]);
    }
}
