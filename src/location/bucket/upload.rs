//! An upload in parts, of which some are under way while the next is written.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::super::refusals::replaced_meanwhile;
use super::answers;
use super::client::{Call, Client, call};
use super::failure::Failure;
use super::http::Answer;
use super::parts::{PARTS_MAX, Part};
use super::place::Place;
use super::sign::encoded;
use crate::error::{Error, GoOn, Outcome, Result, caught};
use crate::sync::channel::{Receiver, Sender, bounded};
use crate::sync::locks::Mutex;
use crate::sys::threads::Thread;

/// The most parts that are under way at once, whatever the number of workers: each is in memory.
const UNDER_WAY_MAX: usize = 8;
/// The time in which uploads that have failed are taken back; less after a cancel, which is not to
/// wait for it.
pub const CLEANING: Duration = Duration::from_secs(10);
const HASTY_CLEANING: Duration = Duration::from_millis(700);

/// An upload in parts, with the threads that send them.
pub struct Upload {
    shared: Arc<Shared>,
    /// Fails where the operation is to end.
    go_on: GoOn,
    pub id: String,
    /// The number of parts so far.
    pub parts: usize,
    sender: Option<Sender<(usize, Part)>>,
    threads: Vec<Thread>,
    pub is_complete: bool,
}

/// What the threads of an upload share.
struct Shared {
    client: Client,
    key: String,
    name: String,
    id: String,
    /// The tag of the old version, for copies of its parts.
    old: Option<String>,
    state: Mutex<State>,
    has_failed: Arc<AtomicBool>,
}

#[derive(Default)]
struct State {
    /// The tags of the parts that are there, by number.
    tags: Vec<String>,
    failure: Option<Error>,
    /// Memory of parts that are there.
    spare: Vec<Vec<u8>>,
    /// The store has refused to copy.
    copies_nothing: bool,
}

impl Upload {
    /// Begins an upload to that place.
    pub fn begin(place: &Place) -> Result<Upload> {
        let begun = place.client.call(&Call {
            query: &[("uploads", "")],
            is_whole: &|answer| says(answer, "UploadId").is_some(),
            ..call("POST", &place.key)
        });
        let doing = format!("write the backup '{}'", place.name());
        let begun = begun.map_err(|failure| place.client.error(&doing, failure))?;
        let id = says(&begun, "UploadId").unwrap_or_default();
        let under_way = place.workers.clamp(1, UNDER_WAY_MAX);
        let (sender, receiver) = bounded(1);
        let has_failed = Arc::new(AtomicBool::new(false));
        let go_on: GoOn = {
            let (has_failed, go_on) = (Arc::clone(&has_failed), place.client.go_on.clone());
            Arc::new(move || match has_failed.load(Ordering::Relaxed) {
                true => Err(Error::canceled()),
                false => go_on(),
            })
        };
        let mut upload = Upload {
            shared: Arc::new(Shared {
                client: place.client.that(go_on),
                key: place.key.clone(),
                name: place.name(),
                id: id.clone(),
                old: place.old.as_ref().map(|old| old.tag.clone()),
                state: Mutex::default(),
                has_failed,
            }),
            go_on: Arc::clone(&place.client.go_on),
            id,
            parts: 0,
            sender: Some(sender),
            threads: Vec::new(),
            is_complete: false,
        };
        let receiver = Arc::new(receiver);
        for _ in 0..under_way {
            let (shared, receiver) = (Arc::clone(&upload.shared), Arc::clone(&receiver));
            let thread = Thread::start(move || shared.send_all(&receiver));
            upload.threads.push(thread?);
        }
        Ok(upload)
    }

    /// Gives memory for the next part.
    pub fn spare(&self) -> Vec<u8> {
        self.shared.state.lock().spare.pop().unwrap_or_default()
    }

    /// Gives the first failure of a part.
    pub fn failure(&self) -> Option<Error> {
        self.shared.state.lock().failure.clone()
    }

    /// Sends a part on its way, as soon as a thread is free; fails where a part has failed.
    pub fn send(&mut self, part: Part) -> Result<(), ()> {
        let number = self.parts;
        self.parts += 1;
        if number >= PARTS_MAX {
            let sentence = format!(
                "The backup '{}' would be larger than an object can be. Name a directory.",
                self.shared.name
            );
            self.shared
                .fail(Error::new(Outcome::FileTooLarge, sentence));
        }
        if self.failure().is_some() {
            return Err(());
        }
        let sender = self.sender.as_ref().ok_or(())?;
        sender.send((number, part)).map_err(drop)
    }

    /// Waits until all parts are there.
    pub fn wait(&mut self) -> Result<()> {
        self.sender = None;
        self.threads.drain(..).for_each(Thread::join);
        self.failure().map_or(Ok(()), Err)
    }

    /// Gives the list of the parts, which are all there.
    pub fn list(&mut self) -> Result<String> {
        self.wait()?;
        let state = self.shared.state.lock();
        Ok(answers::parts(state.tags.iter().map(String::as_str))?)
    }
}

impl Drop for Upload {
    /// Takes back what was uploaded in vain.
    fn drop(&mut self) {
        if self.is_complete {
            return;
        }
        self.shared.fail(Error::canceled());
        let _ = self.wait();
        let (until, canceled) = (Instant::now() + CLEANING, OnceLock::new());
        let go_on = Arc::clone(&self.go_on);
        let client = self.shared.client.that(Arc::new(move || {
            let now = Instant::now();
            let until = match go_on() {
                Ok(()) => until,
                Err(_) => until.min(*canceled.get_or_init(|| now) + HASTY_CLEANING),
            };
            match now < until {
                true => Ok(()),
                false => Err(Error::canceled()),
            }
        }));
        let query = [("uploadId", self.id.as_str())];
        let _ = client.call(&Call {
            query: &query,
            ..call("DELETE", &self.shared.key)
        });
    }
}

impl Shared {
    /// Notes a failure, which ends all that is under way.
    fn fail(&self, error: Error) {
        self.state.lock().failure.get_or_insert(error);
        self.has_failed.store(true, Ordering::Relaxed);
    }

    /// Sends parts until none comes any more.
    fn send_all(&self, parts: &Receiver<(usize, Part)>) {
        while let Some((number, part)) = parts.recv() {
            let is_lost = self.state.lock().failure.is_some();
            if is_lost {
                continue;
            }
            match caught(|| self.tag_of(number, &part)) {
                Ok(tag) => {
                    let Part { mut bytes, .. } = part;
                    bytes.clear();
                    let mut state = self.state.lock();
                    let lacks = (number + 1).saturating_sub(state.tags.len());
                    if let Err(error) = state.tags.try_reserve(lacks) {
                        drop(state);
                        self.fail(error.into());
                        continue;
                    }
                    if lacks > 0 {
                        state.tags.resize(number + 1, String::new());
                    }
                    if let Some(own) = state.tags.get_mut(number) {
                        *own = tag;
                    }
                    state.spare.push(bytes);
                }
                Err(error) => self.fail(error),
            }
        }
    }

    /// Brings a part to the store, and gives its tag.
    fn tag_of(&self, number: usize, part: &Part) -> Result<String> {
        let number = (number + 1).to_string();
        let query = [
            ("partNumber", number.as_str()),
            ("uploadId", self.id.as_str()),
        ];
        let doing = format!("write the backup '{}'", self.name);
        if let (Some(start), Some(tag)) = (part.copied_from(), &self.old)
            && !self.state.lock().copies_nothing
        {
            match self.copy(&query, start, part.bytes.len(), tag) {
                Ok(tag) => return Ok(tag),
                Err(failure) if failure.status() == 412 || failure.is("NoSuchKey") => {
                    return Err(replaced_meanwhile(&self.client.address));
                }
                // Whoever does not copy may take the bytes.
                Err(failure) if failure.status() / 100 == 4 || failure.status() == 501 => {}
                Err(failure) => return Err(self.client.error(&doing, failure)),
            }
            self.state.lock().copies_nothing = true;
        }
        let sent = self.client.call(&Call {
            query: &query,
            body: &part.bytes,
            is_whole: &|answer| answer.tag().is_some(),
            ..call("PUT", &self.key)
        });
        let answer = sent.map_err(|failure| self.client.error(&doing, failure))?;
        Ok(answer.tag().unwrap_or_default().to_owned())
    }

    /// Has the store copy a part of the old version.
    fn copy(
        &self,
        query: &[(&str, &str)],
        start: u64,
        length: usize,
        tag: &str,
    ) -> Result<String, Failure> {
        let bucket = &self.client.address.bucket;
        let source = encoded(&format!("/{bucket}/{}", self.key), true);
        let range = format!("bytes={start}-{}", start + length as u64 - 1);
        let headers = [
            ("x-amz-copy-source", source.as_str()),
            ("x-amz-copy-source-range", range.as_str()),
            ("x-amz-copy-source-if-match", tag),
        ];
        let copied = self.client.call(&Call {
            query,
            headers: &headers,
            is_whole: &|answer| says(answer, "ETag").is_some(),
            ..call("PUT", &self.key)
        })?;
        Ok(says(&copied, "ETag").unwrap_or_default())
    }
}

/// Gives the text of an element of an answer, if it has one.
pub fn says(answer: &Answer, element: &str) -> Option<String> {
    answers::text_of(&answer.body, element).filter(|text| !text.is_empty())
}
