//! Commands that need a broker, on a private node: accounts, inboxes, the doctor, and `serve` itself.

use std::os::unix::fs::PermissionsExt as _;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use truc_model::SystemId;
use truc_model::wire::{Intake, inbox};
use truc_transport::private_node::{PrivateNode, PrivateNodeConfig};
use truc_transport::{AmqpBroker, Broker as _, BrokerConfig, BrokerError};

use crate::place::Place;

/// Longest wait for anything here.
const DEADLINE: Duration = Duration::from_secs(30);

/// Ends with the test, however that ends.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn connects(node: &PrivateNode, user: &str, password: &str) -> Result<(), BrokerError> {
    let url = node.amqp_url(user, password, "truc").parse()?;
    let broker = AmqpBroker::connect(BrokerConfig::new(url, "test")).await?;
    let depth = broker.queue_depth(&inbox(&SystemId::new(user).unwrap())).await;
    broker.close().await;
    depth.map(drop)
}

fn row<'a>(listed: &'a Value, system: &str) -> &'a Value {
    listed["systems"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["system"] == system)
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn systems_get_accounts_and_the_hub_serves() {
    let dir = tempfile::tempdir().unwrap();
    let node = PrivateNode::start(PrivateNodeConfig::new(dir.path()))
        .await
        .unwrap();
    node.accounts("truc").ensure_vhost().await.unwrap();
    let admin = node.admin_amqp_url("truc");
    let url = admin.replacen(&format!(":{}@", node.admin_password()), "@", 1);
    assert_ne!(url, admin);
    let place = Place::beside(&url, &node.management_url(), node.admin_password());
    place.run(&["migrate"]).ends(0);
    place.import(&["--yes"]).ends(0);

    // An imported system is completed; its password stands in the file alone.
    let password = place.path("so-tnmt.password");
    let file = password.to_str().unwrap().to_owned();
    place
        .run(&["system", "add", "so-tnmt"])
        .troubles(&["--password-file"]);
    place
        .run(&["system", "add", "so-tnmt", "--password-file", &file])
        .ends(0)
        .says(&["đã tạo"]);
    assert_eq!(
        std::fs::metadata(&password).unwrap().permissions().mode() & 0o777,
        0o600
    );
    let first = std::fs::read_to_string(&password).unwrap().trim_end().to_owned();
    connects(&node, "so-tnmt", &first).await.unwrap();
    let again = place
        .run(&["system", "add", "so-tnmt"])
        .ends(0)
        .says(&["đã có từ trước"]);
    assert!(!again.out().contains(&first));

    // Rotating makes the old password useless and never overwrites a file.
    place
        .run(&["system", "rotate", "so-tnmt", "--password-file", &file])
        .troubles(&["never overwritten"]);
    let newer = place.path("newer");
    place
        .run(&[
            "system",
            "rotate",
            "so-tnmt",
            "--password-file",
            newer.to_str().unwrap(),
            "--disconnect",
        ])
        .ends(0)
        .says(&["Mật khẩu mới"]);
    let second = std::fs::read_to_string(&newer).unwrap().trim_end().to_owned();
    assert_ne!(first, second);
    connects(&node, "so-tnmt", &second).await.unwrap();
    assert!(matches!(
        connects(&node, "so-tnmt", &first).await,
        Err(BrokerError::Refused { .. })
    ));
    let nobody = place.path("nobody");
    place
        .run(&[
            "system",
            "rotate",
            "ubnd-tinh",
            "--password-file",
            nobody.to_str().unwrap(),
        ])
        .troubles(&["truc system add ubnd-tinh"]);
    assert!(!nobody.exists());
    let listed = place.json(&["system", "list"], 0);
    assert_eq!(row(&listed, "so-tnmt")["account"], true);
    assert_eq!(row(&listed, "ubnd-tinh")["account"], false);

    // Nothing is broken, though much is still to be done.
    let doctor = place.run(&["doctor"]).ends(0);
    let doctor = doctor.says(&[
        "RabbitMQ 3.",
        "quyền của trục",
        "đồng hồ của RabbitMQ",
        "ubnd-tinh chưa có tài khoản",
        "0 lỗi",
    ]);
    assert!(
        doctor.out().contains("truc.inbox.so-tnmt: 0 chờ"),
        "{}",
        doctor.out()
    );

    // The hub serves; systems are added meanwhile; a signal ends it in good order.
    let log = std::fs::File::create(place.path("serve.log")).unwrap();
    let mut serving = Serving(
        place
            .command(&["serve"])
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap(),
    );
    let broker = AmqpBroker::connect(BrokerConfig::new(admin.parse().unwrap(), "test"))
        .await
        .unwrap();
    let begun = Instant::now();
    loop {
        let read = broker.queue_depth(Intake::Taken.queue()).await;
        if read.is_ok_and(|depth| depth.consumers == 1) {
            break;
        }
        let log = std::fs::read_to_string(place.path("serve.log")).unwrap();
        assert!(
            serving.0.try_wait().unwrap().is_none() && begun.elapsed() < DEADLINE,
            "{log}"
        );
        tokio::task::yield_now().await;
    }
    let other = place.path("so-y-te.password");
    place
        .run(&[
            "system",
            "add",
            "so-y-te",
            "--name",
            "Sở Y tế",
            "--kind",
            "agency",
            "--serves",
            "000.00.15.H60",
            "--password-file",
            other.to_str().unwrap(),
        ])
        .ends(0)
        .says(&["so-y-te", "đã tạo"]);
    let third = std::fs::read_to_string(&other).unwrap().trim_end().to_owned();
    connects(&node, "so-y-te", &third).await.unwrap();
    place.run(&["doctor"]).ends(0).says(&[
        "truc.submit.document: 0 chờ, 1 trục đang đọc",
        "truc.dead.letters: trống",
    ]);

    let id = rustix::process::Pid::from_child(&serving.0);
    rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = serving.0.try_wait().unwrap() {
            break status;
        }
        assert!(
            begun.elapsed() < DEADLINE,
            "{}",
            std::fs::read_to_string(place.path("serve.log")).unwrap()
        );
        tokio::task::yield_now().await;
    };
    let log = std::fs::read_to_string(place.path("serve.log")).unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        !log.contains(&third) && !log.contains(node.admin_password()),
        "{log}"
    );
    broker.close().await;
    place.run(&["ledger", "verify"]).ends(0).says(&["NGUYÊN VẸN"]);
}
