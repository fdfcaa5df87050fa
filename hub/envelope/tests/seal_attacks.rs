//! The seal's attack corpus: `tests/documents/attacks/seal/<attack>.json`, each refused for the code and
//! at the place it names, and a few controls that hold, so that nothing is refused for a wrong reason.
//!
//! All keys and certificates are made up for the corpus; none of its private keys is kept. It is judged at
//! the moments it names and never grows old. `UPDATE_EXPECT=1 cargo test -p truc-envelope --test
//! seal_attacks` forges all of it anew, by new keys (OpenSSL makes the RSA ones).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may end at what it did not expect"
)]

#[path = "seal_attacks/case.rs"]
mod case;
#[path = "seal_attacks/certificates.rs"]
mod certificates;
#[path = "seal_attacks/claims.rs"]
mod claims;
#[path = "seal_attacks/form.rs"]
mod form;
#[path = "seal_attacks/pki.rs"]
mod pki;
#[path = "seal_attacks/signatures.rs"]
mod signatures;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::OnceLock;

use case::{Case, folder};
use truc_model::RefusalCode;

/// What a control is expected to be, and what a gap still is.
const VALID: &str = "valid";

/// Attacks that pass, known and told here so that nobody counts them as refused. Each case says what is
/// missing; when it is there, the test fails and the case becomes an attack like the others.
const GAPS: [&str; 0] = [];

/// Name and content of every case, forged anew first when that is asked for.
fn corpus() -> &'static BTreeMap<String, Case> {
    static CORPUS: OnceLock<BTreeMap<String, Case>> = OnceLock::new();
    CORPUS.get_or_init(|| {
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            forge();
        }
        std::fs::read_dir(folder())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .map(|path| {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let case = serde_json::from_str(&std::fs::read_to_string(&path).unwrap());
                (
                    name.clone(),
                    case.unwrap_or_else(|error| panic!("{name}: {error}")),
                )
            })
            .collect()
    })
}

/// Writes the whole corpus.
fn forge() {
    for old in std::fs::read_dir(folder()).into_iter().flatten() {
        let path = old.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "json") {
            std::fs::remove_file(path).unwrap();
        }
    }
    let pki = pki::Pki::new();
    pki.write();
    let mut names = BTreeSet::new();
    let all = [
        form::cases(&pki),
        signatures::cases(&pki),
        claims::cases(&pki),
        certificates::cases(&pki),
    ];
    for (name, case) in all.into_iter().flatten() {
        assert!(names.insert(name.clone()), "two cases are called {name}");
        let text = serde_json::to_string_pretty(&case).unwrap() + "\n";
        std::fs::write(folder().join(format!("{name}.json")), text).unwrap();
    }
}

#[test]
fn every_attack_is_refused_for_its_code() {
    let (mut refused, mut held, mut gaps, mut faults) = (0, 0, Vec::new(), Vec::new());
    for (name, case) in corpus() {
        let judged = case.judge();
        let expected = (case.expected.clone(), case.place.clone());
        if judged != expected {
            faults.push(format!("{name}: expected {expected:?}, found {judged:?}"));
        } else if name.starts_with("gap-") {
            gaps.push(name.as_str());
        } else if name.starts_with("control-") {
            assert_eq!(case.expected, VALID, "{name}");
            held += 1;
        } else {
            assert_ne!(case.expected, VALID, "{name}");
            refused += 1;
        }
    }
    println!("seal attacks: {refused} refused for their code, {held} controls held, known gaps: {gaps:?}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert_eq!(gaps, GAPS);
    assert!(refused >= 100, "only {refused} attacks were found");
    assert!(held >= 6, "only {held} controls were found");
}

#[test]
fn every_refusal_of_a_seal_is_attacked() {
    // Whether a seal is asked for is the hub's policy, not the seal's.
    let elsewhere = [RefusalCode::SealMissing];
    for code in RefusalCode::ALL {
        let word = code.as_str();
        let ours = word.starts_with("seal-") || word.starts_with("certificate-");
        if ours && !elsewhere.contains(code) {
            let attacked = corpus().values().any(|case| case.expected == word);
            assert!(attacked, "no attack expects {word}");
        }
    }
}

#[test]
fn every_file_is_used_and_none_holds_a_private_key() {
    let used: BTreeSet<&String> = corpus()
        .values()
        .flat_map(|case| case.bound.iter().chain(&case.anchors).chain(&case.crls))
        .collect();
    for entry in std::fs::read_dir(folder().join("pki")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        assert!(used.contains(&name), "{name} is used by no case");
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("PRIVATE"), "{name} holds a private key");
    }
}
