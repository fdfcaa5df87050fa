//! The crash table: hub and adapters killed with SIGKILL after each step of the flow, started again, and
//! the promise checked from the agencies' own folders.

use truc_model::{Clock, SystemClock, Urgency};
use truc_server::demo::evidence::Evidence;
use truc_server::demo::folders::{self, Answered};
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{Process, StageError, until};
use truc_tests::{Set, all_taken, check, play, set, set_in_postgres};

/// Documents on their way at each kill.
const DOCUMENTS: u32 = 10;

const ENVIRONMENT: (&str, &str) = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
const DISTRICTS: [(&str, &str); 2] = [
    ("000.00.34.H60", "UBND huyện Hàm Yên"),
    ("000.00.30.H60", "UBND thành phố Tuyên Quang"),
];

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Victim {
    Hub,
    Sender,
    Recipient,
}

/// After which step, and the how manieth time it is reached: the first and one in the middle.
const ROWS: [(Victim, &str); 24] = [
    (Victim::Hub, "received:1"),
    (Victim::Hub, "received:5"),
    (Victim::Hub, "verified:1"),
    (Victim::Hub, "verified:5"),
    (Victim::Hub, "committed:1"),
    (Victim::Hub, "committed:5"),
    (Victim::Hub, "published:1"),
    (Victim::Hub, "published:9"),
    (Victim::Hub, "confirmed:1"),
    (Victim::Hub, "confirmed:3"),
    (Victim::Hub, "settled:1"),
    (Victim::Hub, "settled:7"),
    (Victim::Recipient, "adapter-received:1"),
    (Victim::Recipient, "adapter-received:6"),
    (Victim::Recipient, "adapter-stored:1"),
    (Victim::Recipient, "adapter-stored:6"),
    (Victim::Recipient, "adapter-taken:1"),
    (Victim::Recipient, "adapter-taken:2"),
    (Victim::Recipient, "adapter-settled:1"),
    (Victim::Recipient, "adapter-settled:6"),
    (Victim::Sender, "adapter-submitted:1"),
    (Victim::Sender, "adapter-submitted:6"),
    (Victim::Sender, "adapter-answered:1"),
    (Victim::Sender, "adapter-answered:6"),
];

/// The rows of the hub that are walked through with PostgreSQL as well: every step that touches the ledger.
const ROWS_IN_POSTGRES: [(Victim, &str); 5] = [
    (Victim::Hub, "verified:5"),
    (Victim::Hub, "committed:1"),
    (Victim::Hub, "published:9"),
    (Victim::Hub, "confirmed:3"),
    (Victim::Hub, "settled:7"),
];

#[test]
fn killed_after_each_step_nothing_is_lost_doubled_or_invented() {
    play(async { walk(&set("crash", "").await?, &ROWS).await });
}

#[test]
fn with_postgres_nothing_is_lost_doubled_or_invented_either() {
    play(async { walk(&set_in_postgres("crash-postgres", "").await?, &ROWS_IN_POSTGRES).await });
}

async fn walk(set: &Set, rows: &[(Victim, &str)]) -> Result<(), StageError> {
    let stage = &set.stage;
    let (sender, recipient) = (stage.system("so-tnmt")?, stage.system("huyen-tuyen-quang")?);
    let mut hub = stage.start_hub(None)?;
    let mut adapters = [
        stage.start_adapter(sender, None)?,
        stage.start_adapter(recipient, None)?,
    ];
    let ledger = stage.ledger().await?;
    let today = SystemClock.today();

    println!(
        "\n{:<32} {:>9} {:>8} {:>5} {:>10} {:>8}",
        "killed after", "attempted", "accepted", "lost", "duplicated", "invented"
    );
    let mut attempted = 0;
    for (row, &(victim, step)) in (0..).zip(rows) {
        let start = |crash_at: Option<&str>| match victim {
            Victim::Hub => stage.start_hub(crash_at),
            Victim::Sender => stage.start_adapter(sender, crash_at),
            Victim::Recipient => stage.start_adapter(recipient, crash_at),
        };
        let process: &mut Process = match victim {
            Victim::Hub => &mut hub,
            Victim::Sender => &mut adapters[0],
            Victim::Recipient => &mut adapters[1],
        };
        process.stop()?;
        *process = start(Some(step))?;

        let names: Vec<String> = (0..DOCUMENTS).map(|n| format!("row-{row}-{n}")).collect();
        for (n, name) in (0..).zip(&names) {
            let packet = Draft {
                urgency: if n % 3 == 0 {
                    Urgency::Urgent
                } else {
                    Urgency::Normal
                },
                filler: n as usize * 3000,
                ..Draft::letter(ENVIRONMENT, &DISTRICTS, row * 100 + n, today)
            }
            .packet();
            folders::send(sender, name, &packet)?;
            attempted += 1;
        }
        until(&format!("{victim:?} to die at {step}"), async || {
            process.ended().ok().flatten()
        })
        .await?;
        *process = start(None)?;

        let mut accepted = 0;
        for name in &names {
            match folders::answer(sender, name).await? {
                Answered::Receipt(_) => accepted += 1,
                Answered::Refusal(refusal) => {
                    return Err(StageError(format!("{name} was refused: {refusal}")));
                }
            }
        }
        all_taken(&ledger).await?;
        // 01 of each recipient is back at the sender: the way back survives the kill, too.
        until("both 01 of each document", async || {
            let arrived = folders::statuses(sender).len();
            (arrived == attempted * 2).then_some(())
        })
        .await?;
        let evidence = Evidence::gather(stage, &ledger).await?;
        println!(
            "{:<32} {:>9} {:>8} {:>5} {:>10} {:>8}",
            format!("{victim:?} {step}"),
            DOCUMENTS,
            accepted,
            evidence.lost,
            evidence.duplicated,
            evidence.invented
        );
        check(accepted == DOCUMENTS, || {
            format!("{step}: {accepted} of {DOCUMENTS} accepted")
        })?;
        check(evidence.holds(), || format!("{step}: {evidence:?}"))?;
    }
    let evidence = Evidence::gather(stage, &ledger).await?;
    println!(
        "{attempted} attempted in {} kills; {}",
        rows.len(),
        evidence.line()
    );
    check(evidence.balance.total.documents == attempted as u64, || {
        format!("{evidence:?}")
    })?;
    check(evidence.balance.total.taken == 2 * attempted as u64, || {
        format!("{evidence:?}")
    })?;
    let report = ledger
        .verify(&truc_ledger::VerifyOptions::default())
        .await
        .map_err(|error| StageError(error.to_string()))?;
    check(report.is_sound(), || format!("{report:?}"))
}
