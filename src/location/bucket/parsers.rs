//! Reads what a store answers, which is any bytes, for the target in fuzz/. It checks that there is
//! no panic, that no more is kept than was asked for, and that no sentence has an effect.

use std::io::{self, Read, Write};

use zeroize::Zeroizing;

use super::super::address::{Endpoint, Keys};
use super::answers;
use super::failure::{Failure, Place, Refusal};
use super::http::{Line, Message, REFUSAL_MAX};
use super::object::end_in;
use crate::secret::Secret;

/// The most bytes that are asked for.
const MOST: usize = 10_000;
/// The most requests that are made on a connection.
const REQUESTS: usize = 10;

/// A store that reads all, and says this.
struct Store<'s>(&'s [u8]);

impl Read for Store<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for Store<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads answers, one after the other, and what they say.
pub fn answer(content: &[u8]) {
    let (Some(endpoint), Ok(secret)) = (
        Endpoint::parse("http://store"),
        Secret::new("secret".into()),
    ) else {
        return;
    };
    let keys = Keys {
        id: "id".into(),
        secret,
        token: None,
    };
    let place = Place {
        bucket: "bucket",
        endpoint: &endpoint,
        region: "region",
        keys: &keys,
    };
    let mut line = Line::new(Store(content));
    let message = Message {
        head: &Zeroizing::new("PUT / HTTP/1.1\r\n\r\n".into()),
        body: b"body",
        leave: &|| Ok(()),
        most: MOST,
    };
    for _ in 0..REQUESTS {
        let failure = match line.exchange(&message) {
            Ok((answer, lasts)) => {
                assert!(answer.status >= 200 && answer.body.len() <= MOST.max(REFUSAL_MAX));
                let _ = (
                    answers::uploads(&answer.body),
                    end_in(&answer),
                    answer.tag(),
                );
                match Refusal::of(&answer) {
                    None if lasts => continue,
                    None => return,
                    Some(refusal) => Failure::of_refusal(refusal),
                }
            }
            Err(broken) => Failure::of_broken(broken),
        };
        let error = failure.into_error("do it", &place);
        assert!(!error.sentence().contains(char::is_control));
        assert!(!error.sentence().contains("secret"));
        return;
    }
}
