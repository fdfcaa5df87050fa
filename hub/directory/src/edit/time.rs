//! Acts by which agencies end, follow one another and change their codes: a reorganisation is made of these.

use jiff::civil::Date;
use truc_model::{AgencyCode, AgencyId, SystemId};

use super::{EditError, Editor, limit, sound};
use crate::agency::{Agency, CodeRow, CodeState};
use crate::dated::{self, Validity};
use crate::reorganise::Reorganisation;
use crate::snapshot::Content;
use crate::succession::Succession;

impl Editor<'_> {
    /// Names the decision behind the changes of names, levels, parents, systems and codes that follow; `None`:
    /// none is named.
    pub fn decided_by(&mut self, decision: Option<String>) {
        self.decision = decision;
    }

    /// Sets the level of an agency from a day on, and on no day before.
    ///
    /// # Errors
    /// There is no such agency, or the level is none.
    pub fn set_level(&mut self, agency: AgencyId, level: Option<u8>, on: Date) -> Result<(), EditError> {
        let sound = |level: u8| level > 0 && usize::from(level) <= AgencyCode::MAX_LEVELS;
        if level.is_some_and(|level| !sound(level)) {
            return Err(EditError::Limit {
                what: "levels",
                max: AgencyCode::MAX_LEVELS,
            });
        }
        let decision = self.decision.clone();
        let rows = &mut self.agency_mut(agency)?.levels;
        dated::set_from(rows, level, on, decision.as_deref());
        Ok(())
    }

    /// Lets a system serve an agency from a day on, and on no day before: also when none was assigned yet, so
    /// that until then a gateway goes on serving it.
    ///
    /// # Errors
    /// There is no such agency or system.
    pub fn assign_from(
        &mut self,
        agency: AgencyId,
        system: Option<&SystemId>,
        on: Date,
    ) -> Result<(), EditError> {
        if let Some(system) = system {
            self.system_mut(system)?;
        }
        let decision = self.decision.clone();
        let rows = &mut self.agency_mut(agency)?.served_by;
        dated::set_from(rows, system.cloned(), on, decision.as_deref());
        Ok(())
    }

    /// Puts an agency under another from a day on, or under none, and on no day before.
    ///
    /// # Errors
    /// There is no such agency.
    pub fn set_parent_from(
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
        dated::set_from(rows, parent, on, decision.as_deref());
        Ok(())
    }

    /// Gives an agency new codes from a day on, the first one preferred, and closes those it had: until
    /// `grace_until` (excluded) documents for them are still forwarded. A code it has and keeps stays open.
    ///
    /// # Errors
    /// There is no such agency, it has ended, a code is taken, closed or a system's, dates are reversed, or a
    /// limit is reached. Nothing is changed then.
    pub fn recode(
        &mut self,
        agency: AgencyId,
        codes: &[AgencyCode],
        on: Date,
        grace_until: Option<Date>,
    ) -> Result<(), EditError> {
        after(on, grace_until)?;
        let known = self.agency_mut(agency)?.clone();
        if known.has_ended(on) {
            return Err(EditError::Ended(agency));
        }
        let mut rows = Vec::with_capacity(known.codes.len() + codes.len());
        for code in codes {
            let kept = known.codes.iter().find(|row| row.code == *code);
            match kept {
                Some(row) if row.state(on) == CodeState::InForce => rows.push(row.clone()),
                Some(_) => {
                    return Err(EditError::CodeTaken {
                        code: code.clone(),
                        agency,
                    });
                }
                None => {
                    self.code_is_free(code)?;
                    rows.push(CodeRow {
                        code: code.clone(),
                        valid: Validity::since(on),
                        decision: self.decision.clone(),
                        grace_until: None,
                    });
                }
            }
        }
        for row in known.codes.iter().filter(|row| !codes.contains(&row.code)) {
            let mut row = row.clone();
            if self.close_code(&mut row, on)? {
                row.grace_until = grace_until;
            }
            rows.push(row);
        }
        limit("codes of an agency", rows.len(), Agency::MAX_CODES)?;
        self.agency_mut(agency)?.codes = rows;
        for code in codes {
            self.new_codes.insert(code.clone(), agency);
        }
        Ok(())
    }

    /// Ends an agency: closes its codes, and says who took over (nobody, one, or several).
    ///
    /// # Errors
    /// It or a successor is not there, it has ended, it would succeed itself, dates are reversed, or a limit is
    /// reached. Nothing is changed then.
    pub fn end(
        &mut self,
        agency: AgencyId,
        successors: &[AgencyId],
        on: Date,
        grace_until: Option<Date>,
    ) -> Result<(), EditError> {
        after(on, grace_until)?;
        let mut to = successors.to_vec();
        to.sort_unstable();
        to.dedup();
        limit("successors of an agency", to.len(), Succession::MAX_SUCCESSORS)?;
        for heir in &to {
            self.agency_mut(*heir)?;
            if leads_to(&self.content, *heir, agency) {
                return Err(EditError::OwnSuccessor(agency));
            }
        }
        let mut known = self.agency_mut(agency)?.clone();
        let ended = known.codes.iter().all(|row| row.state(on) == CodeState::Closed);
        if ended || !known.successions.is_empty() {
            return Err(EditError::Ended(agency));
        }
        for row in &mut known.codes {
            self.close_code(row, on)?;
        }
        known.successions.push(Succession {
            to,
            on,
            grace_until,
            decision: self.decision.clone(),
        });
        *self.agency_mut(agency)? = known;
        Ok(())
    }

    /// Notes a reorganisation whose changes were made with this editor.
    ///
    /// # Errors
    /// A limit is reached.
    pub fn add_reorganisation(&mut self, row: Reorganisation) -> Result<(), EditError> {
        let rows = &mut self.content.reorganisations;
        limit("reorganisations", rows.len() + 1, Reorganisation::MAX)?;
        rows.push(row);
        Ok(())
    }

    /// Notes that what waited on the day of each reorganisation due by `today` was moved. Gives how many were
    /// due.
    pub fn mark_moved(&mut self, today: Date) -> usize {
        let due = |row: &&mut Reorganisation| !row.moved && row.on <= today;
        let mut count = 0;
        for row in self.content.reorganisations.iter_mut().filter(due) {
            row.moved = true;
            count += 1;
        }
        count
    }

    /// Ends a code on a day, if it has not ended by then. A code whose first day is still to come cannot end
    /// before it.
    fn close_code(&self, row: &mut CodeRow, on: Date) -> Result<bool, EditError> {
        if row.valid.to.is_some_and(|to| to <= on) {
            return Ok(false);
        }
        let valid = Validity {
            to: Some(on),
            ..row.valid
        };
        sound(valid)?;
        row.valid = valid;
        if self.decision.is_some() {
            row.decision.clone_from(&self.decision);
        }
        Ok(true)
    }
}

fn after(on: Date, grace_until: Option<Date>) -> Result<(), EditError> {
    match grace_until.is_none_or(|until| on < until) {
        true => Ok(()),
        false => Err(EditError::Dates),
    }
}

/// Whether the successions from one agency on, of any day, come to another.
fn leads_to(content: &Content, from: AgencyId, to: AgencyId) -> bool {
    let mut open = vec![from];
    let mut seen = std::collections::BTreeSet::new();
    while let Some(id) = open.pop() {
        if id == to {
            return true;
        }
        // Each agency once: no longer than the directory is large.
        if !seen.insert(id) {
            continue;
        }
        let place = content.agency_place(id);
        let steps = place
            .into_iter()
            .flat_map(|place| &content.agencies[place].successions);
        open.extend(steps.flat_map(|step| &step.to));
    }
    false
}
