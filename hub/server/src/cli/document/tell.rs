//! Events of a document as sentences a clerk understands, with the English code words beside them.

use truc_ledger::event::{RepeatedBy, SentRecipient, TakenBy};
use truc_ledger::rows::RecipientRow;
use truc_ledger::{DeletionCause, Fact, PublishFailure};
use truc_model::delivery::TransportStateName;
use truc_model::wire::Outgoing;
use truc_model::{ChangeOrder, ParkCause, UndeliverableCause};

use super::super::show::{day, moment, number, one_line, size};
use super::super::words::Opened;

/// Most names in one sentence; the rest are counted.
const NAMES_MAX: usize = 3;

/// Tells what happened.
pub(super) fn tell(opened: &Opened, recipients: &[RecipientRow], fact: &Fact) -> String {
    let who = |positions: &[u32]| names(opened, recipients, positions);
    match fact {
        Fact::DocumentAccepted {
            system,
            size: bytes,
            recipients: first,
            signature,
            warnings,
            conflicts_with,
            ..
        } => {
            let count = |state: TransportStateName| first.iter().filter(|line| line.state == state).count();
            let mut text = format!(
                "Trục nhận từ hệ thống {system}, {}, {} nơi nhận, {}",
                size(*bytes),
                number(first.len() as u64),
                signed(signature)
            );
            for (state, words) in [
                (TransportStateName::Undeliverable, "không gửi được"),
                (TransportStateName::Parked, "tạm giữ"),
            ] {
                if count(state) > 0 {
                    text.push_str(&format!("; {} {words}", count(state)));
                }
            }
            if !warnings.is_empty() {
                text.push_str(&format!("; {} cảnh báo", warnings.len()));
            }
            if let Some(other) = conflicts_with {
                text.push_str(&format!("; trùng DocumentId với {other} nhưng khác nội dung"));
            }
            text
        }
        Fact::DocumentParked {
            cause, recipients, ..
        } => {
            format!("Giữ lại, chưa gửi tới {} ({})", who(recipients), park(*cause))
        }
        Fact::SubmissionRefused {
            code, intake, system, ..
        } => {
            let system = system
                .as_ref()
                .map_or_else(|| "không rõ hệ thống".to_owned(), |id| format!("hệ thống {id}"));
            format!(
                "Không nhận gói tin {} của {system}: {} ({code})",
                intake_vi(intake.as_str()),
                code.sentences().0
            )
        }
        Fact::SubmissionRepeated { system, by, .. } => {
            let by = match by {
                RepeatedBy::MessageId => "cùng message_id, cùng nội dung",
                RepeatedBy::Identity => "cùng DocumentId, cùng nội dung",
            };
            format!("Hệ thống {system} gửi lại gói tin cũ ({by}); trục trả lại biên nhận đầu tiên")
        }
        Fact::DeliveryForwarded {
            carries,
            system,
            recipients,
            attempt,
            ..
        } => {
            let again = if *attempt > 1 {
                format!(" (lần {attempt})")
            } else {
                String::new()
            };
            format!(
                "Đã đặt {} vào hộp nhận của hệ thống {system}{again}{}",
                what(*carries),
                to(&who(recipients))
            )
        }
        Fact::PublishFailed {
            carries,
            system,
            attempt,
            failure: why,
            next_try,
            ..
        } => format!(
            "Gửi {} tới hệ thống {system} lần {attempt} chưa được: {}; thử lại sau {}",
            what(*carries),
            failure(*why),
            moment(*next_try)
        ),
        Fact::LimitPassed {
            recipients,
            limit,
            level,
            due,
            turn,
            ..
        } => format!(
            "Quá hạn «{}» (hạn {}), mức {level}: {}; lượt xử lý: {}",
            limit.label_vi(),
            moment(*due),
            who(recipients),
            turn.label_vi()
        ),
        Fact::DeliveryTaken {
            carries,
            system,
            recipients,
            by,
            ..
        } => {
            let by = match by {
                TakenBy::Taken => "báo taken",
                TakenBy::Status => "biết qua trạng thái của nơi nhận",
            };
            format!(
                "Hệ thống {system} đã nhận {} về ({by}){}",
                what(*carries),
                to(&who(recipients))
            )
        }
        Fact::DeliveryRefused {
            carries,
            system,
            recipients,
            code,
            ..
        } => {
            format!(
                "Hệ thống {system} từ chối {} vì lỗi kỹ thuật ({code}){}",
                what(*carries),
                to(&who(recipients))
            )
        }
        Fact::DeliveryNotTaken {
            carries,
            system,
            forwarded_at,
            recipients,
            ..
        } => format!(
            "{} nằm trong hộp nhận của hệ thống {system} từ {} mà chưa được nhận về{}",
            capital(what(*carries)),
            moment(*forwarded_at),
            to(&who(recipients))
        ),
        Fact::DeliveryResent {
            system,
            recipients,
            who: account,
            why,
            ..
        } => {
            format!(
                "{account} cho gửi lại tới hệ thống {system}{}: {why}",
                to(&who(recipients))
            )
        }
        Fact::StatusRecorded {
            code,
            reporter,
            effect: word,
            skipped,
            delivery,
            ..
        } => {
            let mut text = format!("{} báo {code} {}", opened.name(reporter), code.label_vi());
            if word != "moved" {
                text.push_str(&format!(" ({})", effect(word)));
            }
            if *skipped {
                text.push_str("; các bước trước đó không được báo");
            }
            if delivery.is_none() {
                text.push_str("; không có hệ thống nào để báo cho bên kia");
            }
            text
        }
        Fact::StatusRepeated { recipient, code, .. } => {
            format!(
                "{} báo lại {code} {}; không chuyển tiếp lần nữa",
                who(&[*recipient]),
                code.label_vi()
            )
        }
        Fact::TakenOdd {
            system,
            unknown_count,
            contradicted_count,
            ..
        } => format!(
            "Hệ thống {system} báo taken không khớp: {} lượt không phải của hệ thống này, {} lượt đã kết thúc khác",
            number(*unknown_count),
            number(*contradicted_count)
        ),
        Fact::DeliveryParked {
            recipients,
            who: account,
            why,
            ..
        } => format!("{account} giữ lại, chưa gửi tới {}: {why}", who(recipients)),
        Fact::DeliveryReleased {
            system,
            recipients: sent,
            authorised,
            who: account,
            why,
            ..
        } => {
            let by = if *authorised {
                " (xác nhận có thẩm quyền)"
            } else {
                ""
            };
            format!(
                "{account} cho gửi tới hệ thống {system}{by}, cho {}: {why}",
                sent_to(opened, sent)
            )
        }
        Fact::DeliveryRerouted {
            system,
            recipients: sent,
            who: account,
            why,
            ..
        } => format!(
            "{account} chuyển hướng sang hệ thống {system}, cho {}: {why}",
            sent_to(opened, sent)
        ),
        Fact::DeliveryClosed {
            recipients,
            who: account,
            why,
            ..
        } => format!("{account} đóng, không giao nữa cho {}: {why}", who(recipients)),
        Fact::ChangeOrdered {
            order, recipients, ..
        } => {
            let positions: Vec<u32> = recipients.iter().map(|ordered| ordered.position).collect();
            format!("Bên gửi yêu cầu {}{}", asked(*order), to(&who(&positions)))
        }
        Fact::DeliveryOrderedBack {
            system,
            recipients,
            cause,
            ..
        } => format!(
            "Trục yêu cầu hệ thống {system} không giao nữa ({}){}",
            cause.label_vi(),
            to(&who(recipients))
        ),
        Fact::DeliveryWithdrawn {
            recipients,
            cause,
            proof,
            ..
        } => format!(
            "Đã lấy lại ({}){}. {}",
            cause.label_vi(),
            to(&who(recipients)),
            proof.sentences().0
        ),
        Fact::CleaningBegun { system, .. } => {
            format!("Trục bắt đầu lấy văn bản ra khỏi hộp nhận chưa ai đọc của hệ thống {system}")
        }
        Fact::BodiesDeleted {
            cause,
            who: account,
            digests,
            sizes,
            ..
        } => {
            let why = match cause {
                DeletionCause::Recalled => "văn bản đã thu hồi, không còn nơi nào giữ",
                DeletionCause::Retention => "đã hết thời hạn lưu",
            };
            format!(
                "{account} xóa dữ liệu {} gói tin, {} ({why})",
                number(digests.len() as u64),
                size(sizes.iter().sum())
            )
        }
        Fact::DirectoryChanged {
            version,
            who: account,
            ..
        } => format!("{account} đưa danh mục lên phiên bản {version}"),
        Fact::ReorganisationPlanned {
            on,
            rows,
            who: account,
            decision,
            ..
        } => format!(
            "{account} ghi nhận đợt sắp xếp tổ chức từ ngày {} ({} dòng){}",
            day(*on),
            number(u64::from(*rows)),
            by_decision(decision.as_deref())
        ),
        Fact::DirectoryReorganised {
            on,
            recipients: moved,
            who: account,
            decision,
            ..
        } => format!(
            "{account} thực hiện đợt sắp xếp tổ chức ngày {}{}: chuyển {}, tạm giữ {}, không gửi được {}, gộp {}, để nguyên {} lượt nhận",
            day(*on),
            by_decision(decision.as_deref()),
            number(moved.moved),
            number(moved.parked),
            number(moved.undeliverable),
            number(moved.merged),
            number(moved.left)
        ),
        Fact::SystemChanged {
            system,
            change,
            who: account,
        } => format!("{account} thay đổi hệ thống {system}: {change}"),
        Fact::TrustChanged {
            hub,
            anchors_count,
            lists_count,
            certificates_count,
            ..
        } => format!(
            "Trục {hub} dùng căn cứ tin cậy mới: {} chứng thư gốc, {} danh sách thu hồi, {} chứng thư của hệ thống",
            number(*anchors_count),
            number(*lists_count),
            number(*certificates_count)
        ),
        Fact::DeadLettered { queue, reason, .. } => {
            format!("Thông điệp từ {queue} không xử lý được ({reason})")
        }
        Fact::AlertRaised {
            what,
            subject,
            severity,
            again,
            ..
        } => {
            let word = if *again { "nặng thêm" } else { "mới" };
            format!("Cảnh báo {what} ({word}, {}): {subject}", severity.label_vi())
        }
        Fact::AlertCleared { what, subject, .. } => format!("Hết cảnh báo {what}: {subject}"),
        Fact::AlertUndelivered {
            channel,
            what,
            attempts,
            failure,
            ..
        } => format!("Kênh {channel} không nhận cảnh báo {what} sau {attempts} lần ({failure})"),
        Fact::HubStarted { hub, version } => format!("Trục {hub} khởi động, phiên bản {version}"),
        Fact::HubStopped { hub } => format!("Trục {hub} dừng"),
    }
}

/// The word for the signature in words.
fn signed(word: &str) -> &str {
    match word {
        "valid" => "chữ ký hợp lệ",
        "vouched" => "kênh chuyển bảo đảm, không cần chữ ký",
        "invalid" => "chữ ký không hợp lệ",
        "absent" => "không có chữ ký",
        other => other,
    }
}

/// The effect of a status in words.
pub(super) fn effect(word: &str) -> &str {
    match word {
        "moved" => "cập nhật tình trạng",
        "late" => "đến muộn, chỉ ghi nhận",
        "odd" => "trái thứ tự, chỉ ghi nhận",
        "overlay" => "yêu cầu hoặc trả lời lấy lại",
        "duplicate" => "lặp, không chuyển tiếp",
        other => other,
    }
}

/// Why something waits for an operator.
pub(super) fn park(cause: ParkCause) -> String {
    format!("{}: {}", cause.as_str(), cause.sentences().0)
}

/// Why someone cannot be reached.
pub(super) fn undeliverable(cause: UndeliverableCause) -> String {
    format!("{}: {}", cause.as_str(), cause.sentences().0)
}

/// Why a publish came to nothing.
pub(super) const fn failure(why: PublishFailure) -> &'static str {
    match why {
        PublishFailure::Unroutable => "hệ thống nhận chưa có hộp nhận (unroutable)",
        PublishFailure::Nacked => "RabbitMQ không nhận (nacked)",
        PublishFailure::Blocked => "RabbitMQ tạm dừng nhận vì thiếu bộ nhớ hoặc đĩa (blocked)",
        PublishFailure::TimedOut => "RabbitMQ không xác nhận kịp (timed-out)",
        PublishFailure::Disconnected => "mất kết nối RabbitMQ (disconnected)",
        PublishFailure::Refused => "RabbitMQ từ chối, thiếu quyền (refused)",
        PublishFailure::BodyDamaged => "gói tin trong sổ cái không khớp mã băm (body-damaged)",
        PublishFailure::TooLarge => "lớn hơn mức RabbitMQ nhận (too-large)",
    }
}

const fn what(carries: Outgoing) -> &'static str {
    match carries {
        Outgoing::Document => "văn bản",
        Outgoing::Status => "trạng thái",
        Outgoing::Receipt => "biên nhận",
        Outgoing::Refusal => "thông báo từ chối",
        Outgoing::Notice => "thông báo",
    }
}

fn intake_vi(word: &str) -> &str {
    match word {
        "document" => "văn bản",
        "status" => "trạng thái",
        other => other,
    }
}

fn names(opened: &Opened, recipients: &[RecipientRow], positions: &[u32]) -> String {
    if positions.len() > 1 && positions.len() == recipients.len() {
        return format!("cả {} nơi nhận", number(positions.len() as u64));
    }
    let mut named: Vec<String> = positions
        .iter()
        .take(NAMES_MAX)
        .map(|position| {
            let row = recipients.iter().find(|row| row.position == *position);
            row.map_or_else(|| format!("nơi nhận {position}"), |row| opened.name(&row.party))
        })
        .collect();
    if positions.len() > NAMES_MAX {
        named.push(format!(
            "và {} nơi khác",
            number((positions.len() - NAMES_MAX) as u64)
        ));
    }
    named.join(", ")
}

/// What a sender asks about an earlier document.
const fn asked(order: ChangeOrder) -> &'static str {
    match order {
        ChangeOrder::Recall => "thu hồi",
        ChangeOrder::TakeBack => "lấy lại (13)",
        ChangeOrder::Update => "cập nhật",
        ChangeOrder::Removal => "bỏ khỏi danh sách nơi nhận",
        ChangeOrder::Replacement => "thay thế",
    }
}

/// Whom an operator sends it to; who is another one than in the packet is named with the one it stands for.
fn sent_to(opened: &Opened, sent: &[SentRecipient]) -> String {
    let mut named: Vec<String> = sent
        .iter()
        .take(NAMES_MAX)
        .map(|sent| {
            let name = opened.name(&sent.to);
            if sent.from == sent.to {
                name
            } else {
                format!("{name} thay cho {}", opened.name(&sent.from))
            }
        })
        .collect();
    if sent.len() > NAMES_MAX {
        named.push(format!("và {} nơi khác", number((sent.len() - NAMES_MAX) as u64)));
    }
    named.join(", ")
}

fn to(names: &str) -> String {
    if names.is_empty() {
        String::new()
    } else {
        format!(", cho {names}")
    }
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
/// `, theo NQ 202/2025/QH15`.
fn by_decision(decision: Option<&str>) -> String {
    decision.map_or_else(String::new, |decision| format!(", theo {}", one_line(decision)))
}
