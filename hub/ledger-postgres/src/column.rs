//! Columns, read into the words of the domain. What cannot be read is damage, named by its column.

use std::str::FromStr;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use sqlx::Row as _;
use sqlx::postgres::PgRow;
use truc_ledger::StoreError;
use truc_model::Sha256;

use crate::fault::store_error;
use crate::id::Id;

/// Reads columns by name.
pub(crate) trait Columns {
    fn text(&self, name: &'static str) -> Result<String, StoreError>;
    fn text_or_null(&self, name: &'static str) -> Result<Option<String>, StoreError>;
    /// A `bigint`.
    fn integer(&self, name: &'static str) -> Result<i64, StoreError>;
    fn integer_or_null(&self, name: &'static str) -> Result<Option<i64>, StoreError>;
    /// An `integer`.
    fn small(&self, name: &'static str) -> Result<i32, StoreError>;
    /// A `smallint`.
    fn tiny(&self, name: &'static str) -> Result<i16, StoreError>;
    fn flag(&self, name: &'static str) -> Result<bool, StoreError>;
    /// 32 bytes, whatever way they came: the end of the chain comes with the transaction's beginning, as text.
    fn hash(&self, name: &'static str) -> Result<[u8; 32], StoreError>;
    fn bytes_or_null(&self, name: &'static str) -> Result<Option<&[u8]>, StoreError>;
    fn uuid(&self, name: &'static str) -> Result<Id, StoreError>;
    fn uuid_or_null(&self, name: &'static str) -> Result<Option<Id>, StoreError>;
    fn uuids(&self, name: &'static str) -> Result<Vec<Id>, StoreError>;

    /// An id of the domain.
    fn id<T: From<Id>>(&self, name: &'static str) -> Result<T, StoreError> {
        self.uuid(name).map(T::from)
    }

    fn id_or_null<T: From<Id>>(&self, name: &'static str) -> Result<Option<T>, StoreError> {
        Ok(self.uuid_or_null(name)?.map(T::from))
    }

    /// An unsigned number in a `bigint`.
    fn count<N: TryFrom<i64>>(&self, name: &'static str) -> Result<N, StoreError> {
        N::try_from(self.integer(name)?).map_err(|_| damaged(name))
    }

    fn count_or_null<N: TryFrom<i64>>(&self, name: &'static str) -> Result<Option<N>, StoreError> {
        let number = self.integer_or_null(name)?;
        number
            .map(|number| N::try_from(number).map_err(|_| damaged(name)))
            .transpose()
    }

    /// An unsigned number in an `integer`.
    fn few<N: TryFrom<i32>>(&self, name: &'static str) -> Result<N, StoreError> {
        N::try_from(self.small(name)?).map_err(|_| damaged(name))
    }

    /// An unsigned number in a `smallint`.
    fn level(&self, name: &'static str) -> Result<u8, StoreError> {
        u8::try_from(self.tiny(name)?).map_err(|_| damaged(name))
    }

    fn time(&self, name: &'static str) -> Result<Timestamp, StoreError> {
        to_time(self.integer(name)?).ok_or_else(|| damaged(name))
    }

    fn time_or_null(&self, name: &'static str) -> Result<Option<Timestamp>, StoreError> {
        let at = self.integer_or_null(name)?;
        at.map(|at| to_time(at).ok_or_else(|| damaged(name))).transpose()
    }

    fn digest(&self, name: &'static str) -> Result<Sha256, StoreError> {
        Ok(Sha256::from_bytes(self.hash(name)?))
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
}

macro_rules! read {
    ($($column:ident: $type:ty,)*) => {
        $(fn $column(&self, name: &'static str) -> Result<$type, StoreError> {
            self.try_get(name).map_err(store_error)
        })*
    };
}

impl Columns for PgRow {
    read! {
        text: String,
        text_or_null: Option<String>,
        integer: i64,
        integer_or_null: Option<i64>,
        small: i32,
        tiny: i16,
        flag: bool,
        hash: [u8; 32],
        bytes_or_null: Option<&[u8]>,
        uuid: Id,
        uuid_or_null: Option<Id>,
        uuids: Vec<Id>,
    }
}

/// The ledger has something in this column that it never wrote.
pub(crate) fn damaged(column: &'static str) -> StoreError {
    StoreError::Damaged(format!("column {column} cannot be read"))
}

pub(crate) fn to_time(micros: i64) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros).ok()
}
