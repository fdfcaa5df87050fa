//! The play: the steps of the demo, in the order a clerk would understand them.

use std::path::Path;
use std::process::Command;

use jiff::civil::Date;
use serde_json::Value;
use truc_model::wire::Intake;
use truc_model::{Clock, MessageId, Random, SystemClock, SystemRandom, Urgency};

use super::Teller;
use super::evidence::Evidence;
use super::folders::{self, Answered};
use super::packets::Draft;
use super::raw::{RawClient, SealChoice};
use super::stage::{self, Connected, Doing, Process, Stage, StageError, until};

const PROVINCE: (&str, &str) = ("000.00.00.H60", "UBND tỉnh Tuyên Quang");
const OFFICE: (&str, &str) = ("000.00.01.H60", "Văn phòng UBND tỉnh Tuyên Quang");
const ENVIRONMENT: (&str, &str) = ("000.00.09.H60", "Sở Tài nguyên và Môi trường tỉnh Tuyên Quang");
const DISTRICT: (&str, &str) = ("000.00.34.H60", "UBND huyện Hàm Yên");
const COMMUNE: (&str, &str) = ("000.21.34.H60", "UBND xã Phù Lưu, huyện Hàm Yên");
const MINISTRY: (&str, &str) = ("000.00.00.G13", "Bộ Tài nguyên và Môi trường");

/// Documents in flight when the hub is killed.
const IN_FLIGHT: u32 = 60;
/// Receipts awaited before the kill: some are settled, some are not.
const RECEIPTS_BEFORE_KILL: usize = 5;

struct Cast<'a> {
    communes: &'a Connected,
    districts: &'a Connected,
    province: &'a Connected,
    environment: &'a Connected,
    national: &'a Connected,
}

/// Plays the demo on a stage that is set up.
///
/// # Errors
/// [`StageError`] naming what did not happen.
pub(super) async fn play(stage: &Stage, teller: &Teller) -> Result<Evidence, StageError> {
    let cast = Cast {
        communes: stage.system("xa-tuyen-quang")?,
        districts: stage.system("huyen-tuyen-quang")?,
        province: stage.system("ubnd-tinh")?,
        environment: stage.system("so-tnmt")?,
        national: stage.system("truc-quoc-gia")?,
    };
    let today = SystemClock.today();
    let mut hub = stage.start_hub(None)?;
    let mut adapters = Vec::new();
    for system in stage.systems.values() {
        adapters.push(stage.start_adapter(system, None)?);
    }
    teller.fact(&format!(
        "Trục và {} hệ thống đã chạy: xã, huyện, tỉnh, Sở TN&MT, trục quốc gia (hub and {0} systems running)",
        stage.systems.len()
    ));
    let ledger = stage.ledger().await?;

    let report = commune_report(&cast, teller, today).await?;
    urgent_decision(stage, &cast, teller, today).await?;
    up_and_down(&cast, teller, today).await?;
    statuses(&cast, teller, &report).await?;
    let environment = adapters
        .iter()
        .position(|process| process.name() == "adapter-so-tnmt");
    if let Some(index) = environment {
        adapters[index].stop()?;
    }
    by_hand(stage, &cast, teller, today).await?;
    if let Some(index) = environment {
        adapters[index] = stage.start_adapter(cast.environment, None)?;
    }
    unknown_recipient(&cast, teller, today).await?;
    kill(stage, &cast, teller, today, &mut hub).await?;

    teller.step(
        "Đường đi của một văn bản",
        "the trace of one document: truc document trace",
    );
    teller.lines(&truc(stage, &["document", "trace", &report])?);
    until("every delivery that can be taken to be taken", async || {
        let counts = ledger.inbox_counts().await.ok()?;
        counts
            .iter()
            .all(|count| count.scheduled + count.leased + count.forwarded == 0)
            .then_some(())
    })
    .await?;
    teller.step(
        "Cân đối sổ cái theo đơn vị gửi",
        "the balance per sending agency: truc ledger balance",
    );
    teller.lines(&truc(stage, &["ledger", "balance"])?);
    let verified = truc(stage, &["ledger", "verify", "--bodies"])?;
    teller.step("Kiểm tra sổ cái", "truc ledger verify --bodies");
    teller.lines(&verified);
    teller.say("");

    for adapter in &mut adapters {
        adapter.stop()?;
    }
    hub.stop()?;
    Evidence::gather(stage, &ledger).await
}

fn draft<'a>(
    from: (&'a str, &'a str),
    to: &[(&str, &str)],
    number: u32,
    notation: &'a str,
    subject: &'a str,
    issued: Date,
) -> Draft<'a> {
    Draft {
        notation,
        subject,
        ..Draft::letter(from, to, number, issued)
    }
}

fn document_of(receipt: &Value) -> String {
    receipt["document"].as_str().unwrap_or_default().to_owned()
}

async fn commune_report(cast: &Cast<'_>, teller: &Teller, today: Date) -> Result<String, StageError> {
    teller.step(
        "Xã gửi báo cáo lên huyện và tỉnh",
        "a commune's report to district and province",
    );
    let mut report = draft(
        COMMUNE,
        &[DISTRICT, PROVINCE],
        112,
        "BC-UBND",
        "Báo cáo kết quả thực hiện quý III",
        today,
    );
    report.type_name = "Báo cáo";
    report.type_detail = 14;
    folders::send(cast.communes, "bao-cao-112", &report.packet())?;
    let receipt = folders::receipt(cast.communes, "bao-cao-112").await?;
    let document = document_of(&receipt);
    teller.fact(&format!(
        "{} gửi {}/{}, có dấu niêm; trục cấp biên nhận, sự kiện số {} (receipt, ledger event)",
        COMMUNE.1, report.number, report.notation, receipt["event"]
    ));
    for (system, agency) in [(cast.districts, DISTRICT), (cast.province, PROVINCE)] {
        let facts = folders::arrival(system, &document).await?;
        let verdict = match word(&facts["signature"]).as_str() {
            "valid" => "chữ ký hợp lệ".to_owned(),
            other => format!("chữ ký: {other}"),
        };
        teller.fact(&format!(
            "{} đã nhận, {verdict} (arrived, signature valid)",
            agency.1
        ));
    }
    until("both 01 statuses", async || {
        let arrived = folders::statuses(cast.communes)
            .into_iter()
            .filter(|status| status["document"] == document.as_str() && status["code"] == "01")
            .count();
        (arrived == 2).then_some(())
    })
    .await?;
    teller.fact("Hai trạng thái 01 «Đã đến» tự động về lại xã (both 01 statuses came back by themselves)");
    Ok(document)
}

async fn urgent_decision(
    stage: &Stage,
    cast: &Cast<'_>,
    teller: &Teller,
    today: Date,
) -> Result<(), StageError> {
    teller.step(
        "Quyết định khẩn tới tất cả các xã",
        "an urgent decision to all communes",
    );
    let directory = stage.directory().await?;
    let communes: Vec<(String, String)> = directory
        .agencies()
        .filter(|agency| {
            directory.system_of(&truc_model::Party::Agency(agency.id), today) == Some(&cast.communes.id)
        })
        .filter_map(|agency| {
            let code = directory.code_of(agency.id, today)?.to_string();
            Some((code, directory.name_of(agency.id, today)?.to_owned()))
        })
        .collect();
    let count = communes.len();
    let mut decision = draft(
        PROVINCE,
        &[],
        45,
        "QĐ-UBND",
        "Quyết định về ứng phó mưa lũ",
        today,
    );
    decision.to = communes;
    decision.type_name = "Quyết định";
    decision.type_detail = 2;
    decision.urgency = Urgency::Express;
    folders::send(cast.province, "quyet-dinh-45", &decision.packet())?;
    let receipt = folders::receipt(cast.province, "quyet-dinh-45").await?;
    let facts = folders::arrival(cast.communes, &document_of(&receipt)).await?;
    teller.fact(&format!(
        "{count} xã, phường, thị trấn nhận trong một thông điệp, độ khẩn «{}» (one message, {} recipients)",
        Urgency::Express.label_vi(),
        facts["to"].as_array().map_or(0, Vec::len)
    ));
    Ok(())
}

async fn up_and_down(cast: &Cast<'_>, teller: &Teller, today: Date) -> Result<(), StageError> {
    teller.step(
        "Lên bộ và từ bộ xuống, qua trục quốc gia",
        "up to a ministry and down, by the national axis",
    );
    let up = draft(
        OFFICE,
        &[MINISTRY],
        901,
        "VP-TH",
        "V/v góp ý dự thảo thông tư",
        today,
    );
    folders::send(cast.province, "cong-van-901", &up.packet())?;
    let receipt = folders::receipt(cast.province, "cong-van-901").await?;
    folders::arrival(cast.national, &document_of(&receipt)).await?;
    teller.fact(&format!(
        "{} → {}: trục quốc gia đã nhận (taken by the gateway)",
        OFFICE.1, MINISTRY.1
    ));
    let down = draft(
        MINISTRY,
        &[ENVIRONMENT, PROVINCE],
        3301,
        "BTNMT-PC",
        "V/v hướng dẫn thi hành",
        today,
    );
    folders::send(cast.national, "cong-van-3301", &down.packet())?;
    let receipt = folders::receipt(cast.national, "cong-van-3301").await?;
    folders::arrival(cast.environment, &document_of(&receipt)).await?;
    folders::arrival(cast.province, &document_of(&receipt)).await?;
    teller.fact(&format!(
        "{} → {} và {} (down to two systems)",
        MINISTRY.1, ENVIRONMENT.1, PROVINCE.1
    ));
    Ok(())
}

async fn statuses(cast: &Cast<'_>, teller: &Teller, document: &str) -> Result<(), StageError> {
    teller.step("Trạng thái xử lý quay về đơn vị gửi", "statuses travel back");
    let delivery = |facts: Value| facts["delivery"].as_str().unwrap_or_default().to_owned();
    let at_province = delivery(folders::arrival(cast.province, document).await?);
    for (code, label) in [("03", "Đã tiếp nhận"), ("05", "Đang xử lý"), ("06", "Hoàn thành")] {
        folders::report(
            cast.province,
            &format!("tinh-{code}"),
            &format!("delivery = \"{at_province}\"\ncode = \"{code}\"\n"),
        )?;
        folders::status(cast.communes, document, code).await?;
        teller.fact(&format!("{}: {code} «{label}» → {}", PROVINCE.1, COMMUNE.1));
    }
    let at_district = delivery(folders::arrival(cast.districts, document).await?);
    folders::report(
        cast.districts,
        "huyen-02",
        &format!("delivery = \"{at_district}\"\ncode = \"02\"\nreason = \"Báo cáo thiếu phụ lục số liệu\"\n"),
    )?;
    let refused = folders::status(cast.communes, document, "02").await?;
    teller.refusal(&format!(
        "{}: 02 «Từ chối tiếp nhận», lý do: {} (the clerk's refusal and its reason)",
        DISTRICT.1,
        word(&refused["description"])
    ));
    Ok(())
}

/// What an adapter would never do, tried under the department's own account.
async fn by_hand(stage: &Stage, cast: &Cast<'_>, teller: &Teller, today: Date) -> Result<(), StageError> {
    teller.step(
        "Gửi lặp, gửi sai, gửi giả",
        "repeat, conflict, tampered, unsigned, foreign",
    );
    let random = SystemRandom::default();
    let fresh = || MessageId::new(random.uuid_v7(stage::now()));
    let mut client = RawClient::connect(stage, cast.environment).await?;
    let packet = draft(ENVIRONMENT, &[OFFICE], 77, "STNMT-VP", "V/v báo cáo tháng", today).packet();
    let id = fresh();
    let (_, first) = client
        .submit(Intake::Document, id, &packet, SealChoice::Right, stage::now())
        .await?;
    let (kind, again) = client
        .submit(Intake::Document, id, &packet, SealChoice::Right, stage::now())
        .await?;
    if kind != "receipt" || first != again {
        return Err(StageError(format!(
            "a repeat got another answer: {first} and {again}"
        )));
    }
    teller.fact("Gửi lặp cùng message_id, cùng nội dung: đúng biên nhận đầu tiên (the first receipt again)");

    let other = draft(
        ENVIRONMENT,
        &[OFFICE],
        77,
        "STNMT-VP",
        "V/v báo cáo tháng (sửa)",
        today,
    )
    .packet();
    let tampered = {
        let mut bytes = packet.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        bytes
    };
    let foreign = draft(PROVINCE, &[COMMUNE], 1, "UBND-GIA", "V/v mạo danh", today).packet();
    for (what, message_id, body, seal, expected) in [
        (
            "Cùng message_id, nội dung khác (same key, other bytes)",
            id,
            &other,
            SealChoice::Right,
            "message-id-conflict",
        ),
        (
            "Nội dung bị sửa sau khi niêm (tampered body)",
            fresh(),
            &tampered,
            SealChoice::Over(&packet),
            "seal-body-mismatch",
        ),
        (
            "Thiếu dấu niêm (missing seal)",
            fresh(),
            &other,
            SealChoice::None,
            "seal-missing",
        ),
        (
            "Mạo danh đơn vị khác (foreign sender)",
            fresh(),
            &foreign,
            SealChoice::Right,
            "sender-not-served",
        ),
    ] {
        let (kind, answer) = client
            .submit(Intake::Document, message_id, body, seal, stage::now())
            .await?;
        if kind != "refusal" || answer["code"] != expected {
            return Err(StageError(format!(
                "{what}: expected {expected}, the hub answered {kind} {answer}"
            )));
        }
        teller.refusal(&format!("{what}: {expected}. {}", word(&answer["message"]["vi"])));
    }
    let (kind, parked) = client
        .submit(Intake::Document, fresh(), &other, SealChoice::Right, stage::now())
        .await?;
    if kind != "receipt" || parked["recipients"][0]["state"] != "parked" {
        return Err(StageError(format!(
            "a second document of one DocumentId: {kind} {parked}"
        )));
    }
    teller.refusal(
        "Trùng mã định danh văn bản, nội dung khác: tạm giữ chờ cán bộ vận hành (same DocumentId, other bytes: parked)",
    );
    client.close().await;
    Ok(())
}

async fn unknown_recipient(cast: &Cast<'_>, teller: &Teller, today: Date) -> Result<(), StageError> {
    teller.step(
        "Một nơi nhận không có trong danh mục",
        "one unknown recipient among others",
    );
    let letter = draft(
        OFFICE,
        &[DISTRICT, ("000.99.99.H60", "Đơn vị không tồn tại")],
        902,
        "VP-TH",
        "V/v mời họp",
        today,
    );
    folders::send(cast.province, "giay-moi-902", &letter.packet())?;
    let receipt = folders::receipt(cast.province, "giay-moi-902").await?;
    let document = document_of(&receipt);
    folders::arrival(cast.districts, &document).await?;
    teller.fact(&format!("{} vẫn nhận được (the others are served)", DISTRICT.1));
    let notice = until("the notice about the unknown recipient", async || {
        folders::notices(cast.province)
            .into_iter()
            .find(|notice| notice["document"] == document.as_str())
    })
    .await?;
    teller.refusal(&format!(
        "{}: {}",
        word(&notice["recipient"]),
        word(&notice["message"]["vi"])
    ));
    Ok(())
}

async fn kill(
    stage: &Stage,
    cast: &Cast<'_>,
    teller: &Teller,
    today: Date,
    hub: &mut Process,
) -> Result<(), StageError> {
    teller.step(
        "Mất điện giữa chừng",
        "the hub is killed with -9 while documents are in flight",
    );
    let names: Vec<String> = (0..IN_FLIGHT).map(|n| format!("luong-{n:02}")).collect();
    for (n, name) in (0..).zip(&names) {
        let mut letter = draft(
            COMMUNE,
            &[DISTRICT, PROVINCE, ENVIRONMENT],
            2000 + n,
            "UBND-VP",
            "V/v số liệu hằng ngày",
            today,
        );
        letter.filler = packets_size(n);
        folders::send(cast.communes, name, &letter.packet())?;
    }
    let receipts = || {
        names
            .iter()
            .filter(|name| folders::answered(cast.communes, name).is_some())
            .count()
    };
    until("the first receipts", async || {
        (receipts() >= RECEIPTS_BEFORE_KILL).then_some(())
    })
    .await?;
    hub.kill()?;
    let before = receipts();
    teller.fact(&format!(
        "kill -9 khi {before} trên {IN_FLIGHT} văn bản đã có biên nhận ({before} receipts so far)"
    ));
    *hub = stage.start_hub(None)?;
    for name in &names {
        if let Answered::Refusal(refusal) = folders::answer(cast.communes, name).await? {
            return Err(StageError(format!(
                "{name} was refused after the restart: {refusal}"
            )));
        }
    }
    teller.fact(&format!("khởi động lại: đủ {IN_FLIGHT} biên nhận, không gửi lại bằng tay (all receipts, nothing resent by hand)"));
    let expected: Vec<String> = names
        .iter()
        .filter_map(|name| match folders::answered(cast.communes, name) {
            Some(Answered::Receipt(receipt)) => Some(document_of(&receipt)),
            Some(Answered::Refusal(_)) | None => None,
        })
        .collect();
    for system in [cast.districts, cast.province, cast.environment] {
        until(&format!("all of them at {}", system.id), async || {
            let arrived = folders::arrivals(system);
            expected
                .iter()
                .all(|document| {
                    arrived
                        .iter()
                        .any(|(_, facts)| facts["document"] == document.as_str())
                })
                .then_some(())
        })
        .await?;
    }
    teller.fact("cả ba nơi nhận có đủ, mỗi văn bản một lần (all three recipients have each of them, once)");
    Ok(())
}

/// Sizes from nothing to about 200 KB, as in real traffic.
const fn packets_size(n: u32) -> usize {
    (n as usize % 10) * 20_000
}

/// Runs a command of this program on the stage's configuration and gives what it prints.
fn truc(stage: &Stage, args: &[&str]) -> Result<String, StageError> {
    let program = std::env::current_exe().doing("finding this program")?;
    let output = Command::new(program)
        .arg("--config")
        .arg::<&Path>(&stage.config_file)
        .args(args)
        .output()
        .doing("running a command")?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(StageError(format!("truc {} failed: {errors}", args.join(" "))));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
