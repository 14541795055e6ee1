//! The address of a backup in object storage, and what a host says about the way there.

use std::fmt;
use std::net::IpAddr;

use super::BackupKind;
use crate::secret::Secret;

/// The scheme of addresses in object storage, with what follows it.
const SCHEME: &str = "s3://";
/// The most bytes of an object's key.
const KEY_MAX: usize = 1024;

/// The way to a store, and the keys to it.
#[derive(Clone)]
pub struct Access {
    pub endpoint: Endpoint,
    pub region: String,
    pub keys: Keys,
}

/// The keys of a host to its store.
#[derive(Clone)]
pub struct Keys {
    pub id: String,
    pub secret: Secret,
    pub token: Option<Secret>,
}

/// A bucket, and the beginning of keys in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub bucket: String,
    /// The part of keys before a slash and a backup's name; empty where there is none.
    pub prefix: String,
}

impl Address {
    /// Reads `s3://bucket/prefix`; none where it is something else.
    pub fn parse(text: &str) -> Option<Address> {
        let rest = text.strip_prefix(SCHEME)?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let address = Address {
            bucket: bucket.to_owned(),
            prefix: prefix.strip_suffix('/').unwrap_or(prefix).to_owned(),
        };
        let key = address.key(BackupKind::Encrypted);
        let is_key = key.len() <= KEY_MAX && !key.contains(char::is_control);
        (is_bucket(bucket) && is_key).then_some(address)
    }

    /// Gives the key of a backup of that kind.
    pub fn key(&self, kind: BackupKind) -> String {
        match self.prefix.as_str() {
            "" => kind.file().to_owned(),
            prefix => format!("{prefix}/{}", kind.file()),
        }
    }

    /// Gives the address of an object in the bucket, for sentences.
    pub fn name_of(&self, key: &str) -> String {
        format!("{SCHEME}{}/{key}", self.bucket)
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.prefix.as_str() {
            "" => write!(f, "{SCHEME}{}", self.bucket),
            prefix => write!(f, "{SCHEME}{}/{prefix}", self.bucket),
        }
    }
}

/// Tells whether a bucket can have this name: that of every store, and in path style any that can
/// stand there.
fn is_bucket(name: &str) -> bool {
    let is_own = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
    let ends = [name.bytes().next(), name.bytes().last()];
    (3..=63).contains(&name.len())
        && name.bytes().all(is_own)
        && ends.iter().flatten().all(u8::is_ascii_alphanumeric)
        && !name.contains("..")
}

/// Tells whether a bucket's name can be the first part of a host's.
fn is_label(bucket: &str) -> bool {
    let is_own = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    bucket.bytes().all(is_own)
}

/// The server of an object store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub is_tls: bool,
    /// A name or an IP address, the latter without brackets.
    pub host: String,
    /// The port, where one is given.
    port: Option<u16>,
    /// The path before a bucket's name: empty, or with a slash at its beginning alone.
    path: String,
}

impl Endpoint {
    /// Reads `https://host`, perhaps with a port and a path; none where it is something else.
    pub fn parse(text: &str) -> Option<Endpoint> {
        let (is_tls, rest) = match text.strip_prefix("https://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("http://")?),
        };
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        let (host, port) = match authority.strip_prefix('[') {
            Some(rest) => rest.split_once(']')?,
            None => authority.split_at(authority.find(':').unwrap_or(authority.len())),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            port => Some(port?.parse().ok().filter(|port| *port > 0)?),
        };
        let is_own = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        let is_host = match authority.starts_with('[') {
            true => host.parse::<std::net::Ipv6Addr>().is_ok(),
            false => !host.is_empty() && host.len() <= 253 && host.bytes().all(is_own),
        };
        let is_in_path = |byte: u8| byte == b'/' || byte == b'~' || is_own(byte);
        (is_host && path.bytes().all(is_in_path)).then(|| Endpoint {
            is_tls,
            host: host.to_ascii_lowercase(),
            port,
            path: path.trim_end_matches('/').to_owned(),
        })
    }

    /// Gives that of AWS in a region.
    pub fn of_aws(region: &str) -> Endpoint {
        let domain = match region.starts_with("cn-") {
            true => "amazonaws.com.cn",
            false => "amazonaws.com",
        };
        Endpoint {
            is_tls: true,
            host: format!("s3.{region}.{domain}"),
            port: None,
            path: String::new(),
        }
    }

    pub fn port(&self) -> u16 {
        self.port.unwrap_or(match self.is_tls {
            true => 443,
            false => 80,
        })
    }

    /// Gives what the header `Host` says.
    pub fn authority(&self) -> String {
        let host = match self.host.contains(':') {
            true => format!("[{}]", self.host),
            false => self.host.clone(),
        };
        match self.port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        }
    }

    fn is_of_aws(&self) -> bool {
        let host = &self.host;
        host.ends_with(".amazonaws.com") || host.ends_with(".amazonaws.com.cn")
    }

    /// Gives the endpoint of a bucket, and the path of the bucket there. AWS has a name for each
    /// bucket, but no certificate for those with a dot, and old buckets have letters and marks that
    /// no name of a host has; of other stores the endpoint's own name tells whether it is the
    /// bucket's, and else the bucket stands in the path.
    pub fn of_bucket(mut self, bucket: &str) -> (Endpoint, String) {
        let is_address = self.host.parse::<IpAddr>().is_ok();
        let own = format!("{bucket}.");
        let is_own = !is_address && self.host.starts_with(&own);
        if !is_own && self.is_of_aws() && is_label(bucket) {
            self.host.insert_str(0, &own);
            return self.with_path("");
        }
        match is_own {
            true => self.with_path(""),
            false => self.with_path(&format!("/{bucket}")),
        }
    }

    fn with_path(self, bucket: &str) -> (Endpoint, String) {
        let path = format!("{}{bucket}", self.path);
        (self, path)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_bucket_and_perhaps_a_prefix() {
        for (text, bucket, prefix) in [
            ("s3://backups", "backups", ""),
            ("s3://backups/", "backups", ""),
            ("s3://my.backups/hosts/one/", "my.backups", "hosts/one"),
            ("s3://abc/ü ?#%", "abc", "ü ?#%"),
            ("s3://abc/a//../b//", "abc", "a//../b/"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(
                (address.bucket.as_str(), address.prefix.as_str()),
                (bucket, prefix)
            );
        }
        let long = format!("s3://abc/{}", "a".repeat(KEY_MAX));
        for bad in [
            "s3:/abc",
            "S3://abc",
            "s3://",
            "s3:///a",
            "s3://ab",
            "s3://a b",
            "s3://.ab",
            "s3://a..b",
            "s3://abc/a\nb",
            "s3://abc?x",
            "s3://a:b@c/d",
            "gs://abc",
            "/s3://abc",
            &long,
        ] {
            assert_eq!(Address::parse(bad), None, "{bad}");
        }
        let address = Address::parse("s3://abc/d").unwrap();
        assert_eq!(address.key(BackupKind::Plain), "d/licenses.tar.zst");
        assert_eq!(address.to_string(), "s3://abc/d");
    }

    #[test]
    fn an_endpoint_is_a_server_and_perhaps_a_port_and_a_path() {
        for (text, shown, port) in [
            ("http://localhost:9000", "http://localhost:9000", 9000),
            ("https://S3.example.org/", "https://s3.example.org", 443),
            ("http://[::1]:9000/a", "http://[::1]:9000/a", 9000),
            ("http://10.0.0.1", "http://10.0.0.1", 80),
        ] {
            let endpoint = Endpoint::parse(text).unwrap();
            assert_eq!(
                (endpoint.to_string().as_str(), endpoint.port()),
                (shown, port)
            );
        }
        for bad in [
            "",
            "localhost",
            "ftp://a",
            "https://",
            "https://a b",
            "https://a:0",
            "https://a:70000",
            "https://a:",
            "https://u@a",
            "https://a?b",
            "https://a#b",
            "https://[::1",
            "https://[a]",
            "https://a/b?c",
            "https://a/ü",
        ] {
            assert_eq!(Endpoint::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_bucket_is_in_the_name_or_in_the_path() {
        let of = |endpoint: Endpoint, bucket: &str| {
            let (endpoint, path) = endpoint.of_bucket(bucket);
            (endpoint.to_string(), path)
        };
        let given = |text| Endpoint::parse(text).unwrap();
        for (endpoint, bucket, shown, path) in [
            (
                Endpoint::of_aws("eu-west-1"),
                "abc",
                "https://abc.s3.eu-west-1.amazonaws.com",
                "",
            ),
            (
                Endpoint::of_aws("eu-west-1"),
                "a.c",
                "https://s3.eu-west-1.amazonaws.com",
                "/a.c",
            ),
            (
                Endpoint::of_aws("us-east-1"),
                "Old_Bucket",
                "https://s3.us-east-1.amazonaws.com",
                "/Old_Bucket",
            ),
            (
                given("https://minio.example"),
                "MinIO",
                "https://minio.example",
                "/MinIO",
            ),
            (
                given("https://abc.example/abc"),
                "abc",
                "https://abc.example/abc",
                "/abc",
            ),
            (
                given("https://[::1]:9000"),
                "abc",
                "https://[::1]:9000",
                "/abc",
            ),
            (
                Endpoint::of_aws("cn-north-1"),
                "abc",
                "https://abc.s3.cn-north-1.amazonaws.com.cn",
                "",
            ),
            (
                given("http://localhost:9000"),
                "abc",
                "http://localhost:9000",
                "/abc",
            ),
            (
                given("https://abc.oss.example"),
                "abc",
                "https://abc.oss.example",
                "",
            ),
            (
                given("https://h/base"),
                "abc",
                "https://h/base",
                "/base/abc",
            ),
            (given("http://10.0.0.1"), "10.", "http://10.0.0.1", "/10."),
        ] {
            assert_eq!(of(endpoint, bucket), (shown.to_owned(), path.to_owned()));
        }
    }
}
