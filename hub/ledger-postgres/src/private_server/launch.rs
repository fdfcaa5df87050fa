//! Starts and ends the processes of a server.

use std::fs::{self, File};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use rustix::process::{Pid, Signal};

use super::ServerError;
use super::install::User;

/// Leader of the process group, and watcher. When the server has ended, a file says so. When the pipe ends (the
/// parent was dropped or died), the group is killed, this shell included; the server's own processes, which
/// have sessions of their own, end when they see that the first of them is gone. A directory that goes with the server
/// is removed by a process outside the group, once they have.
const WATCHER: &str = r#"
dir=$1
passing=$2
shift 2
( "$@" </dev/null; echo "$?" >"$dir/ended" ) &
read -r _
if [ "$passing" = yes ]; then
  setsid sh -c 'cd /; (sleep 1; rm -rf -- "$1") &' truc-private-postgres "$dir" </dev/null >/dev/null 2>&1
fi
kill -KILL 0
"#;

/// The processes of a server.
#[derive(Debug)]
pub(super) struct Running {
    watcher: Child,
    /// Its end is the order to kill everything.
    leash: Option<ChildStdin>,
}

/// A command that runs as the server's user.
pub(super) fn as_user(user: Option<&User>, program: &Path) -> Vec<String> {
    let mut command = Vec::new();
    if let Some(user) = user {
        command.extend(["setpriv".to_owned(), "--clear-groups".to_owned()]);
        command.push(format!("--reuid={}", user.uid));
        command.push(format!("--regid={}", user.gid));
        command.push("--".to_owned());
    }
    command.push(program.display().to_string());
    command
}

impl Running {
    /// Starts a command in a group of its own; what it says goes to `dir/server.log`.
    pub(super) fn launch(
        dir: &Path,
        command: &[String],
        path: &str,
        is_passing: bool,
    ) -> Result<Self, ServerError> {
        let _ = fs::remove_file(dir.join("ended"));
        let log = dir.join("server.log");
        let file = File::create(&log).map_err(ServerError::io(format!("write {}", log.display())))?;
        let copy = file
            .try_clone()
            .map_err(ServerError::io(format!("write {}", log.display())))?;
        let mut watcher = Command::new("/bin/sh")
            .arg("-c")
            .arg(WATCHER)
            .arg("truc-private-postgres")
            .arg(dir)
            .arg(if is_passing { "yes" } else { "no" })
            .args(command)
            .env_clear()
            .env("PATH", path)
            .env("LC_ALL", "C")
            .current_dir(dir)
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(copy)
            // A group of its own: it can be killed as one, and a Ctrl-C at the terminal does not reach it
            // before the parent has ended in order.
            .process_group(0)
            .spawn()
            .map_err(ServerError::io("start /bin/sh"))?;
        let leash = watcher.stdin.take();
        Ok(Self { watcher, leash })
    }

    /// Whether the server has ended by itself.
    pub(super) fn server_has_ended(&mut self, dir: &Path) -> bool {
        dir.join("ended").exists() || !matches!(self.watcher.try_wait(), Ok(None))
    }

    /// SIGKILL to all of it at once, as when the machine's power goes; returns when the watcher has been reaped.
    pub(super) fn kill(&mut self, postmaster: Option<Pid>) {
        // Found before, because afterwards they are nobody's children.
        let workers = postmaster.map(children).unwrap_or_default();
        if let Some(group) = i32::try_from(self.watcher.id()).ok().and_then(Pid::from_raw) {
            // The watcher has not been waited for yet, so its number is still its own.
            let _ = rustix::process::kill_process_group(group, Signal::KILL);
        }
        for worker in workers {
            let _ = rustix::process::kill_process(worker, Signal::KILL);
        }
        self.leash = None;
        let _ = self.watcher.wait();
    }
}

/// What follows the name in a process's `stat`: its state, its parent, and more.
fn stat(pid: i32) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in brackets and may have brackets in it.
    text.rsplit_once(')').map(|(_, rest)| rest.trim().to_owned())
}

/// Whether a process has ended, reaped or not.
pub(super) fn is_over(process: Pid) -> bool {
    stat(process.as_raw_nonzero().get()).is_none_or(|stat| stat.starts_with(['Z', 'X']))
}

/// The processes whose parent this is.
pub(super) fn children(of: Pid) -> Vec<Pid> {
    let parent = of.as_raw_nonzero().get().to_string();
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let pid: i32 = entry.file_name().to_str()?.parse().ok()?;
            let is_child = stat(pid)?.split_whitespace().nth(1) == Some(parent.as_str());
            is_child.then(|| Pid::from_raw(pid)).flatten()
        })
        .collect()
}
