//! A file of a directory that may be a licence: it is looked at, opened, and read in one attempt.

use std::time::Duration;

use super::listing::{Asked, Listing, SECOND, freshness};
use crate::error::{Access, Error, Outcome, Result, words};
use crate::license::name;
use crate::store::patience::PATIENCE;
use crate::sys::clock;
use crate::sys::files::{Dir, Errno, Facts, File, Identity, Kind};
use crate::sys::patience::while_in_use;

pub(super) const IS_LINK: &str = "it is a symbolic link, and links are not followed";
pub(super) const IS_OTHER: &str = "it is not a regular file";
pub(super) const IS_HIDDEN: &str = "its name begins with a dot, and no licence's does";

/// A file that was listed.
pub struct FileEntry<'b> {
    pub(super) listing: &'b Listing,
    pub(super) folder: &'b Dir,
    /// The name from the store's root.
    pub name: &'b str,
}

/// The result of opening the name of a file.
pub enum Opened<'b> {
    File(OpenFile<'b>),
    /// The name has gone: its folder will be listed again.
    Gone,
    /// The reason why it is no licence that could be backed up.
    Other(&'static str),
}

/// A file that is being read. It does not matter if another has taken its name meanwhile.
pub struct OpenFile<'b> {
    listing: &'b Listing,
    file: File,
    name: &'b str,
}

/// The nature of an open file.
pub enum Sight {
    License(Seen),
    /// One of the known backups.
    Backup(Identity),
    Gone,
    Other(&'static str),
}

/// A licence's file at one moment.
#[derive(Clone, Copy)]
pub struct Seen {
    pub facts: Facts,
    /// The time until a change made now shows in the file's times, if it may not show yet.
    pub fresh: Option<Duration>,
    /// The same facts mean the same content.
    pub has_settled: bool,
}

/// The result of reading a file once.
pub struct Attempt {
    /// Bytes read, into a buffer that may be too small.
    pub read: u64,
    /// The file's facts were the same before and after.
    pub is_same: bool,
}

impl<'b> FileEntry<'b> {
    /// Gives the file's facts, without opening it. A backup is no licence, even if its facts are
    /// unchanged, and has none.
    pub fn facts(&self) -> Result<Facts, Errno> {
        match self.folder.facts_at_rest(name::split(self.name).1) {
            Ok(facts) if self.listing.backups.has(&facts) => Err(Errno::NOENT),
            facts => facts,
        }
    }

    /// Opens the file, and waits where another program lets nobody open it now; `go_on` may end that.
    pub fn open(&self, go_on: impl Fn() -> Result<()>) -> Result<Opened<'b>> {
        let open = || self.folder.file(name::split(self.name).1);
        match while_in_use(PATIENCE, go_on, open)? {
            Ok(file) => Ok(Opened::File(OpenFile {
                listing: self.listing,
                file,
                name: self.name,
            })),
            Err(Errno::NOENT) => {
                self.listing.miss(name::split(self.name).0);
                Ok(Opened::Gone)
            }
            Err(Errno::WOULDBLOCK | Errno::TXTBSY) => {
                let sentence = format!(
                    "The licence '{}' is in use by a program that lets no other open it. Try again when that is over.",
                    self.name
                );
                let error = Error::new(Outcome::SharingViolation, sentence);
                Err(error.of_one("it is in use by a program that lets no other open it"))
            }
            Err(Errno::LOOP) => Ok(Opened::Other(IS_LINK)),
            // The name now belongs to a socket.
            Err(Errno::NXIO) => Ok(Opened::Other(IS_OTHER)),
            Err(errno) => Err(read_error(self.name, errno)),
        }
    }
}

impl OpenFile<'_> {
    /// Reads the file into `content` without looking at it before, if its times tell afterwards
    /// that it had been as it was for long. Nothing where they don't, or where `content` has no
    /// room for all of it and more: then the file is to be looked at first.
    pub fn read_settled(&self, content: &mut [u8]) -> Option<(u64, Seen)> {
        let (before, begun) = (clock::now(), clock::since_boot());
        let read = self.file.read_once(content).ok()?;
        let mut asked = Asked::of(|| self.file.facts()).ok()?;
        // A clock that was set back meanwhile may have stamped a change as if it were old. In so
        // short a time it can't have caught up.
        let has_run = clock::since_boot() - begun < SECOND && asked.at >= before;
        asked.at = before;
        let facts = asked.facts;
        let is_whole = read < content.len() && facts.size == read as u64;
        let is_license = facts.kind == Kind::File && !self.listing.backups.has(&facts);
        let has_settled = has_run && self.listing.has_settled(&asked);
        let seen = Seen {
            facts,
            fresh: None,
            has_settled,
        };
        (is_whole && is_license && has_settled).then_some((read as u64, seen))
    }

    /// Looks at the file before it is read.
    pub fn look(&self) -> Result<Sight> {
        let asked = Asked::of(|| self.file.facts_now());
        let asked = asked.map_err(|errno| read_error(self.name, errno))?;
        let facts = asked.facts;
        if facts.kind == Kind::Folder {
            // The folder is found when its parent is listed again.
            self.listing.miss(name::split(self.name).0);
            return Ok(Sight::Gone);
        }
        if facts.kind != Kind::File {
            return Ok(Sight::Other(IS_OTHER));
        }
        if self.listing.backups.has(&facts) {
            return Ok(Sight::Backup(facts.identity));
        }
        // A writer at this very moment would leave no trace in the times, and be busy for a while.
        // A rename of the file shows as well, which does no harm.
        let fresh = freshness(facts.modified, asked.at).or_else(|| self.listing.freshness(&asked));
        Ok(Sight::License(Seen {
            facts,
            fresh,
            has_settled: self.listing.has_settled(&asked),
        }))
    }

    /// Reads the file that was `seen` from its beginning into `content`.
    pub fn read_into(&self, content: &mut [u8], seen: &Seen) -> Result<Attempt> {
        let read = self.file.read_full_at(content, 0);
        let read = read.map_err(|errno| read_error(self.name, errno))?;
        let now = self
            .file
            .facts_now()
            .map_err(|errno| read_error(self.name, errno))?;
        Ok(Attempt {
            read: read as u64,
            is_same: now == seen.facts,
        })
    }

    /// Gives the file itself, for one that is too large to be a licence.
    pub fn file(&self) -> &File {
        &self.file
    }
}

pub(super) fn read_error(name: &str, errno: Errno) -> Error {
    Error::system(
        Access::Read,
        format_args!("read the licence '{name}'"),
        errno,
    )
    .of_one(words(errno))
}
