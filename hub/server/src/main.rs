//! The program `truc`: see [`truc_server::cli`].

use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    truc_server::cli::run(std::env::args_os()).await
}
