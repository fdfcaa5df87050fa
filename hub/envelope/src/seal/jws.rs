//! The compact form of a seal (RFC 7515 §7.1): written one way, read strictly.
//!
//! Reading is stricter than JWS asks: no padding, no white space, no second member of a name, no `crit`.
//! What is ignored is ignored wholly: keys and certificates that a header brings along (`jwk`, `jku`,
//! `x5u`, `x5c`) are never looked at, because the directory alone says whose key is whose.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use truc_model::{Place, Refusal, RefusalCode, Sha256, SystemId};

use super::{Algorithm, Claims, SEAL_MAX_BYTES, SEAL_TYPE};

/// A seal's parts, read but not judged.
#[derive(Debug)]
pub(super) struct Parts<'a> {
    /// What the signature is over: header and payload as they stand, with the dot between them.
    pub(super) signed: &'a [u8],
    /// The signature.
    pub(super) signature: Vec<u8>,
    /// Its algorithm, one of the allowed.
    pub(super) algorithm: Algorithm,
    /// Which certificate.
    pub(super) thumbprint: Sha256,
    /// The payload's members.
    claims: Members,
}

/// What the payload says, each claim of the right form; none compared yet.
#[derive(Debug)]
pub(super) struct ReadClaims {
    pub(super) iss: String,
    pub(super) jti: String,
    pub(super) iat: i64,
    pub(super) sha256: Sha256,
    pub(super) size: u64,
}

/// Reads the compact form: three parts, header and payload objects, algorithm from the list, `x5t#S256`.
pub(super) fn read(seal: &str) -> Result<Parts<'_>, Refusal> {
    if seal.len() > SEAL_MAX_BYTES {
        return Err(malformed(
            "seal",
            format!("at most {SEAL_MAX_BYTES} bytes"),
            format!("{} bytes", seal.len()),
        ));
    }
    let parts: Vec<&str> = seal.split('.').collect();
    let &[header, payload, signature] = parts.as_slice() else {
        return Err(malformed(
            "seal",
            "three parts with dots between them",
            format!("{} parts", parts.len()),
        ));
    };
    let signed = &seal.as_bytes()[..header.len() + 1 + payload.len()];
    let header = members("header", header)?;
    let claims = members("claims", payload)?;
    let signature = decode("signature", signature)?;

    if header.contains_key("crit") {
        return Err(malformed("header", "no crit", "crit"));
    }
    if let Some(typ) = header.get("typ")
        && typ.as_str() != Some(SEAL_TYPE)
    {
        return Err(malformed(
            "header",
            format!("typ {SEAL_TYPE}, or none"),
            "another typ",
        ));
    }
    let thumbprint = match header.get("x5t#S256").map(digest) {
        Some(Some(thumbprint)) => thumbprint,
        Some(None) => {
            return Err(malformed(
                "header",
                "x5t#S256 as base64url of 32 bytes",
                "something else",
            ));
        }
        None => return Err(malformed("header", "x5t#S256", "none")),
    };
    let algorithm = algorithm(header.get("alg"))?;
    Ok(Parts {
        signed,
        signature,
        algorithm,
        thumbprint,
        claims,
    })
}

/// Writes header and payload: the part that is signed.
pub(super) fn signing_input(algorithm: Algorithm, thumbprint: Sha256, claims: &Claims) -> String {
    let header = Header {
        alg: algorithm.as_str(),
        typ: SEAL_TYPE,
        x5t: thumbprint.base64url(),
    };
    let payload = Payload {
        iss: claims.iss.as_str(),
        jti: claims.jti.to_string(),
        iat: claims.iat.as_second(),
        sha256: claims.sha256.base64url(),
        size: claims.size,
    };
    format!("{}.{}", encode(&header), encode(&payload))
}

/// Adds the signature.
pub(super) fn with_signature(signing_input: &str, signature: &[u8]) -> String {
    format!("{signing_input}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[derive(Serialize)]
struct Header<'a> {
    alg: &'a str,
    typ: &'a str,
    #[serde(rename = "x5t#S256")]
    x5t: String,
}

#[derive(Serialize)]
struct Payload<'a> {
    iss: &'a str,
    jti: String,
    iat: i64,
    #[serde(rename = "sha-256")]
    sha256: String,
    size: u64,
}

fn encode(part: &impl Serialize) -> String {
    // Structs of strings and numbers always have a JSON form.
    URL_SAFE_NO_PAD.encode(serde_json::to_vec(part).unwrap_or_default())
}

impl Parts<'_> {
    /// The claims, each present and of the right form.
    pub(super) fn claims(&self) -> Result<ReadClaims, Refusal> {
        Ok(ReadClaims {
            iss: self.claim("iss", "a system id", |value| Some(value.as_str()?.to_owned()))?,
            jti: self.claim("jti", "the message_id", |value| Some(value.as_str()?.to_owned()))?,
            iat: self.claim("iat", "whole seconds since 1970 UTC", Value::as_i64)?,
            size: self.claim("size", "a number of bytes", Value::as_u64)?,
            sha256: self.claim("sha-256", "base64url of 32 bytes without padding", digest)?,
        })
    }

    fn claim<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<T, Refusal> {
        let refuse = |found: &str| Refusal::new(RefusalCode::SealClaims, Place::seal(name), expected, found);
        let value = self.claims.get(name).ok_or_else(|| refuse("none"))?;
        read(value).ok_or_else(|| refuse(kind_of(value)))
    }
}

impl ReadClaims {
    /// `iss` as a system id, for quoting: anything else is a stranger's text and is not repeated.
    pub(super) fn quotable_iss(&self) -> String {
        SystemId::new(&self.iss).map_or_else(|_| "no system id".to_owned(), String::from)
    }

    /// `jti` for quoting, under the same rule.
    pub(super) fn quotable_jti(&self) -> String {
        self.jti
            .parse::<truc_model::MessageId>()
            .map_or_else(|_| "no UUID".to_owned(), |id| id.to_string())
    }
}

fn malformed(part: &str, expected: impl Into<String>, found: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::SealMalformed, Place::seal(part), expected, found)
}

fn decode(part: &str, text: &str) -> Result<Vec<u8>, Refusal> {
    URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| malformed(part, "base64url without padding", "something else"))
}

fn digest(value: &Value) -> Option<Sha256> {
    let bytes = URL_SAFE_NO_PAD.decode(value.as_str()?).ok()?;
    Some(Sha256::from_bytes(bytes.try_into().ok()?))
}

/// Well-known names are repeated, so that the answer says what to change; other text is not.
fn algorithm(alg: Option<&Value>) -> Result<Algorithm, Refusal> {
    const KNOWN: [&str; 16] = [
        "none", "HS256", "HS384", "HS512", "RS384", "RS512", "PS384", "PS512", "ES384", "ES512", "ES256K",
        "Ed25519", "Ed448", "RS1", "RSA-OAEP", "dir",
    ];
    let found = match alg {
        None => "none given",
        Some(Value::String(name)) => match name.parse() {
            Ok(algorithm) => return Ok(algorithm),
            Err(_) => KNOWN
                .into_iter()
                .find(|known| known.eq_ignore_ascii_case(name))
                .unwrap_or("another name"),
        },
        Some(other) => kind_of(other),
    };
    Err(Refusal::new(
        RefusalCode::SealAlgorithm,
        Place::seal("header"),
        "alg RS256, PS256, ES256 or EdDSA",
        found,
    ))
}

const fn kind_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number of another form",
        Value::String(_) => "a string of another form",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// The members of one object, each name once.
type Members = BTreeMap<String, Value>;

fn members(part: &str, text: &str) -> Result<Members, Refusal> {
    let bytes = decode(part, text)?;
    match serde_json::from_slice::<Unique>(&bytes) {
        Ok(Unique(members)) => Ok(members),
        Err(error) => Err(malformed(
            part,
            "a JSON object, each member once",
            format!(
                "something else at line {}, column {}",
                error.line(),
                error.column()
            ),
        )),
    }
}

/// A JSON object in which no name stands twice: readers that take the first and readers that take the
/// last would otherwise see two different seals (RFC 7515 §10.12).
struct Unique(Members);

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Unique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique, A::Error> {
                let mut members = Members::new();
                // Bounded by SEAL_MAX_BYTES; serde_json bounds the depth.
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member stands twice"));
                    }
                }
                Ok(Unique(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
