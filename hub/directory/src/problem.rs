//! What is wrong with a file or a directory: one closed list of findings, in Vietnamese and English.
//!
//! Texts quote codes, ids and names of agencies, never persons. The words and sentences themselves stand
//! in `problem/words.rs`; a table of them in `docs/reference/directory.md`.

mod words;

use std::fmt;

use serde::ser::{Serialize, SerializeStruct as _, Serializer};
use truc_model::agency::BadCode;
use truc_model::{AgencyCode, AgencyId, SystemId};

use crate::prefix::BadPrefix;

/// One finding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line in the file, the header being 1; `None` when it concerns the file or the directory as a whole.
    pub line: Option<u64>,
    /// Column in the file.
    pub column: Option<Column>,
    /// How much it matters.
    pub severity: Severity,
    /// What it is.
    pub kind: ProblemKind,
    /// What was found, cut to [`Problem::FOUND_MAX`] characters.
    pub found: String,
}

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The row is left out; in a check of the directory: some documents cannot go where they should.
    Error,
    /// The row is taken; someone should look.
    Warning,
}

macro_rules! columns {
    ($($(#[$doc:meta])* $variant:ident = $word:literal),* $(,)?) => {
        /// A column of the files that are imported, or the fact of an agency or system it tells.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Column {
            $($(#[$doc])* $variant,)*
        }

        impl Column {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word in the header.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

columns! {
    /// The preferred code.
    Code = "code",
    /// The name, of an agency or a system.
    Name = "name",
    /// Further codes, separated by `;`.
    OtherCodes = "other_codes",
    /// A code of the body above.
    Parent = "parent",
    /// The level, from 1.
    Level = "level",
    /// The id of a system.
    System = "system",
    /// The first day of the code.
    ValidFrom = "valid_from",
    /// The first day on which the codes no longer hold.
    ValidTo = "valid_to",
    /// The decision that issued the code.
    Decision = "decision",
    /// A remark.
    Note = "note",
    /// `tenant`, `agency`, `gateway` or `home`.
    Kind = "kind",
    /// Prefixes, separated by `;`.
    Prefixes = "prefixes",
    /// Signature policy.
    Signature = "signature",
    /// Policy for identity conflicts.
    Conflict = "conflict",
    /// Policy for SHA-1 in XML signatures.
    XmlSha1 = "xml_sha1",
    /// What a row of a reorganisation does.
    Action = "action",
    /// A code of the agency it is done to.
    OldCode = "old_code",
    /// New codes, or those of the successors; of `home` the prefixes.
    NewCode = "new_code",
    /// The day of the reorganisation.
    On = "on",
    /// The first day on which old codes are no longer forwarded.
    GraceUntil = "grace_until",
}

/// What is wrong. Its word ([`ProblemKind::code`]) is stable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProblemKind {
    /// More bytes than [`crate::MAX_CSV_BYTES`].
    FileTooLarge,
    /// Text that is not UTF-8.
    NotUtf8,
    /// A required column is absent.
    ColumnMissing,
    /// A column stands twice.
    ColumnTwice,
    /// A column no one reads.
    ColumnUnknown,
    /// More rows than [`crate::MAX_ROWS`]; none is taken.
    TooManyRows,
    /// A row with another number of cells than the header.
    RowWidth {
        /// Cells of the header.
        expected: usize,
    },
    /// A cell longer than the limit.
    CellTooLong,
    /// A required cell is empty.
    ValueMissing,
    /// No agency code.
    CodeBad(BadCode),
    /// A `W` code: a system, not an agency.
    CodeOfSystem,
    /// The code was put into its usual spelling.
    CodeSpelling(AgencyCode),
    /// The same code at an earlier line; that one stands.
    CodeTwice {
        /// The earlier line.
        first: u64,
    },
    /// The same code twice in one row.
    CodeRepeated,
    /// The code is or was another agency's.
    CodeTaken(AgencyId),
    /// The same agency, under another of its codes, at an earlier line; that one stands.
    AgencyTwice {
        /// The earlier line.
        first: u64,
        /// The agency.
        agency: AgencyId,
    },
    /// The name was cleaned: spaces, invisible characters, decomposed letters, Ð for Đ.
    NameSpelling,
    /// The name is longer than [`crate::Agency::NAME_MAX`].
    NameTooLong,
    /// No date, or one of another age.
    DateBad,
    /// The end is not after the beginning.
    DatesReversed,
    /// No level.
    LevelBad,
    /// No system id.
    SystemIdBad,
    /// The system is named but not registered.
    SystemNotRegistered(SystemId),
    /// No agency has the parent's code.
    ParentUnknown,
    /// An agency above itself.
    ParentLoop,
    /// The same system at an earlier line; that one stands.
    SystemTwice {
        /// The earlier line.
        first: u64,
    },
    /// No kind of system, or a kind that is not the registered one.
    KindBad,
    /// No prefix.
    PrefixBad(BadPrefix),
    /// Prefixes on a system that is no gateway.
    PrefixMisplaced,
    /// A policy no one knows.
    PolicyUnknown,
    /// A limit of the directory is reached.
    LimitReached {
        /// The limit.
        max: usize,
    },
    /// An agency that nothing can be delivered to.
    AgencyWithoutSystem,
    /// Its parent is not in the directory.
    ParentMissing,
    /// One prefix on two gateways on one day.
    PrefixOverlap {
        /// The gateway that wins.
        wins: SystemId,
    },
    /// A gateway claims a prefix that is the province's own.
    PrefixAtHome,
    /// A gateway with no prefix.
    GatewayWithoutPrefix,
    /// There are gateways, and no prefix is the province's own.
    HomeMissing,
    /// A system that serves no agency.
    SystemServesNone,
    /// An agency that somebody took over from has a code in force.
    EndedInForce,
    /// No action of a reorganisation.
    ActionUnknown,
    /// No agency has or had this code.
    CodeUnknown,
    /// More codes than one where one names an agency.
    OneCodeOnly,
    /// A merger into several, or a split into one.
    SuccessorCount,
    /// Rows of one reorganisation on different days.
    DateDiffers,
    /// A cell the action has no use for.
    CellUnused,
    /// The agency ends at another line of the file.
    EndedTwice {
        /// That line.
        first: u64,
    },
    /// The agency has an action at another line that does not go with this one.
    ActionsClash {
        /// That line.
        first: u64,
    },
    /// The agency ended before.
    AlreadyEnded,
    /// An agency would be its own successor, directly or through others.
    SuccessionCycle,
    /// A successor ends in the same file: mail goes on to the successor's own.
    SuccessorEnds,
    /// An agency stays under a parent that ends.
    ParentEnded,
    /// Codes in force under a level-1 code that closes.
    CodesLeft {
        /// How many.
        count: usize,
    },
    /// The very same file was applied before.
    AppliedAlready,
}

impl Problem {
    /// Longest `found`, in characters.
    pub const FOUND_MAX: usize = 120;

    pub(crate) fn new(severity: Severity, kind: ProblemKind, found: &str) -> Self {
        let found = match found.char_indices().nth(Self::FOUND_MAX) {
            Some((end, _)) => format!("{}…", &found[..end]),
            None => found.to_owned(),
        };
        Self {
            line: None,
            column: None,
            severity,
            kind,
            found,
        }
    }

    pub(crate) fn error(kind: ProblemKind, found: &str) -> Self {
        Self::new(Severity::Error, kind, found)
    }

    pub(crate) fn warning(kind: ProblemKind, found: &str) -> Self {
        Self::new(Severity::Warning, kind, found)
    }

    pub(crate) fn at(self, line: u64, column: Column) -> Self {
        Self {
            line: Some(line),
            column: Some(column),
            ..self
        }
    }

    pub(crate) fn on_line(self, line: u64) -> Self {
        Self {
            line: Some(line),
            ..self
        }
    }
}

impl Severity {
    /// The word in answers.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }

    /// Vietnamese and English label.
    #[must_use]
    pub const fn labels(self) -> (&'static str, &'static str) {
        match self {
            Self::Error => ("lỗi", "error"),
            Self::Warning => ("cảnh báo", "warning"),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for Column {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl Serialize for Problem {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (vi, en) = self.kind.sentences();
        let mut out = serializer.serialize_struct("Problem", 7)?;
        out.serialize_field("line", &self.line)?;
        out.serialize_field("column", &self.column)?;
        out.serialize_field("severity", self.severity.as_str())?;
        out.serialize_field("code", self.kind.code())?;
        out.serialize_field("vi", &vi)?;
        out.serialize_field("en", &en)?;
        out.serialize_field("found", &self.found)?;
        out.end()
    }
}

/// One line for people: `dòng 386  code  lỗi  code-twice: … «000.00.00.G15»`.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map_or_else(String::new, |line| format!("dòng {line}"));
        let column = self.column.map_or("", Column::as_str);
        let (severity, _) = self.severity.labels();
        let (vi, _) = self.kind.sentences();
        write!(
            f,
            "{line:<10} {column:<11} {severity:<8} {}: {vi}",
            self.kind.code()
        )?;
        match self.found.as_str() {
            "" => Ok(()),
            found => write!(f, " «{found}»"),
        }
    }
}
