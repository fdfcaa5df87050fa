//! Private S3 services: moto's server from PyPI, always; versitygw, a gateway that is in production elsewhere and is
//! stricter, where it is installed (in the path, or named by `TRUC_TEST_VERSITYGW`). Both check signatures (SigV4).

use std::io::{BufRead as _, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use serde::Deserialize;
use truc_bodies::S3Settings;

/// Which service, with what it takes to start it again.
enum Kind {
    Moto,
    Versity(PathBuf),
}

/// A running service with one bucket. Ends with this value.
pub(crate) struct Server {
    kind: Kind,
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    ready: Ready,
    child: Child,
    folder: tempfile::TempDir,
}

#[derive(Debug, Deserialize)]
struct Ready {
    endpoint: String,
    access_key_id: String,
    secret_access_key: String,
    bucket: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// All services there are here.
    pub(crate) fn all() -> Vec<Self> {
        let mut all = vec![moto()];
        match versitygw() {
            Some(program) => all.push(versity(&program)),
            None => println!("SKIPPED: versitygw is not installed, the store is tried against moto alone"),
        }
        all
    }

    /// Kills it: nothing of it is finished.
    pub(crate) fn kill(&mut self) {
        let _ = self.child.kill();
        self.child.wait().unwrap();
    }

    /// Starts it again at the same address, with the same key. Moto has forgotten everything; the other has not.
    pub(crate) fn start_again(&mut self) {
        self.child = match &self.kind {
            Kind::Moto => {
                let key = [&self.ready.access_key_id, &self.ready.secret_access_key];
                let port = self.address.port().to_string();
                let arguments: Vec<String> = std::iter::once(&port).chain(key).cloned().collect();
                start_moto(&arguments).0
            }
            Kind::Versity(program) => start_versity(program, self.folder.path(), self.address),
        };
    }

    /// How it is reached, in a folder of its own in the bucket.
    pub(crate) fn settings(&self, prefix: &str) -> S3Settings {
        S3Settings {
            endpoint: self.ready.endpoint.clone(),
            region: "us-east-1".to_owned(),
            bucket: self.ready.bucket.clone(),
            prefix: prefix.to_owned(),
            access_key_id: self.ready.access_key_id.clone(),
            secret_access_key: self.ready.secret_access_key.clone(),
            ca_pem: None,
            virtual_hosted: false,
            retry_for: Duration::from_millis(300),
        }
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Python with moto, in an environment of its own below `target`.
fn python() -> PathBuf {
    // Several tests ask for it; the second must not clear what the first is still filling.
    static INSTALLING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = INSTALLING.lock();
    let requirements = root().join("tests/python/requirements-s3.txt");
    let venv = root().join("target/python-s3");
    let (python, stamp) = (venv.join("bin/python"), venv.join("installed.txt"));
    let wanted = std::fs::read(&requirements).unwrap();
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return python;
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&venv));
    run(Command::new(&python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(&requirements));
    std::fs::write(&stamp, &wanted).unwrap();
    python
}

fn run(command: &mut Command) {
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn moto() -> Server {
    let (child, ready) = start_moto(&[]);
    Server {
        kind: Kind::Moto,
        name: "moto",
        address: ready.endpoint.strip_prefix("http://").unwrap().parse().unwrap(),
        ready,
        child,
        folder: tempfile::tempdir().unwrap(),
    }
}

fn start_moto(arguments: &[String]) -> (Child, Ready) {
    let mut child = Command::new(python())
        .arg(root().join("tests/python/s3_server.py"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let ready: Ready = serde_json::from_str(&line).unwrap();
    (child, ready)
}

fn versitygw() -> Option<PathBuf> {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let named = std::env::var_os("TRUC_TEST_VERSITYGW").map(PathBuf::from);
        named.or_else(|| {
            let path = std::env::var_os("PATH")?;
            std::env::split_paths(&path)
                .map(|folder| folder.join("versitygw"))
                .find(|program| program.is_file())
        })
    });
    found.clone()
}

fn versity(program: &Path) -> Server {
    let folder = tempfile::tempdir().unwrap();
    for made in ["data/bodies", "meta"] {
        std::fs::create_dir_all(folder.path().join(made)).unwrap();
    }
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let child = start_versity(program, folder.path(), port);
    Server {
        kind: Kind::Versity(program.to_owned()),
        name: "versitygw",
        address: port,
        ready: Ready {
            endpoint: format!("http://{port}"),
            access_key_id: "truc".to_owned(),
            secret_access_key: "a secret of the tests".to_owned(),
            bucket: "bodies".to_owned(),
        },
        child,
        folder,
    }
}

fn start_versity(program: &Path, folder: &Path, port: SocketAddr) -> Child {
    let mut child = Command::new(program)
        .args(["--access", "truc", "--secret", "a secret of the tests", "--quiet", "--port"])
        .arg(port.to_string())
        // The folder's disk may have no extended attributes.
        .arg("posix")
        .arg("--sidecar")
        .arg(folder.join("meta"))
        .arg(folder.join("data"))
        .env("HOME", folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while TcpStream::connect(port).is_err() {
        assert!(child.try_wait().unwrap().is_none(), "versitygw ended");
        std::thread::yield_now();
    }
    child
}
