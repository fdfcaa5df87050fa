//! Trust from files: anchors and revocation lists are read, watched for changes, and their freshness is
//! known. A running hub looks again and again; a command looks once.
//!
//! A change that does not read leaves the trust in force as it is: a list half written must not open or
//! shut the gate. What a list means for a certificate is for `truc_envelope::seal`; fetching lists is the
//! operator's work.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer};
use truc_envelope::seal::{AbsentUsage, CrlPolicy, EkuPolicy, MissingCrl, StaleCrl, Trust, TrustError};
use truc_ledger::{ListInForce, TrustInForce};
use truc_model::{Sha256, SystemId};
use x509_parser::prelude::FromDer as _;
use x509_parser::revocation_list::CertificateRevocationList;

use crate::config;

/// Largest file of anchors or revocation lists, in bytes. The largest public lists have some 10 MB.
pub const TRUST_FILE_MAX: u64 = 32 * 1024 * 1024;

/// Hours before a list's `nextUpdate` from which on its successor is overdue: authorities issue the next
/// list well before the old one ends, so by then fetching has failed.
pub const CRL_DUE_HOURS: i64 = 6;

/// Seconds after which a file's times can be believed: younger, it may change once more within the
/// coarseness of the file system's clock.
const SETTLED_S: i64 = 2;

/// Trust cannot be made of the files.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The files under one key cannot be used. `number` in the cause counts the files under that key.
    #[error("the files of {key} cannot be used")]
    Unusable {
        /// The key of the configuration.
        key: &'static str,
        /// Why.
        #[source]
        source: TrustError,
    },
}

/// What the files come to, read once.
#[derive(Debug)]
pub struct Loaded {
    /// Anchors, lists and policy.
    pub trust: Trust,
    /// The lists that count: of each issuer the newest.
    pub lists: Vec<List>,
    /// SHA-256 of each anchor's certificate.
    pub anchors: BTreeSet<Sha256>,
}

/// Reads the files and makes trust of them.
///
/// # Errors
/// [`FilesError`] naming the file or the key.
pub fn load(seal: &config::Seal) -> Result<Loaded, FilesError> {
    Files::read(seal).into_trust(seal)
}

/// A complete revocation list in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// Its file.
    pub path: PathBuf,
    /// Its place in that file, from 1.
    pub number: usize,
    /// When it was issued.
    pub this_update: Timestamp,
    /// When its successor is due: from this moment on it is stale.
    pub next_update: Timestamp,
    /// Its issuer's name, for people.
    name: String,
    /// Digest of the issuer's name as it stands.
    issuer: Sha256,
    /// Digest of the list.
    sha256: Sha256,
}

/// How fresh a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing to do.
    Fresh,
    /// Its end is nearer than [`CRL_DUE_HOURS`].
    Due,
    /// Its `nextUpdate` is past.
    Stale,
}

impl List {
    /// How fresh it is at a moment.
    #[must_use]
    pub fn freshness(&self, now: Timestamp) -> Freshness {
        let left = self.next_update.duration_since(now);
        if left <= SignedDuration::ZERO {
            Freshness::Stale
        } else if left < SignedDuration::from_hours(CRL_DUE_HOURS) {
            Freshness::Due
        } else {
            Freshness::Fresh
        }
    }
}

/// Watches the files for a running hub.
#[derive(Debug)]
pub struct Watch {
    seal: config::Seal,
    /// How the files stood when last looked at; `None` for one that was too young to be believed.
    stamps: Vec<Option<Stamp>>,
    /// What they said then.
    digests: Vec<Option<Sha256>>,
    /// The lists in force.
    lists: Vec<List>,
    /// The anchors in force.
    anchors: BTreeSet<Sha256>,
    /// What was told of the lists in force.
    told: BTreeMap<(PathBuf, usize), (Timestamp, Freshness)>,
}

/// What one look came to.
#[derive(Debug)]
pub struct Look {
    /// What became of the trust.
    pub change: Change,
    /// Lists in force that are due or stale, each told once.
    pub aging: Vec<(List, Freshness)>,
}

/// What became of the trust since the last look.
#[derive(Debug)]
pub enum Change {
    /// The files say what they said.
    None,
    /// They say something else, and it reads.
    Renewed(Box<Trust>),
    /// They say something else that does not read: what is in force stays. Told once for each change.
    Kept(FilesError),
}

impl Watch {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// [`FilesError`], as [`load`].
    pub fn begin(seal: &config::Seal, now: Timestamp) -> Result<(Self, Trust), FilesError> {
        let mut watch = Self {
            seal: seal.clone(),
            stamps: Vec::new(),
            digests: Vec::new(),
            lists: Vec::new(),
            anchors: BTreeSet::new(),
            told: BTreeMap::new(),
        };
        watch.stamps = watch.stamps_now(now);
        let files = Files::read(seal);
        watch.digests = files.digests();
        let loaded = files.into_trust(seal)?;
        watch.lists = loaded.lists;
        watch.anchors = loaded.anchors;
        Ok((watch, loaded.trust))
    }

    /// Looks again. Files whose place, size and times are unchanged are not opened.
    pub fn look(&mut self, now: Timestamp) -> Look {
        let change = self.change(now);
        Look {
            change,
            aging: self.aging(now),
        }
    }

    /// What is in force, for the ledger, with the certificates of systems beside it.
    pub fn in_force(&self, certificates: BTreeSet<(SystemId, Sha256)>) -> TrustInForce {
        let lists = self.lists.iter().map(|list| ListInForce {
            issuer: list.name.clone(),
            this_update: list.this_update,
            next_update: list.next_update,
            sha256: list.sha256,
        });
        TrustInForce {
            anchors: self.anchors.clone(),
            lists: lists.collect(),
            certificates,
            policy: policy_words(&self.seal),
        }
    }

    /// The lists in force that are fresh.
    pub fn fresh(&self, now: Timestamp) -> impl Iterator<Item = &List> {
        let is_fresh = move |list: &&List| list.freshness(now) == Freshness::Fresh;
        self.lists.iter().filter(is_fresh)
    }

    fn change(&mut self, now: Timestamp) -> Change {
        // Before reading: what changes while it is read is seen at the next look.
        let stamps = self.stamps_now(now);
        if stamps == self.stamps && stamps.iter().all(Option::is_some) {
            return Change::None;
        }
        let files = Files::read(&self.seal);
        let digests = files.digests();
        self.stamps = stamps;
        if digests == self.digests {
            return Change::None;
        }
        self.digests = digests;
        match files.into_trust(&self.seal) {
            Ok(loaded) => {
                self.lists = loaded.lists;
                self.anchors = loaded.anchors;
                Change::Renewed(Box::new(loaded.trust))
            }
            Err(error) => Change::Kept(error),
        }
    }

    fn aging(&mut self, now: Timestamp) -> Vec<(List, Freshness)> {
        let mut aging = Vec::new();
        let mut told = BTreeMap::new();
        for list in &self.lists {
            let freshness = list.freshness(now);
            let key = (list.path.clone(), list.number);
            let state = (list.next_update, freshness);
            if freshness != Freshness::Fresh && self.told.get(&key) != Some(&state) {
                aging.push((list.clone(), freshness));
            }
            told.insert(key, state);
        }
        self.told = told;
        aging
    }

    fn stamps_now(&self, now: Timestamp) -> Vec<Option<Stamp>> {
        paths(&self.seal).map(|path| Stamp::of(path, now)).collect()
    }
}

fn paths(seal: &config::Seal) -> impl Iterator<Item = &PathBuf> {
    seal.anchors.iter().chain(&seal.crls)
}

/// What tells without opening that a file is the one that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// `None` when there is no such file, or when it changed so lately that it may change unseen.
    fn of(path: &Path, now: Timestamp) -> Option<Self> {
        let file = std::fs::metadata(path).ok()?;
        let age = now.as_second().saturating_sub(file.ctime().max(file.mtime()));
        (age >= SETTLED_S).then(|| Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

/// The bytes of all files, each read or not.
struct Files {
    anchors: Vec<Result<Vec<u8>, FilesError>>,
    crls: Vec<Result<Vec<u8>, FilesError>>,
}

impl Files {
    fn read(seal: &config::Seal) -> Self {
        let all = |paths: &[PathBuf]| paths.iter().map(|path| read(path)).collect();
        Self {
            anchors: all(&seal.anchors),
            crls: all(&seal.crls),
        }
    }

    /// One for each file; `None` for one that cannot be read.
    fn digests(&self) -> Vec<Option<Sha256>> {
        self.anchors
            .iter()
            .chain(&self.crls)
            .map(|file| file.as_ref().ok().map(|bytes| Sha256::of(bytes)))
            .collect()
    }

    fn into_trust(self, seal: &config::Seal) -> Result<Loaded, FilesError> {
        let anchors = self.anchors.into_iter().collect::<Result<Vec<_>, _>>()?;
        let crls = self.crls.into_iter().collect::<Result<Vec<_>, _>>()?;
        let unusable = |key| move |source| FilesError::Unusable { key, source };
        let trust = Trust::new(&anchors)
            .map_err(unusable("seal.anchors"))?
            .with_crls(&crls)
            .map_err(unusable("seal.crls"))?
            .with_eku_policy(eku_policy(seal).map_err(unusable("seal.key_usage"))?)
            .with_crl_policy(crl_policy(seal));
        let mut lists: Vec<List> = Vec::new();
        for (path, bytes) in seal.crls.iter().zip(&crls) {
            // Trust has read them all, so none is lost here.
            for list in lists_in(path, bytes).unwrap_or_default() {
                match lists.iter_mut().find(|known| known.issuer == list.issuer) {
                    Some(known) if known.this_update < list.this_update => *known = list,
                    Some(_) => {}
                    None => lists.push(list),
                }
            }
        }
        let anchors = anchors
            .iter()
            .flat_map(|text| CertificateDer::pem_slice_iter(text))
            .filter_map(Result::ok)
            .map(|certificate| Sha256::of(&certificate))
            .collect();
        Ok(Loaded {
            trust,
            lists,
            anchors,
        })
    }
}

/// Reads a file of at most [`TRUST_FILE_MAX`] bytes; pipes and devices, which could never end, are not read.
///
/// # Errors
/// [`FilesError::Read`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, FilesError> {
    let open = || {
        if !std::fs::metadata(path)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"));
        }
        let mut bytes = Vec::new();
        File::open(path)?
            .take(TRUST_FILE_MAX + 1)
            .read_to_end(&mut bytes)?;
        if bytes.len() as u64 > TRUST_FILE_MAX {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                format!("more than {TRUST_FILE_MAX} bytes"),
            ));
        }
        Ok(bytes)
    };
    open().map_err(|source| FilesError::Read {
        path: path.to_owned(),
        source,
    })
}

fn eku_policy(seal: &config::Seal) -> Result<EkuPolicy, TrustError> {
    match seal.key_usage {
        config::KeyUsage::AnySigning => Ok(EkuPolicy::default()),
        config::KeyUsage::Required => EkuPolicy::new(EkuPolicy::default().accepted(), AbsentUsage::Refused),
    }
}

const fn crl_policy(seal: &config::Seal) -> CrlPolicy {
    CrlPolicy {
        missing: match seal.missing_crl {
            config::MissingCrl::Accept => MissingCrl::Accept,
            config::MissingCrl::Refuse => MissingCrl::Refuse,
        },
        stale: match seal.stale_crl {
            config::StaleCrl::Use => StaleCrl::Use,
            config::StaleCrl::Refuse => StaleCrl::Refuse,
        },
    }
}

/// The policy in the words of the configuration.
fn policy_words(seal: &config::Seal) -> BTreeSet<String> {
    let key_usage = match seal.key_usage {
        config::KeyUsage::AnySigning => "any-signing",
        config::KeyUsage::Required => "required",
    };
    let missing = match seal.missing_crl {
        config::MissingCrl::Accept => "accept",
        config::MissingCrl::Refuse => "refuse",
    };
    let stale = match seal.stale_crl {
        config::StaleCrl::Use => "use",
        config::StaleCrl::Refuse => "refuse",
    };
    [
        format!("key-usage={key_usage}"),
        format!("missing-crl={missing}"),
        format!("stale-crl={stale}"),
    ]
    .into()
}

/// The lists of a file, PEM (one or more) or DER (one); `None` when one cannot be read or has no
/// `nextUpdate`.
fn lists_in(path: &Path, bytes: &[u8]) -> Option<Vec<List>> {
    // DER begins with SEQUENCE; PEM is text.
    let ders = if bytes.first() == Some(&0x30) {
        vec![CertificateRevocationListDer::from(bytes)]
    } else {
        CertificateRevocationListDer::pem_slice_iter(bytes)
            .collect::<Result<Vec<_>, _>>()
            .ok()?
    };
    ders.iter()
        .enumerate()
        .map(|(index, der)| {
            let (_, list) = CertificateRevocationList::from_der(der).ok()?;
            let moment = |seconds| Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
            Some(List {
                path: path.to_owned(),
                number: index + 1,
                this_update: moment(list.last_update().timestamp()),
                next_update: moment(list.next_update()?.timestamp()),
                name: list.issuer().to_string(),
                issuer: Sha256::of(list.issuer().as_raw()),
                sha256: Sha256::of(der),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
