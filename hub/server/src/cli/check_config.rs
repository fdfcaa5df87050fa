//! `truc check-config`: is the configuration right, and what is it in effect.

use std::fmt::Write as _;
use std::path::Path;

use clap::Args;
use serde_json::json;

use super::Context;
use super::answer::{Answer, Exit, Trouble};
use super::show::Facts;
use crate::config::{self, Config, ConfigError, Loaded};

/// Options of `truc check-config`.
#[derive(Debug, Clone, Args)]
pub struct Options {
    /// Print the effective configuration as TOML
    #[arg(long)]
    pub print: bool,
}

/// Checks the configuration.
///
/// # Errors
/// [`Trouble`] when the file cannot be read at all.
pub(super) fn check(context: &Context, options: &Options) -> Result<Answer, Trouble> {
    let file = context.global.config.as_deref();
    match config::load(file) {
        Ok(loaded) => {
            let mut missing = missing_files(&loaded.config);
            missing.extend(deadlines(&loaded.config));
            if !missing.is_empty() && !options.print {
                return wrong(file, &missing);
            }
            let text = if options.print {
                effective(&loaded)?
            } else {
                summary(&loaded)
            };
            Answer::fine(
                text,
                &json!({ "ok": true, "file": loaded.file, "problems": [], "config": loaded.config }),
            )
        }
        Err(error @ ConfigError::Read { .. }) => Err(error.into()),
        Err(error) => wrong(file, &problems(&error)),
    }
}

/// The answer that names what is wrong.
fn wrong(file: Option<&Path>, problems: &[(String, String)]) -> Result<Answer, Trouble> {
    let mut text = format!("Cấu hình có {} lỗi:", problems.len());
    for (key, problem) in problems {
        let key = if key.is_empty() {
            String::new()
        } else {
            format!("{key}: ")
        };
        let _ = write!(
            text,
            "\n  LỖI  {key}{}",
            problem.trim_end().replace('\n', "\n       ")
        );
    }
    text.push_str(
        "\n→ Sửa các khóa trên; mọi khóa, giá trị mặc định và giải thích: truc check-config --print",
    );
    let json: Vec<_> = problems
        .iter()
        .map(|(key, problem)| json!({ "key": key, "problem": problem }))
        .collect();
    Answer::ending(
        Exit::Finding,
        text,
        &json!({ "ok": false, "file": file, "problems": json }),
    )
}

/// Files that a key names and that cannot be opened: the hub would not start.
fn missing_files(config: &Config) -> Vec<(String, String)> {
    let passwords = [
        ("broker.password_file", &config.broker.password_file),
        ("ledger.password_file", &config.ledger.password_file),
    ];
    let passwords = passwords
        .into_iter()
        .filter(|(_, file)| !file.as_os_str().is_empty());
    let anchors = config.seal.anchors.iter().map(|file| ("seal.anchors", file));
    let crls = config.seal.crls.iter().map(|file| ("seal.crls", file));
    passwords
        .chain(anchors)
        .chain(crls)
        .filter_map(|(key, file)| {
            let error = std::fs::File::open(file).err()?;
            Some((
                key.to_owned(),
                format!("không mở được {}: {error}", file.display()),
            ))
        })
        .collect()
}

/// The calendar and the limits, read as the hub reads them.
fn deadlines(config: &Config) -> Option<(String, String)> {
    let error = crate::deadlines::load(&config.limits).err()?;
    let key = error.key(&config.limits).to_owned();
    Some((key, crate::telemetry::chain(&error)))
}

fn problems(error: &ConfigError) -> Vec<(String, String)> {
    match error {
        ConfigError::Values(problems) => problems
            .iter()
            .map(|problem| (problem.key.to_owned(), problem.problem.clone()))
            .collect(),
        other => vec![(String::new(), other.to_string())],
    }
}

/// The default file is printed as it is, with its comments: it is the reference. A file of one's own
/// gives the values in effect.
fn effective(loaded: &Loaded) -> Result<String, Trouble> {
    if loaded.file.is_none() {
        return Ok(config::DEFAULT.trim_end().to_owned());
    }
    toml::to_string(&loaded.config)
        .map(|text| text.trim_end().to_owned())
        .map_err(|error| Trouble::of(&error, "report this as a defect of the program"))
}

fn summary(loaded: &Loaded) -> String {
    let Config {
        hub,
        broker,
        ledger,
        seal,
        ..
    } = &loaded.config;
    let mut facts = Facts::default();
    facts.add(
        "Tệp cấu hình",
        loaded
            .file
            .as_ref()
            .map_or("(mặc định)".to_owned(), |file| file.display().to_string()),
    );
    facts.add("Trục", format!("{} ({})", hub.name, hub.code));
    let hosts = std::iter::once(&broker.url).chain(&broker.more_hosts);
    facts.add(
        "RabbitMQ",
        hosts.map(String::as_str).collect::<Vec<_>>().join(", "),
    );
    facts.add("Sổ cái (ledger)", ledger.place());
    facts.add(
        "Chứng thư gốc",
        format!(
            "{} tệp, {} danh sách thu hồi",
            seal.anchors.len(),
            seal.crls.len()
        ),
    );
    format!("{}\n\nCấu hình đúng.", facts.text())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::tests::context_with;

    #[test]
    fn the_default_prints_with_its_comments() {
        let context = context_with(None);
        let answer = check(&context, &Options { print: true }).unwrap();
        assert_eq!(answer.text, config::DEFAULT.trim_end());
        assert_eq!(answer.exit, Exit::Fine);
    }

    #[test]
    fn every_problem_is_named_by_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("truc.toml");
        std::fs::write(&file, "[delivery]\nwindow = 0\n[ledger]\nbatch_max = 0\n").unwrap();
        let answer = check(&context_with(Some(&file)), &Options { print: false }).unwrap();
        assert_eq!(answer.exit, Exit::Finding);
        assert!(answer.text.contains("2 lỗi"), "{}", answer.text);
        assert!(
            answer.text.contains("delivery.window") && answer.text.contains("ledger.batch_max"),
            "{}",
            answer.text
        );
        assert_eq!(answer.json["problems"][0]["key"], "ledger.batch_max");
    }

    #[test]
    fn files_that_are_not_there_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("truc.toml");
        std::fs::write(&file, "[seal]\nanchors = [\"root.pem\"]\n").unwrap();
        let context = context_with(Some(&file));
        let answer = check(&context, &Options { print: false }).unwrap();
        assert_eq!(answer.exit, Exit::Finding);
        assert_eq!(answer.json["problems"][0]["key"], "seal.anchors");
        std::fs::write(dir.path().join("root.pem"), "x").unwrap();
        let answer = check(&context, &Options { print: false }).unwrap();
        assert_eq!(answer.exit, Exit::Fine, "what is in it is the doctor's to judge");
    }

    #[test]
    fn a_missing_file_is_trouble() {
        let trouble = check(
            &context_with(Some(Path::new("/nowhere/truc.toml"))),
            &Options { print: false },
        )
        .unwrap_err();
        assert!(trouble.what.contains("/nowhere/truc.toml"), "{trouble}");
    }

    #[test]
    fn what_is_printed_reads_back() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("truc.toml");
        std::fs::write(&file, "[delivery]\nwindow = 5\n").unwrap();
        let answer = check(&context_with(Some(&file)), &Options { print: true }).unwrap();
        let config: Config = toml::from_str(&answer.text).unwrap();
        assert_eq!(config.delivery.window, 5);
    }
}
