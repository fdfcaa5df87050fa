//! Attacks on the XML signature, one file each in `tests/documents/attacks/xml`, and the verdict that each must
//! get. With `UPDATE` in the environment the files are made anew, the same bytes every time.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod certificates;
mod content;
#[path = "../dsig_support/mod.rs"]
mod dsig_support;
mod references;
mod weak;
mod wrapping;
mod xml;

use std::collections::BTreeMap;
use std::path::PathBuf;

use dsig_support::{Ca, Leaf, Recipe, judge, now, packet, with_signature, word};
use rcgen::SerialNumber;
use truc_envelope::dsig::DsigVerdict;
use truc_envelope::seal::Trust;
use truc_envelope::{Limits, Packet, read};

/// One attack.
struct Attack {
    name: &'static str,
    /// `valid`, `absent …` or the reason's word.
    expected: &'static str,
    packet: String,
}

const fn attack(name: &'static str, expected: &'static str, packet: String) -> Attack {
    Attack {
        name,
        expected,
        packet,
    }
}

/// Authorities and signers, right and wrong.
struct World {
    root: Ca,
    authority: Ca,
    /// Of the root itself.
    signer: Leaf,
}

impl World {
    fn new() -> Self {
        let root = Ca::root("root");
        let authority = root.intermediate("authority", |params| {
            params.serial_number = Some(SerialNumber::from(2));
        });
        let signer = root.leaf("signer", |_| ());
        Self {
            root,
            authority,
            signer,
        }
    }

    /// The packet, rightly signed.
    fn signed(&self) -> String {
        self.signer.sign(&packet())
    }

    /// The packet with a signature rightly made after a changed recipe.
    fn signed_after(&self, change: impl FnOnce(&mut Recipe)) -> String {
        let mut recipe = Recipe::of(&packet(), &self.signer);
        change(&mut recipe);
        with_signature(&packet(), &recipe.signed_by("signer"))
    }

    /// Revoked: the signer 9, and the authority 3.
    fn crl(&self) -> String {
        self.root.crl(&[9, 3])
    }
}

fn all(world: &World) -> Vec<Attack> {
    let mut attacks = vec![attack("control", "valid", world.signed())];
    attacks.extend(wrapping::attacks(world));
    attacks.extend(references::attacks(world));
    attacks.extend(content::attacks(world));
    attacks.extend(xml::attacks(world));
    attacks.extend(certificates::attacks(world));
    attacks
}

fn folder() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../tests/documents/attacks/xml"
    ))
}

fn file(name: &str) -> String {
    let path = folder().join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// `expected.txt`: a name and a verdict on each line.
fn expected() -> BTreeMap<String, String> {
    file("expected.txt")
        .lines()
        .map(|line| {
            let (name, verdict) = line.split_once(": ").unwrap();
            (name.to_owned(), verdict.to_owned())
        })
        .collect()
}

fn trust() -> Trust {
    Trust::new(&[file("anchors.pem")])
        .unwrap()
        .with_crls(&[file("revoked.crl.pem")])
        .unwrap()
}

/// From the files alone: whoever made them.
#[test]
fn every_attack_gets_its_verdict() {
    let (trust, expected) = (trust(), expected());
    let mut faults = Vec::new();
    for (name, verdict) in &expected {
        let found = word(&judge(&file(&format!("{name}.edxml")), &trust));
        if found != *verdict {
            faults.push(format!("{name}: {found}, expected {verdict}"));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
    let packets = std::fs::read_dir(folder())
        .unwrap()
        .filter(|entry| {
            entry
                .as_ref()
                .unwrap()
                .path()
                .extension()
                .is_some_and(|e| e == "edxml")
        })
        .count();
    assert_eq!(packets, expected.len(), "each file has its line in expected.txt");
    let valid = expected.values().filter(|verdict| *verdict == "valid").count();
    assert!(valid == 5 && packets > 130, "{valid} of {packets}");
    eprintln!("attacks: {} refused, {valid} harmless as said", packets - valid);
}

/// What is left valid is read as it was signed.
#[test]
fn what_is_valid_says_what_was_signed() {
    let says = |text: &str| match read(text.as_bytes(), &Limits::default()).unwrap().packet {
        Packet::Document(document) => (document.from, document.to, document.document_id, document.code),
        Packet::Status(_) => panic!("a document was expected"),
    };
    let control = says(&file("control.edxml"));
    for (name, verdict) in expected() {
        if verdict == "valid" {
            assert_eq!(says(&file(&format!("{name}.edxml"))), control, "{name}");
        }
    }
}

/// The files are those that the generator makes, so that each can be understood from its few lines.
#[test]
fn the_files_are_as_generated() {
    let world = World::new();
    let mut attacks = all(&world);
    let list = |attacks: &[Attack]| -> String {
        let mut lines: Vec<String> = attacks
            .iter()
            .map(|attack| format!("{}: {}\n", attack.name, attack.expected))
            .collect();
        lines.sort();
        lines.concat()
    };
    let update = std::env::var_os("UPDATE").is_some();
    // Made with a key that ring cannot hold and that is thrown away: by no one a second time.
    if update {
        attacks.push(attack(weak::NAME, weak::EXPECTED, weak::packet(&world)));
        std::fs::create_dir_all(folder()).unwrap();
        for attack in &attacks {
            std::fs::write(folder().join(format!("{}.edxml", attack.name)), &attack.packet).unwrap();
        }
        for (name, text) in [
            ("anchors.pem", world.root.pem()),
            ("revoked.crl.pem", world.crl()),
            ("expected.txt", list(&attacks)),
        ] {
            std::fs::write(folder().join(name), text).unwrap();
        }
        return;
    }
    for attack in &attacks {
        let name = attack.name;
        assert!(
            file(&format!("{name}.edxml")) == attack.packet,
            "{name} is not as generated"
        );
    }
    attacks.push(attack(weak::NAME, weak::EXPECTED, String::new()));
    assert_eq!(file("expected.txt"), list(&attacks));
    assert_eq!(file("anchors.pem"), world.root.pem());
    assert_eq!(file("revoked.crl.pem"), world.crl());
}

/// Other moments than the fixed one: what is refused stays refused.
#[test]
fn time_makes_no_attack_valid() {
    let trust = trust();
    for days in [-1000, -50, 50, 1000] {
        let at = now() + jiff::SignedDuration::from_hours(24 * days);
        for (name, verdict) in expected() {
            let by_time = ["certificate-expired", "certificate-not-yet-valid"].contains(&verdict.as_str());
            let packet = file(&format!("{name}.edxml"));
            let policy = truc_envelope::dsig::DsigPolicy::default();
            let judged = truc_envelope::dsig::verify(packet.as_bytes(), &policy, &trust, at);
            assert!(
                verdict == "valid" || by_time || !matches!(judged, DsigVerdict::Valid(_)),
                "{name} at {at}"
            );
        }
    }
}
