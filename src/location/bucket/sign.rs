//! The signature of a request, version 4 of AWS, which all stores that speak S3 check: over its
//! method, path, query, headers and the digest of its body.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::super::address::Keys;

/// A request as it is signed. Header names are lower case.
pub struct Signed<'r> {
    pub method: &'r str,
    /// The path, in which all but slashes is encoded.
    pub path: &'r str,
    pub query: &'r [(&'r str, &'r str)],
    pub headers: &'r [(&'r str, &'r str)],
    pub body_digest: &'r str,
}

/// Gives the header `authorization` of a request. `time` is as `20130524T000000Z`.
pub fn authorization(request: &Signed, keys: &Keys, region: &str, time: &str) -> String {
    let mut headers = request.headers.to_vec();
    headers.sort_unstable();
    let names: Vec<_> = headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let query = query(request.query);
    let mut parts = vec![request.method, "\n", request.path, "\n", &query, "\n"];
    for (name, value) in &headers {
        parts.extend([name, ":", value.trim(), "\n"]);
    }
    parts.extend(["\n", &names, "\n", request.body_digest]);
    let canonical = joined(&parts);
    let date = time.get(..8).unwrap_or_default();
    let scope = format!("{date}/{region}/s3/aws4_request");
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        hex(&Sha256::digest(canonical.as_bytes()))
    );
    let first = joined(&["AWS4", keys.secret.text()]);
    let mut key = Zeroizing::new(mac(first.as_bytes(), date));
    for part in [region, "s3", "aws4_request"] {
        key = Zeroizing::new(mac(&*key, part));
    }
    format!(
        "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature={}",
        keys.id,
        hex(&mac(&*key, &to_sign))
    )
}

/// Joins texts of which some are secret: a text that grows would leave copies behind.
pub fn joined(parts: &[&str]) -> Zeroizing<String> {
    let length = parts.iter().map(|part| part.len()).sum();
    let mut all = Zeroizing::new(String::with_capacity(length));
    parts.iter().for_each(|part| all.push_str(part));
    all
}

fn mac(key: &[u8], message: &str) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
        return [0; 32]; // any key has a right length
    };
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Gives a query as it is signed and sent.
pub fn query(parts: &[(&str, &str)]) -> String {
    let encode = |(name, value): &(&str, &str)| (encoded(name, false), encoded(value, false));
    let mut parts: Vec<_> = parts.iter().map(encode).collect();
    parts.sort_unstable();
    let parts: Vec<_> = parts
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    parts.join("&")
}

/// Encodes all bytes but those that never mean anything in an address, and slashes where they part.
pub fn encoded(text: &str, with_slashes: bool) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                encoded.push(byte.into());
            }
            b'/' if with_slashes => encoded.push('/'),
            _ => {
                encoded.push('%');
                encoded.push_str(&hex(&[byte]).to_ascii_uppercase());
            }
        }
    }
    encoded
}

pub fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits
        .map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0'))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    /// The examples in AWS's documents, "Signature Calculations for the Authorization Header:
    /// Transferring Payload in a Single Chunk".
    #[test]
    fn the_examples_of_aws_are_signed_alike() {
        const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let keys = Keys {
            id: "AKIAIOSFODNN7EXAMPLE".into(),
            secret: Secret::new("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY".into()).unwrap(),
            token: None,
        };
        let put = hex(&Sha256::digest(b"Welcome to Amazon S3."));
        let check = |method, path, query: &[_], more: &[_], body_digest, signature: &str| {
            let mut headers = vec![
                ("x-amz-date", "20130524T000000Z"),
                ("x-amz-content-sha256", body_digest),
                ("host", "examplebucket.s3.amazonaws.com"),
            ];
            headers.extend_from_slice(more);
            let request = Signed {
                method,
                path,
                query,
                headers: &headers,
                body_digest,
            };
            let signed = authorization(&request, &keys, "us-east-1", "20130524T000000Z");
            assert!(signed.ends_with(signature), "{method} {path}: {signed}");
        };
        check(
            "GET",
            "/test.txt",
            &[],
            &[("range", "bytes=0-9")],
            EMPTY,
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        );
        check(
            "PUT",
            "/test%24file.text",
            &[],
            &[
                ("date", "Fri, 24 May 2013 00:00:00 GMT"),
                ("x-amz-storage-class", "REDUCED_REDUNDANCY"),
            ],
            &put,
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        );
        check(
            "GET",
            "/",
            &[("lifecycle", "")],
            &[],
            EMPTY,
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        );
        check(
            "GET",
            "/",
            &[("prefix", "J"), ("max-keys", "2")],
            &[],
            EMPTY,
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        );
    }

    #[test]
    fn all_that_could_mean_something_is_encoded() {
        assert_eq!(encoded("a b/ü~+&=%", true), "a%20b/%C3%BC~%2B%26%3D%25");
        assert_eq!(query(&[("b", "/"), ("a", "x y")]), "a=x%20y&b=%2F");
    }
}
