//! What is measured, as processes of their own: the hub and the bare forwarder.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use std::io::{BufRead as _, BufReader, Write as _};

use truc_model::wire::Intake;
use truc_transport::{AmqpBroker, Broker as _, HeaderValue, Message};

use super::forwarder::{COMMAND, DONE, Expected, Form, READY, Task};
use crate::app;
use crate::demo::stage::{Doing, Stage, StageError, until};

/// Longest wait for a word of the forwarder.
const PATIENCE: Duration = Duration::from_secs(60);

/// The hub; killed when dropped.
pub struct Hub(Child);

impl Hub {
    /// Starts it on a stage, without waiting.
    ///
    /// # Errors
    /// [`StageError`] when the program cannot be started.
    pub fn start(program: &Path, stage: &Stage) -> Result<Self, StageError> {
        let log = File::options()
            .create(true)
            .append(true)
            .open(stage.dir.join("hub.log"))
            .doing("opening a log file")?;
        let mut command = Command::new(program);
        command.arg("serve").arg("--config").arg(&stage.config_file);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        command.spawn().doing("starting the hub").map(Self)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Waits until it takes in documents.
    ///
    /// # Errors
    /// [`StageError`] when it does not, or has ended.
    pub async fn ready(&mut self, stage: &Stage) -> Result<(), StageError> {
        let config = app::broker_config(&stage.config, "bench").doing("reading the address")?;
        let admin = AmqpBroker::connect(config).await.doing("connecting")?;
        for intake in Intake::ALL {
            until("the hub to consume", async || {
                let depth = admin.queue_depth(intake.queue()).await.ok()?;
                (depth.consumers > 0).then_some(())
            })
            .await?;
        }
        admin.close().await;
        match self.0.try_wait().doing("looking after the hub")? {
            None => Ok(()),
            Some(status) => Err(StageError(format!("the hub ended: {status}"))),
        }
    }

    /// Asks it to stop in good order, and waits.
    ///
    /// # Errors
    /// [`StageError`] when it ends otherwise than well.
    pub async fn stop(mut self) -> Result<(), StageError> {
        if let Some(pid) = i32::try_from(self.pid())
            .ok()
            .and_then(rustix::process::Pid::from_raw)
        {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM).doing("stopping the hub")?;
        }
        ended_well(&mut self.0, "the hub").await
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The bare forwarder; killed when dropped.
pub struct Forwarder {
    child: Child,
    orders: Option<ChildStdin>,
    answers: Option<BufReader<ChildStdout>>,
    settled: Expected,
}

impl Forwarder {
    /// Starts it and waits until it consumes.
    ///
    /// # Errors
    /// [`StageError`] when it does not.
    pub async fn start(program: &Path, task: &Task) -> Result<Self, StageError> {
        let mut child = Command::new(program)
            .arg(COMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .doing("starting the forwarder")?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(StageError("the forwarder has no pipes".to_owned()));
        };
        let mut forwarder = Self {
            child,
            orders: Some(orders),
            answers: Some(BufReader::new(answers)),
            settled: Expected {
                submissions: 0,
                taken: 0,
            },
        };
        forwarder.tell(task)?;
        forwarder.hear(READY).await?;
        Ok(forwarder)
    }

    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until it has settled so many more.
    ///
    /// # Errors
    /// [`StageError`] when it settled others, or ended.
    pub async fn finish(&mut self, submissions: u64, taken: u64) -> Result<(), StageError> {
        self.settled.submissions += submissions;
        self.settled.taken += taken;
        let expected = self.settled;
        self.tell(&expected)?;
        self.hear(DONE).await
    }

    fn tell(&mut self, what: &impl serde::Serialize) -> Result<(), StageError> {
        let line = serde_json::to_string(what).doing("ordering the forwarder")?;
        match &mut self.orders {
            Some(orders) => writeln!(orders, "{line}").doing("ordering the forwarder"),
            None => Err(StageError("the forwarder takes no more orders".to_owned())),
        }
    }

    /// Lets it end in good order, with everything settled that it settled.
    ///
    /// # Errors
    /// [`StageError`] when it ends otherwise than well.
    pub async fn stop(mut self) -> Result<(), StageError> {
        self.orders = None;
        ended_well(&mut self.child, "the forwarder").await
    }

    async fn hear(&mut self, word: &str) -> Result<(), StageError> {
        let Some(mut answers) = self.answers.take() else {
            return Err(StageError("the forwarder is not heard any more".to_owned()));
        };
        let reading = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            let read = answers.read_line(&mut line);
            (read.map(|_| line), answers)
        });
        let (line, answers) = tokio::time::timeout(PATIENCE, reading)
            .await
            .map_err(|_| StageError("the forwarder is silent".to_owned()))?
            .doing("hearing the forwarder")?;
        self.answers = Some(answers);
        match line.doing("hearing the forwarder")?.trim() {
            heard if heard == word => Ok(()),
            heard => Err(StageError(format!("the forwarder said {heard:?}, not {word:?}"))),
        }
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn ended_well(child: &mut Child, name: &str) -> Result<(), StageError> {
    let status = until(&format!("{name} to stop"), async || {
        child.try_wait().ok().flatten()
    })
    .await?;
    if status.success() {
        Ok(())
    } else {
        Err(StageError(format!("{name} did not stop well: {status}")))
    }
}

/// The form of a message that the hub published.
#[must_use]
pub fn form(message: &Message) -> Form {
    let properties = &message.properties;
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let headers: BTreeMap<String, serde_json::Value> = properties
        .headers
        .iter()
        .map(|(name, value)| {
            let value = match value {
                HeaderValue::Text(text) => text.as_str().into(),
                HeaderValue::Number(number) => (*number).into(),
                HeaderValue::List(items) => items.clone().into(),
            };
            (name.clone(), value)
        })
        .collect();
    let is_json = properties.content_type.as_deref() == Some(truc_model::wire::JSON);
    Form {
        kind: text(&properties.kind),
        content_type: text(&properties.content_type),
        app_id: text(&properties.app_id),
        timestamp: properties
            .timestamp
            .and_then(|at| u64::try_from(at.as_second()).ok())
            .unwrap_or_default(),
        priority: properties.priority.unwrap_or_default(),
        headers,
        body: if is_json {
            String::from_utf8_lossy(&message.body).into_owned()
        } else {
            String::new()
        },
    }
}
