//! Packets and signatures still to be filled in by another program.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use truc_envelope::dsig::{Canonicalization, DigestAlgorithm, SignatureAlgorithm};

/// A packet whose header and body hold `content`, with what canonicalisation stumbles over in the elements
/// above the signature: namespaces that are not used, `xml:` attributes.
#[must_use]
pub fn packet(content: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <edXML xmlns=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\" xmlns:unused=\"urn:unused\" xml:lang=\"vi\">\r\n\
         <edXML:edXMLEnvelope xmlns:edXML=\"http://www.mic.gov.vn/TBT/QCVN_102_2016\" xml:space=\"preserve\">\n\
         <edXML:edXMLHeader xml:lang=\"en\"><edXML:MessageHeader>{content}</edXML:MessageHeader>\
         <edXML:TraceHeaderList/></edXML:edXMLHeader>\n\
         <edXML:edXMLBody>{content}</edXML:edXMLBody></edXML:edXMLEnvelope>\n\
         <AttachmentEncoded>JVBERi0xLjc=</AttachmentEncoded></edXML>\n"
    )
}

/// What a signature shall be made with.
#[derive(Debug, Clone)]
pub struct Template {
    /// Of `SignedInfo`.
    pub canonicalization: Canonicalization,
    /// The transform after enveloped-signature.
    pub transform: Option<Canonicalization>,
    /// The signature.
    pub algorithm: SignatureAlgorithm,
    /// The digest.
    pub digest: DigestAlgorithm,
    /// `PrefixList` of the exclusive ones, both of them; empty for none.
    pub prefixes: String,
}

impl Template {
    /// The packet with an unfilled signature that names this certificate.
    #[must_use]
    pub fn insert(&self, packet: &str, certificate: &[u8]) -> String {
        let list = |of: Canonicalization| match of {
            Canonicalization::Exclusive | Canonicalization::ExclusiveWithComments
                if !self.prefixes.is_empty() =>
            {
                format!(
                    "<InclusiveNamespaces xmlns=\"http://www.w3.org/2001/10/xml-exc-c14n#\" PrefixList=\"{}\"/>",
                    self.prefixes
                )
            }
            _ => String::new(),
        };
        let transform = self.transform.map_or_else(String::new, |of| {
            format!("<Transform Algorithm=\"{}\">{}</Transform>", of.uri(), list(of))
        });
        let signature = format!(
            "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\">\n<SignedInfo>\n\
             <CanonicalizationMethod Algorithm=\"{}\">{}</CanonicalizationMethod>\n\
             <SignatureMethod Algorithm=\"{}\"/>\r\n<Reference URI=\"\">\n<Transforms>\
             <Transform Algorithm=\"http://www.w3.org/2000/09/xmldsig#enveloped-signature\"/>{transform}\
             </Transforms>\n<DigestMethod Algorithm=\"{}\"/>\n<DigestValue></DigestValue></Reference>\n\
             </SignedInfo>\n<SignatureValue></SignatureValue>\n<KeyInfo><X509Data><X509Certificate>{}\
             </X509Certificate></X509Data></KeyInfo></Signature>",
            self.canonicalization.uri(),
            list(self.canonicalization),
            self.algorithm.uri(),
            self.digest.uri(),
            STANDARD.encode(certificate),
        );
        packet.replacen(
            "</edXML:edXMLHeader>",
            &format!("{signature}</edXML:edXMLHeader>"),
            1,
        )
    }
}
