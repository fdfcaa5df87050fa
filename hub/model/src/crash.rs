//! Kill points for the crash tests: named steps at which the process can be told to die.
//!
//! Without the feature `crash-points`, which only test builds turn on, [`reach`] does nothing and is
//! compiled away. With it, `TRUC_CRASH_AT=committed:3` kills the process with SIGKILL the third time it
//! reaches the step `committed`: no destructor runs, no buffer is flushed, as at a loss of power.

/// The process reaches a named step.
#[cfg(not(feature = "crash-points"))]
#[inline]
pub const fn reach(_step: &'static str) {}

/// The process reaches a named step, and dies if it was told to die there.
#[cfg(feature = "crash-points")]
pub fn reach(step: &'static str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    static ORDER: OnceLock<Option<(String, u32)>> = OnceLock::new();
    static TIMES: AtomicU32 = AtomicU32::new(0);

    let order = ORDER.get_or_init(|| {
        let order = std::env::var("TRUC_CRASH_AT").ok()?;
        let (step, times) = order.split_once(':').unwrap_or((&order, "1"));
        Some((step.to_owned(), times.parse().ok()?))
    });
    if let Some((at, times)) = order
        && at == step
        && TIMES.fetch_add(1, Ordering::SeqCst) + 1 == *times
    {
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    }
}
