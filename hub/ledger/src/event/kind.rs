//! The closed list of what can happen, by name. What each says stands in [`super::fact`].

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $vi:literal;)*) => {
        /// The bare name of a [`Fact`].
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum EventKind {
            $($(#[$doc])* $variant,)*
        }

        impl EventKind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable word: in tables, JSON, metrics.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// Vietnamese label, for the trace of a document.
            #[must_use]
            pub const fn label_vi(self) -> &'static str {
                match self { $(Self::$variant => $vi,)* }
            }

            /// From the word.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == word)
            }
        }
    };
}

kinds! {
    /// A document was accepted.
    DocumentAccepted = "document-accepted", "Tiếp nhận văn bản";
    /// A document, or some of its deliveries, waits for an operator.
    DocumentParked = "document-parked", "Tạm giữ chờ xem xét";
    /// A submission was refused.
    SubmissionRefused = "submission-refused", "Từ chối gói tin";
    /// A submission came again and got its first receipt again.
    SubmissionRepeated = "submission-repeated", "Gói tin gửi lặp";
    /// The broker confirmed that a message is in an inbox.
    DeliveryForwarded = "delivery-forwarded", "Đã gửi vào hộp nhận";
    /// A publish came to nothing and will be tried again.
    PublishFailed = "publish-failed", "Gửi chưa thành công";
    /// The recipient's system stored a delivery.
    DeliveryTaken = "delivery-taken", "Hệ thống nhận đã lấy về";
    /// The recipient's adapter declined a delivery.
    DeliveryRefused = "delivery-refused", "Hệ thống nhận từ chối";
    /// A delivery lies in its inbox for too long.
    DeliveryNotTaken = "delivery-not-taken", "Quá lâu chưa lấy về";
    /// An operator sent a delivery again.
    DeliveryResent = "delivery-resent", "Gửi lại";
    /// An operator holds deliveries that were never sent.
    DeliveryParked = "delivery-parked", "Cán bộ vận hành giữ lại";
    /// An operator let held deliveries go.
    DeliveryReleased = "delivery-released", "Cán bộ vận hành cho gửi";
    /// An operator sends deliveries another way.
    DeliveryRerouted = "delivery-rerouted", "Cán bộ vận hành chuyển hướng";
    /// An operator gave deliveries up.
    DeliveryClosed = "delivery-closed", "Cán bộ vận hành đóng";
    /// A time limit ran out, and somebody is told.
    LimitPassed = "limit-passed", "Quá hạn";
    /// An order (recall, update, replacement) speaks of a document.
    ChangeOrdered = "change-ordered", "Có yêu cầu thu hồi, cập nhật, thay thế";
    /// A message that may have left is wanted back for some of its recipients.
    DeliveryOrderedBack = "delivery-ordered-back", "Yêu cầu rút lại văn bản đã gửi";
    /// A delivery was withdrawn before it was handed over.
    DeliveryWithdrawn = "delivery-withdrawn", "Đã rút lại, không giao";
    /// The hub is about to take a message out of an inbox that nobody reads.
    CleaningBegun = "cleaning-begun", "Bắt đầu lấy văn bản khỏi hộp nhận";
    /// A status was recorded.
    StatusRecorded = "status-recorded", "Ghi nhận trạng thái";
    /// A status came again and was neither applied nor passed on.
    StatusRepeated = "status-repeated", "Trạng thái lặp";
    /// A `taken` that does not fit.
    TakenOdd = "taken-odd", "Xác nhận nhận không khớp";
    /// Bytes were deleted.
    BodiesDeleted = "bodies-deleted", "Xóa dữ liệu gói tin";
    /// The directory has a new version.
    DirectoryChanged = "directory-changed", "Danh mục thay đổi";
    /// A reorganisation of agencies is to come: the directory knows it from now on.
    ReorganisationPlanned = "reorganisation-planned", "Sẽ sắp xếp tổ chức";
    /// A reorganisation of agencies was carried out: what waited was moved.
    DirectoryReorganised = "directory-reorganised", "Sắp xếp tổ chức";
    /// A system's account changed.
    SystemChanged = "system-changed", "Hệ thống kết nối thay đổi";
    /// A hub trusts otherwise than the last such event says.
    TrustChanged = "trust-changed", "Căn cứ tin cậy thay đổi";
    /// A message that no one could handle was put aside.
    DeadLettered = "dead-lettered", "Thông điệp không xử lý được";
    /// An alert began, or grew more severe.
    AlertRaised = "alert-raised", "Phát cảnh báo";
    /// An alert ended.
    AlertCleared = "alert-cleared", "Hết cảnh báo";
    /// A message to a channel of alerts was tried too often.
    AlertUndelivered = "alert-undelivered", "Không gửi được cảnh báo";
    /// A hub began to serve.
    HubStarted = "hub-started", "Trục khởi động";
    /// A hub stopped in good order.
    HubStopped = "hub-stopped", "Trục dừng";
}
