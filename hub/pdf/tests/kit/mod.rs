//! Small PDFs and signatures, made here byte by byte so that each test can bend exactly one of them.

#![allow(
    dead_code,
    clippy::unwrap_used,
    reason = "each test file uses a part of it, and may stop at the first surprise"
)]

use rcgen::{CertificateParams, DnType, KeyPair, SigningKey as _};
use ring::digest::{SHA256, digest};
use x509_parser::prelude::{FromDer as _, X509Certificate};

/// A file under construction: revisions are appended, each with its own table.
pub(crate) struct Pdf {
    pub(crate) bytes: Vec<u8>,
    table: usize,
    next: usize,
}

/// A signature dictionary to be appended.
pub(crate) struct Slot {
    pub(crate) sub_filter: &'static str,
    /// Hexadecimal digits reserved.
    pub(crate) digits: usize,
    /// Bytes written into the gap beside the signature: what nobody signs.
    pub(crate) stowaway: &'static str,
    /// Whether the dictionary stands inside its field.
    pub(crate) direct: bool,
}

impl Default for Slot {
    fn default() -> Self {
        Self {
            sub_filter: "ETSI.CAdES.detached",
            digits: 4096,
            stowaway: "",
            direct: false,
        }
    }
}

/// What the signature goes over.
pub(crate) struct ToSign {
    pub(crate) file: Vec<u8>,
    pub(crate) gap: std::ops::Range<usize>,
}

impl Pdf {
    /// One page, unsigned.
    pub(crate) fn plain() -> Self {
        let text = "BT /F1 18 Tf 20 100 Td (Cong van 123) Tj ET";
        Self::of(&[
            "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
            "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Contents 4 0 R >>".to_owned(),
            format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
        ])
    }

    /// A file of these objects, numbered from 1, the first being the catalog.
    pub(crate) fn of(objects: &[String]) -> Self {
        let mut pdf = Self {
            bytes: b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n".to_vec(),
            table: 0,
            next: 1,
        };
        let objects: Vec<(usize, String)> = (1..).zip(objects.iter().cloned()).collect();
        pdf.append(&objects);
        pdf
    }

    /// Appends a revision; answers where each object begins.
    pub(crate) fn append(&mut self, objects: &[(usize, String)]) -> Vec<usize> {
        let mut places = Vec::new();
        for (number, body) in objects {
            places.push(self.bytes.len());
            self.bytes
                .extend(format!("{number} 0 obj\n{body}\nendobj\n").bytes());
            self.next = self.next.max(number + 1);
        }
        let table = self.bytes.len();
        self.bytes.extend(b"xref\n0 1\n0000000000 65535 f \n");
        for ((number, _), place) in objects.iter().zip(&places) {
            self.bytes
                .extend(format!("{number} 1\n{place:010} 00000 n \n").bytes());
        }
        let previous = if self.table == 0 {
            String::new()
        } else {
            format!(" /Prev {}", self.table)
        };
        self.bytes.extend(
            format!(
                "trailer\n<< /Size {} /Root 1 0 R{previous} >>\nstartxref\n{table}\n%%EOF\n",
                self.next
            )
            .bytes(),
        );
        self.table = table;
        places
    }

    /// Appends a revision with a signature over everything.
    pub(crate) fn sign(&mut self, slot: &Slot, sign: impl FnOnce(&[u8]) -> Vec<u8>) {
        let to_sign = self.prepare(slot);
        let covered = to_sign.covered();
        self.bytes = to_sign.fill(&sign(&covered), slot);
    }

    /// Appends the revision with an empty signature, its range filled in.
    pub(crate) fn prepare(&mut self, slot: &Slot) -> ToSign {
        let blank = "0".repeat(slot.digits);
        let contents = format!("<{blank}>{}", slot.stowaway);
        let dictionary = format!(
            "<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /{} /M (D:20261123084109+07'00') \
             /ByteRange [0 ********** ********** **********] /Contents {contents} >>",
            slot.sub_filter
        );
        let (field, value) = (self.next, self.next + 1);
        let about = format!("<< /FT /Sig /T (Sig{field}) /Type /Annot /Subtype /Widget /Rect [0 0 0 0] /V");
        let catalog =
            format!("<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [{field} 0 R] /SigFlags 3 >> >>");
        let before = self.bytes.len();
        if slot.direct {
            self.append(&[(1, catalog), (field, format!("{about} {dictionary} >>"))]);
        } else {
            self.append(&[
                (1, catalog),
                (field, format!("{about} {value} 0 R >>")),
                (value, dictionary),
            ]);
        }
        let mut file = self.bytes.clone();
        let gap_start = before + find(&file[before..], contents.as_bytes());
        let gap = gap_start..gap_start + contents.len();
        let stars = before + find(&file[before..], b"********** ********** **********");
        let numbers = format!("{:010} {:010} {:010}", gap.start, gap.end, file.len() - gap.end);
        file[stars..stars + numbers.len()].copy_from_slice(numbers.as_bytes());
        self.bytes.clone_from(&file);
        ToSign { file, gap }
    }
}

impl ToSign {
    pub(crate) fn covered(&self) -> Vec<u8> {
        [&self.file[..self.gap.start], &self.file[self.gap.end..]].concat()
    }

    pub(crate) fn fill(mut self, cms: &[u8], slot: &Slot) -> Vec<u8> {
        let digits: String = cms.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(digits.len() <= slot.digits, "reserve {} digits", digits.len());
        let at = self.gap.start + 1;
        self.file[at..at + digits.len()].copy_from_slice(digits.as_bytes());
        self.file
    }
}

pub(crate) fn find(haystack: &[u8], needle: &[u8]) -> usize {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
        .unwrap()
}

/// A key on P-256 with a certificate of its own.
pub(crate) struct Pen {
    pub(crate) key: KeyPair,
    pub(crate) certificate: Vec<u8>,
}

/// What is bent in a signature.
#[derive(Clone)]
pub(crate) struct Style {
    pub(crate) attributes: bool,
    pub(crate) certificate: bool,
    /// Digest that signing-certificate-v2 names; empty: the attribute is left out.
    pub(crate) names: Vec<u8>,
    pub(crate) signers: usize,
    /// `UTCTime` of the attribute signingTime.
    pub(crate) signing_time: Option<&'static [u8]>,
    pub(crate) digest_twice: bool,
    /// Content inside the signature, with its type: for time stamps.
    pub(crate) content: Option<Vec<u8>>,
}

impl Pen {
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = params.self_signed(&key).unwrap().der().to_vec();
        Self { key, certificate }
    }

    pub(crate) fn style(&self) -> Style {
        Style {
            attributes: true,
            certificate: true,
            names: digest(&SHA256, &self.certificate).as_ref().to_vec(),
            signers: 1,
            signing_time: None,
            digest_twice: false,
            content: None,
        }
    }

    /// A PAdES signature over `covered`.
    pub(crate) fn sign(&self, covered: &[u8]) -> Vec<u8> {
        self.write(covered, &self.style())
    }

    /// A signature over `covered`, bent.
    pub(crate) fn write(&self, covered: &[u8], style: &Style) -> Vec<u8> {
        const DATA: &str = "1.2.840.113549.1.7.1";
        const TST_INFO: &str = "1.2.840.113549.1.9.16.1.4";
        let sha256 = seq(&[oid("2.16.840.1.101.3.4.2.1")]);
        let signed = style.content.as_deref().unwrap_or(covered);
        let of_digest = attribute(
            "1.2.840.113549.1.9.4",
            &tlv(0x04, digest(&SHA256, signed).as_ref()),
        );
        let kind = if style.content.is_some() { TST_INFO } else { DATA };
        let mut attributes = vec![attribute("1.2.840.113549.1.9.3", &oid(kind)), of_digest.clone()];
        if style.digest_twice {
            attributes.push(of_digest);
        }
        if let Some(time) = style.signing_time {
            attributes.push(attribute("1.2.840.113549.1.9.5", &tlv(0x17, time)));
        }
        if !style.names.is_empty() {
            let id = seq(&[tlv(0x04, &style.names)]);
            attributes.push(attribute("1.2.840.113549.1.9.16.2.47", &seq(&[seq(&[id])])));
        }
        let attributes = attributes.concat();
        let message = if style.attributes {
            tlv(0x31, &attributes)
        } else {
            covered.to_vec()
        };
        let (_, parsed) = X509Certificate::from_der(&self.certificate).unwrap();
        let sid = seq(&[parsed.issuer().as_raw().to_vec(), tlv(0x02, parsed.raw_serial())]);
        let mut signer = vec![int(1), sid, sha256.clone()];
        if style.attributes {
            signer.push(tlv(0xA0, &attributes));
        }
        signer.push(seq(&[oid("1.2.840.10045.4.3.2")]));
        signer.push(tlv(0x04, &self.key.sign(&message).unwrap()));
        let mut encapsulated = vec![oid(kind)];
        if let Some(content) = &style.content {
            encapsulated.push(tlv(0xA0, &tlv(0x04, content)));
        }
        let mut data = vec![int(1), tlv(0x31, &sha256), seq(&encapsulated)];
        if style.certificate {
            data.push(tlv(0xA0, &self.certificate));
        }
        data.push(tlv(0x31, &seq(&signer).repeat(style.signers)));
        seq(&[oid("1.2.840.113549.1.7.2"), tlv(0xA0, &seq(&data))])
    }

    /// The content of a time stamp over `covered`.
    pub(crate) fn time_stamp(covered: &[u8]) -> Vec<u8> {
        let imprint = seq(&[
            seq(&[oid("2.16.840.1.101.3.4.2.1")]),
            tlv(0x04, digest(&SHA256, covered).as_ref()),
        ]);
        seq(&[
            int(1),
            oid("1.2.3.4"),
            imprint,
            int(7),
            tlv(0x18, b"20261123090000Z"),
        ])
    }
}

fn attribute(kind: &str, value: &[u8]) -> Vec<u8> {
    seq(&[oid(kind), tlv(0x31, value)])
}

fn seq(parts: &[Vec<u8>]) -> Vec<u8> {
    tlv(0x30, &parts.concat())
}

fn int(value: u8) -> Vec<u8> {
    tlv(0x02, &[value])
}

fn oid(dotted: &str) -> Vec<u8> {
    let arcs: Vec<u32> = dotted.split('.').map(|arc| arc.parse().unwrap()).collect();
    let mut bytes = vec![(arcs[0] * 40 + arcs[1]) as u8];
    for arc in &arcs[2..] {
        let groups = (0..5).rev().map(|group| (arc >> (7 * group)) & 0x7F);
        let groups: Vec<u8> = groups
            .skip_while(|group| *group == 0)
            .map(|group| group as u8)
            .collect();
        let (last, first) = groups.split_last().unwrap_or((&0, &[]));
        bytes.extend(first.iter().map(|group| group | 0x80));
        bytes.push(*last);
    }
    tlv(0x06, &bytes)
}

/// Tag, length, value.
pub(crate) fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len();
    let mut bytes = vec![tag];
    match length {
        0..=127 => bytes.push(length as u8),
        128..=255 => bytes.extend([0x81, length as u8]),
        _ => bytes.extend([0x82, (length >> 8) as u8, length as u8]),
    }
    bytes.extend(value);
    bytes
}
