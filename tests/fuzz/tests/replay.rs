//! Every seed and every crasher once found, on the stable toolchain: what a fuzzer showed stays mended.
//!
//! A crasher is kept as `crashers/<target>/<what it was>`, the input as the fuzzer wrote it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may end at what it did not expect"
)]

use std::panic::catch_unwind;

use truc_fuzz::{Target, folder, seeds};

/// Name and input of every crasher that was kept.
fn crashers(target: Target) -> Vec<(String, Vec<u8>)> {
    let Ok(entries) = std::fs::read_dir(folder().join("crashers").join(target.name())) else {
        return Vec::new();
    };
    entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path))
        .map(|(name, path)| (name, std::fs::read(path).unwrap()))
        .collect()
}

fn replay(target: Target) {
    let (seeds, crashers) = (seeds(target), crashers(target));
    assert!(seeds.len() >= 10, "only {} seeds", seeds.len());
    let mut faults = Vec::new();
    for (name, input) in seeds.iter().chain(&crashers) {
        if catch_unwind(|| target.run(input)).is_err() {
            faults.push(name.as_str());
        }
    }
    println!(
        "{}: {} seeds and {} crashers replayed",
        target.name(),
        seeds.len(),
        crashers.len()
    );
    assert!(faults.is_empty(), "{}: {faults:?}", target.name());
}

#[test]
fn envelope() {
    replay(Target::Envelope);
}

#[test]
fn xml_signature() {
    replay(Target::XmlSignature);
}

#[test]
fn seal() {
    replay(Target::Seal);
}

#[test]
fn pdf() {
    replay(Target::Pdf);
}

#[test]
fn zip() {
    replay(Target::Zip);
}

/// Crashers lie where they are looked for.
#[test]
fn every_folder_of_crashers_is_a_targets() {
    for entry in std::fs::read_dir(folder().join("crashers")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let known = name == "README.md" || Target::ALL.iter().any(|target| target.name() == name);
        assert!(known, "{name} is no target");
    }
}
