//! A directory, an adapter working on it, and a hub that stands in for the real one.

#![allow(
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "test support, of which each test file uses a part"
)]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use truc_adapter_sdk::envelope::{
    Attachment, DocumentNumber, DocumentPacket, Limits, Organization, Packet, StatusPacket, read,
    write_document,
};
use truc_adapter_sdk::model::{DocumentKind, Operation, SystemClock, SystemId, SystemRandom};
use truc_adapter_sdk::testing::{FakeHub, Submitted};
use truc_adapter_sdk::{Backoff, Client, Config};
use truc_folder::layout::Layout;
use truc_folder::run::{StopError, run};
use truc_folder::{AutoArrived, Behaviour};

pub fn system() -> SystemId {
    SystemId::new("xa-tan-trao").unwrap()
}

pub fn document(id: &str) -> Vec<u8> {
    let mut document = DocumentPacket {
        from: Organization::new("H60.1", "Sở Tài chính"),
        to: vec![
            Organization::new("H60.2.3", "Xã Tân Trào"),
            Organization::new("H60.2.4", "Xã Minh Thanh"),
        ],
        document_id: id.to_owned(),
        code: DocumentNumber::new("12", "STC-VP"),
        subject: "V/v rà soát số liệu".to_owned(),
        attachments: vec![Attachment::of("a", "a.txt", None, b"abc")],
        ..DocumentPacket::default()
    };
    document.promulgation.date = Some(jiff::civil::date(2026, 3, 2));
    write_document(&document, &[b"abc"])
}

pub const TO: [&str; 2] = ["H60.2.3", "H60.2.4"];

/// A packet of the sender of [`document`] that speaks of `D1`.
pub fn packet(id: &str, change: impl FnOnce(&mut DocumentPacket)) -> Vec<u8> {
    let mut packet = DocumentPacket {
        from: Organization::new("H60.1", "Sở Tài chính"),
        to: vec![
            Organization::new(TO[0], "Xã Tân Trào"),
            Organization::new(TO[1], "Xã Minh Thanh"),
        ],
        document_id: id.to_owned(),
        code: DocumentNumber::new("13", "STC-VP"),
        subject: "V/v văn bản đã gửi".to_owned(),
        ..DocumentPacket::default()
    };
    packet.promulgation.date = Some(jiff::civil::date(2026, 3, 3));
    packet.business.document_id = Some("D1".to_owned());
    packet.business.reason = Some("Ban hành nhầm".to_owned());
    change(&mut packet);
    // A recall alone brings nothing.
    if packet.business.operation == Operation::Recall {
        return write_document(&packet, &[]);
    }
    packet.attachments = vec![Attachment::of("a", "a.txt", None, b"abc")];
    write_document(&packet, &[b"abc"])
}

pub fn recall() -> Vec<u8> {
    packet("R1", |packet| packet.business.operation = Operation::Recall)
}

pub struct Tray {
    _root: Option<tempfile::TempDir>,
    pub dir: PathBuf,
    pub hub: FakeHub,
    arrived: AutoArrived,
    pub running: Option<Running>,
}

pub struct Running {
    pub client: Client,
    stop: oneshot::Sender<()>,
    task: JoinHandle<Result<(), StopError>>,
}

impl Tray {
    pub async fn new(arrived: AutoArrived) -> Self {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("tray");
        let tray = Self::at(dir, arrived).await;
        Self {
            _root: Some(root),
            ..tray
        }
    }

    /// In a directory that outlives it.
    pub async fn at(dir: PathBuf, arrived: AutoArrived) -> Self {
        Layout::create(&dir).unwrap();
        Self {
            dir,
            hub: FakeHub::start(&[system()]).await,
            arrived,
            running: None,
            _root: None,
        }
    }

    pub async fn running(arrived: AutoArrived) -> Self {
        let mut tray = Self::new(arrived).await;
        tray.start();
        tray
    }

    pub fn start(&mut self) {
        let mut config = Config::new("", system(), "truc-folder/test", self.dir.join("state"));
        config.backoff = Backoff {
            min: Duration::from_millis(1),
            max: Duration::from_millis(5),
        };
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom::default()));
        let broker = self.hub.broker_for(&system());
        let client = Client::with_broker(config, broker, clock.clone(), random.clone()).unwrap();
        let behaviour = Behaviour {
            apart_over: None,
            arrived: self.arrived,
            poll: Duration::from_millis(5),
            resend_after: Duration::from_secs(60),
            max_packet_bytes: 100_000,
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let (dir, running) = (self.dir.clone(), client.clone());
        let task = tokio::spawn(async move {
            let shutdown = async {
                let _ = stopped.await;
            };
            run(&running, dir, behaviour, clock, random, shutdown).await
        });
        self.running = Some(Running { client, stop, task });
    }

    pub async fn stop(&mut self) {
        let running = self.running.take().unwrap();
        let _ = running.stop.send(());
        running.task.await.unwrap().unwrap();
        running.client.close().await;
    }

    /// As a kill would, as far as a task can be killed: nothing more is begun.
    pub async fn kill(&mut self) {
        let running = self.running.take().unwrap();
        running.task.abort();
        let _ = running.task.await;
        running.client.close().await;
    }

    pub fn path(&self, below: &str) -> PathBuf {
        self.dir.join(below)
    }

    /// As a careful program drops a file: written elsewhere, renamed in.
    pub fn drop_file(&self, below: &str, bytes: impl AsRef<[u8]>) {
        let elsewhere = self.path("dropped.tmp");
        fs::write(&elsewhere, bytes).unwrap();
        fs::rename(elsewhere, self.path(below)).unwrap();
    }

    pub async fn until(&self, below: &str) {
        FakeHub::until(below, || self.path(below).exists()).await;
    }

    pub fn json(&self, below: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(below)).unwrap()).unwrap()
    }

    pub fn text(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap()
    }

    pub fn files(&self, below: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(below))
            .unwrap()
            .map(|entry| entry.unwrap())
            .filter(|entry| entry.file_type().unwrap().is_file())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    pub fn sending(&self) -> usize {
        fs::read_dir(self.path("sending")).unwrap().count()
    }

    pub fn statuses(&self) -> Vec<StatusPacket> {
        let mut all: Vec<Submitted> = self.hub.submissions().into_values().collect();
        all.retain(|submitted| submitted.kind == DocumentKind::Status);
        all.sort_by_key(|submitted| submitted.message_id);
        all.iter()
            .map(
                |submitted| match read(&submitted.bytes, &Limits::default()).unwrap().packet {
                    Packet::Status(packet) => *packet,
                    Packet::Document(_) => panic!("not a status"),
                },
            )
            .collect()
    }
}
