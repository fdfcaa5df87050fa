//! Alerts (*cảnh báo*): one closed list of what the hub calls people for, and what it says then.
//!
//! An alert is raised once for a kind and a subject, can grow more severe, and ends with an all-clear. Each
//! kind says how severe it is, whose turn it is and what to do next, and has a page in
//! `docs/reference/alerts/`. Alerts carry codes, ids and counts: never subjects, names or reasons.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limit::Turn;

/// Longest subject of an alert, in characters; what exceeds it is cut off.
pub const SUBJECT_MAX: usize = 200;

/// How bad it is (`spec/console.md` §3: Thông tin, Cảnh báo, Nghiêm trọng).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good to know; nothing suffers.
    Info,
    /// Somebody must look at it on this working day.
    Warning,
    /// Somebody must look at it now.
    Critical,
}

impl Severity {
    /// All of them, the least first.
    pub const ALL: [Self; 3] = [Self::Info, Self::Warning, Self::Critical];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// From the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|severity| severity.as_str() == word)
    }

    /// Vietnamese label.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::Info => "Thông tin",
            Self::Warning => "Cảnh báo",
            Self::Critical => "Nghiêm trọng",
        }
    }
}

/// Whether an alert has an end that the hub can see.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Span {
    /// A state of affairs: it is over when the hub sees that it is over, and that is told.
    Condition,
    /// Something that happened: it is closed, without a word to anyone, when it did not happen again for a
    /// while.
    Happening,
}

/// What the subject of an alert names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum About {
    /// A connected system, by its id.
    System,
    /// A document, by the hub's id.
    Document,
    /// One recipient of a document: the document's id, `/`, its position.
    Recipient,
    /// One time limit of one recipient: the recipient's subject, `/`, the limit's kind.
    Limit,
    /// A process of the hub, by its name.
    Hub,
    /// A queue of the broker, by its name.
    Queue,
    /// A file, by its name without folders.
    File,
    /// A certificate: the system's id or `anchor`, `/`, the first digits of its digest.
    Certificate,
    /// A channel of alerts, by its name.
    Channel,
}

macro_rules! alerts {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $severity:ident, $span:ident, $turn:ident, $about:ident,
        $vi:literal, $en:literal, $next_vi:literal, $next_en:literal;)*) => {
        /// The closed list of alerts.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum AlertKind {
            $($(#[$doc])* $variant,)*
        }

        impl AlertKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word: in messages, events, rules, and the name of its page.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// How severe it is when it begins.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// Whether it has an end that the hub can see.
            #[must_use]
            pub const fn span(self) -> Span {
                match self { $(Self::$variant => Span::$span,)* }
            }

            /// Whose turn it is.
            #[must_use]
            pub const fn turn(self) -> Turn {
                match self { $(Self::$variant => Turn::$turn,)* }
            }

            /// What its subject names.
            #[must_use]
            pub const fn about(self) -> About {
                match self { $(Self::$variant => About::$about,)* }
            }

            /// One Vietnamese and one English sentence: what is wrong.
            #[must_use]
            pub const fn sentences(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($vi, $en),)* }
            }

            /// One Vietnamese and one English sentence: what to do next.
            #[must_use]
            pub const fn next(self) -> (&'static str, &'static str) {
                match self { $(Self::$variant => ($next_vi, $next_en),)* }
            }
        }
    };
}

alerts! {
    /// A time limit ran out.
    LimitPassed = "limit-passed", Warning, Condition, RecipientClerk, Limit,
        "Đã quá hạn mà đơn vị chưa báo lại trạng thái văn bản.",
        "A time limit ran out and the agency has not answered.",
        "Nhắc đơn vị trong cột lượt xử lý; xem danh sách bằng truc document late.",
        "Remind the agency whose turn it is; truc document late lists them.";
    /// Messages lie in an inbox for too long.
    NotTaken = "not-taken", Warning, Condition, RecipientIt, System,
        "Hệ thống nhận đã lâu không lấy văn bản về.",
        "A system has not taken its documents for a long time.",
        "Kiểm tra bộ kết nối của hệ thống đó; các văn bản vẫn được trục giữ.",
        "See that the system's adapter runs; the hub keeps its documents.";
    /// Documents wait behind a full inbox for too long.
    ScheduledStuck = "scheduled-stuck", Warning, Condition, RecipientIt, System,
        "Văn bản chờ quá lâu sau hộp nhận đã đầy của hệ thống nhận.",
        "Documents have waited too long behind the full inbox of a system.",
        "Kiểm tra bộ kết nối của hệ thống đó; khi nó lấy văn bản về, hàng chờ tự vơi.",
        "See that the system's adapter runs; what waits goes out as it takes.";
    /// Publishing to an inbox fails again and again.
    PublishFailing = "publish-failing", Critical, Condition, ProvinceIt, System,
        "Nhiều lần liên tiếp không gửi được văn bản vào hộp nhận của hệ thống.",
        "Publishing to a system's inbox has failed many times in a row.",
        "Chạy truc doctor: hộp nhận, quyền của tài khoản, dung lượng và cảnh báo của RabbitMQ.",
        "Run truc doctor: the inbox, the account's permissions, RabbitMQ's alarms and limits.";
    /// An inbox was gone with what lay in it.
    InboxLost = "inbox-lost", Critical, Happening, ProvinceIt, System,
        "Hộp nhận của hệ thống bị mất trên RabbitMQ; trục đã gửi lại những gì nằm trong đó.",
        "A system's inbox was lost on RabbitMQ; what lay in it was sent again.",
        "Tìm xem ai hoặc việc gì đã xóa hàng đợi: nhật ký và ổ đĩa của RabbitMQ.",
        "Find out who or what deleted the queue: RabbitMQ's log and disk.";
    /// An inbox exists with other arguments than the hub's.
    InboxOdd = "inbox-odd", Warning, Condition, ProvinceIt, System,
        "Hộp nhận của hệ thống có tham số khác với cấu hình của trục.",
        "A system's inbox exists with other arguments than the hub would give it.",
        "Chạy truc doctor và làm theo hướng dẫn; sửa khi hộp nhận trống.",
        "Run truc doctor and follow it; change the queue while it is empty.";
    /// The hub's queues cannot be declared.
    QueuesMissing = "queues-missing", Critical, Condition, ProvinceIt, Hub,
        "Không khai báo được các hàng đợi của trục trên RabbitMQ.",
        "The hub's queues cannot be declared on RabbitMQ.",
        "Chạy truc doctor: quyền của tài khoản trục và tham số các hàng đợi.",
        "Run truc doctor: the permissions of the hub's account and the queues' arguments.";
    /// Messages lie among the dead letters.
    DeadLetter = "dead-letter", Critical, Condition, ProvinceIt, Queue,
        "Có thông điệp không xử lý được nằm trong hàng đợi truc.dead.letters.",
        "Messages that nobody could handle lie in truc.dead.letters.",
        "Xem sự kiện dead-lettered trong sổ cái và thông điệp trong hàng đợi, báo hệ thống gửi.",
        "Read the events dead-lettered and the messages in the queue; tell the sending system.";
    /// A document waits for an operator's decision.
    Parked = "parked", Warning, Condition, ProvinceIt, Document,
        "Văn bản bị tạm giữ, chờ cán bộ vận hành quyết định.",
        "A document is parked and waits for an operator's decision.",
        "Xem bằng truc document show, rồi truc document release, reroute hoặc close.",
        "Look with truc document show, then truc document release, reroute or close.";
    /// A document bears a marking of state secrecy.
    SecretMarking = "secret-marking", Critical, Condition, ProvinceIt, Document,
        "Văn bản có dấu hiệu bí mật nhà nước bị giữ lại trên trục.",
        "A document with a marking of state secrecy was quarantined.",
        "Không mở nội dung; báo ngay đơn vị gửi và người phụ trách bảo mật.",
        "Do not open it; tell the sender and the officer for secrecy at once.";
    /// The identity of a document belongs to other bytes.
    IdentityConflict = "identity-conflict", Warning, Condition, ProvinceIt, Document,
        "Văn bản trùng mã định danh với một văn bản khác nội dung nên bị tạm giữ.",
        "A document was parked: its identity belongs to another document with other content.",
        "Hỏi đơn vị gửi văn bản nào là đúng, rồi truc document release hoặc close.",
        "Ask the sender which one is right, then truc document release or close.";
    /// A recipient refused a recall or an update.
    RecallRefused = "recall-refused", Warning, Happening, SenderClerk, Recipient,
        "Đơn vị nhận từ chối yêu cầu lấy lại hoặc cập nhật văn bản (mã 16).",
        "A recipient refused a recall or an update (code 16).",
        "Đơn vị gửi đọc lý do trong gói trạng thái và trao đổi trực tiếp với đơn vị nhận.",
        "The sender reads the reason in the status packet and talks to the recipient.";
    /// A system said `taken` of what is not its own, or against its first word.
    TakenOdd = "taken-odd", Warning, Happening, RecipientIt, System,
        "Hệ thống xác nhận đã nhận những văn bản không phải của nó hoặc trái với lần báo trước.",
        "A system said taken of deliveries that are not its own, or against its first word.",
        "Kiểm tra phần mềm kết nối: có thể nó dùng nhầm tài khoản hoặc dữ liệu khôi phục cũ.",
        "Check the adapter: it may use another system's account, or restored old data.";
    /// The ledger's copy of a document's bytes is missing or changed.
    BodyDamaged = "body-damaged", Critical, Happening, ProvinceIt, Document,
        "Bản lưu của văn bản trong sổ cái bị thiếu hoặc sai so với mã băm.",
        "The ledger's copy of a document's bytes is missing or does not have its digest.",
        "Chạy truc ledger verify --bodies, kiểm tra ổ đĩa, khôi phục từ bản sao lưu.",
        "Run truc ledger verify --bodies, check the disk, restore from the backup.";
    /// The broker cannot be reached.
    BrokerAway = "broker-away", Critical, Condition, ProvinceIt, Hub,
        "Trục không kết nối được với RabbitMQ.",
        "The hub cannot reach RabbitMQ.",
        "Khởi động lại RabbitMQ hoặc kiểm tra mạng, rồi chạy truc doctor.",
        "Start RabbitMQ or look at the network, then run truc doctor.";
    /// The broker blocks publishers.
    BrokerBlocked = "broker-blocked", Critical, Condition, ProvinceIt, Hub,
        "RabbitMQ đang chặn việc gửi (hết bộ nhớ hoặc đầy đĩa).",
        "RabbitMQ blocks publishers (memory or disk alarm).",
        "Giải phóng bộ nhớ hoặc ổ đĩa của máy chạy RabbitMQ.",
        "Free memory or disk space on RabbitMQ's machine.";
    /// The rules could not be renewed.
    RulesKept = "rules-kept", Warning, Condition, ProvinceIt, Hub,
        "Không nạp được danh mục mới; trục vẫn dùng danh mục cũ.",
        "The rules could not be renewed; the old ones stay in force.",
        "Chạy truc directory check và xem nhật ký của trục.",
        "Run truc directory check and read the hub's log.";
    /// Trust anchors or revocation lists could not be renewed.
    TrustKept = "trust-kept", Warning, Condition, ProvinceIt, Hub,
        "Không nạp được chứng thư gốc hoặc danh sách thu hồi mới; trục vẫn dùng bản cũ.",
        "New trust anchors or revocation lists cannot be read; the old ones stay in force.",
        "Xem nhật ký của trục, sửa tệp được nêu tên.",
        "Read the hub's log and mend the file it names.";
    /// A revocation list is due or stale.
    CrlStale = "crl-stale", Warning, Condition, ProvinceIt, File,
        "Danh sách chứng thư bị thu hồi sắp hết hoặc đã hết hạn.",
        "A revocation list is about to end or has ended.",
        "Tải danh sách mới của tổ chức chứng thực vào đúng tệp đó.",
        "Fetch the authority's next list into that file.";
    /// A certificate of a system ends soon.
    CertificateExpires = "certificate-expires", Warning, Condition, SenderIt, Certificate,
        "Chứng thư số của hệ thống sắp hết hạn hoặc đã hết hạn.",
        "A certificate ends soon or has ended.",
        "Xin chứng thư mới rồi đăng ký bằng truc system rotate trước ngày hết hạn.",
        "Get a new certificate and register it with truc system rotate in time.";
    /// The working calendar lacks something.
    CalendarLacks = "calendar-lacks", Warning, Condition, ProvinceIt, Hub,
        "Lịch làm việc còn thiếu hoặc có ngày chưa được công bố.",
        "The working calendar lacks something, or holds days that are not announced yet.",
        "Chạy truc calendar check và bổ sung lịch.",
        "Run truc calendar check and complete the calendar.";
    /// The ledger does not commit.
    LedgerUnavailable = "ledger-unavailable", Critical, Condition, ProvinceIt, Hub,
        "Sổ cái không ghi được; trục ngừng tiếp nhận, không mất gì đã nhận.",
        "The ledger does not commit; the hub takes nothing in and loses nothing it has accepted.",
        "Chạy truc doctor: ổ đĩa, quyền tệp, dung lượng trống.",
        "Run truc doctor: the disk, the file's permissions, free space.";
    /// Little space is left on the ledger's disk.
    DiskLow = "disk-low", Warning, Condition, ProvinceIt, Hub,
        "Ổ đĩa chứa sổ cái sắp đầy.",
        "The ledger's disk is nearly full.",
        "Giải phóng ổ đĩa hoặc mở rộng; xem truc retention run --dry-run.",
        "Make room or enlarge the disk; see truc retention run --dry-run.";
    /// The store of bodies does not take or give.
    BodyStoreAway = "body-store-away", Critical, Condition, ProvinceIt, Hub,
        "Kho tệp lớn không ghi hoặc không đọc được; văn bản lớn phải chờ, văn bản khác vẫn đi.",
        "The store of bodies cannot be written or read; large documents wait, the others go on.",
        "Kiểm tra thư mục bodies.dir và ổ đĩa của nó, hoặc dịch vụ S3; trục tự tiếp tục.",
        "See to bodies.dir and its disk, or to the S3 service; the hub goes on by itself.";
    /// Little space is left on the disk of the store of bodies.
    BodyDiskLow = "body-disk-low", Warning, Condition, ProvinceIt, Hub,
        "Ổ đĩa của kho tệp lớn sắp đầy.",
        "The disk of the store of bodies is nearly full.",
        "Mở rộng ổ đĩa hoặc giảm thời gian lưu; xem truc retention run --dry-run.",
        "Enlarge the disk or keep for less long; see truc retention run --dry-run.";
    /// The clock differs from the broker's.
    ClockOff = "clock-off", Warning, Condition, ProvinceIt, Hub,
        "Đồng hồ của trục lệch với đồng hồ của RabbitMQ.",
        "The hub's clock differs from RabbitMQ's.",
        "Đồng bộ giờ cả hai máy (chrony, systemd-timesyncd).",
        "Synchronise both machines (chrony, systemd-timesyncd).";
    /// Another hub has this one's name.
    HubNameTaken = "hub-name-taken", Critical, Happening, ProvinceIt, Hub,
        "Hai tiến trình trục dùng chung một tên; tiến trình mất tên đã tự dừng.",
        "Two hubs run under one name; the one that lost it has ended.",
        "Đặt hub.name khác nhau cho mỗi trục rồi khởi động lại.",
        "Give each hub its own hub.name and start it again.";
    /// The program has a defect.
    Defect = "defect", Critical, Happening, ProvinceIt, Hub,
        "Phần mềm trục gặp lỗi của chính nó.",
        "The hub's program met a defect of its own.",
        "Giữ nhật ký và báo cho đơn vị phát triển; trục vẫn tiếp tục phần còn lại.",
        "Keep the log and report it to the developers; the rest of the hub goes on.";
    /// Nobody looks at attached PDFs.
    PdfUnchecked = "pdf-unchecked", Info, Happening, ProvinceIt, Hub,
        "Không khởi động được tiến trình xem chữ ký trong tệp PDF; văn bản vẫn được chuyển.",
        "No process that looks at signatures in PDFs could be started; documents go on without.",
        "Xem nhật ký của trục; kiểm tra giới hạn tiến trình và bộ nhớ của dịch vụ.",
        "Read the hub's log; check the service's limits on processes and memory.";
    /// The hub stopped with work in hand.
    StopCutShort = "stop-cut-short", Info, Happening, ProvinceIt, Hub,
        "Trục dừng khi còn việc đang làm; việc đó sẽ được làm lại khi khởi động.",
        "The hub stopped with work in hand, which is done again at the next start.",
        "Không cần làm gì; nếu lặp lại, xem vì sao RabbitMQ hoặc ổ đĩa chậm.",
        "Nothing to do; if it repeats, see why RabbitMQ or the disk is slow.";
    /// A channel does not take alerts.
    ChannelFailing = "channel-failing", Warning, Condition, ProvinceIt, Channel,
        "Một kênh cảnh báo không nhận được thông báo.",
        "A channel of alerts does not take messages.",
        "Chạy truc alert test, sửa kênh, rồi truc alert dead retry.",
        "Run truc alert test, mend the channel, then truc alert dead retry.";
}

impl AlertKind {
    /// From the word.
    #[must_use]
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
    }

    /// Whose turn it is, in English: the other half of [`Turn::label_vi`].
    #[must_use]
    pub const fn turn_en(self) -> &'static str {
        match self.turn() {
            Turn::SenderClerk => "the sender's clerk",
            Turn::SenderIt => "the sender's IT staff",
            Turn::RecipientClerk => "the recipient's clerk",
            Turn::RecipientIt => "the recipient's IT staff",
            Turn::ProvinceIt => "the province's IT staff, who run the hub",
        }
    }

    /// Its page, from the root of the repository.
    #[must_use]
    pub fn page(self) -> String {
        format!("docs/reference/alerts/{self}.md")
    }

    /// Whether it grows critical when it stays open for long, beside what else makes it so.
    #[must_use]
    pub fn grows(self) -> bool {
        self.severity() == Severity::Warning && self.span() == Span::Condition
    }
}

impl fmt::Display for AlertKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for AlertKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for AlertKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = String::deserialize(deserializer)?;
        Self::from_word(&word).ok_or_else(|| {
            serde::de::Error::custom(format!("{word} is no kind of alert: see docs/reference/alerts"))
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of an alert: one line of a message says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertChange {
    /// It began.
    Raised,
    /// It grew more severe.
    Escalated,
    /// It ended: the all-clear.
    Cleared,
    /// It began and ended before it could be told.
    Over,
}

impl AlertChange {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Raised, Self::Escalated, Self::Cleared, Self::Over];

    /// The stable word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Raised => "raised",
            Self::Escalated => "escalated",
            Self::Cleared => "cleared",
            Self::Over => "over",
        }
    }

    /// Vietnamese label.
    #[must_use]
    pub const fn label_vi(self) -> &'static str {
        match self {
            Self::Raised => "mới",
            Self::Escalated => "nặng thêm",
            Self::Cleared => "đã hết",
            Self::Over => "đã xảy ra và đã hết",
        }
    }
}

/// Cuts a subject to its longest.
#[must_use]
pub fn subject(text: &str) -> String {
    text.chars().take(SUBJECT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_their_own() {
        for (rank, kind) in AlertKind::ALL.iter().enumerate() {
            assert_eq!(AlertKind::from_word(kind.as_str()), Some(*kind));
            assert!(
                AlertKind::ALL[..rank]
                    .iter()
                    .all(|other| other.as_str() != kind.as_str())
            );
            let json = serde_json::to_value(kind).unwrap();
            assert_eq!(json, kind.as_str());
            assert_eq!(serde_json::from_value::<AlertKind>(json).unwrap(), *kind);
            for text in [
                kind.sentences().0,
                kind.sentences().1,
                kind.next().0,
                kind.next().1,
            ] {
                assert!(text.ends_with('.'), "{kind}: {text}");
            }
        }
        assert!(serde_json::from_value::<AlertKind>("none".into()).is_err());
        assert_eq!(Severity::from_word("critical"), Some(Severity::Critical));
        assert!(Severity::Info < Severity::Warning && Severity::Warning < Severity::Critical);
    }

    #[test]
    fn subjects_have_a_longest() {
        let exact = "đ".repeat(SUBJECT_MAX);
        assert_eq!(subject(&exact), exact);
        assert_eq!(subject(&format!("{exact}x")), exact);
    }

    #[test]
    fn only_what_lasts_grows() {
        assert!(AlertKind::NotTaken.grows());
        assert!(!AlertKind::TakenOdd.grows());
        assert!(!AlertKind::BrokerAway.grows());
    }
}
