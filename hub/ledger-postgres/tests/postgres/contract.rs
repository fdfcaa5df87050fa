//! The contract, run by PostgreSQL in a schema of its own for every case.

use crate::bench::SchemaBench;

truc_ledger::contract_tests!(SchemaBench::new().await);
