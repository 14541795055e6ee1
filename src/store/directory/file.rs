//! A file of a directory that may be a licence: looked at, opened, and read in one attempt.

use std::time::Duration;

use super::listing::{Asked, Listing, freshness};
use crate::error::{Access, Error, Result};
use crate::license::name;
use crate::sys::files::{Dir, Errno, Facts, File, Identity, Kind};

pub(super) const IS_LINK: &str = "it is a symbolic link, and links are not followed";
pub(super) const IS_OTHER: &str = "it is no regular file";

/// A file that was listed.
pub struct FileEntry<'b> {
    pub(super) listing: &'b Listing,
    pub(super) folder: &'b Dir,
    /// In the store.
    pub name: &'b str,
}

/// What was found under the name of a file.
pub enum Opened<'b> {
    File(OpenFile<'b>),
    /// Nothing: its folder will be listed again.
    Gone,
    /// No licence that could be backed up: why.
    Other(&'static str),
}

/// A file that is being read. What has taken its name meanwhile does not matter.
pub struct OpenFile<'b> {
    listing: &'b Listing,
    file: File,
    name: &'b str,
}

/// What an open file is.
pub enum Sight {
    License(Seen),
    /// One of the backups that are known.
    Backup(Identity),
    Gone,
    Other(&'static str),
}

/// A licence's file at one moment.
#[derive(Clone, Copy)]
pub struct Seen {
    pub facts: Facts,
    /// How long to wait until what is written now shows in its times, if it may not yet.
    pub fresh: Option<Duration>,
    /// The same facts mean the same content.
    pub has_settled: bool,
}

/// What came of reading a file once.
pub struct Attempt {
    /// Bytes read, of a buffer that may be too small.
    pub read: u64,
    /// The file was afterwards what it was before.
    pub is_same: bool,
}

impl<'b> FileEntry<'b> {
    /// The file's facts, without opening it. What is no licence any more, however much it is as it was, has
    /// none.
    pub fn facts(&self) -> Result<Facts, Errno> {
        match self.folder.facts_of(name::split(self.name).1) {
            Ok(facts) if self.listing.backups.has(facts.identity) => Err(Errno::NOENT),
            facts => facts,
        }
    }

    pub fn open(&self) -> Result<Opened<'b>> {
        match self.folder.file(name::split(self.name).1) {
            Ok(file) => Ok(Opened::File(OpenFile {
                listing: self.listing,
                file,
                name: self.name,
            })),
            Err(Errno::NOENT) => {
                self.listing.miss(name::split(self.name).0);
                Ok(Opened::Gone)
            }
            Err(Errno::LOOP) => Ok(Opened::Other(IS_LINK)),
            // A socket in the file's place.
            Err(Errno::NXIO) => Ok(Opened::Other(IS_OTHER)),
            Err(errno) => Err(read_error(self.name, errno)),
        }
    }
}

impl OpenFile<'_> {
    /// Looks at what is to be read.
    pub fn look(&self) -> Result<Sight> {
        let asked =
            Asked::of(|| self.file.facts()).map_err(|errno| read_error(self.name, errno))?;
        let facts = asked.facts;
        if facts.kind == Kind::Folder {
            // It is found when its own is listed again.
            self.listing.miss(name::split(self.name).0);
            return Ok(Sight::Gone);
        }
        if facts.kind != Kind::File {
            return Ok(Sight::Other(IS_OTHER));
        }
        if self.listing.backups.has(facts.identity) {
            return Ok(Sight::Backup(facts.identity));
        }
        // A writer at this very moment would leave no trace in the times, and be at it for a while; that
        // the file is renamed, which shows as well, does no harm.
        let fresh = freshness(facts.modified, asked.at).or_else(|| self.listing.freshness(&asked));
        Ok(Sight::License(Seen {
            facts,
            fresh,
            has_settled: self.listing.has_settled(&asked),
        }))
    }

    /// Reads what was `seen` from its beginning into `content`.
    pub fn read_into(&self, content: &mut [u8], seen: &Seen) -> Result<Attempt> {
        let read = self.file.read_full_at(content, 0);
        let read = read.map_err(|errno| read_error(self.name, errno))?;
        let now = self
            .file
            .facts()
            .map_err(|errno| read_error(self.name, errno))?;
        Ok(Attempt {
            read: read as u64,
            is_same: now == seen.facts,
        })
    }

    /// The file itself, for what is too large to be a licence.
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
}
