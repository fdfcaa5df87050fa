//! What a message says about other deliveries: an order names those it takes back, a replacement the documents
//! that it takes the place of. Headers, beside those that [`super::deliver`] writes on every message.

use std::collections::BTreeMap;

use truc_ledger::Claimed;
use truc_model::DeliveryUid;
use truc_model::wire::header;
use truc_transport::HeaderValue;

/// Most bytes of `truc-to`, `truc-withdraws` and `truc-withdraws-for` together, as AMQP writes them. All headers travel in
/// one frame, and the others need their room. An order beyond it goes as a plain document or status: the recipient then
/// gets both, one after the other, and answers 15 or 16.
pub const LISTS_BYTES_MAX: usize = 112 * 1024;

/// Most documents named in `truc-replaces`.
pub const REPLACES_MAX: usize = 200;

/// Adds the headers of an order or a replacement.
pub fn add(headers: &mut BTreeMap<String, HeaderValue>, claimed: &Claimed) {
    let (deliveries, codes) = withdraws(&claimed.withdraws);
    let lists = [&deliveries, &codes, &claimed.to];
    if !deliveries.is_empty() && lists.iter().map(|list| written(list)).sum::<usize>() <= LISTS_BYTES_MAX {
        headers.insert(header::WITHDRAWS.to_owned(), HeaderValue::List(deliveries));
        if !codes.is_empty() {
            headers.insert(header::WITHDRAWS_FOR.to_owned(), HeaderValue::List(codes));
        }
    }
    if !claimed.replaces.is_empty() {
        let few = claimed.replaces.iter().take(REPLACES_MAX);
        let documents = few.map(ToString::to_string).collect();
        headers.insert(header::REPLACES.to_owned(), HeaderValue::List(documents));
    }
}

/// The deliveries, and the codes for which alone. The wire has one list of codes for all deliveries; so when some are taken
/// back for some of their agencies alone, those without codes are left out: named beside others they would be taken
/// back for nobody, or for too many.
fn withdraws(all: &[(DeliveryUid, Vec<String>)]) -> (Vec<String>, Vec<String>) {
    let is_partial = all.iter().any(|(_, codes)| !codes.is_empty());
    let named = all.iter().filter(|(_, codes)| !is_partial || !codes.is_empty());
    let deliveries = named.map(|(delivery, _)| delivery.to_string()).collect();
    let mut codes: Vec<String> = Vec::new();
    for code in all.iter().flat_map(|(_, codes)| codes) {
        if !codes.contains(code) {
            codes.push(code.clone());
        }
    }
    (deliveries, codes)
}

/// Bytes of a list's items in AMQP's form.
fn written(list: &[String]) -> usize {
    list.iter().map(|item| 5 + item.len()).sum()
}

#[cfg(test)]
mod tests {

    use jiff::Timestamp;
    use truc_model::wire::Outgoing;
    use truc_model::{DocumentUid, Sha256, SystemId};
    use uuid::Uuid;

    use super::*;

    fn delivery(number: u128) -> DeliveryUid {
        DeliveryUid::new(Uuid::from_u128(number))
    }

    fn claimed() -> Claimed {
        Claimed {
            delivery: delivery(1),
            outgoing: Outgoing::Document,
            system: SystemId::new("xa").unwrap(),
            attempt: 1,
            correlation_id: None,
            priority: 5,
            body: b"recall".as_slice().into(),
            sha256: Sha256::of(b"recall"),
            document: None,
            from: None,
            to: vec!["H60.1".to_owned()],
            verdict: None,
            attachments: None,
            status: None,
            withdraws: Vec::new(),
            replaces: Vec::new(),
            accepted_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn headers(claimed: &Claimed) -> BTreeMap<String, HeaderValue> {
        let mut headers = BTreeMap::new();
        add(&mut headers, claimed);
        headers
    }

    fn list(items: &[&str]) -> HeaderValue {
        HeaderValue::List(items.iter().map(|item| (*item).to_owned()).collect())
    }

    #[test]
    fn a_plain_message_has_none() {
        assert_eq!(headers(&claimed()), BTreeMap::new());
    }

    #[test]
    fn an_order_names_deliveries_and_for_whom() {
        let mut order = claimed();
        let (one, two) = (delivery(7), delivery(8));
        order.withdraws = vec![(one, Vec::new()), (two, Vec::new())];
        let all = headers(&order);
        assert_eq!(
            all[header::WITHDRAWS],
            list(&[&one.to_string(), &two.to_string()])
        );
        assert!(!all.contains_key(header::WITHDRAWS_FOR));

        let codes = |list: &[&str]| list.iter().map(|code| (*code).to_owned()).collect::<Vec<_>>();
        order.withdraws = vec![(one, codes(&["a", "b"])), (two, codes(&["b", "c"]))];
        let some = headers(&order);
        assert_eq!(some[header::WITHDRAWS_FOR], list(&["a", "b", "c"]));

        order.withdraws = vec![(one, Vec::new()), (two, codes(&["b"]))];
        let mixed = headers(&order);
        assert_eq!(mixed[header::WITHDRAWS], list(&[&two.to_string()]));
        assert_eq!(mixed[header::WITHDRAWS_FOR], list(&["b"]));
    }

    #[test]
    fn an_order_too_wide_for_a_frame_goes_without() {
        let mut order = claimed();
        order.to = Vec::new();
        let fixed = 5 + delivery(7).to_string().len();
        let code = |bytes: usize| vec![(delivery(7), vec!["x".repeat(bytes)])];
        order.withdraws = code(LISTS_BYTES_MAX - fixed - 5);
        assert!(headers(&order).contains_key(header::WITHDRAWS_FOR));
        order.withdraws = code(LISTS_BYTES_MAX - fixed - 4);
        assert_eq!(headers(&order), BTreeMap::new());
    }

    #[test]
    fn a_replacement_names_documents() {
        let mut document = claimed();
        let ids = |count: usize| {
            (0..count)
                .map(|n| DocumentUid::new(Uuid::from_u128(n as u128)))
                .collect::<Vec<_>>()
        };
        for (given, named) in [
            (1, 1),
            (REPLACES_MAX, REPLACES_MAX),
            (REPLACES_MAX + 1, REPLACES_MAX),
        ] {
            document.replaces = ids(given);
            match &headers(&document)[header::REPLACES] {
                HeaderValue::List(list) => assert_eq!(list.len(), named),
                other => panic!("{other:?}"),
            }
        }
    }
}
