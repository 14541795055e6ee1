//! A backup on its way to a bucket: in one request where it is small, else in parts. Its last request
//! makes it visible, on a condition.

use std::cell::RefCell;
use std::io::{self, Write};

use super::super::refusals::replaced_meanwhile;
use super::super::{self as location, Existing, Sink};
use super::client::{Call, call};
use super::failure::Failure;
use super::lookup::tag_of;
use super::object::{Object, TAIL};
use super::parts::{Part, part_size};
use super::place::{Place, already_exists, check_no_other};
use super::upload::{Upload, says};
use crate::error::{Error, Result, has_given_up};

/// The code of a store that knows no such upload.
const NO_UPLOAD: &str = "NoSuchUpload";

/// A backup that is being written.
pub struct Draft<'p> {
    place: &'p Place,
    written: RefCell<Written>,
}

#[derive(Default)]
struct Written {
    size: u64,
    /// The last bytes of the parts that are on their way.
    tail: Vec<u8>,
    /// The part that is being filled.
    part: Part,
    /// The parts that are on their way, or there; none while the first may be the only one.
    upload: Option<Upload>,
}

impl Draft<'_> {
    pub fn new(place: &Place) -> Draft<'_> {
        Draft {
            place,
            written: RefCell::default(),
        }
    }

    fn failed(&self, failure: Failure) -> Error {
        let doing = format!("write the backup '{}'", self.place.name());
        self.place.client.error(&doing, failure)
    }

    /// Makes the error of a question what has become of the backup.
    fn unknown(&self, failure: Failure) -> Error {
        let doing = format!(
            "tell whether the backup '{}' was written",
            self.place.name()
        );
        self.place.client.error(&doing, failure)
    }

    /// Appends bytes; `old` is their place in the old backup.
    fn append(&self, mut bytes: &[u8], mut old: Option<u64>) -> io::Result<()> {
        let mut written = self.written.borrow_mut();
        let written = &mut *written;
        while !bytes.is_empty() {
            let number = written.upload.as_ref().map_or(0, |upload| upload.parts);
            if written.part.bytes.len() == part_size(number) {
                self.send(written).map_err(io::Error::other)?;
                continue;
            }
            let taken = written.part.append(bytes, old, part_size(number))?;
            written.size += taken as u64;
            bytes = bytes.get(taken..).unwrap_or_default();
            old = old.map(|old| old + taken as u64);
        }
        Ok(())
    }

    /// Sends the part that has been filled on its way.
    fn send(&self, written: &mut Written) -> Result<()> {
        let upload = match &mut written.upload {
            Some(upload) => upload,
            none => none.insert(Upload::begin(self.place)?),
        };
        let part = std::mem::take(&mut written.part);
        keep_tail(&mut written.tail, &part.bytes)?;
        written.part.bytes = upload.spare();
        let sent = upload.send(part);
        sent.map_err(|()| upload.failure().unwrap_or_else(Error::out_of_memory))
    }

    /// Does what makes the backup visible, and finds out whether it has.
    fn put(&self, written: &Written, call: Call) -> Result<()> {
        let (client, old) = (&self.place.client, self.place.old.as_ref());
        let put = |condition| {
            let headers = &[condition];
            client.call(&Call { headers, ..call })
        };
        let none = ("if-none-match", "*");
        let mut done = put(old.map_or(none, |old| ("if-match", &old.tag)));
        if let Err(failure) = &done
            && old.is_some()
            && failure.is_absence()
            && !failure.is(NO_UPLOAD)
            && !failure.may_be_done
        {
            // The old backup has gone.
            done = put(none);
        }
        let Err(failure) = done else { return Ok(()) };
        // Nobody knows whether an earlier attempt is what stands in the way of the last one.
        if failure.may_be_done && self.is_there(written)? {
            return Ok(());
        }
        // Who wins a conflict may have the uploads of the others dropped.
        let has_lost = match failure.is(NO_UPLOAD) {
            true => self.is_replaced()?,
            false => failure.status() == 412,
        };
        Err(match old {
            Some(_) if has_lost => replaced_meanwhile(&client.address),
            None if has_lost => already_exists(client),
            _ => self.failed(failure),
        })
    }

    /// Tells whether there is an object now that was not there at the start.
    fn is_replaced(&self) -> Result<bool> {
        let old = self.place.old.as_ref();
        let now = tag_of(&self.place.client, &self.place.key);
        let now = now.map_err(|failure| self.unknown(failure))?;
        Ok(now.is_some_and(|tag| old.is_none_or(|old| old.tag != tag)))
    }

    /// Tells whether the object is this backup: it is as large and ends alike, where its ID, its
    /// generation and the digests of all the rest are.
    fn is_there(&self, written: &Written) -> Result<bool> {
        let mut tail = Vec::new();
        keep_tail(&mut tail, &written.tail)?;
        keep_tail(&mut tail, &written.part.bytes)?;
        let there = Object::find(&self.place.client, &self.place.key);
        let there = there.map_err(|failure| self.unknown(failure))?;
        Ok(there.is_some_and(|there| there.size == written.size && there.ends_with(&tail)))
    }
}

/// Appends `bytes` to the end of what was written, of which no more is kept than is read first.
fn keep_tail(tail: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    let most = TAIL as usize;
    let new = bytes
        .get(bytes.len().saturating_sub(most)..)
        .unwrap_or_default();
    tail.try_reserve(new.len())?;
    tail.extend_from_slice(new);
    tail.drain(..tail.len().saturating_sub(most));
    Ok(())
}

impl location::Draft for Draft<'_> {
    fn begin(&self) -> io::Result<Box<dyn Sink + '_>> {
        Ok(Box::new(PartSink(self)))
    }

    fn clear(&self) -> io::Result<()> {
        self.written.take();
        Ok(())
    }

    fn size(&self) -> Result<u64> {
        Ok(self.written.borrow_mut().size)
    }

    fn sync(&self) -> Result<()> {
        let mut written = self.written.borrow_mut();
        if written.upload.is_some() && !written.part.bytes.is_empty() {
            self.send(&mut written)?;
        }
        match &mut written.upload {
            Some(upload) => upload.wait(),
            None => Ok(()),
        }
    }

    fn publish(self: Box<Self>, commit: &dyn Fn() -> Result<()>) -> Result<()> {
        check_no_other(&self.place.client, self.place.kind)?;
        let mut written = self.written.borrow_mut();
        let key = self.place.key.as_str();
        match written.upload.take() {
            None => self.put(
                &written,
                Call {
                    body: &written.part.bytes,
                    is_whole: &|answer| answer.tag().is_some(),
                    leave: commit,
                    ..call("PUT", key)
                },
            ),
            Some(mut upload) => {
                let body = upload.list()?;
                let query = [("uploadId", upload.id.as_str())];
                self.put(
                    &written,
                    Call {
                        query: &query,
                        body: body.as_bytes(),
                        is_whole: &|answer| says(answer, "ETag").is_some(),
                        leave: commit,
                        ..call("POST", key)
                    },
                )?;
                upload.is_complete = true;
                Ok(())
            }
        }
    }
}

/// The bytes of a draft as they come.
struct PartSink<'d>(&'d Draft<'d>);

impl Write for PartSink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.append(bytes, None)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for PartSink<'_> {
    fn share(&mut self, _: &dyn Existing, _: u64) -> io::Result<()> {
        Ok(())
    }

    fn take(
        &mut self,
        old: &dyn Existing,
        start: u64,
        buffer: &mut [u8],
        is_right: &dyn Fn(&[u8]) -> bool,
    ) -> io::Result<bool> {
        match old.read_exact_at(buffer, start) {
            Err(error) if has_given_up(&error) => return Err(error),
            Ok(()) if is_right(buffer) => {}
            _ => return Ok(false),
        }
        self.0.append(buffer, Some(start))?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept_whatever_the_pieces() {
        let content: Vec<u8> = (0..3 * TAIL as u32).map(|n| (n / 1000) as u8).collect();
        for pieces in [1, 1000, TAIL as usize, 2 * TAIL as usize + 1] {
            let mut tail = Vec::new();
            content
                .chunks(pieces.max(5000))
                .for_each(|piece| keep_tail(&mut tail, piece).unwrap());
            assert!(tail == content[content.len() - TAIL as usize..]);
        }
    }
}
