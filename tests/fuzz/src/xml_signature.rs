//! XML signatures: the canonical form, the verifier, the signer, each beside the reader.

use std::sync::LazyLock;

use jiff::Timestamp;
use truc_envelope::dsig::{
    Canonicalization, DigestAlgorithm, DsigPolicy, DsigReason, DsigVerdict, NotCanonical, SignOptions,
    SigningKey, canonical_form, sign, verify, verify_from,
};
use truc_envelope::seal::Trust;
use truc_envelope::{Limits, Packet, SignaturePresence, read};
use truc_model::RefusalCode;

use crate::edits::edited;
use crate::keys::{Signer, now};
use crate::packets::{WORDS, assert_same, facts, files};
use crate::pieces::Pieces;
use crate::place::{Lines, assert_sayable, assert_within};

/// Longest text of a finding, in characters: two SHA-512 digests and their names stay below.
const MAX_SAID: usize = 300;

const METHODS: [Canonicalization; 4] = [
    Canonicalization::Inclusive,
    Canonicalization::InclusiveWithComments,
    Canonicalization::Exclusive,
    Canonicalization::ExclusiveWithComments,
];

/// Signed packets, the facts that were signed, and whom to trust.
struct World {
    trust: Trust,
    key: SigningKey,
    /// When the certificates hold.
    now: Timestamp,
    originals: Vec<Original>,
}

struct Original {
    bytes: Vec<u8>,
    facts: Packet,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    fn new() -> Self {
        let signer = Signer::new();
        let attacks = crate::documents().join("attacks/xml");
        let text = |name: &str| std::fs::read_to_string(attacks.join(name)).unwrap();
        let trust = Trust::new(&[text("anchors.pem"), signer.anchor.clone()])
            .and_then(|trust| trust.with_crls(&[text("revoked.crl.pem")]))
            .unwrap();
        let key = SigningKey::from_pem(&signer.key, &signer.certificate).unwrap();
        let mut originals: Vec<Original> = files("attacks/xml", "edxml")
            .into_iter()
            .filter(|(name, _)| name == "control" || name == "chain-control")
            .map(|(_, bytes)| Original::of(bytes))
            .collect();
        let packets = ["strict", "warnings"]
            .map(|folder| files(folder, "edxml"))
            .concat();
        for (number, (_, bytes)) in packets.into_iter().enumerate() {
            // What is not XML to the letter, or signed already, is not signed here.
            if let Ok(signed) = sign(&bytes, &key, &options(number)) {
                originals.push(Original::of(signed));
            }
        }
        assert!(originals.len() >= 30, "only {} signed packets", originals.len());
        let world = Self {
            trust,
            key,
            now: now(),
            originals,
        };
        for original in &world.originals {
            assert!(matches!(world.judge(&original.bytes), DsigVerdict::Valid(_)));
        }
        world
    }

    fn judge(&self, packet: &[u8]) -> DsigVerdict {
        verify(packet, &DsigPolicy::default(), &self.trust, self.now)
    }

    fn judge_in_pieces(&self, packet: &[u8]) -> DsigVerdict {
        let pieces = Pieces::of(packet);
        verify_from(&pieces, &DsigPolicy::default(), &self.trust, self.now, &[])
            .expect("bytes in memory can be read")
    }
}

impl Original {
    fn of(bytes: Vec<u8>) -> Self {
        let facts = facts(read(&bytes, &Limits::default()).expect("a sound packet").packet);
        Self { bytes, facts }
    }
}

/// Options that differ from packet to packet.
fn options(number: usize) -> SignOptions {
    let canonicalization = METHODS[number % METHODS.len()];
    let list = number % 4 > 1 && number % 8 > 3;
    SignOptions {
        canonicalization,
        digest: [
            DigestAlgorithm::Sha256,
            DigestAlgorithm::Sha384,
            DigestAlgorithm::Sha512,
        ][number % 3],
        prefixes: if list {
            vec![String::new(), "edXML".to_owned()]
        } else {
            Vec::new()
        },
    }
}

/// Input: a packet; or a byte below 9, the number of a signed packet, and a script of edits to it.
///
/// # Panics
/// When a promise is broken: see the functions below.
pub fn xml_signature(data: &[u8]) {
    match data {
        [..=8, number, script @ ..] => {
            let original = &WORLD.originals[usize::from(*number) % WORLD.originals.len()];
            let packet = edited(&original.bytes, script, WORDS);
            nothing_is_valid_but_what_was_signed(&packet);
            // Costs more than the rest, and is the same for one as for the other.
            if script.len() % 8 == 0 {
                the_canonical_form_stays(&packet);
            }
        }
        packet => {
            nothing_is_valid_but_what_was_signed(packet);
            the_canonical_form_stays(packet);
            what_is_signed_is_valid(packet);
        }
    }
}

/// The keys are not the fuzzer's: a packet that is found valid must say what one of the signed packets says.
fn nothing_is_valid_but_what_was_signed(packet: &[u8]) {
    let verdict = WORLD.judge(packet);
    assert_eq!(
        verdict,
        WORLD.judge_in_pieces(packet),
        "the same bytes judged otherwise in pieces"
    );
    match verdict {
        DsigVerdict::Absent { .. } => {}
        DsigVerdict::Invalid(invalid) => {
            if !matches!(invalid.reason, DsigReason::Certificate(_)) {
                assert_within(&invalid.place, &Lines::of(packet));
            }
            assert_sayable(&invalid.found, MAX_SAID);
            assert_sayable(&invalid.expected, MAX_SAID);
        }
        DsigVerdict::Valid(_) => {
            // The reader may still refuse it, for instance for spaces that canonicalisation does not keep.
            let Ok(reading) = read(packet, &Limits::default()) else {
                return;
            };
            if let Packet::Document(document) = &reading.packet {
                assert_eq!(
                    document.signature,
                    SignaturePresence::XmlDsig,
                    "valid, and the reader sees none"
                );
            }
            let said = facts(reading.packet);
            if !WORLD.originals.iter().any(|original| original.facts == said) {
                let nearest = &WORLD.originals[0].facts;
                assert_same(&said, nearest, "valid, and not what anybody signed");
            }
        }
    }
}

/// The canonical form is its own canonical form, and the reader reads the same out of it.
fn the_canonical_form_stays(document: &[u8]) {
    let limits = Limits::default();
    let reading = read(document, &limits);
    for (method, prefixes) in METHODS.into_iter().zip([&[][..], &[], &["", "edXML"], &[]]) {
        let Ok(form) = canonical_form(document, method, prefixes, &limits) else {
            continue;
        };
        match canonical_form(&form, method, prefixes, &limits) {
            Ok(again) => assert!(
                again == form,
                "the canonical form has another canonical form ({method:?}):\n{}\n{}",
                String::from_utf8_lossy(&form),
                String::from_utf8_lossy(&again)
            ),
            // Escapes make attributes longer, declarations come to stand on more elements.
            Err(NotCanonical(DsigReason::Limit)) => continue,
            Err(error) => panic!(
                "the canonical form has none: {error}\n{}",
                String::from_utf8_lossy(&form)
            ),
        }
        let Ok(reading) = &reading else { continue };
        match read(&form, &limits) {
            Ok(again) => assert_same(
                &facts(again.packet),
                &facts(reading.packet.clone()),
                "read otherwise in canonical form",
            ),
            Err(rejection) => assert!(
                rejection
                    .findings
                    .iter()
                    .all(|f| f.code == RefusalCode::EnvelopeLimit),
                "refused in canonical form: {rejection:?}"
            ),
        }
    }
}

/// What the signer signs the verifier finds valid, and the reader reads as before.
fn what_is_signed_is_valid(packet: &[u8]) {
    let Ok(signed) = sign(packet, &WORLD.key, &options(packet.len())) else {
        return;
    };
    let verdict = WORLD.judge(&signed);
    match &verdict {
        DsigVerdict::Valid(_) => {}
        // The signature's own elements count too.
        DsigVerdict::Invalid(invalid) if invalid.reason == DsigReason::Limit => return,
        other => panic!(
            "signed, and judged {other:?}:\n{}",
            String::from_utf8_lossy(&signed)
        ),
    }
    let Ok(reading) = read(packet, &Limits::default()) else {
        return;
    };
    let mut expected = facts(reading.packet);
    if let Packet::Document(document) = &mut expected {
        document.signature = SignaturePresence::XmlDsig;
    }
    let again = read(&signed, &Limits::default())
        .unwrap_or_else(|rejection| panic!("signed and refused: {rejection:?}"));
    assert_same(&facts(again.packet), &expected, "signed and read otherwise");
}

/// Signed packets, as seeds.
pub(crate) fn originals() -> impl Iterator<Item = &'static [u8]> {
    WORLD.originals.iter().map(|original| original.bytes.as_slice())
}
