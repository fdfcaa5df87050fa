//! PDFs signed by other software, when a folder of samples lies beside the checkout; without it these tests
//! say so and prove nothing.

#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::Path;

use truc_model::pdf::{Binding, PdfSignatures, SubFilter};
use truc_pdf::{Limits, inspect};

#[test]
fn samples_come_out_as_they_are_named() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/samples/pdf");
    let expected = [
        ("pades.pdf", "intact"),
        ("pades_tamper.pdf", "changed"),
        ("pades_appended.pdf", "partial"),
        ("pkcs7.pdf", "intact"),
        ("plain.pdf", "none"),
    ];
    let mut ran = 0;
    for (name, word) in expected {
        let Ok(bytes) = std::fs::read(folder.join(name)) else {
            eprintln!("SKIPPED: no sample {name} beside the checkout");
            continue;
        };
        let found = inspect(&bytes, &Limits::default());
        assert_eq!(found.word(), word, "{name}: {found:?}");
        if let PdfSignatures::Signed { signatures } = &found {
            assert_eq!(signatures.len(), 1, "{name}");
            let first = &signatures[0];
            assert!(first.signer.is_some() && first.certificate.is_some() && first.signed_at.is_some());
            let (kind, binding) = if name == "pkcs7.pdf" {
                (SubFilter::Pkcs7Detached, first.binding)
            } else {
                (SubFilter::Pades, Binding::Bound)
            };
            assert_eq!((first.kind, first.binding), (kind, binding), "{name}");
        }
        ran += 1;
    }
    eprintln!("samples of other software: {ran} of {}", expected.len());
}
