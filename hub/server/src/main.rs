//! The program `truc`: see [`truc_server::cli`].

use std::process::ExitCode;

use truc_server::{bench, cli, inspect};

fn main() -> ExitCode {
    if let Some(code) = inspect::worker::run_if_asked(std::env::args_os()) {
        return code;
    }
    if let Some(code) = bench::forwarder::run_if_asked(std::env::args_os()) {
        return code;
    }
    in_runtime()
}

#[tokio::main]
async fn in_runtime() -> ExitCode {
    cli::run(std::env::args_os()).await
}
