//! The program `truc`: its commands, what they print, and how they end.
//!
//! One file per group of commands. A command reads its arguments, does its work through the same parts as
//! the hub, and gives an [`Answer`]; only this file prints. Results are Vietnamese, for the people who
//! answer "văn bản ở đâu?"; usage and errors are English, beside clap's own; `--json` is for programs.

mod alert;
mod answer;
mod ask;
mod authority;
mod bench;
mod calendar;
mod check_config;
mod directory;
mod doctor;
mod document;
mod envelope;
mod ledger;
mod migrate;
mod retention;
mod serve;
mod show;
mod system;
mod words;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use truc_model::{Clock, Random, SystemClock, SystemRandom};

pub use answer::{Answer, Exit, Trouble};

use crate::config::{self, Config};
use crate::demo;

/// The program's arguments.
#[derive(Debug, Parser)]
#[command(
    name = "truc",
    version,
    about = "Trục liên thông văn bản: the hub for signed official documents of a province",
    after_help = "Examples:\n  truc demo                                  see the whole at work on this machine\n  truc check-config --config truc.toml       is the configuration right?\n  truc doctor --config truc.toml             is everything in order?\n  truc document trace 1234/UBND-VP           where is this document?\n\nExit codes: 0 fine; 1 a finding, a fault or a negative answer; 2 wrong usage, or it could not run.\nEvery command takes --json for programs, and tells more with --help."
)]
pub struct Cli {
    /// Options of every command.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration file, laid over the built-in default
    #[arg(long, global = true, env = "TRUC_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// JSON on standard output, for programs
    #[arg(long, global = true)]
    pub json: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the hub until it is told to stop
    #[command(
        after_help = "Examples:\n  truc serve --config /etc/truc/truc.toml\n\nSIGTERM or Ctrl-C stops it in good order: nothing new is taken in, what is in hand is finished.\nA second signal stops it at once; that loses nothing either,\nit only leaves more to do at the next start."
    )]
    Serve,
    /// Show the whole at work on this machine: broker, hub, five systems, documents, faults, balance
    #[command(
        after_help = "Examples:\n  truc demo\n  truc demo --keep /tmp/truc-demo           keep ledger, packets and logs to look at\n  truc demo --packets ~/packets             send one's own packets instead\n\nNeeds the package rabbitmq-server (a private node is started; no service is touched).\nExit 0 only if the ledger balances and nothing is lost or doubled."
    )]
    Demo(DemoOptions),
    /// Check the configuration and name every problem by its key
    #[command(
        after_help = "Examples:\n  truc check-config --config truc.toml\n  truc check-config --print                 the default configuration\n  truc check-config --config truc.toml --print\n\nExit 1 when something is wrong."
    )]
    CheckConfig(check_config::Options),
    /// Create the ledger's tables, or bring them to this program's version
    #[command(
        after_help = "Examples:\n  truc migrate --config truc.toml\n\nSafe to repeat: it says when there is nothing to do.\nStop the hub and keep a copy of the file before an update."
    )]
    Migrate,
    /// Look at everything the hub needs; say what is wrong and the next step
    #[command(
        after_help = "Examples:\n  truc doctor --config truc.toml\n  truc doctor --json | jq '.findings[] | select(.level != \"ok\")'\n\nChecks broker, ledger, disk, clock, certificates, directory and deliveries that nobody takes.\nChanges nothing. Exit 1 on any fault (LỖI); warnings (CẢNH BÁO) leave it at 0."
    )]
    Doctor(doctor::Options),
    /// The directory of agencies, codes and systems (danh mục)
    #[command(
        subcommand,
        after_help = "Examples:\n  truc directory import tuyen-quang.csv --systems systems.csv\n  truc directory show 000.20.30.H60\n  truc directory check"
    )]
    Directory(directory::Command),
    /// Connected systems: accounts, inboxes, certificates
    #[command(
        subcommand,
        after_help = "Examples:\n  truc system add so-tnmt --name 'Sở TN&MT' --kind agency --password-file so-tnmt.password\n  truc system list"
    )]
    System(system::Command),
    /// Documents and where they are
    #[command(
        subcommand,
        after_help = "Examples:\n  truc document list --state forwarded\n  truc document trace 1234/UBND-VP"
    )]
    Document(document::Command),
    /// edXML packets in files: look, judge, seal, verify
    #[command(
        subcommand,
        after_help = "Examples:\n  truc envelope show van-ban.edxml\n  truc envelope lint *.edxml"
    )]
    Envelope(envelope::Command),
    /// The ledger: does it balance, is it whole
    #[command(
        subcommand,
        after_help = "Examples:\n  truc ledger balance\n  truc ledger verify --bodies"
    )]
    Ledger(ledger::Command),
    /// The working calendar that time limits are reckoned on (lịch làm việc)
    #[command(
        subcommand,
        after_help = "Examples:\n  truc calendar check\n  truc calendar show 2026\n  truc calendar extend 2028"
    )]
    Calendar(calendar::Command),
    /// Bytes of packets: how long they are kept, and what goes
    #[command(
        subcommand,
        after_help = "Examples:\n  truc retention run --dry-run\n  truc retention run --yes"
    )]
    Retention(retention::Command),
    /// Alerts: what is wrong now, who is told, and whether the channels work (cảnh báo)
    #[command(
        subcommand,
        after_help = "Examples:\n  truc alert list\n  truc alert test --channel phong-truc\n  truc alert dead retry"
    )]
    Alert(alert::Command),
    /// What this machine can carry: documents a second, times, memory, beside a bare forwarder
    #[command(
        subcommand,
        after_help = "Examples:\n  truc bench load\n  truc bench rate --rate 50\n  truc bench matrix"
    )]
    Bench(bench::Command),
    /// A certificate authority for tests and demonstrations; never for production
    #[command(
        subcommand,
        after_help = "Examples:\n  truc authority new --dir ca\n  truc authority issue --dir ca so-tnmt"
    )]
    Authority(authority::Command),
}

/// Options of `truc demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoOptions {
    /// Send the packets of this folder
    #[arg(long, value_name = "DIR")]
    pub packets: Option<PathBuf>,
    /// Work in this folder and keep it
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
}

/// What every command is given.
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
}

impl Context {
    /// The configuration.
    ///
    /// # Errors
    /// [`Trouble`] naming the file and the key.
    pub(crate) fn config(&self) -> Result<Config, Trouble> {
        Ok(config::load(self.global.config.as_deref())?.config)
    }
}

/// Runs the program: reads the arguments, does the work, prints, and gives the exit code.
pub async fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Ignored on purpose: clap writes help to standard output and usage errors to standard error.
            let _ = error.print();
            return if error.use_stderr() {
                Exit::CannotRun
            } else {
                Exit::Fine
            }
            .into();
        }
    };
    let context = Context {
        global: cli.global.clone(),
        clock: Arc::new(SystemClock),
        random: Arc::new(SystemRandom::default()),
    };
    match answer(&context, cli.command).await {
        Ok(answer) => {
            answer.print(context.global.json);
            answer.exit.into()
        }
        Err(trouble) => {
            trouble.print();
            Exit::CannotRun.into()
        }
    }
}

/// Does what a command says.
///
/// # Errors
/// [`Trouble`] when it cannot.
pub(crate) async fn answer(context: &Context, command: Command) -> Result<Answer, Trouble> {
    match command {
        Command::Serve => serve::serve(context).await,
        Command::Demo(options) => {
            let DemoOptions { packets, keep } = options;
            let held = demo::run(demo::DemoArgs {
                packets,
                keep,
                json: context.global.json,
            })
            .await;
            let held = held.map_err(|error| {
                Trouble::of(
                    &error,
                    "keep the folder with --keep DIR and look at the logs in it",
                )
            })?;
            Ok(Answer::told(Exit::unless_finding(held)))
        }
        Command::CheckConfig(options) => check_config::check(context, &options),
        Command::Migrate => migrate::migrate(context).await,
        Command::Doctor(options) => doctor::doctor(context, &options).await,
        Command::Directory(command) => directory::answer(context, command).await,
        Command::System(command) => system::answer(context, command).await,
        Command::Document(command) => document::answer(context, command).await,
        Command::Envelope(command) => envelope::answer(context, command),
        Command::Ledger(command) => ledger::answer(context, command).await,
        Command::Calendar(command) => calendar::answer(context, command),
        Command::Retention(command) => retention::answer(context, command).await,
        Command::Alert(command) => alert::answer(context, command).await,
        Command::Bench(command) => bench::answer(context, command).await,
        Command::Authority(command) => authority::answer(context, command),
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use clap::{CommandFactory as _, Parser as _};
    use truc_model::{ManualClock, SeededRandom};

    use super::*;

    /// A context of a fixed day, without a terminal.
    pub(super) fn context_with(config: Option<&Path>) -> Context {
        let now = "2026-11-23T07:05:09Z".parse().unwrap();
        Context {
            global: Global {
                config: config.map(Path::to_owned),
                json: false,
            },
            clock: Arc::new(ManualClock::at(now)),
            random: Arc::new(SeededRandom::new(1)),
        }
    }

    fn visit(path: &str, command: &clap::Command, seen: &mut Vec<String>) {
        let help = command
            .get_after_help()
            .map(ToString::to_string)
            .unwrap_or_default();
        assert!(help.contains("Example"), "{path} has no example");
        assert!(help.contains(path), "{path}: its example shows another command");
        for line in help.lines() {
            assert!(
                line.chars().count() <= 98,
                "{path}: clap would break the line: {line}"
            );
        }
        assert!(command.get_about().is_some(), "{path} does not say what it does");
        for argument in command.get_arguments() {
            let known =
                argument.get_help().is_some() || ["help", "version"].contains(&argument.get_id().as_str());
            assert!(known, "{path}: {} is not explained", argument.get_id());
        }
        seen.push(path.to_owned());
        for below in command
            .get_subcommands()
            .filter(|below| below.get_name() != "help")
        {
            visit(&format!("{path} {}", below.get_name()), below, seen);
        }
    }

    #[test]
    fn every_command_explains_itself_with_an_example() {
        Cli::command().debug_assert();
        let mut seen = Vec::new();
        visit("truc", &Cli::command(), &mut seen);
        assert!(seen.len() > 30, "{seen:?}");
    }

    #[test]
    fn the_reference_page_names_every_command_and_no_other() {
        let page = include_str!("../../../../docs/reference/commands.md");
        let mut leaves = Vec::new();
        let mut commands = vec![("truc".to_owned(), Cli::command())];
        while let Some((path, command)) = commands.pop() {
            let below: Vec<_> = command.get_subcommands().cloned().collect();
            if below.is_empty() {
                leaves.push(path.clone());
            }
            commands.extend(
                below
                    .into_iter()
                    .map(|command| (format!("{path} {}", command.get_name()), command)),
            );
        }
        let mut named: Vec<String> = page
            .lines()
            .filter_map(|line| line.strip_prefix("| `truc ")?.split('`').next())
            .map(|rest| format!("truc {rest}"))
            .collect();
        leaves.sort_unstable();
        named.sort_unstable();
        assert_eq!(named, leaves);
    }

    #[test]
    fn every_example_parses() {
        let mut commands = vec![Cli::command()];
        let mut tried = 0;
        while let Some(command) = commands.pop() {
            commands.extend(command.get_subcommands().cloned());
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let joined: Vec<String> = help
                .split("\\\n")
                .map(|part| part.trim_start().to_owned())
                .collect();
            for line in joined
                .join("")
                .lines()
                .map(str::trim)
                .filter(|line| line.starts_with("truc "))
            {
                // Three spaces part an example from its comment, a pipe from what follows.
                let example = line.split("   ").next().unwrap_or_default();
                let example = example.split(" | ").next().unwrap_or_default();
                tried += 1;
                if let Err(error) = Cli::try_parse_from(words_of(example)) {
                    panic!("{example}: {error}");
                }
            }
        }
        assert!(tried > 40, "{tried}");
    }

    /// Splits as a shell does, as far as the examples need it.
    fn words_of(line: &str) -> Vec<String> {
        let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
        for character in line.chars() {
            match character {
                '\'' => quoted = !quoted,
                ' ' if !quoted => {
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                other => word.push(other),
            }
        }
        words.push(word);
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in [
            "truc",
            "truc document list --state lost",
            "truc document list --limit 0",
            "truc document list --limit 1001",
            "truc document list --since yesterday",
            "truc document resend 1",
            "truc system rotate so-tnmt",
            "truc system rotate so-tnmt --certificate x.pem --disconnect",
            "truc system add So_TNMT",
            "truc system add so-tnmt --kind other",
            "truc directory import x.csv --dry-run --yes",
            "truc envelope lint",
            "truc envelope verify --cert a --system so-tnmt --message-id 01890a5d-ac96-774b-bcce-b302099a8057 x",
            "truc envelope seal --key k --cert c --system so-tnmt --message-id 7 x",
            "truc doctor --events 0",
            "truc authority issue --dir ca so-tnmt --days 36501",
        ] {
            assert!(Cli::try_parse_from(words_of(line)).is_err(), "{line}");
        }
        for line in [
            "truc document list --limit 1000",
            "truc authority issue --dir ca so-tnmt --days 36500",
            "truc ledger balance --json --config x.toml",
            "truc --json ledger balance",
        ] {
            assert!(Cli::try_parse_from(words_of(line)).is_ok(), "{line}");
        }
    }
}
