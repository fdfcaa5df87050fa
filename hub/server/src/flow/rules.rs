//! The rules in force at one moment: directory, trust, limits. Submissions are checked and routed on a
//! snapshot; a change makes a new snapshot and never alters one in use.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Date;
use truc_calendar::Deadlines;
use truc_directory::Directory;
use truc_envelope::Limits;
use truc_envelope::seal::{BoundCertificate, Tolerance, Trust};
use truc_model::{AgencyCode, Sha256, SystemId};

use super::bodies::PacketAt;
use super::checks::secrecy::Markings;
use crate::config::Config;

/// See the module.
#[derive(Debug, Clone)]
pub struct Rules {
    /// Agencies, codes, systems, routes.
    pub directory: Arc<Directory>,
    /// Anchors and revocation lists.
    pub trust: Arc<Trust>,
    /// What the reader takes.
    pub limits: Limits,
    /// Largest packet in a message.
    pub max_body_bytes: usize,
    /// Largest packet apart.
    pub max_apart_bytes: u64,
    /// How far a seal's time may be off.
    pub seal_tolerance: Tolerance,
    /// This hub's own code.
    pub hub_code: AgencyCode,
    /// Markings of state secrecy.
    pub markings: Markings,
    /// The day, in Viet Nam, on which codes are resolved.
    pub today: Date,
    /// Calendar and time limits; without them nothing is late.
    pub deadlines: Option<Arc<Deadlines>>,
    bound: HashMap<SystemId, Vec<BoundCertificate>>,
}

impl Rules {
    /// A snapshot of `directory` on the day `today`.
    ///
    /// Certificates are bound as the directory says on that day; one whose PEM does not read binds
    /// nothing (`truc doctor` names it).
    #[must_use]
    pub fn new(config: &Config, directory: Arc<Directory>, trust: Arc<Trust>, today: Date) -> Self {
        let bound = directory
            .systems()
            .map(|system| {
                let certificates = system
                    .certificates
                    .iter()
                    .filter(|row| row.valid.contains(today))
                    .filter_map(|row| BoundCertificate::from_pem(&row.pem).ok())
                    .collect();
                (system.id.clone(), certificates)
            })
            .collect();
        Self {
            directory,
            trust,
            limits: Limits {
                max_bytes: config.intake.max_body_bytes,
                max_recipients: config.intake.max_recipients,
                ..Limits::default()
            },
            max_body_bytes: config.intake.max_body_bytes,
            max_apart_bytes: config.bodies.max_body_bytes,
            seal_tolerance: Tolerance {
                max_ahead: Duration::from_secs(config.seal.max_ahead_s.into()),
                max_age: Duration::from_secs(u64::from(config.seal.max_age_days) * 24 * 3600),
            },
            hub_code: config.hub.code.clone(),
            markings: Markings::new(&config.secrecy.markings),
            today,
            deadlines: None,
            bound,
        }
    }

    /// What the reader takes of a packet, by where it lies.
    #[must_use]
    pub fn limits_of(&self, packet: &PacketAt) -> Limits {
        match packet {
            PacketAt::Apart(_) => Limits {
                max_bytes: usize::try_from(self.max_apart_bytes).unwrap_or(usize::MAX),
                ..self.limits
            },
            PacketAt::Message | PacketAt::Nowhere { .. } => self.limits,
        }
    }

    /// The same rules with calendar and time limits.
    #[must_use]
    pub fn with_deadlines(self, deadlines: Arc<Deadlines>) -> Self {
        Self {
            deadlines: Some(deadlines),
            ..self
        }
    }

    /// Every certificate bound today: of which system, and its SHA-256.
    #[must_use]
    pub fn certificates(&self) -> BTreeSet<(SystemId, Sha256)> {
        let bound = self.bound.iter();
        bound
            .flat_map(|(system, certificates)| {
                let thumbprints = certificates.iter().map(BoundCertificate::thumbprint);
                thumbprints.map(|thumbprint| (system.clone(), thumbprint))
            })
            .collect()
    }

    /// The certificates bound to a system today.
    #[must_use]
    pub fn certificates_of(&self, system: &SystemId) -> &[BoundCertificate] {
        self.bound.get(system).map_or(&[], Vec::as_slice)
    }
}
