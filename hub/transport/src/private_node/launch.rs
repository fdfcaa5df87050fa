//! Starts and ends the processes of a node.

use std::fs::File;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal};

use super::NodeError;
use super::install::Installation;

/// Leader of the process group, and watcher. The port mapper is started here in the foreground, because
/// one that Erlang starts leaves the group. When the server has ended, a file says so. When the pipe ends
/// (the parent was dropped or died), the whole group is killed, this shell included.
const WATCHER: &str = r#"
[ "$3" = shared ] || epmd -port "$ERL_EPMD_PORT" -address 127.0.0.1 </dev/null &
( "$1" </dev/null; echo "$?" >"$2/ended" ) &
read -r _
kill -KILL 0
"#;

/// The same for a port mapper that several nodes share, so that none takes it along when it is killed.
const EPMD_WATCHER: &str = r#"
epmd -port "$1" -address 127.0.0.1 </dev/null &
read -r _
kill -KILL 0
"#;

/// Where a node tells its port to other nodes and to `rabbitmqctl`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Epmd {
    /// A port mapper that is started and killed with it.
    Own,
    /// One on this port that stands without it.
    Shared(u16),
}

/// A port mapper for several nodes; killed when dropped, or when the parent dies.
#[derive(Debug)]
pub(super) struct SharedEpmd {
    _running: Running,
}

impl SharedEpmd {
    pub(super) fn launch(port: u16) -> Result<Self, NodeError> {
        let mut watcher = Command::new("/bin/sh")
            .args(["-c", EPMD_WATCHER, "truc-private-epmd"])
            .arg(port.to_string())
            .env_clear()
            .env("PATH", super::files::path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .map_err(NodeError::io("start /bin/sh"))?;
        let leash = watcher.stdin.take();
        Ok(Self {
            _running: Running { watcher, leash },
        })
    }
}

/// The processes of a node.
#[derive(Debug)]
pub(super) struct Running {
    watcher: Child,
    /// Its end is the order to kill everything.
    leash: Option<ChildStdin>,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl Running {
    pub(super) fn launch(
        install: &Installation,
        dir: &Path,
        environment: &[(&'static str, String)],
        epmd: Epmd,
    ) -> Result<Self, NodeError> {
        let _ = std::fs::remove_file(dir.join("ended"));
        let log = dir.join("start.log");
        let file = File::create(&log).map_err(NodeError::io(format!("write {}", log.display())))?;
        let copy = file
            .try_clone()
            .map_err(NodeError::io(format!("write {}", log.display())))?;
        let mut watcher = Command::new("/bin/sh")
            .arg("-c")
            .arg(WATCHER)
            .arg("truc-private-node")
            .arg(install.server())
            .arg(dir)
            .arg(match epmd {
                Epmd::Own => "own",
                Epmd::Shared(_) => "shared",
            })
            .env_clear()
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(copy)
            // A group of its own: it can be killed as one, and a Ctrl-C at the terminal does not reach it
            // before the parent has ended in order.
            .process_group(0)
            .spawn()
            .map_err(NodeError::io("start /bin/sh"))?;
        let leash = watcher.stdin.take();
        Ok(Self { watcher, leash })
    }

    /// Whether the server has ended by itself.
    pub(super) fn server_has_ended(&mut self, dir: &Path) -> bool {
        dir.join("ended").exists() || !matches!(self.watcher.try_wait(), Ok(None))
    }

    /// SIGTERM to the server, which then stops in order.
    pub(super) fn ask_to_stop(&self, pid_file: &Path) {
        self.signal(pid_file, Signal::TERM);
    }

    /// A signal to the server alone.
    pub(super) fn signal(&self, pid_file: &Path, signal: Signal) {
        let pid = std::fs::read_to_string(pid_file)
            .ok()
            .and_then(|text| text.trim().parse().ok())
            .and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended already.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// SIGKILL to all of it; returns when the watcher has been reaped.
    pub(super) fn kill(&mut self) {
        if self.leash.is_none() {
            // Killed before; its number may be another's by now.
            return;
        }
        if let Some(group) = i32::try_from(self.watcher.id()).ok().and_then(Pid::from_raw) {
            // The watcher has not been waited for yet, so its number is still its own.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        self.leash = None;
        let _ = self.watcher.wait();
    }
}
