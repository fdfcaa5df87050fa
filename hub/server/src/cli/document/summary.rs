//! A document of many recipients: how many stand how, and the few one has to look after before the many that are done.

use truc_ledger::StateCounts;
use truc_ledger::rows::RecipientRow;
use truc_model::delivery::TransportStateName;

use super::super::show::number;

/// Most recipients shown one by one, unless all are asked for.
pub(super) const SHOWN_MAX: usize = 30;

/// `Đã nhận về hệ thống 1.498 / 1.500; Chờ gửi 2`; what is done first, then only the states that occur.
pub(super) fn line(recipients: &[RecipientRow]) -> String {
    let mut counts = StateCounts::default();
    for recipient in recipients {
        counts.add(recipient.state.name(), 1);
    }
    let taken = TransportStateName::Taken;
    let mut parts = vec![format!(
        "{} {} / {}",
        taken.label_vi(),
        number(counts.of(taken)),
        number(counts.total())
    )];
    let others = TransportStateName::ALL
        .into_iter()
        .filter(|state| *state != taken);
    let others = others.filter(|state| counts.of(*state) > 0);
    parts.extend(others.map(|state| format!("{} {}", state.label_vi(), number(counts.of(state)))));
    parts.join("; ")
}

/// Those to show: all when they are few or asked for; else the first that are not taken, and after them as many of
/// the others as there is room for.
pub(super) fn shown(recipients: &[RecipientRow], all: bool) -> Vec<&RecipientRow> {
    if all || recipients.len() <= SHOWN_MAX {
        return recipients.iter().collect();
    }
    let is_taken = |row: &&RecipientRow| row.state.name() == TransportStateName::Taken;
    let (taken, others): (Vec<_>, Vec<_>) = recipients.iter().partition(is_taken);
    let mut shown: Vec<&RecipientRow> = others.into_iter().chain(taken).take(SHOWN_MAX).collect();
    shown.sort_by_key(|row| row.position);
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use truc_model::{
        AgencyId, BusinessState, ChangeState, DocumentUid, Party, Random as _, SeededRandom, TransportState,
    };

    fn row(position: u32) -> RecipientRow {
        let at = Timestamp::UNIX_EPOCH;
        let scheduled = TransportState::Scheduled { since: at };
        let state = match position {
            7 | 1400 => scheduled,
            _ => scheduled
                .forwarded(at, 1)
                .and_then(|state| state.taken(at))
                .unwrap(),
        };
        RecipientRow {
            document: DocumentUid::new(SeededRandom::new(1).uuid_v7(at)),
            position,
            party: Party::Agency(AgencyId(position)),
            codes: vec![],
            system: None,
            delivery: None,
            state,
            business: BusinessState::default(),
            change: ChangeState::default(),
            revision: 0,
            recalled: None,
        }
    }

    #[test]
    fn fifteen_hundred_recipients_fit_on_a_page() {
        let many: Vec<RecipientRow> = (0..1500).map(row).collect();
        assert_eq!(line(&many), "Đã nhận về hệ thống 1.498 / 1.500; Chờ gửi 2");
        let positions = |rows: Vec<&RecipientRow>| rows.iter().map(|row| row.position).collect::<Vec<_>>();
        let shown_few = positions(shown(&many, false));
        assert_eq!(shown_few.len(), SHOWN_MAX);
        assert!(
            shown_few.contains(&1400) && shown_few.contains(&7),
            "{shown_few:?}"
        );
        assert!(shown_few.is_sorted());
        assert_eq!(shown(&many, true).len(), 1500);
        assert_eq!(shown(&many[..SHOWN_MAX], false).len(), SHOWN_MAX);
        assert_eq!(shown(&many[..=SHOWN_MAX], false).len(), SHOWN_MAX);
    }
}
