//! The signed packet moved aside and another put in its place; signatures in other places.

use crate::dsig_support::{packet, part, replaced, signature};
use crate::{Attack, World, attack};

pub(crate) fn attacks(world: &World) -> Vec<Attack> {
    let signed = world.signed();
    let evil = |text: &str| text.replace("<edXML:OrganId>000.00.00.H60<", "<edXML:OrganId>000.00.00.A53<");
    assert_ne!(evil(&signed), signed);
    let root = part(&signed, "<edXML ", "</edXML>");
    let unsigned_root = root.replace(signature(&signed), "");
    let envelope = part(&signed, "<edXML:edXMLEnvelope", "</edXML:edXMLEnvelope>");
    let header = part(&signed, "<edXML:edXMLHeader>", "</edXML:edXMLHeader>");
    let message = part(&signed, "<edXML:MessageHeader>", "</edXML:MessageHeader>");
    let in_signature = |element: &str| {
        replaced(
            &evil(&signed),
            "</ds:Signature>",
            &format!("{element}</ds:Signature>"),
        )
    };
    let moved_to = |place: &str, before: bool| {
        let without = signed.replace(signature(&signed), "");
        let with = if before {
            format!("{}{place}", signature(&signed))
        } else {
            format!("{place}{}", signature(&signed))
        };
        replaced(&without, place, &with)
    };
    vec![
        attack(
            "wrapping-moved-original",
            "dsig-digest",
            replaced(
                &evil(&signed),
                "</edXML>",
                &format!("<Wrapper>{unsigned_root}</Wrapper></edXML>"),
            ),
        ),
        attack(
            "wrapping-original-beside-in-header",
            "dsig-digest",
            replaced(
                &signed,
                message,
                &format!("{}<Wrapper>{message}</Wrapper>", evil(message)),
            ),
        ),
        attack(
            "wrapping-duplicated-header",
            "dsig-digest",
            replaced(
                &signed,
                header,
                &format!("{}{header}", evil(header).replace(signature(&signed), "")),
            ),
        ),
        attack(
            "wrapping-duplicated-header-after",
            "dsig-digest",
            replaced(
                &signed,
                header,
                &format!("{header}{}", evil(header).replace(signature(&signed), "")),
            ),
        ),
        attack(
            "wrapping-duplicated-message-header",
            "dsig-digest",
            replaced(&signed, message, &format!("{}{message}", evil(message))),
        ),
        attack(
            "wrapping-sibling-envelope",
            "dsig-digest",
            replaced(
                &signed,
                envelope,
                &format!("{}{envelope}", evil(envelope).replace(signature(&signed), "")),
            ),
        ),
        attack(
            "wrapping-original-in-object",
            "dsig-object",
            in_signature(&format!("<ds:Object>{unsigned_root}</ds:Object>")),
        ),
        attack(
            "wrapping-signature-in-object",
            "dsig-object",
            in_signature(&format!("<ds:Object>{}</ds:Object>", signature(&signed))),
        ),
        attack(
            "wrapping-original-in-key-info",
            "dsig-digest",
            replaced(
                &evil(&signed),
                "</ds:KeyInfo>",
                &format!("<Wrapper>{unsigned_root}</Wrapper></ds:KeyInfo>"),
            ),
        ),
        attack(
            "wrapping-manifest",
            "dsig-object",
            in_signature("<ds:Object><ds:Manifest></ds:Manifest></ds:Object>"),
        ),
        attack(
            "signature-at-the-end",
            "dsig-misplaced",
            moved_to("</edXML>", true),
        ),
        attack(
            "signature-first-in-header",
            "dsig-misplaced",
            moved_to("<edXML:edXMLHeader>", false),
        ),
        attack(
            "signature-in-message-header",
            "dsig-misplaced",
            moved_to("</edXML:MessageHeader>", true),
        ),
        attack(
            "signature-in-body",
            "dsig-misplaced",
            moved_to("</edXML:edXMLBody>", true),
        ),
        attack(
            "signature-part-elsewhere",
            "dsig-misplaced",
            replaced(
                &signed,
                "</edXML:edXMLBody>",
                "<ds:Object xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\"/></edXML:edXMLBody>",
            ),
        ),
        attack(
            "signature-twice",
            "dsig-several",
            replaced(
                &signed,
                "</ds:Signature>",
                &format!("</ds:Signature>{}", signature(&signed)),
            ),
        ),
        attack(
            "signature-twice-apart",
            "dsig-several",
            replaced(
                &signed,
                "</edXML:edXMLBody>",
                &format!("{}</edXML:edXMLBody>", signature(&signed)),
            ),
        ),
        attack("signature-of-another-packet", "dsig-digest", {
            let other = packet().replace("1234", "4321");
            crate::dsig_support::with_signature(&other, signature(&signed))
        }),
    ]
}
