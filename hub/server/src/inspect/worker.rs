//! The worker: `truc pdf-worker`, started by the pool and by nobody else.
//!
//! It binds itself before it reads anything: memory, files, core dumps, priority; and before each request
//! its time on the processor, so that it ends even when the hub is gone. It has no configuration, no secret
//! in its environment, opens no file and no connection.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, getrlimit, nice, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use truc_model::PdfSignatures;
use truc_pdf::Limits;

/// The word on the command line.
pub const COMMAND: &str = "pdf-worker";

/// The first line it writes, when it is bound and ready.
pub const GREETING: &str = "truc-pdf-worker 1";

/// Exit code when a request does not fit into its memory.
pub const NO_MEMORY: u8 = 3;

/// Steps by which it is nicer than the hub. At ten it got a tenth of a busy processor, and documents waited in
/// vain; at five it gets a quarter.
const NICE: i32 = 5;

/// How it is bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Most address space, in bytes.
    pub memory_bytes: u64,
    /// Most time on the processor for one request, in whole seconds.
    pub time_s: u64,
    /// Largest request, in bytes.
    pub max_bytes: usize,
}

impl Bounds {
    /// As arguments of the command line.
    #[must_use]
    pub fn arguments(self) -> [String; 4] {
        [
            COMMAND.to_owned(),
            self.memory_bytes.to_string(),
            self.time_s.to_string(),
            self.max_bytes.to_string(),
        ]
    }

    fn read(arguments: &[OsString]) -> Option<Self> {
        let number = |at: usize| arguments.get(at)?.to_str()?.parse().ok();
        Some(Self {
            memory_bytes: number(0)?,
            time_s: number(1)?,
            max_bytes: usize::try_from(number(2)?).ok()?,
        })
    }
}

/// Runs the worker when the command line asks for it, before anything else of the program is set up: a
/// runtime with its threads would count against its memory.
pub fn run_if_asked(arguments: impl IntoIterator<Item = OsString>) -> Option<ExitCode> {
    let mut arguments = arguments.into_iter().skip(1);
    if arguments.next()? != COMMAND {
        return None;
    }
    let arguments: Vec<OsString> = arguments.collect();
    let Some(bounds) = Bounds::read(&arguments) else {
        // Ignored on purpose: nobody may be listening, and the exit code says it too.
        let _ = writeln!(io::stderr(), "truc {COMMAND} is started by the hub alone");
        return Some(ExitCode::from(2));
    };
    Some(
        match serve(bounds, &mut io::stdin().lock(), &mut io::stdout().lock()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(Ended::Memory) => ExitCode::from(NO_MEMORY),
            Err(Ended::Broken) => ExitCode::FAILURE,
        },
    )
}

/// Why it ended although nobody closed its input.
#[derive(Debug, PartialEq, Eq)]
enum Ended {
    /// A request does not fit.
    Memory,
    /// Its input or output broke, or it could not bind itself.
    Broken,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

impl From<rustix::io::Errno> for Ended {
    fn from(_: rustix::io::Errno) -> Self {
        Self::Broken
    }
}

fn serve(bounds: Bounds, requests: &mut impl io::BufRead, answers: &mut impl Write) -> Result<(), Ended> {
    bind(bounds)?;
    writeln!(answers, "{GREETING}")?;
    answers.flush()?;
    let limits = Limits {
        max_bytes: bounds.max_bytes,
        ..Limits::default()
    };
    while let Some(bytes) = request(requests, bounds.max_bytes)? {
        allow_time(bounds.time_s)?;
        let found = truc_pdf::inspect(&bytes, &limits);
        drop(bytes);
        writeln!(answers, "{}", line(&found)?)?;
        answers.flush()?;
    }
    Ok(())
}

fn line(found: &PdfSignatures) -> Result<String, Ended> {
    serde_json::to_string(found).map_err(|_| Ended::Broken)
}

/// The next request: its length in four bytes, the lowest first, and the bytes. `None` when the hub closed.
fn request(requests: &mut impl io::BufRead, max_bytes: usize) -> Result<Option<Vec<u8>>, Ended> {
    if requests.fill_buf()?.is_empty() {
        return Ok(None);
    }
    let mut length = [0; 4];
    requests.read_exact(&mut length)?;
    let length = u32::from_le_bytes(length) as usize;
    if length > max_bytes {
        return Err(Ended::Broken);
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| Ended::Memory)?;
    Read::take(requests, length as u64).read_to_end(&mut bytes)?;
    if bytes.len() == length {
        Ok(Some(bytes))
    } else {
        Err(Ended::Broken)
    }
}

/// Binds this process for the rest of its life.
fn bind(bounds: Bounds) -> Result<(), Ended> {
    // A panic's message could quote the file; the hub learns all it needs from how the process ends.
    std::panic::set_hook(Box::new(|_| ()));
    let at_most = |resource, most| {
        setrlimit(
            resource,
            Rlimit {
                current: Some(most),
                maximum: Some(most),
            },
        )
    };
    at_most(Resource::As, bounds.memory_bytes)?;
    at_most(Resource::Core, 0)?;
    at_most(Resource::Fsize, 0)?;
    // Its three streams are open already; no other file can be.
    at_most(Resource::Nofile, 3)?;
    // Ignored on purpose: a worker as eager as the hub is still a worker.
    let _ = nice(NICE);
    Ok(())
}

/// Sets the end of its time on the processor: so many seconds from now, and one, since the kernel counts in
/// whole ones. The hub's own clock is finer and usually ends it first.
fn allow_time(seconds: u64) -> Result<(), Ended> {
    let spent = clock_gettime(ClockId::ProcessCPUTime).tv_sec;
    let until = u64::try_from(spent)
        .unwrap_or(0)
        .saturating_add(seconds)
        .saturating_add(1);
    let hard = getrlimit(Resource::Cpu).maximum;
    setrlimit(
        Resource::Cpu,
        Rlimit {
            current: Some(hard.map_or(until, |hard| hard.min(until))),
            maximum: hard,
        },
    )?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_whole_or_not_at_all() {
        let framed = |length: u32, bytes: &[u8]| [&length.to_le_bytes()[..], bytes].concat();
        let read = |bytes: Vec<u8>| request(&mut bytes.as_slice(), 4);
        assert_eq!(read(framed(4, b"abcd")), Ok(Some(b"abcd".to_vec())));
        assert_eq!(read(framed(0, b"")), Ok(Some(Vec::new())));
        assert_eq!(read(Vec::new()), Ok(None));
        assert_eq!(read(framed(5, b"abcde")), Err(Ended::Broken), "one byte too many");
        assert_eq!(read(framed(4, b"abc")), Err(Ended::Broken), "cut off");
        assert_eq!(read(vec![1, 0]), Err(Ended::Broken), "cut off in the length");
    }

    #[test]
    fn bounds_read_back_from_the_command_line() {
        let bounds = Bounds {
            memory_bytes: 1 << 28,
            time_s: 2,
            max_bytes: 77,
        };
        let arguments: Vec<OsString> = bounds.arguments().into_iter().map(OsString::from).collect();
        assert_eq!(arguments[0], COMMAND);
        assert_eq!(Bounds::read(&arguments[1..]), Some(bounds));
        assert_eq!(Bounds::read(&arguments[2..]), None);
    }

    #[test]
    fn only_its_own_word_starts_it() {
        let arguments = |words: &[&str]| words.iter().map(OsString::from).collect::<Vec<_>>();
        assert!(run_if_asked(arguments(&["truc"])).is_none());
        assert!(run_if_asked(arguments(&["truc", "serve", COMMAND])).is_none());
        assert!(run_if_asked(arguments(&["truc", COMMAND])).is_some());
    }
}
