//! The ledger in PostgreSQL: several hubs on one database. It loads and saves rows; the rules are truc-ledger's.
