//! Keeps the documents true: the map names what exists, links lead somewhere, numbers and keys are the
//! program's, and the crates know only whom they may.
//!
//! It stands with the model because it needs nothing but files: it runs in a moment, whatever else is
//! broken.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may stop at the first surprise"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use truc_model::wire::{Intake, Outgoing, header};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All files below a folder with an extension, as paths from the root. Hidden folders and `target` are
/// left out.
fn files(folder: &str, extension: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(root().join(&folder)).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            let path = format!("{folder}/{name}");
            if entry.file_type().unwrap().is_dir() {
                if !name.starts_with('.') && name != "target" {
                    open.push(path);
                }
            } else if name.ends_with(extension) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Every page that people read.
fn pages() -> Vec<String> {
    let mut pages = files("docs", ".md");
    pages.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(str::to_owned));
    pages
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// What stands between single backticks, outside fenced blocks.
fn code_words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut fenced = false;
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            words.extend(line.split('`').skip(1).step_by(2).map(str::to_owned));
        }
    }
    words
}

#[test]
fn the_map_names_every_member() {
    let map = read("docs/architecture.md");
    let missing: Vec<String> = members()
        .into_iter()
        .filter(|(name, folder)| !map.contains(&format!("| `{name}` | `{folder}` |")))
        .map(|(name, folder)| format!("docs/architecture.md has no row for {name} in {folder}"))
        .collect();
    assert_none(&missing);
}

/// Workspace members: package name and folder.
fn members() -> BTreeMap<String, String> {
    let workspace = read("Cargo.toml");
    let list = workspace
        .split_once("members = [")
        .unwrap()
        .1
        .split_once(']')
        .unwrap()
        .0;
    let folders = list.split('"').skip(1).step_by(2);
    folders
        .map(|folder| {
            let manifest = read(&format!("{folder}/Cargo.toml"));
            let name = manifest.lines().find_map(|line| line.strip_prefix("name = "));
            (name.unwrap().trim_matches('"').to_owned(), folder.to_owned())
        })
        .collect()
}

#[test]
fn paths_named_in_the_pages_exist() {
    let tops = [
        "hub/",
        "adapters/",
        "schemas/",
        "config/",
        "tests/",
        "docs/",
        ".ci/",
    ];
    let mut faults = Vec::new();
    for page in pages() {
        for word in code_words(&read(&page)) {
            let is_path = tops.iter().any(|top| word.starts_with(top))
                && !word.contains(['<', '*', '…', ' ', '{', '$'])
                && !word.contains("...");
            // Pages about adapters speak from within an adapter's folder, the reference adapter's.
            let exists = root().join(&word).exists()
                || (page.starts_with("docs/adapters/")
                    && root().join("adapters/folder").join(&word).exists());
            if is_path && !exists {
                faults.push(format!("{page}: {word} does not exist"));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn links_lead_somewhere() {
    let mut faults = Vec::new();
    for page in pages() {
        let folder = Path::new(&page).parent().unwrap().to_owned();
        let mut fenced = false;
        for line in read(&page).lines() {
            if line.trim_start().starts_with("```") {
                fenced = !fenced;
            }
            if fenced {
                continue;
            }
            for part in line.split("](").skip(1) {
                let target = part.split(')').next().unwrap();
                let file = target.split('#').next().unwrap();
                if target.contains("://") || target.starts_with("mailto:") || file.is_empty() {
                    continue;
                }
                if !root().join(&folder).join(file).exists() {
                    faults.push(format!("{page}: link to {target}"));
                }
            }
        }
    }
    assert_none(&faults);
}

/// Whom a crate may depend on among its neighbours, and with which kind of dependency.
#[test]
fn crates_know_only_whom_they_may() {
    let may: BTreeMap<&str, &[&str]> = BTreeMap::from([
        ("truc-model", [].as_slice()),
        ("truc-envelope", &["truc-model"]),
        ("truc-directory", &["truc-model"]),
        ("truc-calendar", &["truc-model"]),
        ("truc-ledger", &["truc-model"]),
        ("truc-ledger-sqlite", &["truc-model", "truc-ledger"]),
        ("truc-ledger-postgres", &["truc-model", "truc-ledger"]),
        ("truc-bodies", &["truc-model"]),
        ("truc-transport", &["truc-model"]),
        ("truc-pdf", &["truc-model"]),
        (
            "truc-server",
            &[
                "truc-model",
                "truc-envelope",
                "truc-directory",
                "truc-calendar",
                "truc-ledger",
                "truc-ledger-sqlite",
                "truc-ledger-postgres",
                "truc-bodies",
                "truc-transport",
                "truc-pdf",
            ],
        ),
        (
            "truc-adapter-sdk",
            &["truc-model", "truc-envelope", "truc-transport"],
        ),
        ("truc-folder", &["truc-adapter-sdk"]),
        ("truc-oracles", &["truc-model", "truc-envelope"]),
        (
            "truc-age",
            &[
                "truc-model",
                "truc-ledger",
                "truc-ledger-sqlite",
                "truc-ledger-postgres",
            ],
        ),
        ("truc-fuzz", &["truc-model", "truc-envelope", "truc-pdf"]),
    ]);
    let mut faults = Vec::new();
    for (name, folder) in members() {
        if name == "truc-tests" {
            continue;
        }
        let Some(may) = may.get(name.as_str()) else {
            faults.push(format!(
                "{name}: say here, and in docs/architecture.md, whom it may know"
            ));
            continue;
        };
        for dependency in neighbours(&read(&format!("{folder}/Cargo.toml"))) {
            if dependency != name && !may.contains(&dependency.as_str()) {
                faults.push(format!("{name} must not know {dependency}"));
            }
        }
    }
    assert_none(&faults);
}

/// Our own crates among a manifest's dependencies, those of its tests included.
fn neighbours(manifest: &str) -> BTreeSet<String> {
    let mut inside = false;
    let mut found = BTreeSet::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line.contains("dependencies]");
        } else if inside && line.starts_with("truc-") {
            let end = line.find(['.', ' ', '=']).unwrap_or(line.len());
            found.insert(line[..end].to_owned());
        }
    }
    found
}

/// Longest Rust file, in lines. Longer ones are named in [`LONG_FILES`] with a reason.
const LINES_MAX: usize = 700;

/// Files that may be longer, and why.
const LONG_FILES: [(&str, &str); 0] = [];

#[test]
fn files_hold_one_thing() {
    let mut faults = Vec::new();
    for folder in ["hub", "adapters", "tests"] {
        for path in files(folder, ".rs") {
            let lines = read(&path).lines().count();
            if lines > LINES_MAX && !LONG_FILES.iter().any(|(long, _)| *long == path) {
                faults.push(format!("{path} has {lines} lines"));
            }
        }
    }
    assert_none(&faults);
}

/// `[section]` and key of every setting, with its default.
fn settings() -> BTreeMap<String, String> {
    let mut section = String::new();
    let mut settings = BTreeMap::new();
    for line in read("config/truc.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = line.split_once(" = ")
            && !line.starts_with('#')
        {
            settings.insert(format!("{section}.{key}"), value.to_owned());
        }
    }
    settings
}

#[test]
fn settings_named_in_the_pages_exist() {
    let settings = settings();
    let sections: BTreeSet<&str> = settings.keys().filter_map(|key| key.split('.').next()).collect();
    let file_names = [
        "md", "rs", "toml", "json", "py", "html", "db", "xml", "pem", "log",
    ];
    let mut faults = Vec::new();
    for page in pages() {
        // The adapters have configuration files of their own.
        if page.starts_with("docs/adapters/") {
            continue;
        }
        for word in code_words(&read(&page)) {
            let Some((section, key)) = word.split_once('.') else {
                continue;
            };
            let is_key = sections.contains(section)
                && !key.is_empty()
                && key
                    .chars()
                    .all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())
                && !file_names.contains(&key);
            if is_key && !settings.contains_key(&word) {
                faults.push(format!("{page}: config/truc.toml has no key {word}"));
            }
        }
    }
    assert_none(&faults);
}

#[test]
fn limits_are_the_programs() {
    let settings = settings();
    let mut rows = 0;
    let mut faults = Vec::new();
    for line in read("docs/reference/limits.md")
        .lines()
        .filter(|line| line.starts_with("| "))
    {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let Ok(number) = cells[2].parse::<u64>() else {
            continue;
        };
        rows += 1;
        let words = code_words(cells[3]);
        let found = match words.as_slice() {
            [key] => settings.get(key).and_then(|value| value.parse().ok()),
            [name, path] => constant(&read(path), name),
            _ => None,
        };
        if found != Some(number) {
            faults.push(format!(
                "limits.md says {number} for {}, the program {found:?}",
                cells[3]
            ));
        }
    }
    assert_none(&faults);
    assert!(rows > 40, "only {rows} rows of limits.md were understood");
}

/// The value of `const NAME: type = a * b;` in a source text.
fn constant(source: &str, name: &str) -> Option<u64> {
    let start = source.find(&format!("const {name}: "))?;
    let value = source[start..].split_once('=')?.1.split_once(';')?.0;
    value
        .split('*')
        .map(|factor| factor.trim().replace('_', "").parse::<u64>().ok())
        .product()
}

#[test]
fn commands_named_in_the_pages_exist() {
    let cli = root().join("hub/server/src/cli");
    let top = commands(&fs::read_to_string(cli.join("mod.rs")).unwrap());
    assert!(top.contains("serve") && top.contains("envelope"), "{top:?}");
    let mut faults = Vec::new();
    for page in pages() {
        let text = read(&page);
        for at in text.match_indices("truc ").map(|(at, _)| at) {
            let before = text[..at].chars().next_back();
            if !matches!(before, Some('`' | '\n' | ' ' | '(' | '/')) {
                continue;
            }
            // Only what is written as a command: after a backtick, or at the start of a line in a block.
            let line_start = text[..at].rfind('\n').map_or(0, |at| at + 1);
            let indented = text[line_start..at].trim().is_empty() && before != Some('`');
            let in_block = text[..at].matches("\n```").count() % 2 == 1;
            if before != Some('`') && !(indented && in_block) {
                continue;
            }
            let mut words = text[at + 5..].split(|c: char| c.is_whitespace() || c == '`');
            let word = words.next().unwrap_or("");
            let is_word = |word: &str| {
                word.starts_with(|c: char| c.is_ascii_lowercase())
                    && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
            };
            if !is_word(word) {
                continue;
            }
            if !top.contains(word) {
                faults.push(format!("{page}: truc {word} is no command"));
                continue;
            }
            let file = cli.join(format!("{}.rs", word.replace('-', "_")));
            let module = cli.join(word.replace('-', "_")).join("mod.rs");
            let source = fs::read_to_string(module)
                .or_else(|_| fs::read_to_string(file))
                .unwrap_or_default();
            let below = commands(&source);
            let next = words.next().unwrap_or("");
            for next in next.split('|') {
                if !below.is_empty() && is_word(next) && !below.contains(next) {
                    faults.push(format!("{page}: truc {word} {next} is no command"));
                }
            }
        }
    }
    assert_none(&faults);
}

/// The variants of `pub enum Command` in a source text, as words of the command line.
fn commands(source: &str) -> BTreeSet<String> {
    let Some((_, rest)) = source.split_once("pub enum Command {\n") else {
        return BTreeSet::new();
    };
    let body = rest.split("\n}").next().unwrap();
    body.lines()
        .filter_map(|line| line.strip_prefix("    "))
        .filter(|line| line.starts_with(|c: char| c.is_ascii_uppercase()))
        .map(|line| {
            let name = line.split(['(', ',', ' ']).next().unwrap();
            let mut word = String::new();
            for c in name.chars() {
                if c.is_ascii_uppercase() && !word.is_empty() {
                    word.push('-');
                }
                word.push(c.to_ascii_lowercase());
            }
            word
        })
        .collect()
}

#[test]
fn the_words_of_the_wire_are_documented() {
    let headers = [
        header::SEAL,
        header::FROM,
        header::TO,
        header::DOCUMENT,
        header::DELIVERY,
        header::ATTEMPT,
        header::SHA256,
        header::SIZE,
        header::BODY,
        header::TRACE,
        header::SIGNATURE,
        header::ATTACHMENTS,
        header::STATUS,
        header::WITHDRAWS,
        header::WITHDRAWS_FOR,
        header::REPLACES,
    ];
    // A header that the list above forgets would be a constant of the module that it does not count.
    let source = read("hub/model/src/wire/mod.rs");
    assert_eq!(source.matches(": &str = \"truc-").count(), headers.len());
    for page in ["docs/reference/wire.md", "schemas/asyncapi.yaml"] {
        let text = read(page);
        let kinds = [
            Outgoing::Document,
            Outgoing::Status,
            Outgoing::Receipt,
            Outgoing::Refusal,
            Outgoing::Notice,
        ];
        let words = headers
            .into_iter()
            .chain(kinds.map(Outgoing::as_str))
            .chain(Intake::ALL.map(Intake::as_str));
        for word in words {
            assert!(text.contains(word), "{page} does not speak of {word}");
        }
    }
}

#[test]
fn the_project_speaks_of_itself_alone() {
    let mut faults = Vec::new();
    let mut sources = pages();
    for folder in ["hub", "adapters", "tests", "schemas", "config"] {
        for extension in [".rs", ".toml", ".py", ".yaml", ".json", ".csv"] {
            sources.extend(files(folder, extension));
        }
    }
    // Written in pieces, so that this file does not hold it.
    let outside = ["/wo", "rk/"].concat();
    for path in sources {
        if read(&path).contains(&outside) {
            faults.push(format!("{path} names a path outside the repository"));
        }
    }
    assert_none(&faults);
}
