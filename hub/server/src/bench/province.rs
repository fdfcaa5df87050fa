//! A province made up for a run: so many systems with so many agencies, all codes of one length, so that all
//! packets of a run are of one size.

use std::fmt::Write as _;

use crate::demo::stage::StageError;

/// Most agencies: what the codes of one level can name.
pub const AGENCIES_MAX: usize = 9_000;

/// See the module.
#[derive(Debug, Clone)]
pub struct Province {
    /// Ids of the systems, in order.
    pub systems: Vec<String>,
    /// Codes of the agencies.
    pub agencies: Vec<String>,
    /// The system that serves each agency.
    serving: Vec<usize>,
}

impl Province {
    /// A province of `systems` systems that serve `agencies` agencies in turns.
    ///
    /// # Errors
    /// [`StageError`] when there are fewer agencies than systems, no system, or more than [`AGENCIES_MAX`].
    pub fn new(systems: usize, agencies: usize) -> Result<Self, StageError> {
        if systems == 0 || agencies < systems || agencies > AGENCIES_MAX {
            return Err(StageError(format!(
                "expected at least one system and from {systems} to {AGENCIES_MAX} agencies, found {agencies}"
            )));
        }
        Ok(Self {
            systems: (0..systems).map(|n| format!("he-thong-{n:04}")).collect(),
            agencies: (0..agencies)
                .map(|n| format!("000.{:02}.{:02}.H60", n / 99, n % 99 + 1))
                .collect(),
            serving: (0..agencies).map(|n| n % systems).collect(),
        })
    }

    /// A province for one packet to many: agency 0 has a system of its own, number 0; `recipients` agencies are
    /// served by `systems` further systems in turns.
    ///
    /// # Errors
    /// As [`Province::new`].
    pub fn one_to_many(systems: usize, recipients: usize) -> Result<Self, StageError> {
        let many = Self::new(systems, recipients)?;
        let serving = many.serving.iter().map(|system| system + 1);
        let all = Self::new(systems + 1, recipients + 1)?;
        Ok(Self {
            serving: std::iter::once(0).chain(serving).collect(),
            ..all
        })
    }

    /// Name of agency `n`.
    #[must_use]
    pub fn name(n: usize) -> String {
        format!("Cơ quan {n:04}")
    }

    /// The system that serves agency `n`.
    #[must_use]
    pub fn system_of(&self, n: usize) -> usize {
        self.serving[n]
    }

    /// For `truc directory import --systems`.
    #[must_use]
    pub fn systems_csv(&self) -> String {
        let mut csv = "system,name,kind,prefixes,signature,note\n,Tỉnh thử,home,H60,,\n".to_owned();
        for id in &self.systems {
            // Writing to a string cannot fail.
            let _ = writeln!(csv, "{id},Hệ thống {id},tenant,,either,");
        }
        csv
    }

    /// For `truc directory import`.
    #[must_use]
    pub fn agencies_csv(&self) -> String {
        let mut csv = "code,name,other_codes,parent,level,system,note\n".to_owned();
        let _ = writeln!(csv, "000.00.00.H60,UBND tỉnh thử,,,1,{},", self.systems[0]);
        for (n, code) in self.agencies.iter().enumerate() {
            let system = &self.systems[self.system_of(n)];
            let _ = writeln!(csv, "{code},{},,000.00.00.H60,2,{system},", Self::name(n));
        }
        csv
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use truc_directory::{Directory, ImportOptions, Severity, import_agencies, import_systems};

    use super::*;

    #[test]
    fn the_province_can_be_imported() {
        let province = Province::new(20, 1_500).unwrap();
        let options = ImportOptions {
            on: date(2026, 3, 1),
            decision: None,
        };
        let systems = import_systems(&Directory::empty(), province.systems_csv().as_bytes(), &options);
        let agencies = import_agencies(&systems.next, province.agencies_csv().as_bytes(), &options);
        let errors: Vec<_> = systems
            .problems
            .iter()
            .chain(&agencies.problems)
            .filter(|problem| problem.severity == Severity::Error)
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
        assert_eq!(agencies.next.agencies().len(), 1_501);
        assert_eq!(agencies.next.systems().count(), 20);
        let lengths: Vec<usize> = province.agencies.iter().map(String::len).collect();
        assert!(lengths.iter().all(|length| *length == lengths[0]));
    }

    #[test]
    fn one_to_many_has_a_sender_apart() {
        let province = Province::one_to_many(2, 5).unwrap();
        let serving: Vec<usize> = (0..6).map(|n| province.system_of(n)).collect();
        assert_eq!(serving, [0, 1, 2, 1, 2, 1]);
        assert_eq!((province.systems.len(), province.agencies.len()), (3, 6));
    }

    #[test]
    fn a_province_has_its_limits() {
        assert!(Province::new(1, AGENCIES_MAX).is_ok());
        assert!(Province::new(1, AGENCIES_MAX + 1).is_err());
        assert!(Province::new(0, 1).is_err());
        assert!(Province::new(3, 2).is_err());
    }
}
