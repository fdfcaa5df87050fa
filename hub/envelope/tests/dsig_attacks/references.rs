//! Signatures, rightly made by a trusted key, that do not cover the packet: by what they refer to, by what
//! transforms leave of it, and by algorithms that prove nothing.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest as hashes, hmac};
use truc_envelope::Limits;
use truc_envelope::dsig::{Canonicalization, canonical_form};
use truc_model::Sha256;

use crate::dsig_support::{
    DSIG, ENVELOPED, EXCLUSIVE, Recipe, SHA256, digest, method, packet, part, reference, replaced,
    transforms, with_signature,
};
use crate::{Attack, World, attack};

/// SHA-256 of bytes, in base64.
fn digest_of(bytes: &[u8]) -> String {
    STANDARD.encode(Sha256::of(bytes).as_bytes())
}

pub(crate) fn attacks(world: &World) -> Vec<Attack> {
    let mut attacks = of_references(world);
    attacks.extend(of_transforms(world));
    attacks.extend(of_algorithms(world));
    attacks
}

fn of_references(world: &World) -> Vec<Attack> {
    let usual = transforms(&[ENVELOPED, EXCLUSIVE]);
    let refers = |attributes: &str, digest: &str| {
        world.signed_after(|recipe| {
            recipe.references = reference(attributes, &transforms(&[EXCLUSIVE]), SHA256, digest);
        })
    };
    let body = part(&packet(), "<edXML:edXMLBody>", "</edXML:edXMLBody>").replacen(
        "<edXML:edXMLBody>",
        "<edXML:edXMLBody Id=\"body\">",
        1,
    );
    let with_id = packet().replacen("<edXML:edXMLBody>", "<edXML:edXMLBody Id=\"body\">", 1);
    let by_id = |packet: &str| {
        let mut recipe = Recipe::of(packet, &world.signer);
        recipe.references = reference(
            "URI=\"#body\"",
            &transforms(&[EXCLUSIVE]),
            SHA256,
            &digest_of(body.as_bytes()),
        );
        with_signature(packet, &recipe.signed_by("signer"))
    };
    let second = |attributes: &str| {
        world.signed_after(|recipe| {
            recipe.references.push_str(&reference(
                attributes,
                &transforms(&[EXCLUSIVE]),
                SHA256,
                &digest_of(body.as_bytes()),
            ));
        })
    };
    vec![
        attack("reference-second", "dsig-references", second("URI=\"\"")),
        attack(
            "reference-second-by-id",
            "dsig-references",
            second("URI=\"#body\""),
        ),
        attack(
            "reference-none",
            "dsig-references",
            world.signed_after(|recipe| recipe.references.clear()),
        ),
        attack(
            "reference-to-a-file",
            "dsig-reference-uri",
            refers("URI=\"file:///etc/hostname\"", &digest_of(b"hub\n")),
        ),
        attack(
            "reference-to-a-file-beside",
            "dsig-reference-uri",
            refers("URI=\"int.ext\"", &digest_of(b"x\n")),
        ),
        attack(
            "reference-to-an-address",
            "dsig-reference-uri",
            refers("URI=\"http://example.org/x\"", &digest_of(b"x")),
        ),
        attack("reference-by-id", "dsig-reference-uri", by_id(&with_id)),
        attack("reference-by-id-that-stands-twice", "dsig-reference-uri", {
            by_id(&with_id.replacen("<edXML:edXMLHeader>", "<edXML:edXMLHeader Id=\"body\">", 1))
        }),
        attack(
            "reference-by-xpointer",
            "dsig-reference-uri",
            refers("URI=\"#xpointer(/)\"", &digest(&packet())),
        ),
        attack(
            "reference-without-uri",
            "dsig-reference-uri",
            refers("", &digest_of(b"")),
        ),
        attack(
            "reference-to-a-blank",
            "dsig-reference-uri",
            refers("URI=\" \"", &digest(&packet())),
        ),
        attack(
            "reference-to-a-manifest",
            "dsig-form",
            world.signed_after(|recipe| {
                let attributes = format!("URI=\"\" Type=\"{DSIG}Manifest\"");
                recipe.references = reference(&attributes, &usual, SHA256, &digest(&packet()));
            }),
        ),
    ]
}

fn of_transforms(world: &World) -> Vec<Attack> {
    let transformed = |inside: &str, digest: &str| {
        world.signed_after(|recipe| {
            recipe.references = reference("URI=\"\"", inside, SHA256, digest);
        })
    };
    let named = |algorithms: &[&str]| transformed(&transforms(algorithms), &digest(&packet()));
    // What an XPath that leaves out the header lets through; then the recipient can be any.
    let xpath = {
        let whole = packet();
        let header = part(&whole, "<edXML:edXMLHeader>", "</edXML:edXMLHeader>");
        let rest = digest(&replaced(&whole, header, ""));
        let filter = "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\">\
                      <ds:XPath xmlns:edXML=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\">\
                      not(ancestor-or-self::edXML:edXMLHeader)</ds:XPath></ds:Transform>";
        let inside = format!(
            "{}{filter}{}",
            method("Transform", ENVELOPED),
            method("Transform", EXCLUSIVE)
        );
        transformed(&inside, &rest).replace("000.00.00.H60", "000.00.00.A53")
    };
    let xslt = format!(
        "{}<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xslt-19991116\">\
         <xsl:stylesheet xmlns:xsl=\"http://www.w3.org/1999/XSL/Transform\" version=\"1.0\">\
         <xsl:template match=\"/\"><x/></xsl:template></xsl:stylesheet></ds:Transform>",
        method("Transform", ENVELOPED)
    );
    vec![
        attack("transform-xpath", "dsig-transform", xpath),
        attack(
            "transform-xpath-first",
            "dsig-transform",
            transformed(
                "<ds:Transform Algorithm=\"http://www.w3.org/TR/1999/REC-xpath-19991116\">\
                 <ds:XPath>false()</ds:XPath></ds:Transform>",
                &digest_of(b""),
            ),
        ),
        attack(
            "transform-xpath-filter-2",
            "dsig-transform",
            named(&[ENVELOPED, "http://www.w3.org/2002/06/xmldsig-filter2"]),
        ),
        attack(
            "transform-xslt",
            "dsig-transform",
            transformed(&xslt, &digest_of(b"<x></x>")),
        ),
        attack(
            "transform-base64",
            "dsig-transform",
            named(&[ENVELOPED, "http://www.w3.org/2000/09/xmldsig#base64"]),
        ),
        attack(
            "transform-none",
            "dsig-transform",
            transformed("", &digest(&packet())),
        ),
        attack(
            "transform-without-enveloped",
            "dsig-transform",
            named(&[EXCLUSIVE]),
        ),
        attack(
            "transform-enveloped-last",
            "dsig-transform",
            named(&[EXCLUSIVE, ENVELOPED]),
        ),
        attack(
            "transform-enveloped-twice",
            "dsig-transform",
            named(&[ENVELOPED, ENVELOPED]),
        ),
        attack(
            "transform-canonicalized-twice",
            "dsig-transform",
            named(&[ENVELOPED, EXCLUSIVE, EXCLUSIVE]),
        ),
        attack(
            "transform-unregistered-name",
            "dsig-transform",
            named(&[ENVELOPED, "http://www.w3.org/TR/xml-exc-c14n#"]),
        ),
        attack("transform-with-content", "dsig-form", {
            let inside = format!(
                "{}<ds:Transform Algorithm=\"{EXCLUSIVE}\"><x/></ds:Transform>",
                method("Transform", ENVELOPED)
            );
            transformed(&inside, &digest(&packet()))
        }),
    ]
}

fn of_algorithms(world: &World) -> Vec<Attack> {
    let by_method = |uri: &str| world.signed_after(|recipe| recipe.method = method("SignatureMethod", uri));
    let by_digest = |uri: &str, digest: &str| {
        world.signed_after(|recipe| {
            recipe.references = reference("URI=\"\"", &transforms(&[ENVELOPED, EXCLUSIVE]), uri, digest);
        })
    };
    // What a verifier computes that takes the public key, which everyone has, for the secret.
    let hmac = |uri: &str, more: &str, algorithm: hmac::Algorithm| {
        let mut recipe = Recipe::of(&packet(), &world.signer);
        recipe.method = format!("<ds:SignatureMethod Algorithm=\"{uri}\">{more}</ds:SignatureMethod>");
        let signed_info = part(&recipe.with_value(""), "<ds:SignedInfo>", "</ds:SignedInfo>").replacen(
            "<ds:SignedInfo>",
            &format!("<ds:SignedInfo xmlns:ds=\"{DSIG}\">"),
            1,
        );
        let message = canonical_form(
            signed_info.as_bytes(),
            Canonicalization::Exclusive,
            &[],
            &Limits::default(),
        )
        .unwrap();
        let tag = hmac::sign(&hmac::Key::new(algorithm, &world.signer.certificate), &message);
        with_signature(&packet(), &recipe.with_value(&STANDARD.encode(tag)))
    };
    let form = canonical_form(
        packet().as_bytes(),
        Canonicalization::Exclusive,
        &[],
        &Limits::default(),
    )
    .unwrap();
    let sha1 = STANDARD.encode(hashes::digest(&hashes::SHA1_FOR_LEGACY_USE_ONLY, &form));
    vec![
        attack(
            "hmac-with-the-certificate",
            "dsig-signature-algorithm",
            hmac(
                "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256",
                "",
                hmac::HMAC_SHA256,
            ),
        ),
        attack(
            "hmac-sha1-with-the-certificate",
            "dsig-signature-algorithm",
            hmac(
                "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
                "",
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            ),
        ),
        attack(
            "hmac-cut-to-nothing",
            "dsig-signature-algorithm",
            hmac(
                "http://www.w3.org/2000/09/xmldsig#hmac-sha1",
                "<ds:HMACOutputLength>0</ds:HMACOutputLength>",
                hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
            ),
        ),
        attack(
            "method-with-hmac-length",
            "dsig-form",
            world.signed_after(|recipe| {
                recipe.method = format!(
                    "<ds:SignatureMethod Algorithm=\"{}\"><ds:HMACOutputLength>0</ds:HMACOutputLength>\
                     </ds:SignatureMethod>",
                    crate::dsig_support::ED25519
                );
            }),
        ),
        attack(
            "method-none",
            "dsig-signature-algorithm",
            by_method("http://www.w3.org/2000/09/xmldsig#none"),
        ),
        attack(
            "method-dsa",
            "dsig-signature-algorithm",
            by_method("http://www.w3.org/2000/09/xmldsig#dsa-sha1"),
        ),
        attack(
            "method-rsa-md5",
            "dsig-signature-algorithm",
            by_method("http://www.w3.org/2001/04/xmldsig-more#rsa-md5"),
        ),
        attack(
            "method-rsa-sha1",
            "dsig-sha1",
            by_method("http://www.w3.org/2000/09/xmldsig#rsa-sha1"),
        ),
        attack(
            "method-of-another-kind-of-key",
            "dsig-key-kind",
            by_method("http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"),
        ),
        attack(
            "method-ecdsa-for-another-key",
            "dsig-key-kind",
            by_method("http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"),
        ),
        attack(
            "digest-md5",
            "dsig-digest-algorithm",
            by_digest(
                "http://www.w3.org/2001/04/xmldsig-more#md5",
                "1B2M2Y8AsgTpgAmY7PhCfg==",
            ),
        ),
        attack(
            "digest-sha1",
            "dsig-sha1",
            by_digest("http://www.w3.org/2000/09/xmldsig#sha1", &sha1),
        ),
        attack(
            "canonicalization-1.1",
            "dsig-canonicalization",
            world.signed_after(|recipe| {
                recipe.canonicalization =
                    method("CanonicalizationMethod", "http://www.w3.org/2006/12/xml-c14n11");
            }),
        ),
        attack(
            "canonicalization-xslt",
            "dsig-canonicalization",
            world.signed_after(|recipe| {
                recipe.canonicalization = method(
                    "CanonicalizationMethod",
                    "http://www.w3.org/TR/1999/REC-xslt-19991116",
                );
            }),
        ),
    ]
}
