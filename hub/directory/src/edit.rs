//! Changes to a directory, one small act each; an [`Editor`] gathers them into the next version.

mod time;

use std::collections::HashMap;

use jiff::civil::Date;
use truc_model::{AgencyCode, AgencyId, CodeForm, Sha256, SystemId};

use crate::agency::{Agency, CodeRow};
use crate::dated::{self, Dated, Validity};
use crate::prefix::RoutePrefix;
use crate::snapshot::{Content, Directory};
use crate::system::{CertificateRow, System, SystemKind, SystemPolicy, SystemStatus};

/// Gathers changes to one directory. Nothing is ever removed: rows end, systems are switched off.
///
/// ```
/// # use truc_directory::{Directory, Editor, System, SystemKind};
/// # use truc_model::SystemId;
/// let directory = Directory::empty();
/// let mut editor = Editor::new(&directory);
/// editor.add_system(System::new(SystemId::new("so-tnmt")?, "Sở TN&MT", SystemKind::Agency))?;
/// assert_eq!(editor.finish().version(), 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Editor<'a> {
    base: &'a Directory,
    pub(crate) content: Content,
    /// Codes added since `base`.
    new_codes: HashMap<AgencyCode, AgencyId>,
    /// What decides the changes that follow.
    decision: Option<String>,
}

/// A change that cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// No system has this id.
    #[error("expected a registered system, found {0}")]
    UnknownSystem(SystemId),
    /// The id is taken; ids are never reused.
    #[error("expected a new system id, found {0} registered")]
    SystemExists(SystemId),
    /// No agency has this id.
    #[error("expected a registered agency, found {0}")]
    UnknownAgency(AgencyId),
    /// The code is or was another agency's; codes are never reused.
    #[error("expected a free code, found {code} with {agency}")]
    CodeTaken {
        /// The code.
        code: AgencyCode,
        /// Whose it is.
        agency: AgencyId,
    },
    /// The agency does not have this code.
    #[error("expected a code of the agency, found {0}")]
    UnknownCode(AgencyCode),
    /// The code names a system (`W`).
    #[error("expected an agency's code, found {0} of a system")]
    SystemCode(AgencyCode),
    /// The certificate is bound already; one certificate belongs to one system, once.
    #[error("expected a new certificate, found {thumbprint} bound to {system}")]
    CertificateBound {
        /// The certificate.
        thumbprint: Sha256,
        /// Whose it is.
        system: SystemId,
    },
    /// The system has no such certificate.
    #[error("expected a certificate of the system, found {0}")]
    UnknownCertificate(Sha256),
    /// Prefixes belong to gateways.
    #[error("expected a gateway, found {0}")]
    NotAGateway(SystemId),
    /// The agency has ended already.
    #[error("expected an agency that goes on, found {0} ended")]
    Ended(AgencyId),
    /// The agency would be its own successor, directly or through others.
    #[error("expected a successor, found {0} in its own succession")]
    OwnSuccessor(AgencyId),
    /// The end is not after the beginning.
    #[error("expected dates in order")]
    Dates,
    /// A name of nothing but white space.
    #[error("expected a name")]
    Nameless,
    /// A limit is reached.
    #[error("expected at most {max} {what}")]
    Limit {
        /// What there would be too much of.
        what: &'static str,
        /// The limit.
        max: usize,
    },
}

impl<'a> Editor<'a> {
    /// Begins from a directory.
    #[must_use]
    pub fn new(base: &'a Directory) -> Self {
        Self {
            base,
            content: base.content().clone(),
            new_codes: HashMap::new(),
            decision: None,
        }
    }

    /// The next version; the same one when nothing came out different.
    #[must_use]
    pub fn finish(self) -> Directory {
        if self.content == *self.base.content() {
            return self.base.clone();
        }
        Directory::index(self.base.version() + 1, self.content)
    }

    // Systems.

    /// Registers a system, with its prefixes and certificates if it has any.
    ///
    /// # Errors
    /// Its id is taken, a certificate is bound, it has prefixes and is no gateway, or a limit is reached.
    pub fn add_system(&mut self, system: System) -> Result<(), EditError> {
        let Err(place) = self
            .content
            .systems
            .binary_search_by(|known| known.id.cmp(&system.id))
        else {
            return Err(EditError::SystemExists(system.id));
        };
        limit("systems", self.content.systems.len() + 1, Directory::MAX_SYSTEMS)?;
        let bare = System {
            prefixes: Vec::new(),
            certificates: Vec::new(),
            ..system.clone()
        };
        self.content.systems.insert(place, bare);
        let filled = self.fill(&system);
        if filled.is_err() {
            self.content.systems.remove(place);
        }
        filled
    }

    fn fill(&mut self, system: &System) -> Result<(), EditError> {
        for row in &system.prefixes {
            self.push_prefix(&system.id, row.clone())?;
        }
        for row in &system.certificates {
            self.add_certificate(&system.id, row.clone())?;
        }
        Ok(())
    }

    /// Switches a system off or on.
    ///
    /// # Errors
    /// There is no such system.
    pub fn set_status(&mut self, system: &SystemId, status: SystemStatus) -> Result<(), EditError> {
        self.system_mut(system)?.status = status;
        Ok(())
    }

    /// Sets what is asked of a system.
    ///
    /// # Errors
    /// There is no such system.
    pub fn set_policy(&mut self, system: &SystemId, policy: SystemPolicy) -> Result<(), EditError> {
        self.system_mut(system)?.policy = policy;
        Ok(())
    }

    /// Binds a certificate to a system. Those it has stay: end them with [`Self::end_certificate`].
    ///
    /// # Errors
    /// There is no such system, the certificate is bound, its dates are reversed, or a limit is reached.
    pub fn add_certificate(&mut self, system: &SystemId, row: CertificateRow) -> Result<(), EditError> {
        let thumbprint = row.thumbprint;
        let bound = |known: &&System| known.certificates.iter().any(|old| old.thumbprint == thumbprint);
        if let Some(owner) = self.content.systems.iter().find(bound) {
            return Err(EditError::CertificateBound {
                thumbprint,
                system: owner.id.clone(),
            });
        }
        sound(row.valid)?;
        limit("bytes of PEM", row.pem.len(), CertificateRow::PEM_MAX)?;
        let rows = &mut self.system_mut(system)?.certificates;
        limit(
            "certificates of a system",
            rows.len() + 1,
            System::MAX_CERTIFICATES,
        )?;
        rows.push(row);
        Ok(())
    }

    /// Ends the binding of a certificate: `to` is the first day on which it no longer holds.
    ///
    /// # Errors
    /// There is no such system or certificate, or it would end before it begins.
    pub fn end_certificate(
        &mut self,
        system: &SystemId,
        thumbprint: &Sha256,
        to: Date,
    ) -> Result<(), EditError> {
        let mut rows = self.system_mut(system)?.certificates.iter_mut();
        let row = rows
            .find(|row| row.thumbprint == *thumbprint)
            .ok_or(EditError::UnknownCertificate(*thumbprint))?;
        let valid = Validity {
            to: Some(to),
            ..row.valid
        };
        sound(valid)?;
        row.valid = valid;
        Ok(())
    }

    /// Rotates: binds a new certificate, and lets those that hold on its first day hold until `overlap_to`
    /// (excluded), so that messages sealed with either pass meanwhile. Earlier ends stay.
    ///
    /// # Errors
    /// As [`Self::add_certificate`]; also when the overlap would end before it begins.
    pub fn rotate_certificate(
        &mut self,
        system: &SystemId,
        row: CertificateRow,
        overlap_to: Date,
    ) -> Result<(), EditError> {
        let begins = row.valid.from;
        if begins.is_some_and(|begins| overlap_to < begins) {
            return Err(EditError::Dates);
        }
        self.add_certificate(system, row)?;
        let rows = &mut self.system_mut(system)?.certificates;
        let Some((_new, old)) = rows.split_last_mut() else {
            return Ok(());
        };
        for row in old {
            let runs = row.valid.to.is_none_or(|to| to > overlap_to);
            let begun = row.valid.from.is_none_or(|from| from < overlap_to);
            if runs && begun {
                row.valid.to = Some(overlap_to);
            }
        }
        Ok(())
    }

    /// Makes these the prefixes of a gateway from a day on. Those of a new gateway hold always.
    ///
    /// # Errors
    /// There is no such system, it is no gateway, or a limit is reached.
    pub fn set_prefixes(
        &mut self,
        system: &SystemId,
        prefixes: &[RoutePrefix],
        on: Date,
    ) -> Result<(), EditError> {
        let known = self.system_mut(system)?;
        if known.kind != SystemKind::Gateway && !prefixes.is_empty() {
            return Err(EditError::NotAGateway(system.clone()));
        }
        set_of_prefixes(&mut known.prefixes, prefixes, on, System::MAX_PREFIXES)
    }

    /// Makes these the province's own prefixes from a day on; the first ones told hold always.
    ///
    /// # Errors
    /// A limit is reached.
    pub fn set_home(&mut self, prefixes: &[RoutePrefix], on: Date) -> Result<(), EditError> {
        set_of_prefixes(&mut self.content.home, prefixes, on, Directory::MAX_HOME)
    }

    fn push_prefix(&mut self, system: &SystemId, row: Dated<RoutePrefix>) -> Result<(), EditError> {
        sound(row.valid)?;
        let known = self.system_mut(system)?;
        if known.kind != SystemKind::Gateway {
            return Err(EditError::NotAGateway(system.clone()));
        }
        limit(
            "prefixes of a system",
            known.prefixes.len() + 1,
            System::MAX_PREFIXES,
        )?;
        let clash = |old: &Dated<RoutePrefix>| old.value == row.value && old.valid.overlaps(&row.valid);
        if known.prefixes.iter().any(clash) {
            return Err(EditError::Dates);
        }
        known.prefixes.push(row);
        sort_prefixes(&mut known.prefixes);
        Ok(())
    }

    // Agencies.

    /// Registers an agency under its next id. The first name holds always; the first code is preferred.
    ///
    /// # Errors
    /// A code is taken or a system's, the name or the list of codes is empty, dates are reversed, or a
    /// limit is reached.
    pub fn add_agency(&mut self, name: &str, codes: Vec<CodeRow>) -> Result<AgencyId, EditError> {
        let name = name.trim();
        if name.is_empty() || codes.is_empty() {
            return Err(EditError::Nameless);
        }
        limit(
            "agencies",
            self.content.agencies.len() + 1,
            Directory::MAX_AGENCIES,
        )?;
        limit("codes of an agency", codes.len(), Agency::MAX_CODES)?;
        for row in &codes {
            self.code_is_free(&row.code)?;
            sound(row.valid)?;
        }
        let last = self.content.agencies.last().map_or(0, |agency| agency.id.0);
        let id = AgencyId(last.checked_add(1).ok_or(EditError::Limit {
            what: "agencies",
            max: Directory::MAX_AGENCIES,
        })?);
        let mut agency = Agency {
            id,
            names: vec![Dated::always(name.to_owned())],
            codes: Vec::with_capacity(codes.len()),
            levels: Vec::new(),
            parent: Vec::new(),
            served_by: Vec::new(),
            successions: Vec::new(),
            note: None,
        };
        for row in codes {
            // The same code twice in one list: the first stands.
            if agency.codes.iter().all(|known| known.code != row.code) {
                self.new_codes.insert(row.code.clone(), id);
                agency.codes.push(row);
            }
        }
        self.content.agencies.push(agency);
        Ok(id)
    }

    /// Gives an agency one more code, after those it has.
    ///
    /// # Errors
    /// There is no such agency, the code is taken or a system's, dates are reversed, or a limit is reached.
    pub fn add_code(&mut self, agency: AgencyId, row: CodeRow) -> Result<(), EditError> {
        self.code_is_free(&row.code)?;
        sound(row.valid)?;
        let known = self.agency_mut(agency)?;
        limit("codes of an agency", known.codes.len() + 1, Agency::MAX_CODES)?;
        let code = row.code.clone();
        known.codes.push(row);
        self.new_codes.insert(code, agency);
        Ok(())
    }

    /// Sets the dates of a code.
    ///
    /// # Errors
    /// There is no such agency, it has no such code, or the dates are reversed.
    pub fn set_code_dates(
        &mut self,
        agency: AgencyId,
        code: &AgencyCode,
        valid: Validity,
    ) -> Result<(), EditError> {
        sound(valid)?;
        let mut rows = self.agency_mut(agency)?.codes.iter_mut();
        let row = rows
            .find(|row| row.code == *code)
            .ok_or_else(|| EditError::UnknownCode(code.clone()))?;
        row.valid = valid;
        Ok(())
    }

    /// Renames an agency from a day on.
    ///
    /// # Errors
    /// There is no such agency, or the name is empty.
    pub fn rename(&mut self, agency: AgencyId, name: &str, on: Date) -> Result<(), EditError> {
        let name = name.trim();
        if name.is_empty() {
            return Err(EditError::Nameless);
        }
        let decision = self.decision.clone();
        let names = &mut self.agency_mut(agency)?.names;
        dated::set_from(names, Some(name.to_owned()), on, decision.as_deref());
        Ok(())
    }

    /// Lets a system serve an agency from a day on, or none. The first assignment of all holds always.
    ///
    /// # Errors
    /// There is no such agency or system.
    pub fn assign(&mut self, agency: AgencyId, system: Option<&SystemId>, on: Date) -> Result<(), EditError> {
        if let Some(system) = system {
            self.system_mut(system)?;
        }
        let decision = self.decision.clone();
        let rows = &mut self.agency_mut(agency)?.served_by;
        set_first_always(rows, system.cloned(), on, decision.as_deref());
        Ok(())
    }

    /// Puts an agency under another from a day on, or under none. The first parent of all holds always.
    ///
    /// # Errors
    /// There is no such agency.
    pub fn set_parent(
        &mut self,
        agency: AgencyId,
        parent: Option<AgencyId>,
        on: Date,
    ) -> Result<(), EditError> {
        if let Some(parent) = parent {
            self.agency_mut(parent)?;
        }
        let decision = self.decision.clone();
        let rows = &mut self.agency_mut(agency)?.parent;
        set_first_always(rows, parent, on, decision.as_deref());
        Ok(())
    }

    pub(crate) fn owner_of(&self, code: &AgencyCode) -> Option<AgencyId> {
        let old = self.base.find_code(code).map(|agency| agency.id);
        old.or_else(|| self.new_codes.get(code).copied())
    }

    fn code_is_free(&self, code: &AgencyCode) -> Result<(), EditError> {
        if code.form() == CodeForm::System {
            return Err(EditError::SystemCode(code.clone()));
        }
        match self.owner_of(code) {
            Some(agency) => Err(EditError::CodeTaken {
                code: code.clone(),
                agency,
            }),
            None => Ok(()),
        }
    }

    pub(crate) fn agency(&self, id: AgencyId) -> Option<&Agency> {
        let place = self.content.agency_place(id)?;
        self.content.agencies.get(place)
    }

    pub(crate) fn agency_mut(&mut self, id: AgencyId) -> Result<&mut Agency, EditError> {
        let place = self
            .content
            .agency_place(id)
            .ok_or(EditError::UnknownAgency(id))?;
        Ok(&mut self.content.agencies[place])
    }

    pub(crate) fn system_mut(&mut self, id: &SystemId) -> Result<&mut System, EditError> {
        let place = self.content.system_place(id);
        let place = place.ok_or_else(|| EditError::UnknownSystem(id.clone()))?;
        Ok(&mut self.content.systems[place])
    }
}

/// A first value holds always: a directory told today is also right about yesterday's documents.
pub(crate) fn set_first_always<T: PartialEq>(
    rows: &mut Vec<Dated<T>>,
    value: Option<T>,
    on: Date,
    decision: Option<&str>,
) -> bool {
    match (rows.is_empty(), value) {
        (true, Some(value)) => {
            rows.push(Dated {
                decision: decision.map(str::to_owned),
                ..Dated::always(value)
            });
            true
        }
        (_, value) => dated::set_from(rows, value, on, decision),
    }
}

fn set_of_prefixes(
    rows: &mut Vec<Dated<RoutePrefix>>,
    wanted: &[RoutePrefix],
    on: Date,
    max: usize,
) -> Result<(), EditError> {
    let mut next = rows.clone();
    for row in &mut next {
        if row.valid.contains(on) && !wanted.contains(&row.value) {
            row.valid.to = Some(on);
        }
    }
    // One that began today and ends today never held.
    next.retain(|row| row.valid.is_sound());
    for prefix in wanted {
        let same = |row: &&Dated<RoutePrefix>| row.value == *prefix;
        if next.iter().filter(same).any(|row| row.valid.contains(on)) {
            continue;
        }
        let to = next
            .iter()
            .filter(same)
            .filter_map(|row| row.valid.from)
            .find(|from| *from > on);
        let from = if rows.is_empty() { None } else { Some(on) };
        next.push(Dated {
            value: prefix.clone(),
            valid: Validity { from, to },
            decision: None,
        });
        sort_prefixes(&mut next);
    }
    limit("prefixes", next.len(), max)?;
    *rows = next;
    Ok(())
}

fn sort_prefixes(rows: &mut [Dated<RoutePrefix>]) {
    rows.sort_by(|a, b| (&a.value, a.valid.from).cmp(&(&b.value, b.valid.from)));
}

fn limit(what: &'static str, found: usize, max: usize) -> Result<(), EditError> {
    if found > max {
        return Err(EditError::Limit { what, max });
    }
    Ok(())
}

fn sound(valid: Validity) -> Result<(), EditError> {
    if valid.is_sound() {
        Ok(())
    } else {
        Err(EditError::Dates)
    }
}
