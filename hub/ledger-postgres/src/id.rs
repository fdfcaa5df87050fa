//! Ids in `uuid` columns, one or many in a parameter.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo, PgValueFormat, PgValueRef};
use sqlx::{Decode, Encode, Postgres, Type};
use truc_model::{AlertPostUid, AlertUid, DeliveryUid, DocumentUid, MessageId};
use uuid::Uuid;

/// The numbers of the types in every PostgreSQL (`pg_type.dat`).
const UUID: Oid = Oid(2950);
const UUID_ARRAY: Oid = Oid(2951);

/// An id as PostgreSQL keeps it: 16 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) Uuid);

impl Type<Postgres> for Id {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UUID)
    }
}

impl PgHasArrayType for Id {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UUID_ARRAY)
    }
}

impl Encode<'_, Postgres> for Id {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

impl Decode<'_, Postgres> for Id {
    fn decode(value: PgValueRef<'_>) -> Result<Self, BoxDynError> {
        Ok(Self(match value.format() {
            PgValueFormat::Binary => Uuid::from_slice(value.as_bytes()?)?,
            PgValueFormat::Text => Uuid::try_parse(value.as_str()?)?,
        }))
    }
}

macro_rules! ids {
    ($($uid:ident),*) => {
        $(impl From<$uid> for Id {
            fn from(uid: $uid) -> Self {
                Self(uid.uuid())
            }
        }

        impl From<Id> for $uid {
            fn from(id: Id) -> Self {
                Self::new(id.0)
            }
        })*
    };
}

ids!(AlertPostUid, AlertUid, DeliveryUid, DocumentUid, MessageId);
