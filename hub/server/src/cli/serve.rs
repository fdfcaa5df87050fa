//! `truc serve`: the hub, until it is told to stop.

use std::process;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::Context;
use super::answer::{Answer, Exit, Trouble};
use crate::app::App;
use crate::telemetry;

/// Runs the hub. It says all it has to say in the log, so the answer is empty.
///
/// # Errors
/// [`Trouble`] when it cannot start, or a part of it cannot go on.
pub(super) async fn serve(context: &Context) -> Result<Answer, Trouble> {
    let config = context.config()?;
    telemetry::start(&config.log);
    let (stop_in, stop_out) = watch::channel(false);
    stop_on_signals(stop_in)?;
    let app = App::connect(config, Arc::clone(&context.clock), Arc::clone(&context.random)).await?;
    app.run(stop_out).await?;
    Ok(Answer::told(Exit::Fine))
}

/// The first SIGTERM or SIGINT asks for a good end; the second ends the process: what was accepted is on
/// disk, what was not settled comes again.
fn stop_on_signals(stop: watch::Sender<bool>) -> Result<(), Trouble> {
    let listen = |kind| {
        signal(kind)
            .map_err(|error| Trouble::of(&error, "the process may not handle signals here: see its limits"))
    };
    let (mut terminate, mut interrupt) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    tokio::spawn(async move {
        for asked_before in [false, true] {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if asked_before {
                process::exit(STOPPED_AT_ONCE);
            }
            stop.send_replace(true);
        }
    });
    Ok(())
}

/// Exit code after a second signal, as shells give it for an interrupted program.
const STOPPED_AT_ONCE: i32 = 130;
