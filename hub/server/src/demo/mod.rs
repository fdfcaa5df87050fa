//! `truc demo`: signed documents cross a province. A private RabbitMQ, a hub and five folder adapters in
//! processes of their own, step by step, through a kill -9, to a balance that the agencies' own folders
//! must confirm.
//!
//! The parts, which the scenario tests use too: [`stage`] (accounts, certificates, directory, processes),
//! [`folders`] (what an agency's program sees), [`raw`] (a client without an adapter), [`packets`],
//! [`evidence`] (ledger against folders), [`own`] (a folder of one's own packets).

pub mod evidence;
pub mod folders;
mod own;
pub mod packets;
mod play;
pub mod raw;
pub mod stage;

use std::path::PathBuf;

use truc_transport::private_node::{PrivateNode, PrivateNodeConfig};

use evidence::Evidence;
use stage::{AGENCIES, Doing, SYSTEMS, Setting, Stage, StageError};

/// What `truc demo` was asked for.
#[derive(Debug, Clone, Default)]
pub struct DemoArgs {
    /// Send these packets instead of the play's own.
    pub packets: Option<PathBuf>,
    /// Keep everything below this folder; otherwise it is removed at the end.
    pub keep: Option<PathBuf>,
    /// Print nothing but the last line, as JSON.
    pub json: bool,
}

/// Runs the demo; gives whether everything balances.
///
/// # Errors
/// [`StageError`] naming the step that could not be played.
pub async fn run(args: DemoArgs) -> Result<bool, StageError> {
    let temporary;
    let dir = match &args.keep {
        Some(dir) => {
            std::fs::create_dir_all(dir).doing("making the demo's folder")?;
            dir.clone()
        }
        None => {
            temporary = Temporary::new()?;
            temporary.0.clone()
        }
    };
    let teller = Teller { quiet: args.json };
    teller.title(
        "TRỤC LIÊN THÔNG VĂN BẢN: TRÌNH DIỄN",
        "signed documents cross a province",
    );
    teller.step("Khởi động", "start");
    let node = PrivateNode::start(PrivateNodeConfig::new(dir.join("broker")))
        .await
        .doing("starting RabbitMQ")?;
    teller.fact(&format!(
        "RabbitMQ {} riêng, không đụng tới máy (private node on free ports, below {})",
        node.version().await.doing("asking RabbitMQ")?,
        dir.display()
    ));
    let program = std::env::current_exe().doing("finding this program")?;
    let programs = program
        .parent()
        .map(std::path::Path::to_owned)
        .unwrap_or_default();
    let setting = Setting {
        vhost: "truc",
        agencies: AGENCIES,
        systems: SYSTEMS,
        config: "",
        programs: &programs,
    };
    let stage = Stage::set_up(&node, &dir.join("stage"), &setting).await?;

    let evidence = match &args.packets {
        Some(folder) => own::play(&stage, folder, &teller).await?,
        None => play::play(&stage, &teller).await?,
    };
    println!(
        "{}",
        if args.json {
            json_line(&evidence)
        } else {
            evidence.line()
        }
    );
    Ok(evidence.holds())
}

fn json_line(evidence: &Evidence) -> String {
    let total = &evidence.balance.total;
    serde_json::json!({
        "accepted": total.accepted,
        "taken": total.taken,
        "waiting": total.waiting,
        "refused": total.refused,
        "withdrawn": total.withdrawn,
        "undeliverable": total.undeliverable,
        "lost": evidence.lost,
        "duplicated": evidence.duplicated,
        "invented": evidence.invented,
        "balances": evidence.balance.balances(),
    })
    .to_string()
}

/// Tells the play to people: steps, facts, checks; Vietnamese first.
#[derive(Debug)]
pub struct Teller {
    quiet: bool,
}

impl Teller {
    fn title(&self, vi: &str, en: &str) {
        self.say(&format!("\n{vi}  ({en})"));
    }

    fn step(&self, vi: &str, en: &str) {
        self.say(&format!("\n■ {vi}  ({en})"));
    }

    fn fact(&self, text: &str) {
        self.say(&format!("  ✓ {text}"));
    }

    fn refusal(&self, text: &str) {
        self.say(&format!("  ✗ {text}"));
    }

    fn lines(&self, text: &str) {
        for line in text.lines() {
            self.say(format!("    {line}").trim_end());
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            println!("{text}");
        }
    }
}

/// A folder that goes with the demo.
struct Temporary(PathBuf);

impl Temporary {
    fn new() -> Result<Self, StageError> {
        let dir = std::env::temp_dir().join(format!("truc-demo-{}", std::process::id()));
        std::fs::create_dir_all(&dir).doing("making the demo's folder")?;
        Ok(Self(dir))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
