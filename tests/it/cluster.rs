//! Several hubs on a cluster of three brokers with quorum queues, and the ledger in PostgreSQL: hubs, brokers and the
//! database killed under load. The agencies' folders say whether anything was lost or came twice.
//!
//! How long nothing was taken is printed and not judged: it says as much of the machine as of the hub.

mod name;
mod twice;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use truc_ledger::Ledger;
use truc_model::wire::Intake;
use truc_model::{Clock, SystemClock};
use truc_server::demo::evidence::Evidence;
use truc_server::demo::folders;
use truc_server::demo::packets::Draft;
use truc_server::demo::stage::{Connected, Doing, Process, Reach, Stage, StageError, until};
use truc_tests::{all_taken, check, database, own_cluster, play, set_at};

const SENDER: &str = "so-tnmt";
const RECIPIENT: &str = "huyen-tuyen-quang";

const FROM: (&str, &str) = ("000.00.09.H60", "Sở Tài nguyên và Môi trường");
const TO: [(&str, &str); 2] = [
    ("000.00.34.H60", "UBND huyện Hàm Yên"),
    ("000.00.30.H60", "UBND thành phố Tuyên Quang"),
];

/// Letters of a series: some before something happens, some after.
const DOCUMENTS: u32 = 40;

/// Letters on their way, and what was sent so far.
struct Load<'a> {
    stage: &'a Stage,
    sender: &'a Connected,
    recipient: &'a Connected,
    ledger: &'a Ledger,
    names: Vec<String>,
    series: u32,
}

impl<'a> Load<'a> {
    fn new(stage: &'a Stage, ledger: &'a Ledger) -> Result<Self, StageError> {
        Ok(Self {
            stage,
            ledger,
            sender: stage.system(SENDER)?,
            recipient: stage.system(RECIPIENT)?,
            names: Vec::new(),
            series: 0,
        })
    }

    /// Drops letters and waits until the first is answered: the others are somewhere on the way.
    async fn under_way(&mut self) -> Result<(), StageError> {
        let first = self.drop_letters()?;
        folders::receipt(self.sender, &first).await.map(drop)
    }

    fn drop_letters(&mut self) -> Result<String, StageError> {
        self.series += 1;
        let series = self.series;
        for n in 0..DOCUMENTS {
            let name = format!("series-{series}-{n}");
            let letter = Draft::letter(FROM, &TO, series * 1000 + n, SystemClock.today());
            let packet = Draft {
                filler: 4000,
                ..letter
            }
            .packet();
            folders::send(self.sender, &name, &packet)?;
            self.names.push(name);
        }
        Ok(format!("series-{series}-0"))
    }

    /// How long it takes from now until fresh letters are taken by the recipient: the time until all goes on.
    async fn until_it_goes_on(&mut self, since: Instant) -> Result<Duration, StageError> {
        let before = folders::arrivals(self.recipient).len();
        let fresh = self.drop_letters()?;
        folders::receipt(self.sender, &fresh).await?;
        // A folder for each delivery: one a letter and recipient.
        until("letters to arrive again", async || {
            (folders::arrivals(self.recipient).len() > before).then_some(())
        })
        .await?;
        Ok(since.elapsed())
    }

    /// Everything has its receipt, is taken, and lies in its folder exactly once; both 01 are back; the ledger is sound.
    async fn all_is_well(&self) -> Result<(), StageError> {
        let begun = Instant::now();
        for name in &self.names {
            folders::receipt(self.sender, name).await?;
        }
        all_taken(self.ledger).await?;
        until("both 01 of each document", async || {
            (folders::statuses(self.sender).len() == self.names.len() * 2).then_some(())
        })
        .await?;
        let evidence = Evidence::gather(self.stage, self.ledger).await?;
        println!(
            "  all taken after {:.1} s more; {}",
            begun.elapsed().as_secs_f64(),
            evidence.line()
        );
        check(evidence.holds(), || format!("{evidence:?}"))?;
        check(
            evidence.balance.total.documents == self.names.len() as u64,
            || format!("{evidence:?}"),
        )?;
        let verified = self.ledger.verify(&truc_ledger::VerifyOptions::default()).await;
        let report = verified.doing("checking the ledger")?;
        check(report.is_sound(), || format!("{report:?}"))
    }
}

/// Hubs of these names, by name.
fn hubs(stage: &Stage, names: &[&str]) -> Result<BTreeMap<String, Process>, StageError> {
    let start = |name: &&str| Ok(((*name).to_owned(), stage.start_hub_named(name)?));
    names.iter().map(start).collect()
}

/// Waits until each hub reads the intake.
async fn all_read(stage: &Stage, hubs: &mut BTreeMap<String, Process>) -> Result<(), StageError> {
    for (name, hub) in hubs {
        until(&format!("{name} to be ready"), async || {
            let log = std::fs::read_to_string(&hub.log).ok()?;
            log.contains("hub started").then_some(())
        })
        .await
        .map_err(|error| StageError(format!("{error}\n{}\n{:?}", hub.log_tail(), stage.dir)))?;
    }
    Ok(())
}

#[test]
fn hubs_brokers_and_the_database_are_killed_under_load_and_nothing_is_lost() {
    play(async {
        let begun = Instant::now();
        let (mut server, _server_dir) = database::own_server().await?;
        let (mut cluster, _cluster_dir) = own_cluster().await?;
        println!(
            "a cluster of three and PostgreSQL stand after {:.1} s",
            begun.elapsed().as_secs_f64()
        );
        let config = format!(
            "[broker]\nqueue_type = \"quorum\"\n{}",
            database::section(&server)
        );
        let set = set_at(&Reach::of_cluster(&cluster, "province"), "province", &config).await?;
        let stage = &set.stage;
        let ledger = stage.ledger().await?;
        let mut load = Load::new(stage, &ledger)?;
        let mut hubs = hubs(stage, &["hub-1", "hub-2"])?;
        let _adapters = [
            stage.start_adapter(load.sender, None)?,
            stage.start_adapter(load.recipient, None)?,
        ];
        all_read(stage, &mut hubs).await?;
        load.under_way().await?;
        load.all_is_well().await?;

        println!("a hub is killed");
        load.under_way().await?;
        let killed = Instant::now();
        if let Some(hub) = hubs.get_mut("hub-1") {
            hub.kill()?;
        }
        let after = load.until_it_goes_on(killed).await?;
        println!("  letters arrive again {:.1} s after", after.as_secs_f64());
        // Without the broker's word it would take as long as a lease, a minute.
        load.all_is_well().await?;
        check(killed.elapsed() < Duration::from_secs(55), || {
            format!("the dead hub's leases were waited for: {:?}", killed.elapsed())
        })?;
        hubs.insert("hub-1".to_owned(), stage.start_hub_named("hub-1")?);

        for victim in 0..cluster.nodes().len() {
            let queue = Intake::Document.queue();
            let leader = cluster
                .leader("province", queue)
                .await
                .doing("looking for the leader")?;
            let led = if leader == Some(victim) {
                ", which led the intake"
            } else {
                ""
            };
            println!("node {} of the broker is killed{led}", victim + 1);
            load.under_way().await?;
            let killed = Instant::now();
            cluster.nodes_mut()[victim].kill();
            let after = load.until_it_goes_on(killed).await?;
            println!("  letters arrive again {:.1} s after", after.as_secs_f64());
            cluster.start_all().await.doing("starting the node again")?;
            load.all_is_well().await?;
        }

        println!("the database is killed");
        load.under_way().await?;
        let killed = Instant::now();
        server.kill();
        server.start_again().await.doing("starting the server")?;
        let after = load.until_it_goes_on(killed).await?;
        println!("  letters arrive again {:.1} s after", after.as_secs_f64());
        load.all_is_well().await?;
        for (name, mut hub) in hubs {
            let status = hub.stop()?;
            check(status.success(), || {
                format!("{name} ended with {status}:\n{}", hub.log_tail())
            })?;
        }
        Ok(())
    });
}
