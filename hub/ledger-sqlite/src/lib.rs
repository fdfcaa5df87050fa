//! ledger-sqlite
