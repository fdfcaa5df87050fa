//! Memory while a large packet is read, verified, signed and decoded: it stays flat. The packet is made as it is
//! asked for, so only what the crate itself holds is counted.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test may end at what it did not expect"
)]

mod dsig_support;

use std::fs;
use std::io;

use truc_envelope::dsig::{DsigPolicy, DsigVerdict, SignOptions, SigningKey, sign_from, verify_from};
use truc_envelope::seal::Trust;
use truc_envelope::{
    Attachment, DocumentPacket, Limits, Organization, Packet, PacketSource, decode_attachment_from,
    read_from, sha256_of, write_document,
};

/// Bytes of base64 in the large packet; with what a debug build takes for it, a few seconds.
const LARGE: u64 = 12 * 1024 * 1024;
/// What it may add to the process: an eighth of what a 200 MB document may cost the hub.
const MOST: u64 = 4 * 1024 * 1024;
/// What a packet of markup alone may add: the tree of as many elements as there may be, and their texts.
const MOST_OF_MARKUP: u64 = 24 * 1024 * 1024;

/// A packet with a run of `unit` in the middle, made when asked for.
struct Made {
    head: Vec<u8>,
    unit: Vec<u8>,
    times: u64,
    tail: Vec<u8>,
}

impl PacketSource for Made {
    fn size(&self) -> io::Result<u64> {
        Ok((self.head.len() + self.tail.len()) as u64 + self.unit.len() as u64 * self.times)
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let (head, middle) = (self.head.len() as u64, self.unit.len() as u64 * self.times);
        if offset < head {
            return self.head.read_at(offset, buffer);
        }
        if offset >= head + middle {
            return self.tail.read_at(offset - head - middle, buffer);
        }
        let at = offset - head;
        let room = usize::try_from(middle - at).unwrap().min(buffer.len());
        let mut filled = 0;
        while filled < room {
            let from = usize::try_from((at + filled as u64) % self.unit.len() as u64).unwrap();
            let length = (self.unit.len() - from).min(room - filled);
            buffer[filled..filled + length].copy_from_slice(&self.unit[from..from + length]);
            filled += length;
        }
        Ok(filled)
    }
}

/// Counts what is written and keeps its beginning.
#[derive(Default)]
struct Beginning {
    kept: Vec<u8>,
    written: u64,
}

impl io::Write for Beginning {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written += bytes.len() as u64;
        let room = (64 * 1024 - self.kept.len()).min(bytes.len());
        self.kept.extend_from_slice(&bytes[..room]);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn high_water() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

fn packet(unit: &str, size: u64) -> Made {
    let document = DocumentPacket {
        from: Organization::new("H60.10.05", "UBND xã"),
        to: vec![Organization::new("H60.10", "UBND huyện")],
        document_id: "1".to_owned(),
        subject: "Bản đồ".to_owned(),
        attachments: vec![Attachment::of("1", "map.bin", None, b"AAAAAAAAAAAA")],
        ..DocumentPacket::default()
    };
    let text = String::from_utf8(write_document(&document, &[b"AAAAAAAAAAAA"])).unwrap();
    let (head, tail) = text.split_once("QUFBQUFBQUFBQUFB").expect("the attachment");
    Made {
        head: head.as_bytes().to_vec(),
        unit: unit.as_bytes().to_vec(),
        times: size / unit.len() as u64,
        tail: tail.as_bytes().to_vec(),
    }
}

#[test]
fn memory_stays_flat() {
    let root = dsig_support::Ca::root("root");
    let leaf = root.leaf("signer", |_| {});
    let trust = Trust::new(&[root.pem()]).unwrap();
    let key = SigningKey::from_pem(&leaf.key_pem, &leaf.certificate_pem).unwrap();
    let line = format!("{}\n", "QUFB".repeat(19));
    let large = packet(&line, LARGE);
    // What is loaded and allocated once, counted beforehand.
    let small = packet(&line, 200_000);
    walk(&small, &key, &trust);
    let Some(before) = high_water() else {
        eprintln!("SKIPPED: no /proc here");
        return;
    };
    walk(&large, &key, &trust);
    let added = high_water().unwrap().saturating_sub(before);
    println!("{LARGE} bytes read, verified, signed and decoded with {added} bytes more");
    assert!(added <= MOST, "{added} bytes more");
    // Markup without end is refused, not held: a million elements, and as many values.
    for unit in ["<x/>", "<x>value</x>", "text &amp; ", "<!-- c -->", "&#13;\n"] {
        let mut markup = packet(unit, LARGE / 4);
        markup.head = b"<edXML><edXMLEnvelope><edXMLHeader><MessageHeader>".to_vec();
        let outcome = read_from(&markup, &Limits::default()).unwrap();
        assert!(outcome.is_err(), "{unit}");
    }
    let added = high_water().unwrap().saturating_sub(before);
    println!("{} bytes of markup refused with {added} bytes more", LARGE / 4);
    assert!(added <= MOST_OF_MARKUP, "{added} bytes more");
}

fn walk(source: &Made, key: &SigningKey, trust: &Trust) {
    let limits = Limits::default();
    let reading = read_from(source, &limits).unwrap().expect("a sound packet");
    assert_eq!(reading.size, source.size().unwrap());
    assert_eq!(reading.sha256, sha256_of(source).unwrap());
    let Packet::Document(document) = &reading.packet else {
        panic!("a status")
    };
    let [attachment] = document.attachments.as_slice() else {
        panic!("one attachment")
    };
    assert_eq!(attachment.length, source.times * 57);
    let mut decoded = Beginning::default();
    decode_attachment_from(source, attachment, &mut decoded).unwrap();
    assert_eq!(decoded.written, attachment.length);
    let mut signed = Beginning::default();
    sign_from(source, key, &SignOptions::default(), &limits, &mut signed)
        .unwrap()
        .unwrap();
    // The signature stands in the header, before the attachment.
    let element = usize::try_from(signed.written - reading.size).unwrap();
    signed.kept.truncate(source.head.len() + element);
    let signed = Made {
        head: signed.kept,
        unit: source.unit.clone(),
        times: source.times,
        tail: source.tail.clone(),
    };
    let judge = |source: &Made| {
        let policy = DsigPolicy::default();
        verify_from(source, &policy, trust, dsig_support::now(), &[]).unwrap()
    };
    let verdict = judge(&signed);
    assert!(matches!(verdict, DsigVerdict::Valid(_)), "{verdict:?}");
    assert!(matches!(judge(source), DsigVerdict::Absent { .. }));
    let fewer = Made {
        times: signed.times - 1,
        ..signed
    };
    assert!(matches!(judge(&fewer), DsigVerdict::Invalid(_)));
}
