//! The doctor looks at RabbitMQ: reached, version, alarms, queues, who reads them, the hub's own rights.

use truc_model::wire::{DEAD_QUEUE, Intake, inbox};
use truc_transport::{AmqpBroker, Broker, BrokerError, Url};

use super::super::show::number;
use super::super::system;
use super::{Area, Findings, Parts};
use crate::app;
use crate::config::Config;
use crate::telemetry::chain;

/// Messages waiting in an intake queue above which the hub is behind.
const INTAKE_BEHIND: u32 = 1000;

/// Looks.
pub(super) async fn look(config: &Config, parts: Option<&Parts<'_>>) -> Findings {
    let mut findings = Findings::new(Area::Broker);
    let broker = match app::broker_config(config, "doctor") {
        Ok(broker) => broker,
        Err(error) => {
            findings.fault(
                chain(&error),
                "đặt broker.password_file trong cấu hình, hoặc TRUC_BROKER_PASSWORD",
            );
            return findings;
        }
    };
    let url = broker.url.clone();
    match AmqpBroker::connect(broker).await {
        Ok(broker) => {
            findings.ok(format!("kết nối được {url}"));
            queues(&*broker, parts, &mut findings).await;
            broker.close().await;
        }
        Err(error) => findings.fault(
            format!("không kết nối được {url}: {}", chain(&error)),
            system::broker_next(&error).1,
        ),
    }
    management(config, &url, parts, &mut findings).await;
    findings
}

async fn queues(broker: &dyn Broker, parts: Option<&Parts<'_>>, findings: &mut Findings) {
    for intake in Intake::ALL {
        let name = intake.queue();
        match broker.queue_depth(name).await {
            Ok(depth) => {
                let what = format!(
                    "{name}: {} chờ, {} trục đang đọc",
                    number(depth.ready),
                    number(depth.consumers)
                );
                if depth.consumers == 0 {
                    findings.warn(what, "chưa có trục nào đọc: chạy truc serve");
                } else if depth.ready > INTAKE_BEHIND {
                    findings.warn(what, "trục xử lý không kịp: xem phần ĐĨA, hoặc chạy thêm trục");
                } else {
                    findings.ok(what);
                }
            }
            Err(error) => missing(name, &error, findings),
        }
    }
    match broker.queue_depth(DEAD_QUEUE).await {
        Ok(depth) if depth.ready == 0 => findings.ok(format!("{DEAD_QUEUE}: trống")),
        Ok(depth) => findings.warn(
            format!("{DEAD_QUEUE}: {} thông điệp không ai xử lý được", number(depth.ready)),
            "xem chúng trên trang quản trị RabbitMQ; mỗi thông điệp có một sự kiện dead-lettered trong sổ cái",
        ),
        Err(error) => missing(DEAD_QUEUE, &error, findings),
    }
    let Some(parts) = parts else { return };
    for system in parts.directory.systems() {
        let name = inbox(&system.id);
        match broker.queue_depth(&name).await {
            Ok(depth) => {
                let what = format!(
                    "{name}: {} chờ, {} chương trình nhận",
                    number(depth.ready),
                    number(depth.consumers)
                );
                if depth.consumers == 0 && depth.ready > 0 {
                    findings.warn(
                        what,
                        format!("hệ thống {} không chạy: gọi quản trị hệ thống đó", system.id),
                    );
                } else if depth.consumers == 0 {
                    findings.warn(what, format!("hệ thống {} chưa kết nối", system.id));
                } else {
                    findings.ok(what);
                }
            }
            Err(error) => missing(&name, &error, findings),
        }
    }
}

fn missing(name: &str, error: &BrokerError, findings: &mut Findings) {
    match error {
        BrokerError::NotFound { .. } => findings.warn(
            format!("{name}: chưa có"),
            "trục tự khai báo khi chạy: truc serve",
        ),
        other => findings.fault(format!("{name}: {}", chain(other)), system::broker_next(other).1),
    }
}

async fn management(config: &Config, url: &Url, parts: Option<&Parts<'_>>, findings: &mut Findings) {
    let accounts = match system::accounts(config) {
        Ok(accounts) => accounts,
        Err(trouble) => {
            findings.unknown(trouble.what, trouble.next);
            return;
        }
    };
    match accounts.overview().await {
        Ok(overview) => {
            findings.ok(format!(
                "RabbitMQ {} (Erlang {}), nút {}",
                overview.version, overview.erlang, overview.node
            ));
            if overview.alarms.is_empty() {
                findings.ok("không có cảnh báo bộ nhớ hay đĩa");
            }
            for alarm in overview.alarms {
                findings.fault(
                    format!("RabbitMQ đang chặn việc gửi: {alarm}"),
                    "giải phóng bộ nhớ hoặc đĩa của máy RabbitMQ; trục chờ, không mất gì",
                );
            }
        }
        Err(error) => {
            findings.unknown(
                format!("không hỏi được phiên bản, cảnh báo, tài khoản: {}", chain(&error)),
                system::accounts_next(&error).1,
            );
            return;
        }
    }
    match accounts.list().await {
        Ok(known) => {
            if known.iter().any(|account| account.user == url.user()) {
                findings.ok(format!(
                    "tài khoản {} của trục có quyền trên vhost {}",
                    url.user(),
                    url.vhost()
                ));
            } else {
                findings.fault(
                    format!(
                        "tài khoản {} của trục không có quyền trên vhost {}",
                        url.user(),
                        url.vhost()
                    ),
                    format!(
                        "rabbitmqctl set_permissions -p {} {} '.*' '.*' '.*'",
                        url.vhost(),
                        url.user()
                    ),
                );
            }
            let Some(parts) = parts else { return };
            for system in parts.directory.systems() {
                if !known
                    .iter()
                    .any(|account| account.system.as_ref() == Some(&system.id))
                {
                    findings.warn(
                        format!("hệ thống {} chưa có tài khoản đúng quyền", system.id),
                        format!("truc system add {} --password-file OUT", system.id),
                    );
                }
            }
        }
        Err(error) => findings.unknown(
            format!("không đọc được danh sách tài khoản: {}", chain(&error)),
            system::accounts_next(&error).1,
        ),
    }
    rights(config, url, findings).await;
}

/// The hub's own rights, by asking the broker to show them.
async fn rights(config: &Config, url: &Url, findings: &mut Findings) {
    let Ok(password) = app::broker_password(config) else {
        return;
    };
    let answer = super::clock::get_any(config, "/api/permissions", Some((url.user(), &password))).await;
    let rows: Vec<Rights> = match answer.map(|answer| serde_json::from_slice(&answer.body)) {
        Ok(Ok(rows)) => rows,
        Ok(Err(error)) => {
            findings.unknown(
                format!("không đọc được quyền của trục: {error}"),
                "rabbitmqctl list_user_permissions",
            );
            return;
        }
        Err(why) => {
            findings.unknown(
                format!("không đọc được quyền của trục: {why}"),
                "rabbitmqctl list_user_permissions",
            );
            return;
        }
    };
    let own = |row: &&Rights| row.user == url.user() && row.vhost == url.vhost();
    for row in rows.iter().filter(own) {
        let what = format!(
            "quyền của trục: configure {}, write {}, read {}",
            row.configure, row.write, row.read
        );
        let none = |right: &str| matches!(right, "" | "^$");
        if none(&row.configure) || none(&row.write) || none(&row.read) {
            findings.fault(
                what,
                format!(
                    "rabbitmqctl set_permissions -p {} {} '.*' '.*' '.*'",
                    url.vhost(),
                    url.user()
                ),
            );
        } else {
            findings.ok(what);
        }
    }
}

#[derive(serde::Deserialize)]
struct Rights {
    user: String,
    vhost: String,
    configure: String,
    write: String,
    read: String,
}
