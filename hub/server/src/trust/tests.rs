//! Files that change, break, age and grow, and what each look says.

use std::sync::Arc;

use truc_model::{Clock, SeededRandom, SystemClock};

use super::*;
use crate::authority::{Authority, Validity};
use crate::config::Config;

const HOUR: i64 = 3600;

struct Place {
    dir: tempfile::TempDir,
    seal: config::Seal,
    authority: Authority,
    random: Arc<SeededRandom>,
    now: Timestamp,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let random = Arc::new(SeededRandom::new(7));
        let now = SystemClock.now();
        let authority = Authority::root("A", span(now, -24, 24 * 365), random.as_ref()).unwrap();
        let seal = config::Seal {
            anchors: vec![dir.path().join("root.pem")],
            crls: vec![dir.path().join("root.crl")],
            ..Config::default().seal
        };
        let place = Self {
            dir,
            seal,
            authority,
            random,
            now,
        };
        place.anchors(place.authority.certificate_pem());
        place.list(-1, 24);
        place
    }

    fn anchors(&self, text: &str) {
        std::fs::write(&self.seal.anchors[0], text).unwrap();
    }

    fn list(&self, from: i64, until: i64) {
        let list = self.authority.crl(&[], span(self.now, from, until)).unwrap();
        std::fs::write(&self.seal.crls[0], list).unwrap();
    }

    fn begin(&self) -> Watch {
        Watch::begin(&self.seal, self.now).unwrap().0
    }

    fn after(&self, seconds: i64) -> Timestamp {
        self.now + SignedDuration::from_secs(seconds)
    }
}

fn span(now: Timestamp, from: i64, until: i64) -> Validity {
    Validity {
        not_before: now + SignedDuration::from_hours(from),
        not_after: now + SignedDuration::from_hours(until),
    }
}

/// `none`, `renewed`, or why the old trust was kept.
fn word(change: &Change) -> String {
    match change {
        Change::None => "none".to_owned(),
        Change::Renewed(_) => "renewed".to_owned(),
        Change::Kept(error) => crate::telemetry::chain(error),
    }
}

#[test]
fn a_change_is_seen_once_and_only_when_it_says_something_else() {
    let place = Place::new();
    let mut watch = place.begin();
    let mut look = || word(&watch.look(place.now).change);
    assert_eq!(look(), "none");
    // The same bytes again, in a new file.
    place.anchors(place.authority.certificate_pem());
    assert_eq!(look(), "none");
    let other = Authority::root("B", span(place.now, -24, 24), place.random.as_ref()).unwrap();
    place.anchors(other.certificate_pem());
    assert_eq!(look(), "renewed");
    assert_eq!(look(), "none");
    place.list(-2, 24);
    assert_eq!(look(), "renewed");
    assert_eq!(look(), "none");
}

#[test]
fn what_does_not_read_is_told_once_for_each_change_and_what_reads_again_counts_again() {
    let place = Place::new();
    let mut watch = place.begin();
    let mut look = || word(&watch.look(place.now).change);
    place.anchors("-----BEGIN CERTIFICATE-----\nAAAA");
    let told = look();
    assert!(
        told.starts_with("the files of seal.anchors cannot be used: certificate file 1"),
        "{told}"
    );
    assert_eq!(look(), "none");
    place.anchors("");
    let told = look();
    assert!(told.contains("seal.anchors"), "{told}");
    assert_eq!(look(), "none");
    std::fs::remove_file(&place.seal.anchors[0]).unwrap();
    let told = look();
    assert!(told.contains("root.pem"), "{told}");
    assert_eq!(look(), "none");
    // What was in force all along, put back: it is told that it counts again.
    place.anchors(place.authority.certificate_pem());
    assert_eq!(look(), "renewed");
    std::fs::write(&place.seal.crls[0], "half a li").unwrap();
    let told = look();
    assert!(told.contains("seal.crls"), "{told}");
    assert_eq!(look(), "none");
    assert_eq!(watch.lists.len(), 1, "the list in force is still watched");
}

#[test]
fn a_file_is_not_opened_again_once_it_is_settled() {
    let place = Place::new();
    let mut watch = place.begin();
    assert_eq!(watch.stamps, [None, None], "too young to be believed");
    // Its age is counted from whole seconds of the file system's clock.
    let young = Stamp::of(&place.seal.anchors[0], place.now);
    assert_eq!(young, None);
    let file = std::fs::metadata(&place.seal.anchors[0]).unwrap();
    let written = Timestamp::from_second(file.ctime().max(file.mtime())).unwrap();
    let at = |seconds| {
        Stamp::of(
            &place.seal.anchors[0],
            written + SignedDuration::from_secs(seconds),
        )
    };
    assert_eq!(at(SETTLED_S - 1), None);
    assert!(at(SETTLED_S).is_some());
    let later = place.after(60);
    assert_eq!(word(&watch.look(later).change), "none");
    assert!(watch.stamps.iter().all(Option::is_some));
    // A wrong memory of the contents would be noticed by reading; stamps alone are compared.
    let digests = std::mem::take(&mut watch.digests);
    assert_eq!(word(&watch.look(later).change), "none");
    watch.digests = digests;
    // Same size, other bytes, times as they were: the change time gives it away.
    let bytes = std::fs::read(&place.seal.crls[0]).unwrap();
    let mut changed = bytes.clone();
    let middle = changed.len() / 2;
    changed[middle] = if changed[middle] == b'A' { b'B' } else { b'A' };
    std::fs::write(&place.seal.crls[0], &changed).unwrap();
    let look = word(&watch.look(later).change);
    assert_ne!(look, "none");
}

#[test]
fn lists_age_and_each_age_is_told_once() {
    let place = Place::new();
    place.list(-1, 24);
    let mut watch = place.begin();
    let mut aging = |seconds: i64| {
        let look = watch.look(place.after(seconds));
        look.aging
            .iter()
            .map(|(_, freshness)| *freshness)
            .collect::<Vec<_>>()
    };
    // Whole seconds in the list: the end is up to a second earlier than a day from `now`.
    let end = 24 * HOUR;
    let due = end - CRL_DUE_HOURS * HOUR;
    assert_eq!(aging(due - 1), []);
    assert_eq!(aging(due + 1), [Freshness::Due]);
    assert_eq!(aging(due + 2), []);
    assert_eq!(aging(end - 2), []);
    assert_eq!(aging(end), [Freshness::Stale]);
    assert_eq!(aging(end + HOUR), []);
    // A successor that is stale itself is told of by itself; a fresh one is not.
    place.list(0, 25);
    assert_eq!(aging(end + 2 * HOUR), [Freshness::Stale]);
    place.list(1, 240);
    assert_eq!(aging(end + 2 * HOUR), []);
}

#[test]
fn freshness_at_its_edges() {
    let list = List {
        path: PathBuf::new(),
        number: 1,
        this_update: Timestamp::UNIX_EPOCH,
        next_update: Timestamp::from_second(100 * HOUR).unwrap(),
        name: String::new(),
        issuer: Sha256::of(b""),
        sha256: Sha256::of(b""),
    };
    let at = |left: i64| list.freshness(Timestamp::from_second(100 * HOUR - left).unwrap());
    assert_eq!(at(CRL_DUE_HOURS * HOUR), Freshness::Fresh);
    assert_eq!(at(CRL_DUE_HOURS * HOUR - 1), Freshness::Due);
    assert_eq!(at(1), Freshness::Due);
    // As webpki counts: stale from the very second on.
    assert_eq!(at(0), Freshness::Stale);
    assert_eq!(at(-1), Freshness::Stale);
}

#[test]
fn of_one_issuer_the_newest_list_counts() {
    let mut place = Place::new();
    let old = place.authority.crl(&[], span(place.now, -48, -24)).unwrap();
    let new = place.authority.crl(&[], span(place.now, -1, 24)).unwrap();
    std::fs::write(&place.seal.crls[0], format!("{old}{new}")).unwrap();
    let second = place.dir.path().join("again.crl");
    std::fs::write(&second, &old).unwrap();
    place.seal.crls.push(second.clone());
    let lists = load(&place.seal).unwrap().lists;
    assert_eq!(lists.len(), 1, "{lists:?}");
    assert_eq!(
        (lists[0].number, lists[0].freshness(place.now)),
        (2, Freshness::Fresh)
    );
    // Another issuer's list counts for itself.
    let other = Authority::root("B", span(place.now, -24, 24), place.random.as_ref()).unwrap();
    std::fs::write(&second, other.crl(&[], span(place.now, -9, -1)).unwrap()).unwrap();
    let lists = load(&place.seal).unwrap().lists;
    assert_eq!(lists.len(), 2, "{lists:?}");
    assert_eq!(lists[1].freshness(place.now), Freshness::Stale);
}

#[test]
fn what_is_in_force_is_named_and_stays_when_a_file_breaks() {
    let place = Place::new();
    let mut watch = place.begin();
    let bound = || [(SystemId::new("so-tnmt").unwrap(), Sha256::of(b"c"))].into();
    let first = watch.in_force(bound());
    assert_eq!(first.anchors.len(), 1);
    assert_eq!(first.certificates.len(), 1);
    let list = first.lists.first().unwrap();
    assert!(list.issuer.contains("CN=A"), "{}", list.issuer);
    let second = |at: Timestamp| at.as_second();
    assert_eq!(second(list.this_update), second(place.now) - HOUR);
    assert_eq!(second(list.next_update), second(place.now) + 24 * HOUR);
    place.anchors("half");
    watch.look(place.now);
    assert_eq!(watch.in_force(bound()), first);
    place.anchors(place.authority.certificate_pem());
    place.list(0, 24);
    watch.look(place.now);
    let renewed = watch.in_force(bound());
    assert_eq!(renewed.anchors, first.anchors);
    assert_ne!(renewed.lists, first.lists);
    let policy: Vec<_> = first.policy.iter().map(String::as_str).collect();
    assert_eq!(
        policy,
        ["key-usage=any-signing", "missing-crl=accept", "stale-crl=use"]
    );
}

#[test]
fn files_have_a_largest_size_and_an_end() {
    let place = Place::new();
    let path = &place.seal.crls[0];
    for (size, too_large) in [(TRUST_FILE_MAX, false), (TRUST_FILE_MAX + 1, true)] {
        File::create(path).unwrap().set_len(size).unwrap();
        let told = crate::telemetry::chain(&load(&place.seal).unwrap_err());
        assert_eq!(told.contains("more than"), too_large, "{told}");
    }
    let mut seal = place.seal.clone();
    seal.crls = vec![PathBuf::from("/dev/zero")];
    let told = crate::telemetry::chain(&load(&seal).unwrap_err());
    assert!(told.contains("not a regular file"), "{told}");
}

#[test]
fn policies_are_those_of_the_configuration() {
    let mut place = Place::new();
    place.seal.missing_crl = config::MissingCrl::Refuse;
    place.seal.stale_crl = config::StaleCrl::Refuse;
    let trust = format!("{:?}", load(&place.seal).unwrap().trust);
    assert!(trust.contains("missing: Refuse, stale: Refuse"), "{trust}");
    let trust = format!(
        "{:?}",
        load(
            &Config {
                seal: config::Seal {
                    missing_crl: config::MissingCrl::Accept,
                    stale_crl: config::StaleCrl::Use,
                    ..place.seal.clone()
                },
                ..Config::default()
            }
            .seal
        )
        .unwrap()
        .trust
    );
    assert!(trust.contains("missing: Accept, stale: Use"), "{trust}");
}
