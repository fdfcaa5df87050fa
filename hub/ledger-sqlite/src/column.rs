//! Columns, read into the words of the domain. What cannot be read is damage, named by its column.

use std::str::FromStr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::sqlite::SqliteRow;
use truc_ledger::StoreError;
use truc_model::Sha256;

use crate::fault::store_error;

/// Reads columns by name.
pub(crate) trait Columns {
    fn text(&self, name: &'static str) -> Result<String, StoreError>;
    fn text_or_null(&self, name: &'static str) -> Result<Option<String>, StoreError>;
    fn integer(&self, name: &'static str) -> Result<i64, StoreError>;
    fn integer_or_null(&self, name: &'static str) -> Result<Option<i64>, StoreError>;
    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, StoreError>;

    /// An unsigned number of any width.
    fn count<N: TryFrom<i64>>(&self, name: &'static str) -> Result<N, StoreError> {
        N::try_from(self.integer(name)?).map_err(|_| damaged(name))
    }

    fn count_or_null<N: TryFrom<i64>>(&self, name: &'static str) -> Result<Option<N>, StoreError> {
        let number = self.integer_or_null(name)?;
        number
            .map(|number| N::try_from(number).map_err(|_| damaged(name)))
            .transpose()
    }

    fn time(&self, name: &'static str) -> Result<Timestamp, StoreError> {
        to_time(self.integer(name)?).ok_or_else(|| damaged(name))
    }

    fn digest(&self, name: &'static str) -> Result<Sha256, StoreError> {
        let bytes = self.bytes(name)?;
        let bytes = <[u8; 32]>::try_from(bytes.as_slice()).map_err(|_| damaged(name))?;
        Ok(Sha256::from_bytes(bytes))
    }

    fn parsed<T: FromStr>(&self, name: &'static str) -> Result<T, StoreError> {
        self.text(name)?.parse().map_err(|_| damaged(name))
    }

    fn parsed_or_null<T: FromStr>(&self, name: &'static str) -> Result<Option<T>, StoreError> {
        let text = self.text_or_null(name)?;
        text.map(|text| text.parse().map_err(|_| damaged(name)))
            .transpose()
    }

    /// A closed list's word.
    fn word<T>(&self, name: &'static str, of: impl FnOnce(&str) -> Option<T>) -> Result<T, StoreError> {
        of(&self.text(name)?).ok_or_else(|| damaged(name))
    }

    fn json<T: DeserializeOwned>(&self, name: &'static str) -> Result<T, StoreError> {
        serde_json::from_str(&self.text(name)?).map_err(|_| damaged(name))
    }

    fn flag(&self, name: &'static str) -> Result<bool, StoreError> {
        Ok(self.integer(name)? != 0)
    }
}

impl Columns for SqliteRow {
    fn text(&self, name: &'static str) -> Result<String, StoreError> {
        self.try_get(name).map_err(store_error)
    }

    fn text_or_null(&self, name: &'static str) -> Result<Option<String>, StoreError> {
        self.try_get(name).map_err(store_error)
    }

    fn integer(&self, name: &'static str) -> Result<i64, StoreError> {
        self.try_get(name).map_err(store_error)
    }

    fn integer_or_null(&self, name: &'static str) -> Result<Option<i64>, StoreError> {
        self.try_get(name).map_err(store_error)
    }

    fn bytes(&self, name: &'static str) -> Result<Vec<u8>, StoreError> {
        self.try_get(name).map_err(store_error)
    }
}

/// The ledger has something in this column that it never wrote.
pub(crate) fn damaged(column: &'static str) -> StoreError {
    StoreError::Damaged(format!("column {column} cannot be read"))
}

pub(crate) fn to_time(micros: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros).ok()
}
