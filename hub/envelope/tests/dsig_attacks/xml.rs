//! What is no XML, or XML that only some parsers read so: DOCTYPE and entities, sizes, names and namespaces.

use crate::dsig_support::{DSIG, replaced, signature};
use crate::{Attack, World, attack};

pub(crate) fn attacks(world: &World) -> Vec<Attack> {
    let signed = world.signed();
    let mut attacks = of_entities(&signed);
    attacks.extend(of_sizes(&signed));
    attacks.extend(of_namespaces(&signed));
    attacks.extend([
        attack("xml-trailing-root", "dsig-not-xml", format!("{signed}<edXML/>")),
        attack("xml-leading-bytes", "dsig-not-xml", format!("1212{signed}")),
        attack(
            "xml-other-encoding",
            "dsig-not-xml",
            replaced(&signed, "encoding=\"UTF-8\"", "encoding=\"UTF-7\""),
        ),
        attack(
            "xml-other-version",
            "dsig-not-xml",
            replaced(&signed, "version=\"1.0\" encoding", "version=\"1.1\" encoding"),
        ),
        attack(
            "xml-control-character",
            "dsig-not-xml",
            replaced(&signed, ">1234<", ">12&#x1;34<"),
        ),
        attack(
            "xml-attribute-twice",
            "dsig-not-xml",
            replaced(
                &signed,
                "<ds:Reference URI=\"\">",
                "<ds:Reference URI=\"\" URI=\"#x\">",
            ),
        ),
        attack(
            "xml-element-not-closed",
            "dsig-not-xml",
            replaced(&signed, "</edXML:edXMLBody>", ""),
        ),
        attack(
            "xml-cdata-end-in-text",
            "dsig-not-xml",
            replaced(&signed, ">1234<", ">1234]]><"),
        ),
    ]);
    attacks
}

fn of_entities(signed: &str) -> Vec<Attack> {
    let doctype = |inside: &str| replaced(signed, "<edXML ", &format!("<!DOCTYPE edXML {inside}>\n<edXML "));
    let used = |packet: String| replaced(&packet, ">1234<", ">&x;<");
    let mut laughs = String::from("[<!ENTITY x0 \"ha\">");
    for level in 1..=9 {
        let ten = format!("&x{};", level - 1).repeat(10);
        laughs.push_str(&format!("<!ENTITY x{level} \"{ten}\">"));
    }
    laughs.push_str("<!ENTITY x \"&x9;\">]");
    vec![
        attack("doctype", "dsig-doctype", doctype("")),
        attack(
            "doctype-with-entity",
            "dsig-doctype",
            used(doctype("[<!ENTITY x \"1234\">]")),
        ),
        attack(
            "doctype-external-entity",
            "dsig-doctype",
            used(doctype("[<!ENTITY x SYSTEM \"file:///etc/hostname\">]")),
        ),
        attack(
            "doctype-parameter-entity",
            "dsig-doctype",
            doctype("[<!ENTITY % x SYSTEM \"http://example.org/x.dtd\"> %x;]"),
        ),
        attack("doctype-billion-laughs", "dsig-doctype", used(doctype(&laughs))),
        attack(
            "doctype-attribute-default",
            "dsig-doctype",
            doctype("[<!ATTLIST edXML x CDATA \"y\">]"),
        ),
        attack("entity-not-declared", "dsig-not-xml", used(signed.to_owned())),
    ]
}

fn of_sizes(signed: &str) -> Vec<Attack> {
    let in_body = |inside: &str| {
        let inside = format!("{inside}</edXML:edXMLBody>");
        replaced(signed, "</edXML:edXMLBody>", &inside)
    };
    let attributes: String = (0..1000).map(|n| format!(" a{n}=\"\"")).collect();
    vec![
        attack(
            "size-nested",
            "dsig-limit",
            in_body(&format!("{}{}", "<a>".repeat(20_000), "</a>".repeat(20_000))),
        ),
        attack(
            "size-nested-not-closed",
            "dsig-limit",
            in_body(&"<a>".repeat(20_000)),
        ),
        attack(
            "size-attribute-of-a-megabyte",
            "dsig-limit",
            in_body(&format!("<a a=\"{}\"/>", "x".repeat(1024 * 1024))),
        ),
        attack(
            "size-attributes",
            "dsig-limit",
            in_body(&format!("<a{attributes}/>")),
        ),
        attack("size-elements", "dsig-limit", in_body(&"<a/>".repeat(100_001))),
        attack(
            "size-name",
            "dsig-limit",
            in_body(&format!("<{}/>", "a".repeat(10_000))),
        ),
        attack("size-prefixes", "dsig-limit", {
            let list: String = (0..100).map(|n| format!("p{n} ")).collect();
            let method = "<ds:CanonicalizationMethod Algorithm=\"http://www.w3.org/2001/10/xml-exc-c14n#\">";
            let listed = format!(
                "{method}<InclusiveNamespaces xmlns=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"{list}\"/>"
            );
            replaced(signed, method, &listed)
        }),
    ]
}

fn of_namespaces(signed: &str) -> Vec<Attack> {
    let element = signature(signed);
    let put = |other: &str| replaced(signed, element, other);
    let on_root = |more: &str| replaced(signed, "<edXML xmlns=", &format!("<edXML {more} xmlns="));
    vec![
        attack(
            "namespace-empty-signature",
            "absent empty",
            put(&format!("<Signature xmlns=\"{DSIG}\"/>")),
        ),
        attack(
            "namespace-of-edxml",
            "absent edxml-namespace",
            put(&element.replace(DSIG, "http://www.mic.gov.vn/TBT/QCVN_102_2016")),
        ),
        attack(
            "namespace-that-looks-alike",
            "absent none",
            put(&element.replace(DSIG, "http://www.w3.org/2000/09/xmldsig")),
        ),
        attack(
            "namespace-parts-of-another",
            "dsig-form",
            put(&element.replace("<ds:SignedInfo>", "<ds:SignedInfo xmlns:ds=\"urn:x\">")),
        ),
        attack(
            "namespace-prefix-means-another",
            "dsig-digest",
            replaced(
                signed,
                "<edXML:MessageHeader>",
                "<edXML:MessageHeader xmlns:edXML=\"http://www.go.vn/eDoc\">",
            ),
        ),
        attack(
            "namespace-other-prefix",
            "dsig-signature",
            put(&element.replace("ds:", "x:").replace("xmlns:ds=", "xmlns:x=")),
        ),
        attack("namespace-not-declared", "dsig-not-xml", {
            put(&element.replace(&format!(" xmlns:ds=\"{DSIG}\""), ""))
        }),
        attack("namespace-relative", "dsig-not-xml", on_root("xmlns:x=\"../x\"")),
        attack(
            "namespace-xml-means-another",
            "dsig-not-xml",
            on_root("xmlns:xml=\"urn:x\""),
        ),
        attack(
            "namespace-xml-under-another-prefix",
            "dsig-not-xml",
            on_root("xmlns:x=\"http://www.w3.org/XML/1998/namespace\""),
        ),
        attack(
            "namespace-xmlns-declared",
            "dsig-not-xml",
            on_root("xmlns:x=\"http://www.w3.org/2000/xmlns/\""),
        ),
        attack("namespace-taken-back", "dsig-not-xml", on_root("xmlns:x=\"\"")),
        attack(
            "namespace-attribute-twice",
            "dsig-not-xml",
            on_root("xmlns:x=\"urn:x\" xmlns:y=\"urn:x\" x:a=\"1\" y:a=\"2\""),
        ),
        // Exclusively written, a declaration that nothing uses is no part of what is signed, and means
        // nothing to the reader.
        attack(
            "namespace-unused-added",
            "valid",
            on_root("xmlns:unused=\"urn:unused\""),
        ),
    ]
}
