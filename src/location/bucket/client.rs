//! Requests to a store, each tried again while its failure may pass.

use std::io::{self, ErrorKind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use md5::Md5;
use rustls::ClientConfig;
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use super::super::address::{Access, Address, Endpoint};
use super::connection::{Connection, trusting};
use super::failure::{Failure, Place, Refusal};
use super::http::{Answer, Broken, Line, Message};
use super::sign::{self, Signed, authorization, encoded};
use crate::error::{Error, GoOn, Result};
use crate::random;
use crate::sync::locks::Mutex;
use crate::sys::patience::Patience;

/// The time for which a request is tried again.
const PATIENCE: Duration = Duration::from_secs(60);
/// The pauses before another attempt.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// Bytes of an answer that is XML.
pub const XML_MAX: usize = 2 << 20;

/// A request to a store.
pub struct Call<'c> {
    pub method: &'c str,
    /// The object's key; empty for the bucket itself.
    pub key: &'c str,
    pub query: &'c [(&'c str, &'c str)],
    /// Headers with names in lower case.
    pub headers: &'c [(&'c str, &'c str)],
    pub body: &'c [u8],
    /// The most bytes of the answer.
    pub most: usize,
    /// Tells whether an answer of success has what it must have: what stands between may have lost
    /// some, or answer itself.
    pub is_whole: &'c dyn Fn(&Answer) -> bool,
    /// Is asked for leave at the last moment at which the store can't have done it yet.
    pub leave: &'c dyn Fn() -> Result<()>,
}

/// A call of which nothing is said but what most have.
pub fn call<'c>(method: &'c str, key: &'c str) -> Call<'c> {
    Call {
        method,
        key,
        query: &[],
        headers: &[],
        body: &[],
        most: XML_MAX,
        is_whole: &|_| true,
        leave: &|| Ok(()),
    }
}

/// The way to a bucket, for as long as somebody needs it. Connections that nobody uses wait for the
/// next request, and end with the last of the ways that were made of one.
pub struct Client {
    pub address: Address,
    pub endpoint: Endpoint,
    /// The path of the bucket at the endpoint.
    path: String,
    access: Access,
    pub go_on: GoOn,
    trust: Option<Arc<ClientConfig>>,
    idle: Arc<Mutex<Vec<Line>>>,
}

impl Client {
    pub fn new(address: &Address, access: &Access, go_on: &GoOn) -> Result<Client> {
        let (endpoint, path) = access.endpoint.clone().of_bucket(&address.bucket);
        let trust = endpoint.is_tls.then(trusting).transpose()?;
        Ok(Client {
            address: address.clone(),
            endpoint,
            path,
            access: access.clone(),
            go_on: Arc::clone(go_on),
            trust,
            idle: Arc::default(),
        })
    }

    /// Gives another way to the bucket, for as long as `go_on` says.
    pub fn that(&self, go_on: GoOn) -> Client {
        Client {
            address: self.address.clone(),
            endpoint: self.endpoint.clone(),
            path: self.path.clone(),
            access: self.access.clone(),
            go_on,
            trust: self.trust.clone(),
            idle: Arc::clone(&self.idle),
        }
    }

    /// Gives this way to the bucket for no longer than `time`.
    pub fn within(&self, time: Duration) -> Client {
        let (go_on, until) = (Arc::clone(&self.go_on), Instant::now() + time);
        self.that(Arc::new(move || {
            go_on()?;
            match Instant::now() < until {
                true => Ok(()),
                false => Err(Error::canceled()),
            }
        }))
    }

    pub fn go_on(&self) -> Result<()> {
        (self.go_on)()
    }

    /// Makes the error of a failure; `doing` completes "Cannot …".
    pub fn error(&self, doing: &str, failure: Failure) -> Error {
        let place = Place {
            bucket: &self.address.bucket,
            endpoint: &self.endpoint,
            region: &self.access.region,
            keys: &self.access.keys,
        };
        failure.into_error(doing, &place)
    }

    /// Does what is asked, and tries again where that may help. An answer is one of success.
    pub fn call(&self, call: &Call) -> Result<Answer, Failure> {
        let mut patience = Patience::new(PATIENCE);
        let (mut pause, mut may_be_done) = (FIRST_PAUSE, false);
        loop {
            let mut failure = match self.once(call) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            may_be_done |= failure.may_be_done;
            failure.may_be_done = may_be_done;
            if failure.is_stale {
                continue; // as often as connections wait
            }
            if !failure.may_pass() {
                return Err(failure);
            }
            let go_on = || self.go_on();
            match patience.pause(some_of(pause), go_on) {
                Ok(true) => pause = (2 * pause).min(LONGEST_PAUSE),
                Ok(false) => return Err(failure),
                Err(error) => return Err(Failure::ended(error, may_be_done)),
            }
        }
    }

    /// Does what is asked, and does not try again.
    fn once(&self, call: &Call) -> Result<Answer, Failure> {
        match self.attempt(call) {
            Ok(answer) => match Refusal::of(&answer) {
                None if (call.is_whole)(&answer) => Ok(answer),
                None => Err(Failure::of_part()),
                Some(refusal) => Err(Failure::of_refusal(refusal)),
            },
            Err(broken) => Err(Failure::of_broken(broken)),
        }
    }

    /// Sends a request, on a connection that has waited or a new one.
    fn attempt(&self, call: &Call) -> Result<Answer, Broken> {
        let head = self.head(call).map_err(unsent)?;
        let leave = || (call.leave)().map_err(io::Error::other);
        let message = Message {
            head: &head,
            body: call.body,
            leave: &leave,
            most: call.most,
        };
        let waiting = self.idle.lock().pop();
        let has_waited = waiting.is_some();
        let mut line = match waiting {
            Some(mut line) => {
                line.obey(&self.go_on);
                line
            }
            None => {
                let connection = Connection::open(&self.endpoint, self.trust.as_ref(), &self.go_on);
                Line::new(connection.map_err(unsent)?)
            }
        };
        let exchanged = line.exchange(&message).map_err(|broken| Broken {
            is_stale: has_waited && broken.is_stale,
            ..broken
        });
        let (answer, lasts) = exchanged?;
        if lasts {
            self.idle.lock().push(line);
        }
        Ok(answer)
    }

    /// Makes the head of a request.
    fn head(&self, call: &Call) -> io::Result<Zeroizing<String>> {
        let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let (time, authority) = (now.to_string(), self.endpoint.authority());
        let digest = sign::hex(&Sha256::digest(call.body));
        let path = match (self.path.as_str(), call.key) {
            ("", "") => "/".to_owned(),
            (path, "") => encoded(path, true),
            (path, key) => format!("{}/{}", encoded(path, true), encoded(key, true)),
        };
        let keys = &self.access.keys;
        let mut headers = call.headers.to_vec();
        // Buckets that lock what is put there ask for it.
        let sum = base64::engine::general_purpose::STANDARD.encode(Md5::digest(call.body));
        if !call.body.is_empty() {
            headers.push(("content-md5", &sum));
        }
        headers.push(("host", &authority));
        headers.push(("x-amz-content-sha256", &digest));
        headers.push(("x-amz-date", &time));
        if let Some(token) = &keys.token {
            headers.push(("x-amz-security-token", token.text()));
        }
        // A range may be made another on the way, without harm: the answer tells its own.
        let is_signed = |(name, _): &&(&str, &str)| *name != "range";
        let signed_headers: Vec<_> = headers.iter().filter(is_signed).copied().collect();
        let signed = Signed {
            method: call.method,
            path: &path,
            query: call.query,
            headers: &signed_headers,
            body_digest: &digest,
        };
        let authorization = authorization(&signed, keys, &self.access.region, &time);
        let mut query = sign::query(call.query);
        if !query.is_empty() {
            query.insert(0, '?');
        }
        let length = call.body.len().to_string();
        headers.push(("authorization", &authorization));
        headers.push(("user-agent", concat!("licbak/", env!("CARGO_PKG_VERSION"))));
        if !call.body.is_empty() || matches!(call.method, "PUT" | "POST") {
            headers.push(("content-length", &length));
        }
        let has_break = |text: &str| text.contains(['\r', '\n', '\0']);
        if headers.iter().any(|(_, value)| has_break(value)) {
            return Err(ErrorKind::InvalidInput.into());
        }
        let mut parts = vec![call.method, " ", &path, &query, " HTTP/1.1\r\n"];
        for (name, value) in &headers {
            parts.extend([name, ": ", value, "\r\n"]);
        }
        parts.push("\r\n");
        Ok(sign::joined(&parts))
    }
}

fn unsent(error: io::Error) -> Broken {
    Broken {
        error,
        was_sent: false,
        is_stale: false,
    }
}

/// Gives half a pause and some more: many hosts that were refused at once must not come again at
/// once.
fn some_of(pause: Duration) -> Duration {
    let [random, ..] = random::bytes();
    pause / 2 + pause * u32::from(random) / 512
}
