//! What an attached zip looks like, from its first and last bytes.

use truc_envelope::{
    Attachment, DocumentPacket, Limits, Organization, Packet, SniffedType, Wrapping, read, write_document,
};
use truc_model::Sha256;

/// Names an attachment may have.
const NAMES: [&str; 6] = ["a.pdf", "a.xlsx", "a.zip", "Báo cáo.SIGNED.PDF", "a", ".x"];

/// Input: the number of a name, and the file.
///
/// # Panics
/// When the description of the file cannot be right, or differs when the file stands in a packet.
pub fn zip(data: &[u8]) {
    let &[number, ref file @ ..] = data else {
        return;
    };
    let name = NAMES[usize::from(number) % NAMES.len()];
    let described = Attachment::of("1", name, None, file);
    assert_eq!(
        described,
        Attachment::of("1", name, None, file),
        "described otherwise"
    );
    assert_eq!(described.length, file.len() as u64);
    assert_eq!(described.sha256, Sha256::of(file));
    the_description_fits(&described, file);
    // Reading a packet costs more than all the rest; one input in eight is enough.
    if described.sha256.as_bytes()[0] < 32 {
        in_a_packet_it_is_the_same(&described, file);
    }
}

/// What can be told by looking at the bytes in the plainest way.
fn the_description_fits(described: &Attachment, file: &[u8]) {
    let has = |what: &[u8]| file.windows(what.len()).any(|window| window == what);
    let is_zip = matches!(
        described.sniffed,
        SniffedType::Zip
            | SniffedType::Docx
            | SniffedType::Xlsx
            | SniffedType::Pptx
            | SniffedType::OfficeOpenXml
            | SniffedType::OpenDocument
    );
    assert_eq!(is_zip, file.starts_with(b"PK\x03\x04"), "{:?}", described.sniffed);
    let named = match described.sniffed {
        SniffedType::Docx => &["[Content_Types].xml", "word/"][..],
        SniffedType::Xlsx => &["[Content_Types].xml", "xl/"],
        SniffedType::Pptx => &["[Content_Types].xml", "ppt/"],
        SniffedType::OfficeOpenXml => &["[Content_Types].xml"],
        SniffedType::OpenDocument => &["mimetype"],
        _ => &[],
    };
    assert!(
        named.iter().all(|name| has(name.as_bytes())),
        "{:?} without its entries",
        described.sniffed
    );
    let extension = described
        .name
        .rsplit_once('.')
        .map_or("", |(_, extension)| extension);
    match described.wrapper {
        Wrapping::None => {}
        Wrapping::Wrapped => {
            assert_eq!(described.sniffed, SniffedType::Zip);
            // One entry in the list at the end, with the extension that the file's name has.
            let lower = file.to_ascii_lowercase();
            let ending = format!(".{}", extension.to_lowercase());
            assert!(
                lower
                    .windows(ending.len())
                    .any(|window| window == ending.as_bytes()),
                "wrapped, and no {ending} inside"
            );
            assert!(
                has(b"PK\x01\x02") && has(b"PK\x05\x06"),
                "wrapped, and no list of entries"
            );
        }
        Wrapping::OddZip => {
            assert_eq!(described.sniffed, SniffedType::Zip);
            assert_ne!(extension, "zip");
        }
    }
}

/// Decoded as a stream from base64 the file is what it was in one piece.
fn in_a_packet_it_is_the_same(described: &Attachment, file: &[u8]) {
    let packet = DocumentPacket {
        from: Organization::new("H60.10.05", "A"),
        to: vec![Organization::new("H60.10", "B")],
        document_id: "1".to_owned(),
        subject: "1".to_owned(),
        attachments: vec![described.clone()],
        ..DocumentPacket::default()
    };
    let Ok(reading) = read(&write_document(&packet, &[file]), &Limits::default()) else {
        // Empty files and damaged PDFs are refused.
        assert!(
            file.is_empty() || file.starts_with(b"%PDF"),
            "refused in a packet"
        );
        return;
    };
    let Packet::Document(document) = reading.packet else {
        panic!("a document became a status");
    };
    let mut read = document.attachments[0].clone();
    read.encoded = 0..0;
    assert_eq!(&read, described, "another file in a packet");
}
