//! Published answers (RFC 7515 appendix A, RFC 8037 appendix A), and our own seal byte for byte.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use truc_model::Sha256;

use super::super::{Algorithm, Claims, SealingKey, make};
use super::{MESSAGE, at, system};

fn bytes(text: &str) -> Vec<u8> {
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// Holds as published, and not with the last bit of the message changed.
fn known_answer(algorithm: Algorithm, public_key: &[u8], input: &str, signature: &str) {
    let mut message = input.as_bytes().to_vec();
    assert!(algorithm.verify(public_key, &message, &bytes(signature)));
    *message.last_mut().unwrap() ^= 1;
    assert!(!algorithm.verify(public_key, &message, &bytes(signature)));
}

#[test]
fn rfc_7515_a_2_rs256() {
    let modulus = bytes(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yR\
         T-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXB\
         dQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9ia\
         GNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
    );
    // RSAPublicKey: SEQUENCE of the modulus (257 bytes with its sign byte) and 65537.
    let mut key = vec![0x30, 0x82, 0x01, 0x0a, 0x02, 0x82, 0x01, 0x01, 0x00];
    key.extend(modulus);
    key.extend([0x02, 0x03, 0x01, 0x00, 0x01]);
    known_answer(
        Algorithm::Rs256,
        &key,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19y\
         b290Ijp0cnVlfQ",
        "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9u\
         JdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_e\
         SN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5\
         AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
    );
}

#[test]
fn rfc_7515_a_3_es256() {
    let mut key = vec![4];
    key.extend(bytes("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"));
    key.extend(bytes("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"));
    known_answer(
        Algorithm::Es256,
        &key,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19y\
         b290Ijp0cnVlfQ",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
}

#[test]
fn rfc_8037_a_4_eddsa() {
    known_answer(
        Algorithm::EdDsa,
        &bytes("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"),
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
}

/// The worked example of `docs/reference/seal.md`: whoever implements the seal compares with these.
#[test]
fn the_worked_example_of_the_documentation() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/reference/seal.md");
    let page = std::fs::read_to_string(page).unwrap();
    let block = |from: &str, until: &str| {
        let (_, rest) = page.split_once(from).unwrap();
        let (block, _) = rest.split_once(until).unwrap();
        block.trim().to_owned()
    };
    let certificate = format!(
        "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n",
        block("-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----")
    );
    // RFC 8037 A.1: the seed, in PKCS#8 version 1.
    let mut key = vec![
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    ];
    key.extend(bytes("nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A"));
    let label = "PRIVATE KEY";
    let key = format!(
        "-----BEGIN {label}-----\n{}\n-----END {label}-----\n",
        STANDARD.encode(key)
    );
    let body = "<edXML>Quyết định số 12/QĐ-UBND</edXML>";
    let claims = Claims {
        iss: system().clone(),
        jti: MESSAGE.parse().unwrap(),
        iat: at(1_790_000_000),
        sha256: Sha256::of(body.as_bytes()),
        size: body.len() as u64,
    };
    let key = SealingKey::from_pem(&key, &certificate).unwrap();
    let seal = make(&key, &claims).unwrap();
    assert_eq!(seal, block("<!-- seal -->\n```text", "```").replace('\n', ""));
    for (part, title) in [(0, "<!-- header -->"), (1, "<!-- claims -->")] {
        let shown = block(&format!("{title}\n```json"), "```");
        let made = bytes(seal.split('.').nth(part).unwrap());
        assert_eq!(String::from_utf8(made).unwrap(), shown, "{title}");
    }
}
