//! Speed and peak memory of verifying XML signatures: ours, bergshamra and xmlsec1 on the same documents, in one
//! run. Prints a table; a release build is meant.
//!
//! Each figure is the median of several runs, taken in turns so that a busy moment of the machine meets all.
//! Chains: leaf and root, for all three. xmlsec1 repeats within one process, so that its start is not counted.
//! Peak memory is the high-water mark of a process that verifies the document once: of ours and bergshamra's what
//! the document added to it, of xmlsec1's the whole.
//!
//! `cargo run --release -p truc-oracles --bin truc-dsig-bench`

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a bench: a panic is the failure"
)]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use truc_envelope::Limits;
use truc_envelope::dsig::{
    Canonicalization, DigestAlgorithm, DsigPolicy, DsigVerdict, SignError, SignOptions, SignatureAlgorithm,
    sign, verify,
};
use truc_envelope::seal::Trust;
use truc_model::{Clock as _, SystemClock};
use truc_oracles::{Bergshamra, Kind, Pki, Template, is_there};

/// Rounds per document and verifier.
const ROUNDS: usize = 5;
/// How long one round verifies, at least once.
const ROUND: Duration = Duration::from_millis(700);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [mode, folder, file] = arguments.as_slice() {
        let place = Place::at(Path::new(folder));
        let idle = high_water("self");
        let document = std::fs::read_to_string(file).expect("the document");
        match mode.as_str() {
            "ours" => place.ours(&document),
            "bergshamra" => place.bergshamra(&document),
            _ => panic!("ours or bergshamra"),
        }
        println!("{}", high_water("self") - idle);
        return;
    }
    bench();
}

/// Keys and certificates of the run.
struct Place {
    folder: PathBuf,
    trust: Trust,
    root: Vec<u8>,
    policy: DsigPolicy,
}

impl Place {
    fn at(folder: &Path) -> Self {
        let read = |name: &str| std::fs::read(folder.join(name)).expect("a certificate");
        // The reader refuses so much markup; here it is to be seen what it would cost.
        let limits = Limits {
            max_elements: usize::MAX,
            ..Limits::default()
        };
        Self {
            folder: folder.to_owned(),
            trust: Trust::new(&[read("root.pem")]).expect("an anchor"),
            root: read("root.der"),
            policy: DsigPolicy {
                limits,
                ..DsigPolicy::default()
            },
        }
    }

    fn ours(&self, document: &str) {
        let verdict = verify(document.as_bytes(), &self.policy, &self.trust, SystemClock.now());
        assert!(matches!(verdict, DsigVerdict::Valid(_)), "{verdict:?}");
    }

    fn bergshamra(&self, document: &str) {
        let verdict = Bergshamra::verify_by_chain(document, &self.root);
        assert_eq!(verdict, Ok(()));
    }

    /// Seconds for one of `times` verifications.
    fn xmlsec(&self, file: &Path, times: u32) -> f64 {
        let start = Instant::now();
        let status = Command::new("xmlsec1")
            .args([
                "--verify",
                "--repeat",
                &times.to_string(),
                "--enabled-key-data",
                "x509",
            ])
            .arg("--trusted-pem")
            .arg(self.folder.join("root.pem"))
            .arg(file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("xmlsec1");
        assert!(status.success(), "xmlsec1 did not verify");
        start.elapsed().as_secs_f64() / f64::from(times)
    }
}

fn bench() {
    let pki = Pki::new();
    let folder = pki.path("");
    // The children read it from the folder.
    let _ = pki.root_der();
    let place = Place::at(&folder);
    let has_xmlsec = is_there("xmlsec1");
    let mut table = String::from(
        "| document | ours | bergshamra | xmlsec1 | ours / bergshamra | peak: ours | bergshamra | xmlsec1 |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for (name, document) in documents(&pki) {
        let file = pki.path("bench.xml");
        std::fs::write(&file, &document).expect("a file");
        let (mut ours, mut theirs, mut xmlsec) = (vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            ours.push(per_verification(|| place.ours(&document)));
            theirs.push(per_verification(|| place.bergshamra(&document)));
            if has_xmlsec {
                let times = if document.len() < 1_000_000 { 200 } else { 2 };
                xmlsec.push(place.xmlsec(&file, times));
            }
        }
        let (ours, theirs, xmlsec) = (median(ours), median(theirs), median(xmlsec));
        let size = document.len();
        let rate = |seconds: f64| {
            if seconds == 0.0 {
                return "–".to_owned();
            }
            #[allow(clippy::cast_precision_loss, reason = "for people")]
            let megabytes = size as f64 / 1e6 / seconds;
            format!("{:.0}/s, {megabytes:.0} MB/s", 1.0 / seconds)
        };
        let memory = |bytes: Option<u64>| {
            bytes.map_or_else(
                || "–".to_owned(),
                |bytes| {
                    #[allow(clippy::cast_precision_loss, reason = "for people")]
                    let times = bytes as f64 / size as f64;
                    format!("{} MB ({times:.2} ×)", bytes / 1_000_000)
                },
            )
        };
        let _ = writeln!(
            table,
            "| {name}, {size} bytes | {} | {} | {} | {:.1} × | {} | {} | {} |",
            rate(ours),
            rate(theirs),
            rate(xmlsec),
            theirs / ours,
            memory(peak_of_self("ours", &folder, &file)),
            memory(peak_of_self("bergshamra", &folder, &file)),
            memory(has_xmlsec.then(|| peak_of_xmlsec(&folder, &file)).flatten()),
        );
        eprintln!("{name}: done");
    }
    println!("{table}");
}

/// Median seconds of one verification within a round.
fn per_verification(verify: impl Fn()) -> f64 {
    let start = Instant::now();
    let mut count = 0_u32;
    while count == 0 || start.elapsed() < ROUND {
        verify();
        count += 1;
    }
    start.elapsed().as_secs_f64() / f64::from(count)
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

/// The high-water mark of a process's memory, in bytes.
fn high_water(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().next());
    kilobytes
        .and_then(|number| number.parse::<u64>().ok())
        .unwrap_or(0)
        * 1024
}

fn peak_of_self(mode: &str, folder: &Path, file: &Path) -> Option<u64> {
    let output = Command::new(std::env::current_exe().ok()?)
        .arg(mode)
        .arg(folder)
        .arg(file)
        .output()
        .ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// As the shell's `time` would tell: the kernel's figure of the child that has ended is not to be had without
/// more; so it is read while it runs.
fn peak_of_xmlsec(folder: &Path, file: &Path) -> Option<u64> {
    let mut child = Command::new("xmlsec1")
        .args(["--verify", "--enabled-key-data", "x509", "--trusted-pem"])
        .arg(folder.join("root.pem"))
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let process = child.id().to_string();
    let mut peak = 0;
    while child.try_wait().ok()?.is_none() {
        peak = peak.max(high_water(&process));
    }
    (peak > 0).then_some(peak)
}

/// The shapes: small, middling and large in base64, and large in markup.
fn documents(pki: &Pki) -> Vec<(&'static str, String)> {
    let base64 = |bytes: usize| "QUJD".repeat(bytes / 4);
    let markup = |bytes: usize| "<a b=\"c\">một giá trị ngắn</a>\n".repeat(bytes / 36);
    let shapes = [
        ("base64", base64(8_000)),
        ("base64", base64(400_000)),
        ("base64", base64(20_000_000)),
        ("base64", base64(100_000_000)),
        ("markup", markup(20_000_000)),
    ];
    let signer = pki.signer(Kind::Rsa);
    shapes
        .into_iter()
        .map(|(name, content)| {
            let packet = truc_oracles::packet("").replacen("JVBERi0xLjc=", &content, 1);
            let signed = sign(packet.as_bytes(), &signer.signing_key(), &SignOptions::default());
            let signed = match signed {
                // More markup than the signer signs: another signs it.
                Err(SignError::Packet(_)) => {
                    let template = Template {
                        canonicalization: Canonicalization::Exclusive,
                        transform: Some(Canonicalization::Exclusive),
                        algorithm: SignatureAlgorithm::RsaSha256,
                        digest: DigestAlgorithm::Sha256,
                        prefixes: String::new(),
                    };
                    let template = template.insert(&packet, &signer.der);
                    Bergshamra::sign(&template, &signer).expect("signed")
                }
                signed => String::from_utf8(signed.expect("signed")).expect("UTF-8"),
            };
            (name, signed)
        })
        .collect()
}
