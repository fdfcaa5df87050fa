//! Content changed after signing, and values of the signature that are broken, split or made up.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::dsig_support::{digest, packet, part, replaced, x509};
use crate::{Attack, World, attack};

pub(crate) fn attacks(world: &World) -> Vec<Attack> {
    let signed = world.signed();
    let change = |from: &str, to: &str| replaced(&signed, from, to);
    let mut attacks = vec![
        attack(
            "content-recipient",
            "dsig-digest",
            change("<edXML:OrganId>000.00.00.H60<", "<edXML:OrganId>000.00.00.A53<"),
        ),
        attack(
            "content-attachment",
            "dsig-digest",
            change("JVBERi0xLjcK", "JVBERi0xLjYK"),
        ),
        attack(
            "content-element-added",
            "dsig-digest",
            change("</edXML:MessageHeader>", "<x/></edXML:MessageHeader>"),
        ),
        attack(
            "content-space-added",
            "dsig-digest",
            change("</edXML:MessageHeader>", "</edXML:MessageHeader> "),
        ),
        attack(
            "content-instruction-added",
            "dsig-digest",
            change("</edXML:edXMLBody>", "<?x y?></edXML:edXMLBody>"),
        ),
        attack(
            "content-space-within-a-value",
            "dsig-digest",
            change(">1234<", ">1234&#x9;<"),
        ),
        // The digest put right for the change; the signature over it cannot be.
        attack("content-and-digest", "dsig-signature", {
            let changed = packet().replace(">1234<", ">9999<");
            let old = part(&signed, "<ds:DigestValue>", "</ds:DigestValue>");
            let new = format!("<ds:DigestValue>{}</ds:DigestValue>", digest(&changed));
            replaced(&signed, old, &new).replace(">1234<", ">9999<")
        }),
    ];
    attacks.extend(of_comments(&signed));
    attacks.extend(of_values(world, &signed));
    attacks
}

/// No signature over the whole packet covers comments (`URI=""` leaves them out). So the reader must read as if
/// they were not there, and the values of the signature may not have any.
fn of_comments(signed: &str) -> Vec<Attack> {
    let split = |element: &str, with: &str| {
        let start = signed.find(element).unwrap() + element.len() + 6;
        format!("{}{with}{}", &signed[..start], &signed[start..])
    };
    vec![
        attack(
            "comment-splits-a-recipient",
            "valid",
            replaced(
                signed,
                "<edXML:OrganId>000.00.00.H60<",
                "<edXML:OrganId>000.00.00<!--.A53-->.H60<",
            ),
        ),
        attack(
            "comment-before-a-recipient",
            "valid",
            replaced(
                signed,
                "<edXML:OrganId>000.00.00.H60<",
                "<edXML:OrganId><!--000.00.00.A53-->000.00.00.H60<",
            ),
        ),
        attack(
            "comment-splits-the-digest",
            "dsig-form",
            split("<ds:DigestValue>", "<!-- -->"),
        ),
        attack(
            "comment-splits-the-value",
            "dsig-form",
            split("<ds:SignatureValue>", "<!-- -->"),
        ),
        attack(
            "comment-splits-the-certificate",
            "dsig-form",
            split("<ds:X509Certificate>", "<!-- -->"),
        ),
        attack(
            "cdata-in-the-digest",
            "dsig-form",
            split("<ds:DigestValue>", "<![CDATA[]]>"),
        ),
        attack(
            "instruction-in-the-value",
            "dsig-form",
            split("<ds:SignatureValue>", "<?x?>"),
        ),
        attack(
            "element-in-the-digest",
            "dsig-form",
            split("<ds:DigestValue>", "<ds:DigestValue></ds:DigestValue>"),
        ),
    ]
}

fn of_values(world: &World, signed: &str) -> Vec<Attack> {
    let put = |element: &str, value: &str| {
        let old = part(signed, &format!("<ds:{element}>"), &format!("</ds:{element}>"));
        replaced(signed, old, &format!("<ds:{element}>{value}</ds:{element}>"))
    };
    let certificate = STANDARD.encode(&world.signer.certificate);
    let other = world.root.leaf("other", |_| ());
    let key_info = |inside: &str| {
        let old = part(signed, "<ds:KeyInfo>", "</ds:KeyInfo>");
        replaced(signed, old, inside)
    };
    vec![
        attack(
            "value-truncated",
            "dsig-signature",
            put("SignatureValue", "AAAAAAAAAAAAAAAA"),
        ),
        attack(
            "value-placeholder",
            "dsig-value",
            put("SignatureValue", "${signature}"),
        ),
        attack("value-empty", "dsig-value", put("SignatureValue", "")),
        attack("value-no-base64", "dsig-value", put("SignatureValue", "A?==")),
        attack(
            "value-zero",
            "dsig-signature",
            put("SignatureValue", &STANDARD.encode([0; 64])),
        ),
        attack(
            "value-huge",
            "dsig-limit",
            put("SignatureValue", &"A".repeat(100_000)),
        ),
        attack(
            "digest-truncated",
            "dsig-value",
            put("DigestValue", "AAAAAAAAAAAAAAAA"),
        ),
        attack(
            "digest-placeholder",
            "dsig-value",
            put("DigestValue", "${digest}"),
        ),
        attack("digest-empty", "dsig-value", put("DigestValue", "")),
        attack(
            "certificate-truncated",
            "dsig-certificate-unreadable",
            put("X509Certificate", &certificate[..200]),
        ),
        attack(
            "certificate-placeholder",
            "dsig-value",
            put("X509Certificate", "${cert}"),
        ),
        attack("certificate-missing", "dsig-certificate-missing", key_info("")),
        attack(
            "certificate-of-another-key",
            "dsig-signature",
            put("X509Certificate", &STANDARD.encode(&other.certificate)),
        ),
        attack(
            "certificates-too-many",
            "dsig-limit",
            key_info(&x509(&[world.signer.certificate.as_slice(); 9])),
        ),
        attack(
            "key-value-alone",
            "dsig-certificate-missing",
            key_info(
                "<ds:KeyInfo><ds:KeyValue><ds:RSAKeyValue><ds:Modulus>AQAB</ds:Modulus>\
                 <ds:Exponent>AQAB</ds:Exponent></ds:RSAKeyValue></ds:KeyValue></ds:KeyInfo>",
            ),
        ),
        attack(
            "key-to-be-fetched",
            "dsig-key-info",
            key_info("<ds:KeyInfo><ds:RetrievalMethod URI=\"http://example.org/key\"/></ds:KeyInfo>"),
        ),
    ]
}
