//! The ledger in PostgreSQL: documents there and statuses back, and the server's own bad days.

use truc_model::{Clock, SystemClock};
use truc_server::demo::evidence::Evidence;
use truc_server::demo::folders;
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{Connected, Doing, Stage, StageError, until};
use truc_tests::{all_taken, check, database, node, play, set_in_postgres, set_on};

/// Documents of a series.
const DOCUMENTS: u32 = 20;

const SENDER: (&str, &str) = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
const RECIPIENTS: [(&str, &str); 2] = [
    ("000.00.34.H60", "UBND huyện Hàm Yên"),
    ("000.00.30.H60", "UBND thành phố Tuyên Quang"),
];

fn send(sender: &Connected, series: u32) -> Result<Vec<String>, StageError> {
    (0..DOCUMENTS)
        .map(|n| {
            let letter = Draft::letter(SENDER, &RECIPIENTS, series * 1000 + n, SystemClock.today());
            let name = format!("series-{series}-{n}");
            folders::send(sender, &name, &letter.packet())?;
            Ok(name)
        })
        .collect()
}

/// Every document of the series has its receipt, every delivery is taken, every 01 is back, and the ledger is sound.
async fn all_went_through(
    stage: &Stage,
    sender: &Connected,
    names: &[String],
    so_far: u32,
) -> Result<(), StageError> {
    for name in names {
        folders::receipt(sender, name).await?;
    }
    let ledger = stage.ledger().await?;
    all_taken(&ledger).await?;
    until("both 01 of each document", async || {
        (folders::statuses(sender).len() == so_far as usize * 2).then_some(())
    })
    .await?;
    let evidence = Evidence::gather(stage, &ledger).await?;
    println!("{}", evidence.line());
    check(evidence.holds(), || format!("{evidence:?}"))?;
    check(evidence.balance.total.documents == u64::from(so_far), || {
        format!("{evidence:?}")
    })?;
    let report = ledger
        .verify(&truc_ledger::VerifyOptions::default())
        .await
        .doing("verifying the ledger")?;
    check(report.is_sound(), || format!("{report:?}"))
}

#[test]
fn documents_go_out_and_statuses_come_back() {
    play(async {
        let set = set_in_postgres("postgres-journey", "").await?;
        let stage = &set.stage;
        let sender = stage.system("so-tnmt")?;
        let _hub = stage.start_hub(None)?;
        let _adapters = [
            stage.start_adapter(sender, None)?,
            stage.start_adapter(stage.system("huyen-tuyen-quang")?, None)?,
        ];
        let names = send(sender, 1)?;
        all_went_through(stage, sender, &names, DOCUMENTS).await
    });
}

#[test]
fn stopped_or_killed_the_server_loses_nothing_and_the_hub_goes_on() {
    play(async {
        let (mut server, _dir) = database::own_server().await?;
        let set = set_on(node().await?, "postgres-server", &database::section(&server)).await?;
        let stage = &set.stage;
        let sender = stage.system("so-tnmt")?;
        let _hub = stage.start_hub(None)?;
        let _adapters = [
            stage.start_adapter(sender, None)?,
            stage.start_adapter(stage.system("huyen-tuyen-quang")?, None)?,
        ];

        let first = send(sender, 1)?;
        folders::receipt(sender, &first[0]).await?;
        server.stop().await.doing("stopping the server")?;
        server.start_again().await.doing("starting the server")?;
        all_went_through(stage, sender, &first, DOCUMENTS).await?;
        println!("PostgreSQL restarted with documents on their way: nothing lost");

        let second = send(sender, 2)?;
        folders::receipt(sender, &second[0]).await?;
        server.kill();
        server.start_again().await.doing("starting the server")?;
        all_went_through(stage, sender, &second, 2 * DOCUMENTS).await?;
        println!("PostgreSQL killed with documents on their way: nothing lost");
        Ok(())
    });
}
