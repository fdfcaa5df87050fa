//! `truc-folder`: the folder adapter's command line.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args, Parser, Subcommand};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;
use truc_adapter_sdk::model::{SystemClock, SystemRandom};
use truc_adapter_sdk::{BrokerState, Client, LOG_FILTER};
use truc_folder::layout::Layout;
use truc_folder::run::run;
use truc_folder::settings::{Flags, PASSWORD_VARIABLE, Settings};

/// Exchanges signed official documents with Trục as files in a directory.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const EXAMPLES: &str = "\
Examples:
  truc-folder check --config folder.toml
  truc-folder run --config folder.toml
  TRUC_BROKER_PASSWORD=… truc-folder run --dir tray --system xa-tan-trao \\
      --broker amqp://mq.example.vn/truc --key key.pem --cert cert.pem

The password is never taken from the command line: it comes from the file named
by password_file, or from the environment, TRUC_BROKER_PASSWORD.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Exchange files until told to stop (SIGTERM, SIGINT)
    Run(Options),
    /// Check settings, directory, key and broker, say what is wrong, and exit 1 if anything is
    Check(Options),
}

#[derive(Debug, Args)]
struct Options {
    /// The configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The directory to exchange files in
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// The broker, without a password: amqp://host:5672/vhost
    #[arg(long, value_name = "URL")]
    broker: Option<String>,
    /// The system id
    #[arg(long, value_name = "ID")]
    system: Option<String>,
    /// The sealing key, PEM
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Its certificate, PEM
    #[arg(long, value_name = "FILE")]
    cert: Option<PathBuf>,
}

impl Options {
    fn settings(self) -> Result<Settings, Failure> {
        let flags = Flags {
            dir: self.dir,
            broker: self.broker,
            system: self.system,
            key: self.key,
            certificate: self.cert,
        };
        let password = std::env::var(PASSWORD_VARIABLE).ok();
        Ok(Settings::read(
            self.config.as_deref(),
            flags,
            password.as_deref(),
        )?)
    }
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Failure::from)
        .and_then(|runtime| {
            runtime.block_on(async {
                match cli.command {
                    Command::Run(options) => exchange(options.settings()?).await,
                    Command::Check(options) => check(options.settings()?).await,
                }
            })
        });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("truc-folder: {}", with_causes(&*failure));
            ExitCode::FAILURE
        }
    }
}

async fn exchange(settings: Settings) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(format!("{},{LOG_FILTER}", settings.log))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .init();
    // Before anything is begun, so that a stop is never missed.
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let clock = Arc::new(SystemClock);
    let random = Arc::new(SystemRandom::default());
    let system = settings.client.system.clone();
    let client = Client::start(settings.client, clock.clone(), random.clone())?;
    tracing::info!(%system, "running");
    let stop = async {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping");
    };
    let result = run(
        &client,
        settings.directory,
        settings.behaviour,
        clock,
        random,
        stop,
    )
    .await;
    client.close().await;
    result?;
    tracing::info!("stopped");
    Ok(())
}

async fn check(settings: Settings) -> Result<(), Failure> {
    println!("settings   ok   system {}", settings.client.system);
    let sealed = settings.client.seal.is_some();
    Layout::create(&settings.directory)?;
    println!("directory  ok   {}", settings.directory.display());
    let client = Client::connect(
        settings.client,
        Arc::new(SystemClock),
        Arc::new(SystemRandom::default()),
    )
    .await?;
    println!("state      ok   no other process works on it");
    if sealed {
        println!("seal       ok   key and certificate belong together");
    } else {
        println!("seal       none packets are sent without a seal; the hub may refuse them");
    }
    let state = client.state().borrow().clone();
    let outcome = match state {
        BrokerState::Up => {
            client.check_inbox().await?;
            println!("broker     ok   the inbox can be read");
            Ok(())
        }
        BrokerState::Blocked { reason } => {
            println!("broker     busy it takes nothing at the moment: {reason}");
            Ok(())
        }
        other => Err(Failure::from(format!("not connected to the broker: {other:?}"))),
    };
    client.close().await;
    outcome
}

fn with_causes(failure: &(dyn std::error::Error + 'static)) -> String {
    let mut text = failure.to_string();
    let mut source = failure.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}
