//! The seal: nothing passes but what the holder of the key made over these bytes.

use std::fmt;
use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use ring::signature::Ed25519KeyPair;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use truc_envelope::seal::{
    Algorithm, BoundCertificate, Claims, Expected, SEAL_MAX_BYTES, SEAL_TYPE, SealingKey, Tolerance, Trust,
    ValidSeal, make, verify,
};
use truc_model::{MessageId, Place, Refusal, Sha256, SystemId};

use crate::edits::edited;
use crate::keys::{NOW, Signer, now, pkcs8};
use crate::packets::files;
use crate::place::assert_sayable;

/// A sealed message, and what the hub knew of it.
pub(crate) struct Message {
    pub(crate) seal: String,
    /// Other seals that the same key made over the same header and claims: ECDSA makes another each time.
    others: Vec<String>,
    system: SystemId,
    message_id: MessageId,
    body: String,
    now: Timestamp,
    bound: Vec<BoundCertificate>,
    trust: Trust,
}

struct World {
    messages: Vec<Message>,
    /// The last of the messages was sealed with this key.
    own: Ed25519KeyPair,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

/// A case of the attack corpus, as far as it is needed here.
#[derive(Deserialize)]
struct Case {
    now: Timestamp,
    system: SystemId,
    message_id: MessageId,
    body: String,
    seal: String,
    bound: Vec<String>,
    anchors: Vec<String>,
}

impl World {
    fn new() -> Self {
        let controls = ["control-rsa", "control-p256", "control-ed25519", "control-chain"];
        let cases: Vec<(String, Case)> = files("attacks/seal", "json")
            .into_iter()
            .map(|(name, json)| (name, serde_json::from_slice(&json).unwrap()))
            .collect();
        let seals: Vec<&str> = cases.iter().map(|(_, case)| case.seal.as_str()).collect();
        let mut messages: Vec<Message> = cases
            .iter()
            .filter(|(name, _)| controls.contains(&name.as_str()))
            .map(|(_, case)| Message::of_case(case, &seals))
            .collect();
        assert_eq!(messages.len(), controls.len());
        messages.push(Message::own());
        for message in &messages {
            assert!(message.judge(&message.seal).is_ok());
        }
        Self {
            messages,
            own: Ed25519KeyPair::from_pkcs8_maybe_unchecked(&pkcs8("fuzz signer")).unwrap(),
        }
    }
}

impl Message {
    /// `seals` are those of the whole corpus: other cases put a genuine seal where it does not belong.
    fn of_case(case: &Case, seals: &[&str]) -> Self {
        let folder = crate::documents().join("attacks/seal/pki");
        let text = |name: &String| std::fs::read_to_string(folder.join(name)).unwrap();
        let anchors: Vec<String> = case.anchors.iter().map(text).collect();
        let signed = |seal: &str| seal.rsplit_once('.').map(|(signed, _)| signed.to_owned());
        let same = |seal: &&&str| signed(seal) == signed(&case.seal);
        Self {
            seal: case.seal.clone(),
            others: seals.iter().filter(same).map(|seal| (*seal).to_owned()).collect(),
            system: case.system.clone(),
            message_id: case.message_id,
            body: case.body.clone(),
            now: case.now,
            bound: case
                .bound
                .iter()
                .map(|name| BoundCertificate::from_pem(&text(name)).unwrap())
                .collect(),
            trust: Trust::new(&anchors).unwrap(),
        }
    }

    /// Sealed here, with a key that the target has too.
    fn own() -> Self {
        let signer = Signer::new();
        let key = SealingKey::from_pem(&signer.key, &signer.certificate).unwrap();
        let body = "<edXML/>".to_owned();
        let claims = Claims {
            iss: SystemId::new("so-tnmt").unwrap(),
            jti: "01890a5d-ac96-774b-bcce-b302099a8057".parse().unwrap(),
            iat: now(),
            sha256: Sha256::of(body.as_bytes()),
            size: body.len() as u64,
        };
        Self {
            seal: make(&key, &claims).unwrap(),
            others: Vec::new(),
            system: claims.iss,
            message_id: claims.jti,
            body,
            now: now(),
            bound: vec![BoundCertificate::from_pem(&signer.certificate).unwrap()],
            trust: Trust::new(&[&signer.anchor]).unwrap(),
        }
    }

    fn judge(&self, seal: &str) -> Result<ValidSeal, Refusal> {
        let expected = Expected {
            system: &self.system,
            message_id: self.message_id,
            sha256: Sha256::of(self.body.as_bytes()),
            size: self.body.len() as u64,
            now: self.now,
            tolerance: Tolerance::default(),
        };
        verify(seal, &expected, &self.bound, &self.trust)
    }
}

/// Texts that mean something in a seal.
const WORDS: &[&str] = &[
    ".",
    "..",
    "=",
    "\"",
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "null",
    "true",
    "0",
    "-1",
    "1e9",
    ".0",
    "\\u0000",
    "\"alg\":\"none\",",
    "\"alg\":\"HS256\",",
    "\"alg\":\"EdDSA\",",
    "\"alg\":\"ES256\",",
    "\"crit\":[],",
    "\"b64\":false,",
    "\"typ\":\"JWT\",",
    "\"jwk\":{},",
    "\"x5t#S256\":\"\",",
    "\"iss\":\"so-tnmt\",",
    "\"iat\":1780272000,",
    "\"size\":8,",
    "\"kid\":\"a\",",
    " ",
    "\n",
    "\u{0}",
    "\u{feff}",
    "A",
    "AA",
    "-",
    "_",
    "+",
    "/",
    "%3D",
    "đ",
];

/// Input: a byte that says how, a byte that says which message, and a seal, or edits to the message's own seal,
/// or edits to one of its decoded parts, or header and claims with a line feed between them, which are sealed
/// with the right key.
///
/// # Panics
/// When a promise is broken: see the functions below.
pub fn seal(data: &[u8]) {
    let &[how, which, ref rest @ ..] = data else {
        return;
    };
    let number = usize::from(which) % WORLD.messages.len();
    let message = &WORLD.messages[number];
    match how % 4 {
        0 => only_the_original_passes(message, &String::from_utf8_lossy(rest)),
        1 => {
            let seal = edited(message.seal.as_bytes(), rest, WORDS);
            only_the_original_passes(message, &String::from_utf8_lossy(&seal));
        }
        2 => {
            let mut parts: Vec<Vec<u8>> = message
                .seal
                .split('.')
                .map(|part| URL_SAFE_NO_PAD.decode(part).unwrap())
                .collect();
            let part = usize::from(how / 4) % parts.len();
            parts[part] = edited(&parts[part], rest, WORDS);
            let parts: Vec<String> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
            only_the_original_passes(message, &parts.join("."));
        }
        _ => what_the_key_signs_passes_only_if_it_fits(rest),
    }
}

/// The original's header and claims to the letter; of the signature only what its algorithm leaves open.
fn only_the_original_passes(message: &Message, seal: &str) {
    match judged(message, seal) {
        Err(_) => assert_ne!(seal, message.seal, "the original is refused"),
        Ok(_) if seal == message.seal => {}
        Ok(valid) => {
            let parts = |seal: &str| -> (String, String) {
                let (signed, signature) = seal.rsplit_once('.').expect("a seal has parts");
                (signed.to_owned(), signature.to_owned())
            };
            let (signed, signature) = parts(seal);
            assert_eq!(
                signed,
                parts(&message.seal).0,
                "another header or other claims pass"
            );
            assert_eq!(valid.algorithm(), Algorithm::Es256, "another signature passes");
            // Of an ECDSA signature (r, s) anybody can make (r, n - s): over the same bytes, by the same key.
            let same_r = |genuine: &String| parts(genuine).1[..R_DIGITS] == signature[..R_DIGITS];
            assert!(
                message.others.iter().any(same_r),
                "a signature passes that nobody made"
            );
        }
    }
}

/// Digits of base64 that r of a P-256 signature fills alone.
const R_DIGITS: usize = 42;

/// Twice the same, within limits, and quoting nothing it should not.
fn judged(message: &Message, seal: &str) -> Result<ValidSeal, Refusal> {
    let verdict = message.judge(seal);
    assert_eq!(verdict, message.judge(seal), "the same seal judged otherwise");
    match &verdict {
        Ok(_) => assert!(seal.len() <= SEAL_MAX_BYTES),
        Err(refusal) => {
            let word = refusal.code.as_str();
            assert!(
                word.starts_with("seal-") || word.starts_with("certificate-"),
                "{word}"
            );
            assert!(
                matches!(refusal.place, Place::Seal { .. } | Place::Certificate { .. }),
                "{}",
                refusal.place
            );
            assert_sayable(&refusal.found, Refusal::FOUND_MAX + 1);
            assert_sayable(&refusal.expected, Refusal::FOUND_MAX + 1);
            assert!(
                refusal.found.is_ascii(),
                "a stranger's text is quoted: {}",
                refusal.found
            );
        }
    }
    verdict
}

/// Header and claims of the fuzzer's choice, rightly signed: they pass only if they say what the message says.
fn what_the_key_signs_passes_only_if_it_fits(text: &[u8]) {
    let message = WORLD.messages.last().expect("the message sealed here");
    let mut lines = text.splitn(2, |byte| *byte == b'\n');
    let (header, claims) = (lines.next().unwrap_or(b""), lines.next().unwrap_or(b""));
    let signed = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = WORLD.own.sign(signed.as_bytes());
    let seal = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    let Ok(valid) = judged(message, &seal) else {
        return;
    };
    // Read again by the plainest means there are.
    let object = |bytes: &[u8]| {
        let object: Value = serde_json::from_slice(bytes).expect("an object of JSON");
        let Pairs(pairs) = serde_json::from_slice(bytes).expect("an object of JSON");
        assert_eq!(
            object.as_object().map(serde_json::Map::len),
            Some(pairs),
            "a member stands twice"
        );
        object
    };
    let (header, claims) = (object(header), object(claims));
    let digest = |digest: Sha256| Value::from(URL_SAFE_NO_PAD.encode(digest.as_bytes()));
    assert_eq!(header["alg"], "EdDSA");
    assert_eq!(header["x5t#S256"], digest(message.bound[0].thumbprint()));
    assert!(header.get("crit").is_none(), "crit is passed over");
    assert!(
        header.get("typ").is_none_or(|typ| typ == SEAL_TYPE),
        "for another purpose"
    );
    assert_eq!(claims["iss"], message.system.as_str());
    let jti = claims["jti"].as_str().expect("a text").to_ascii_lowercase();
    assert_eq!(jti, message.message_id.to_string());
    assert_eq!(claims["sha-256"], digest(Sha256::of(message.body.as_bytes())));
    assert_eq!(claims["size"], message.body.len());
    let iat = claims["iat"].as_i64().expect("seconds");
    let (ahead, age) = (5 * 60, 7 * 24 * 60 * 60);
    assert!((NOW - age..=NOW + ahead).contains(&iat), "sealed at {iat}");
    assert_eq!(valid.signed_at().as_second(), iat);
}

/// How many members an object has, those of one name counted each.
struct Pairs(usize);

impl<'de> Deserialize<'de> for Pairs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Count;

        impl<'de> Visitor<'de> for Count {
            type Value = Pairs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Pairs, A::Error> {
                let mut pairs = 0;
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {
                    pairs += 1;
                }
                Ok(Pairs(pairs))
            }
        }

        deserializer.deserialize_map(Count)
    }
}

/// The sound seals.
pub(crate) fn originals() -> impl Iterator<Item = &'static str> {
    WORLD.messages.iter().map(|message| message.seal.as_str())
}
