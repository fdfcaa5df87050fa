//! The working calendar and the time limits, from the files the configuration names, else from those the program
//! comes with. A command reads them once; a running hub reads them again at every look, and keeps what it has when
//! they do not read: a file half written must not make everybody late.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use truc_calendar::{CalendarError, Deadlines, LimitsError, TimeLimits, WorkCalendar};

use crate::config;

/// Largest file, in bytes: thirty years of calendar have some 150 KB.
pub const DEADLINES_FILE_MAX: u64 = 1024 * 1024;

/// Calendar and limits cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeadlinesFileError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The calendar does not read.
    #[error("the working calendar {path} cannot be used")]
    Calendar {
        /// The file; empty for the one the program comes with.
        path: PathBuf,
        /// Why.
        #[source]
        source: CalendarError,
    },
    /// The limits do not read, or do not fit the calendar.
    #[error("the time limits {path} cannot be used")]
    Limits {
        /// The file; empty for those the program comes with.
        path: PathBuf,
        /// Why.
        #[source]
        source: LimitsError,
    },
}

impl DeadlinesFileError {
    /// The key of the configuration that names the file.
    #[must_use]
    pub fn key(&self, limits: &config::Limits) -> &'static str {
        match self {
            Self::Calendar { .. } => "limits.calendar",
            Self::Limits { .. } => "limits.file",
            Self::Read { path, .. } if *path == limits.calendar => "limits.calendar",
            Self::Read { .. } => "limits.file",
        }
    }
}

/// Reads calendar and limits.
///
/// # Errors
/// [`DeadlinesFileError`], naming the file.
pub fn load(limits: &config::Limits) -> Result<Deadlines, DeadlinesFileError> {
    let calendar = calendar(&limits.calendar)?;
    let failed = |source| DeadlinesFileError::Limits {
        path: limits.file.clone(),
        source,
    };
    let text = text(&limits.file, truc_calendar::TIME_LIMITS)?;
    let parsed = TimeLimits::parse(&text).map_err(failed)?;
    Deadlines::new(calendar, parsed).map_err(failed)
}

/// Reads a calendar; an empty path is the one the program comes with.
///
/// # Errors
/// [`DeadlinesFileError`], naming the file.
pub fn calendar(path: &Path) -> Result<WorkCalendar, DeadlinesFileError> {
    WorkCalendar::parse(&text(path, truc_calendar::CALENDAR)?).map_err(|source| {
        DeadlinesFileError::Calendar {
            path: path.to_owned(),
            source,
        }
    })
}

fn text(path: &Path, own: &str) -> Result<String, DeadlinesFileError> {
    if path.as_os_str().is_empty() {
        return Ok(own.to_owned());
    }
    let failed = |source| DeadlinesFileError::Read {
        path: path.to_owned(),
        source,
    };
    let mut text = String::new();
    let file = File::open(path).map_err(failed)?;
    let read = file
        .take(DEADLINES_FILE_MAX + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if read as u64 > DEADLINES_FILE_MAX {
        return Err(failed(io::Error::new(
            io::ErrorKind::FileTooLarge,
            "larger than 1 MiB",
        )));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(calendar: &Path, file: &Path) -> config::Limits {
        config::Limits {
            calendar: calendar.to_owned(),
            file: file.to_owned(),
            look_s: 60,
        }
    }

    #[test]
    fn without_files_the_programs_own_count() {
        let none = Path::new("");
        assert_eq!(load(&limits(none, none)).unwrap(), Deadlines::shipped().unwrap());
    }

    #[test]
    fn a_file_that_does_not_read_is_named_with_its_key() {
        let dir = tempfile::tempdir().unwrap();
        let (none, file) = (PathBuf::new(), dir.path().join("x.toml"));
        let key = |config: &config::Limits| load(config).unwrap_err().key(config);
        assert_eq!(key(&limits(&file, &none)), "limits.calendar");
        assert_eq!(key(&limits(&none, &file)), "limits.file");
        std::fs::write(&file, "years = 7").unwrap();
        assert_eq!(key(&limits(&file, &none)), "limits.calendar");
        assert_eq!(key(&limits(&none, &file)), "limits.file");
    }

    #[test]
    fn a_file_may_have_a_mebibyte_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("calendar.toml");
        let size = usize::try_from(DEADLINES_FILE_MAX).unwrap();
        let shipped = truc_calendar::CALENDAR;
        let padded = |size: usize| format!("{shipped}{}", "\n".repeat(size - shipped.len()));
        std::fs::write(&file, padded(size)).unwrap();
        assert!(calendar(&file).is_ok());
        std::fs::write(&file, padded(size + 1)).unwrap();
        assert!(matches!(calendar(&file), Err(DeadlinesFileError::Read { .. })));
    }
}
