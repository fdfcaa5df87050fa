//! Finds the signature dictionaries of a PDF: objects with `ByteRange` and `Contents`.
//!
//! The parser's filter sees every object as soon as it is read, and here it throws away all but those: page
//! content is never inflated and never kept. Streams of objects are inflated under a budget, and read only
//! when a signature's key can stand in them.

use std::cell::RefCell;

use jiff::Timestamp;
use lopdf::{Dictionary, Document, LoadOptions, Object, ObjectId};
use memchr::memmem;
use truc_model::pdf::{SubFilter, Unreadable};

use crate::{Limits, time};

/// A signature dictionary, as it stands in the file.
#[derive(Debug)]
pub(crate) struct Found {
    /// `SubFilter`.
    pub(crate) kind: SubFilter,
    /// `ByteRange`; `None` when it is no list of numbers from zero up.
    pub(crate) byte_range: Option<Vec<usize>>,
    /// `Contents`, decoded; empty when it is no string.
    pub(crate) contents: Vec<u8>,
    /// `M`: when the signer's software says it was signed.
    pub(crate) signed_at: Option<Timestamp>,
}

/// Key of a signature that no other object of a PDF has.
const KEY: &[u8] = b"ByteRange";

/// Most numbers of a `ByteRange` that are looked at; a sound one has four.
const RANGE_MAX: usize = 8;

/// All signature dictionaries that the file's cross-reference tables lead to.
///
/// A file whose tables lead to none although the key stands in it is read once more with its tables rebuilt:
/// their offsets may be off.
///
/// # Errors
/// [`Unreadable`] when the file does not read, is encrypted, or is beyond a limit.
pub(crate) fn signatures(bytes: &[u8], limits: &Limits) -> Result<Vec<Found>, Unreadable> {
    let found = load(bytes, limits, false)?;
    if found.is_empty() && memmem::find(bytes, b"/ByteRange").is_some() {
        // What the first reading said stands when the second comes to nothing.
        return Ok(load(bytes, limits, true).unwrap_or_default());
    }
    Ok(found)
}

fn load(bytes: &[u8], limits: &Limits, rebuild: bool) -> Result<Vec<Found>, Unreadable> {
    TALLY.set(Tally {
        limits: *limits,
        objects: 0,
        inflated: 0,
        over: None,
    });
    let options = LoadOptions {
        filter: Some(keep),
        max_decompressed_size: Some(limits.max_inflated_stream),
        force_reconstruct: rebuild,
        ..LoadOptions::default()
    };
    let loaded = Document::load_mem_with_options(bytes, options);
    if let Some(over) = TALLY.with_borrow(|tally| tally.over) {
        return Err(over);
    }
    let document = match loaded {
        Ok(document) => document,
        Err(lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. })) => {
            return Err(Unreadable::Inflates);
        }
        Err(lopdf::Error::InvalidPassword | lopdf::Error::Decryption(_)) => {
            return Err(Unreadable::Encrypted);
        }
        Err(_) => return Err(Unreadable::Damaged),
    };
    if document.is_encrypted() || document.was_encrypted() {
        return Err(Unreadable::Encrypted);
    }
    let mut found = Vec::new();
    for object in document.objects.values() {
        walk(object, &mut |dictionary| {
            if found.len() <= limits.max_signatures {
                found.push(Found::of(dictionary));
            }
        });
    }
    if found.len() > limits.max_signatures {
        return Err(Unreadable::TooManySignatures);
    }
    Ok(found)
}

/// What the filter has seen of the file that this thread reads.
struct Tally {
    limits: Limits,
    objects: usize,
    inflated: usize,
    over: Option<Unreadable>,
}

thread_local! {
    // The parser takes a plain function for its filter, so what it counts stands here.
    static TALLY: RefCell<Tally> = const {
        RefCell::new(Tally {
            limits: Limits {
                max_bytes: 0,
                max_objects: 0,
                max_signatures: 0,
                max_cms_bytes: 0,
                max_inflated_stream: 0,
                max_inflated: 0,
            },
            objects: 0,
            inflated: 0,
            over: None,
        })
    };
}

/// The parser's filter: whether an object is kept.
fn keep(id: ObjectId, object: &mut Object) -> Option<(ObjectId, Object)> {
    let kept = TALLY.with_borrow_mut(|tally| tally.keeps(object));
    // Of an object of its own the parser goes on with the one it lent; of one from a stream of objects, with
    // the one it is given. No stream is in a stream.
    kept.then(|| match object {
        Object::Stream(_) => (id, Object::Null),
        object => (id, object.clone()),
    })
}

impl Tally {
    fn keeps(&mut self, object: &mut Object) -> bool {
        self.objects += 1;
        if self.objects > self.limits.max_objects {
            self.over.get_or_insert(Unreadable::TooManyObjects);
        }
        if self.over.is_some() {
            return false;
        }
        match object {
            Object::Stream(stream) if stream.dict.has_type(b"ObjStm") => self.inflate(stream),
            Object::Stream(_) => false,
            object => {
                let mut signed = false;
                walk(object, &mut |_| signed = true);
                signed
            }
        }
    }

    /// Inflates a stream of objects here, so that the budget is counted, and leaves it plain for the parser.
    fn inflate(&mut self, stream: &mut lopdf::Stream) -> bool {
        let left = self.limits.max_inflated - self.inflated;
        match stream.get_plain_content_with_limit(left.min(self.limits.max_inflated_stream)) {
            Ok(plain) => {
                self.inflated += plain.len();
                let of_interest = can_hold_a_signature(&plain);
                if of_interest {
                    stream.set_plain_content(plain);
                }
                of_interest
            }
            Err(lopdf::Error::Decompress(lopdf::DecompressError::MemoryLimitExceeded { .. })) => {
                self.over = Some(Unreadable::Inflates);
                false
            }
            // The parser, too, goes on without a stream that does not read.
            Err(_) => false,
        }
    }
}

/// Whether the key stands in it, or a name is written with `#` escapes and could be the key.
fn can_hold_a_signature(plain: &[u8]) -> bool {
    memmem::find(plain, KEY).is_some() || memchr::memchr(b'#', plain).is_some()
}

/// Calls `visit` with every signature dictionary in an object, however deep.
fn walk(object: &Object, visit: &mut impl FnMut(&Dictionary)) {
    // The parser nests at most `Limits::MAX_DEPTH` levels, and all of it is in memory already.
    let mut open = vec![object];
    while let Some(object) = open.pop() {
        match object {
            Object::Array(items) => open.extend(items),
            Object::Dictionary(dictionary) => {
                if dictionary.has(KEY) && dictionary.has(b"Contents") {
                    visit(dictionary);
                }
                open.extend(dictionary.iter().map(|(_, value)| value));
            }
            _ => {}
        }
    }
}

impl Found {
    fn of(dictionary: &Dictionary) -> Self {
        let name = dictionary.get(b"SubFilter").and_then(Object::as_name);
        let kind = match name.unwrap_or_default() {
            b"ETSI.CAdES.detached" => SubFilter::Pades,
            b"adbe.pkcs7.detached" => SubFilter::Pkcs7Detached,
            b"adbe.pkcs7.sha1" => SubFilter::Pkcs7Sha1,
            b"ETSI.RFC3161" => SubFilter::TimeStamp,
            _ => SubFilter::Other,
        };
        let string = |key: &[u8]| dictionary.get(key).and_then(Object::as_str).ok();
        Self {
            kind,
            byte_range: numbers(dictionary),
            contents: string(b"Contents").unwrap_or_default().to_vec(),
            signed_at: string(b"M").and_then(time::pdf),
        }
    }
}

fn numbers(dictionary: &Dictionary) -> Option<Vec<usize>> {
    let items = dictionary.get(KEY).and_then(Object::as_array).ok()?;
    let number = |item: &Object| usize::try_from(item.as_i64().ok()?).ok();
    items.iter().take(RANGE_MAX).map(number).collect()
}
