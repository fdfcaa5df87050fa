//! What the targets on packets share: sound packets to start from, texts worth putting in, and a packet's facts.

use std::path::Path;

use truc_envelope::Packet;

use crate::documents;

/// Texts that mean something to an XML reader or to this format.
pub(crate) const WORDS: &[&str] = &[
    "<!-- -->",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<![CDATA[]]>",
    "<?p d?>",
    "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
    "<!DOCTYPE a>",
    "&amp;",
    "&#32;",
    "&#x41;",
    "&#13;",
    "&#10;",
    "&#0;",
    "&lt;",
    "&x;",
    " ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\u{a0}",
    "\u{feff}",
    "\u{301}",
    "\u{0}",
    " a='1'",
    " xml:space='preserve'",
    " xmlns:z='urn:z'",
    " xmlns=''",
    " xmlns='http://www.mic.gov.vn/TBT/QCVN_102_2016'",
    " xmlns:edXML='http://www.mic.gov.vn/TBT/QCVN_102_2016'",
    " xmlns:ds='http://www.w3.org/2000/09/xmldsig#'",
    " z:a=''",
    "<x/>",
    "<x>",
    "</x>",
    "<edXML:x/>",
    "<To><OrganId>H60.01</OrganId></To>",
    "<edXML:To><edXML:OrganId>H60.01</edXML:OrganId></edXML:To>",
    "<Signature/>",
    "<ds:Signature xmlns:ds='http://www.w3.org/2000/09/xmldsig#'/>",
    "<ds:SignedInfo/>",
    "null",
    "0",
    "-1",
    "99999999999",
    "2025-02-30",
    "31/12/2025 23:59:60",
    "cid:",
    "'",
    "\"",
    "/",
    "=",
    "đ",
];

/// Every file with this extension in a folder of the project's documents, by name.
pub(crate) fn files(folder: &str, extension: &str) -> Vec<(String, Vec<u8>)> {
    let folder = documents().join(folder);
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut files: Vec<(String, Vec<u8>)> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .map(|path| (name(&path), std::fs::read(&path).unwrap()))
        .collect();
    files.sort();
    files
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

/// The packet without what depends on where things stand in its bytes.
pub(crate) fn facts(mut packet: Packet) -> Packet {
    let unknown = match &mut packet {
        Packet::Document(document) => {
            for attachment in &mut document.attachments {
                attachment.encoded = 0..0;
            }
            &mut document.unknown
        }
        Packet::Status(status) => &mut status.unknown,
    };
    for element in unknown {
        element.start = 0;
    }
    packet
}

/// Both as JSON when they differ: `Debug` hides contents.
pub(crate) fn assert_same(found: &Packet, expected: &Packet, what: &str) {
    assert!(
        found == expected,
        "{what}:\n{}\n{}",
        serde_json::to_string(found).unwrap(),
        serde_json::to_string(expected).unwrap()
    );
}
