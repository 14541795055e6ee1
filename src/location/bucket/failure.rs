//! Failures of requests: whether they may pass, and what they are for the host.

use std::io::{self, ErrorKind};

use super::super::address::{Endpoint, Keys};
use super::answers;
use super::http::{Answer, Broken};
use crate::error::{Error, Outcome};

/// A request that failed.
pub struct Failure {
    reason: Reason,
    /// The store may have done what was asked all the same.
    pub may_be_done: bool,
    /// The connection had waited, and may have been closed before.
    pub is_stale: bool,
}

enum Reason {
    /// The operation is to end.
    Ended(Error),
    Refused(Refusal),
    /// There was no connection, or no answer on it.
    Broken(io::Error),
}

/// An answer of a store that says no.
pub struct Refusal {
    pub status: u16,
    code: String,
    message: String,
    /// The region that the bucket is in, where the store says so.
    region: Option<String>,
}

/// The place that a request went to, for sentences.
pub struct Place<'p> {
    pub bucket: &'p str,
    pub endpoint: &'p Endpoint,
    pub region: &'p str,
    /// The keys, which no sentence has.
    pub keys: &'p Keys,
}

/// The most characters of a store's own words.
const WORDS_MAX: usize = 300;

impl Refusal {
    /// Reads the answer; none where it is one of success.
    pub fn of(answer: &Answer) -> Option<Refusal> {
        if answer.status < 300 && !answers::is_failure(&answer.body) {
            return None;
        }
        let text = |name| answers::text_of(&answer.body, name).unwrap_or_default();
        let region = answer.header("x-amz-bucket-region").map(str::to_owned);
        let region = region.or_else(|| answers::text_of(&answer.body, "Region"));
        Some(Refusal {
            status: answer.status,
            code: text("Code"),
            message: text("Message"),
            region: region.filter(|region| !region.is_empty()),
        })
    }

    /// Tells whether the store may say yes later.
    fn may_pass(&self) -> bool {
        const LATER: [&str; 10] = [
            "BadDigest", // what came there is not what was sent
            "ConditionalRequestConflict",
            "IncompleteBody",
            "InternalError",
            "OperationAborted",
            "RequestTimeout",
            "ServiceUnavailable",
            "SlowDown",
            "Throttling",
            "XAmzContentSHA256Mismatch", // the same of other stores
        ];
        // An answer that was cut may be that of a success with a failure in it.
        let is_cut = self.status < 300 && self.code.is_empty();
        // Those above 519 are of Cloudflare, for servers behind it.
        matches!(self.status, 408 | 429 | 500 | 502..=504 | 520..=524)
            || is_cut
            || LATER.contains(&self.code.as_str())
    }

    /// Drops words that have a secret, and then the ends of long ones.
    fn make_tellable(&mut self, keys: &Keys) {
        let secrets = || {
            [Some(&keys.secret), keys.token.as_ref()]
                .into_iter()
                .flatten()
        };
        let words = [&mut self.code, &mut self.message];
        for words in words.into_iter().chain(&mut self.region) {
            if secrets().any(|secret| words.contains(secret.text())) {
                words.clear();
            }
            if let Some((end, _)) = words.char_indices().nth(WORDS_MAX) {
                words.truncate(end);
            }
        }
    }

    /// Gives the outcome, with the reason and the advice of its sentence.
    fn told(&self, place: &Place) -> (Outcome, String, String) {
        let code = match self.code.as_str() {
            "" => format!("HTTP {}", self.status),
            code => code.to_owned(),
        };
        let is_elsewhere = matches!(
            self.code.as_str(),
            "AuthorizationHeaderMalformed"
                | "IllegalLocationConstraintException"
                | "PermanentRedirect"
        );
        let (outcome, reason, advice) = match (self.status, self.code.as_str()) {
            // The signature is one for this endpoint alone.
            _ if is_elsewhere || matches!(self.status, 300..400) => (
                Outcome::InvalidArgument,
                format!("the bucket is not in the region '{}', or not at this endpoint", place.region),
                match &self.region {
                    Some(region) => format!("Set Region to '{region}', and Endpoint to one of that region."),
                    None => "Set Region and Endpoint to those of the bucket.".into(),
                },
            ),
            (_, "RequestTimeTooSkewed") => (
                Outcome::AccessDenied,
                "the clock of this machine is not that of the store".into(),
                "Set the clock right.".into(),
            ),
            (_, "InvalidAccessKeyId") => (
                Outcome::AccessDenied,
                "the store does not know AccessKeyId".into(),
                "Set the ID and the secret of a key that is valid there.".into(),
            ),
            (_, "SignatureDoesNotMatch") => (
                Outcome::AccessDenied,
                "SecretAccessKey is not that of AccessKeyId".into(),
                "Set the secret that belongs to the ID.".into(),
            ),
            (_, "ExpiredToken" | "InvalidToken" | "TokenRefreshRequired") => (
                Outcome::AccessDenied,
                "SessionToken has expired, or is none of this key".into(),
                "Set a new one, with the ID and the secret that it came with.".into(),
            ),
            (_, "NoSuchBucket") => (
                Outcome::PathNotFound,
                format!("there is no bucket '{}'", place.bucket),
                "Name one that is there, or make it.".into(),
            ),
            (401 | 403, "QuotaExceeded") | (507, _) => (
                Outcome::DiskFull,
                "the store has no room left".into(),
                "Make room there, or have the quota raised.".into(),
            ),
            (_, "InvalidObjectState") => (
                Outcome::AccessDenied,
                "it is in an archive of the store, from which nothing is read at once".into(),
                "Have the store bring it back from there, and try again.".into(),
            ),
            (401 | 403, _) => (
                Outcome::AccessDenied,
                "the store does not allow it".into(),
                "Give the key the right to it: to get, put and list objects, and to list and abort uploads.".into(),
            ),
            (404, "NoSuchUpload") => (
                Outcome::SharingViolation,
                "the upload was dropped meanwhile, by somebody else or by a rule of the bucket".into(),
                "Back up again.".into(),
            ),
            (416, code) => (
                Outcome::NotSupported,
                format!("the store gives no parts of objects ({code})"),
                "Name one that does.".into(),
            ),
            (409, _) => (
                Outcome::BackupExists,
                "others write there all the time".into(),
                "Back up again later.".into(),
            ),
            (_, "NotImplemented") | (405 | 501, _) => (
                Outcome::NotSupported,
                "the store does not know how".into(),
                "Name a bucket of a store that keeps conditions of requests.".into(),
            ),
            (408, _) | (_, "RequestTimeout") => (
                Outcome::Timeout,
                "the store got the request too slowly".into(),
                "Try again when the network is faster.".into(),
            ),
            (413, _) | (_, "EntityTooLarge") => (
                Outcome::FileTooLarge,
                "it is larger than the store allows".into(),
                "Name another store.".into(),
            ),
            _ if self.may_pass() => (
                Outcome::HostUnreachable,
                "the store is overloaded, or does not work".into(),
                "Try again later.".into(),
            ),
            _ => (
                Outcome::Fail,
                "the store refuses it".into(),
                "Look up its words.".into(),
            ),
        };
        (outcome, format!("{reason} ({code})"), advice)
    }
}

impl Failure {
    pub fn of_refusal(refusal: Refusal) -> Failure {
        Failure {
            // A store may have failed behind its work.
            may_be_done: refusal.status >= 500 || refusal.status < 300,
            reason: Reason::Refused(refusal),
            is_stale: false,
        }
    }

    pub fn of_broken(broken: Broken) -> Failure {
        let told = broken
            .error
            .get_ref()
            .and_then(|error| error.downcast_ref::<Error>());
        Failure {
            may_be_done: broken.was_sent,
            is_stale: broken.is_stale,
            reason: match told {
                Some(error) => Reason::Ended(error.clone()),
                None => Reason::Broken(broken.error),
            },
        }
    }

    pub fn ended(error: Error, may_be_done: bool) -> Failure {
        let reason = Reason::Ended(error);
        Failure {
            reason,
            may_be_done,
            is_stale: false,
        }
    }

    /// Makes that of an answer of success that lacks what it must have.
    pub fn of_part() -> Failure {
        let lacking = "the answer lacks a part, or is one to something else";
        Failure {
            reason: Reason::Broken(io::Error::other(lacking)),
            may_be_done: true,
            is_stale: false,
        }
    }

    /// Tells whether another attempt may succeed.
    pub fn may_pass(&self) -> bool {
        match &self.reason {
            Reason::Ended(_) => false,
            Reason::Refused(refusal) => refusal.may_pass(),
            Reason::Broken(error) => !matches!(
                error.kind(),
                ErrorKind::InvalidData
                    | ErrorKind::InvalidInput
                    | ErrorKind::OutOfMemory
                    | ErrorKind::Unsupported
            ),
        }
    }

    /// Gives the status of the store's answer, 0 where there was none.
    pub fn status(&self) -> u16 {
        match &self.reason {
            Reason::Refused(refusal) => refusal.status,
            _ => 0,
        }
    }

    /// Tells whether the store's answer has this code.
    pub fn is(&self, code: &str) -> bool {
        matches!(&self.reason, Reason::Refused(refusal) if refusal.code == code)
    }

    /// Tells whether there is no such object.
    pub fn is_absence(&self) -> bool {
        self.status() == 404 && !self.is("NoSuchBucket")
    }

    /// Makes the error of it; `doing` completes "Cannot …". The store's own words are in the
    /// sentence, unless they have a secret.
    pub fn into_error(self, doing: &str, place: &Place) -> Error {
        let (outcome, reason, advice) = match self.reason {
            Reason::Ended(error) => return error,
            Reason::Refused(mut refusal) => {
                refusal.make_tellable(place.keys);
                let (outcome, mut reason, advice) = refusal.told(place);
                let words = refusal.message.trim_end_matches('.');
                if !words.is_empty() {
                    reason = format!("{reason}: {words}");
                }
                (outcome, reason, advice)
            }
            Reason::Broken(error) => {
                let (outcome, reason, advice) = told(&error, place.endpoint);
                (outcome, reason, advice.to_owned())
            }
        };
        Error::new(outcome, format!("Cannot {doing}: {reason}. {advice}"))
    }
}

/// Tells what a broken connection is for the host.
fn told(error: &io::Error, endpoint: &Endpoint) -> (Outcome, String, &'static str) {
    let again = "Look whether the network works and the endpoint is right, and try again.";
    match error.kind() {
        ErrorKind::OutOfMemory => (
            Outcome::OutOfMemory,
            "there is not enough memory".into(),
            "Free memory, and try again.",
        ),
        ErrorKind::TimedOut => (
            Outcome::Timeout,
            format!("{endpoint} does not answer"),
            again,
        ),
        ErrorKind::InvalidData | ErrorKind::InvalidInput => (
            Outcome::Fail,
            format!("{endpoint} does not answer as a store that is trusted here: {error}"),
            "Set Endpoint right, or have this system trust the authority of its certificate.",
        ),
        ErrorKind::Unsupported => (
            Outcome::NotSupported,
            format!("{endpoint} does not answer as a store of S3 does: {error}"),
            "Set Endpoint to that of a store of S3, which gives parts of objects.",
        ),
        ErrorKind::Other => (
            Outcome::HostUnreachable,
            format!("{endpoint} does not answer as a store of S3 does: {error}"),
            again,
        ),
        _ => (
            Outcome::HostUnreachable,
            format!("{endpoint} can't be reached: {error}"),
            again,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn refused(status: u16, body: &str) -> Failure {
        let answer = Answer {
            status,
            body: body.into(),
            ..Answer::default()
        };
        Failure::of_refusal(Refusal::of(&answer).unwrap())
    }

    fn error_of(failure: Failure) -> Error {
        let place = Place {
            bucket: "bucket",
            endpoint: &Endpoint::parse("http://store").unwrap(),
            region: "region",
            keys: &Keys {
                id: "id".into(),
                secret: Secret::new("hidden".into()).unwrap(),
                token: Some(Secret::new("t0ken".repeat(200)).unwrap()),
            },
        };
        failure.into_error("write", &place)
    }

    #[test]
    fn each_refusal_has_its_outcome_and_passes_or_not() {
        let code = |code: &str| format!("<Error><Code>{code}</Code></Error>");
        for (status, body, outcome, passes) in [
            (403, code("AccessDenied"), Outcome::AccessDenied, false),
            (403, String::new(), Outcome::AccessDenied, false),
            (
                403,
                code("RequestTimeTooSkewed"),
                Outcome::AccessDenied,
                false,
            ),
            (400, code("ExpiredToken"), Outcome::AccessDenied, false),
            (404, code("NoSuchBucket"), Outcome::PathNotFound, false),
            (
                301,
                code("PermanentRedirect"),
                Outcome::InvalidArgument,
                false,
            ),
            (307, String::new(), Outcome::InvalidArgument, false),
            (308, "no XML".into(), Outcome::InvalidArgument, false),
            (404, code("NoSuchUpload"), Outcome::SharingViolation, false),
            (
                400,
                code("AuthorizationHeaderMalformed"),
                Outcome::InvalidArgument,
                false,
            ),
            (501, code("NotImplemented"), Outcome::NotSupported, false),
            (400, code("NotImplemented"), Outcome::NotSupported, false),
            (
                409,
                code("ConditionalRequestConflict"),
                Outcome::BackupExists,
                true,
            ),
            (503, code("SlowDown"), Outcome::HostUnreachable, true),
            (500, "no XML".into(), Outcome::HostUnreachable, true),
            (502, String::new(), Outcome::HostUnreachable, true),
            (200, code("InternalError"), Outcome::HostUnreachable, true),
            (429, String::new(), Outcome::HostUnreachable, true),
            (522, "a page".into(), Outcome::HostUnreachable, true),
            (400, code("BadDigest"), Outcome::HostUnreachable, true),
            (416, code("InvalidRange"), Outcome::NotSupported, false),
            (200, "<Error>".into(), Outcome::HostUnreachable, true),
            (400, code("RequestTimeout"), Outcome::Timeout, true),
            (507, code("XMinioStorageFull"), Outcome::DiskFull, false),
            (400, code("InvalidRequest"), Outcome::Fail, false),
        ] {
            let failure = refused(status, &body);
            assert_eq!(failure.may_pass(), passes, "{status} {body}");
            assert_eq!(error_of(failure).outcome, outcome, "{status} {body}");
        }
    }

    #[test]
    fn a_sentence_has_the_words_of_the_store_and_no_secret() {
        let with = |words: &str| {
            let body =
                format!("<Error><Code>AccessDenied</Code><Message>{words}</Message></Error>");
            error_of(refused(403, &body)).sentence().to_owned()
        };
        assert!(with("You may not.").contains("(AccessDenied): You may not. "));
        let archived = "<Error><Code>InvalidObjectState</Code></Error>";
        assert!(
            error_of(refused(403, archived))
                .sentence()
                .contains("archive")
        );
        let told = with("You said hidden.");
        assert!(!told.contains("hidden") && told.contains("AccessDenied"));
        // A token is longer than what is told of a store's words.
        let told = with(&format!("Wrong: {}", "t0ken".repeat(200)));
        assert!(!told.contains("t0ken"), "{told}");
        for body in [
            "<Error><Code>hidden</Code></Error>",
            "<Error><Code>PermanentRedirect</Code><Region>hidden</Region></Error>",
        ] {
            let told = error_of(refused(403, body));
            assert!(!told.sentence().contains("hidden"), "{}", told.sentence());
        }
        let long = with(&"word ".repeat(1000));
        assert!(long.len() < 700, "{}", long.len());
    }

    #[test]
    fn a_connection_that_breaks_is_a_matter_of_time_or_of_the_host() {
        for (kind, outcome, passes) in [
            (ErrorKind::ConnectionRefused, Outcome::HostUnreachable, true),
            (ErrorKind::UnexpectedEof, Outcome::HostUnreachable, true),
            (ErrorKind::TimedOut, Outcome::Timeout, true),
            (ErrorKind::InvalidData, Outcome::Fail, false),
            (ErrorKind::Unsupported, Outcome::NotSupported, false),
            (ErrorKind::OutOfMemory, Outcome::OutOfMemory, false),
        ] {
            let failure = Failure::of_broken(Broken {
                error: kind.into(),
                was_sent: true,
                is_stale: false,
            });
            assert_eq!(failure.may_pass(), passes, "{kind}");
            assert!(failure.may_be_done);
            assert_eq!(error_of(failure).outcome, outcome, "{kind}");
        }
    }
}
