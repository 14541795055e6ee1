//! Lists a directory in the order of the names, and finds out whether it moved meanwhile.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use super::batch::BatchBuilder;
use super::names::Names;
use crate::error::{Access, Error, Outcome, Result};
use crate::license::name::{self, BadName};
use crate::store::{Emit, Snapshot, Unsettled, tree};
use crate::sys::files::{Dir, Errno, Facts, Identity, Kind};
use crate::sys::locks::Mutex;

/// File systems count time in ticks; what changes twice within one looks as if it had changed once.
/// Ten milliseconds is the longest tick of a kernel's clock.
const TICK: i64 = 20_000_000;

/// A directory while it is backed up.
pub struct Listing {
    pub(super) root: Dir,
    /// Files that are no licences wherever they are: the backups themselves.
    pub(super) except: Vec<Identity>,
    /// What each folder was just before it was listed.
    stamps: Mutex<BTreeMap<String, Stamp>>,
}

struct Stamp {
    facts: Facts,
    /// It had changed so shortly before that the next change may not show.
    fresh: bool,
}

/// Whether the file or folder changed so shortly ago that another change may not show.
pub(super) fn is_fresh(facts: &Facts) -> bool {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_nanos() as i64);
    now.abs_diff(facts.changed) < TICK as u64
}

/// Waits until what was fresh is not any more.
pub(super) fn let_settle() {
    std::thread::sleep(std::time::Duration::from_nanos(TICK as u64));
}

impl Listing {
    pub fn new(root: Dir, except: Vec<Identity>) -> Listing {
        Listing {
            root,
            except,
            stamps: Mutex::default(),
        }
    }

    /// Lists the folders in `start` and all that is below them and was not listed before. `is_new`
    /// tells of a folder and a name in it whether the name is to be emitted.
    fn list_from(
        self: &Arc<Self>,
        start: Vec<String>,
        is_new: impl Fn(&str, &str) -> bool,
        emit: Emit,
    ) -> Result<()> {
        let mut batch = BatchBuilder::new(Arc::clone(self));
        for folder in start {
            let mut open = vec![self.read_folder(folder)?];
            while let Some(folder) = open.last_mut() {
                let Some((name, kind)) = folder.names.get(folder.next) else {
                    open.pop();
                    continue;
                };
                folder.next += 1;
                if kind != Kind::Folder {
                    if is_new(&folder.path, name) {
                        batch.push(&folder.path, name, kind, emit)?;
                    }
                    continue;
                }
                let below = tree::join(&folder.path, name);
                if !self.stamps.lock().contains_key(&below) {
                    let below = self.read_folder(below)?;
                    open.push(below);
                }
            }
        }
        batch.emit(emit)
    }

    /// Reads the names in `folder`, and remembers what it was just before. A folder that has vanished
    /// since its parent was read has none: the parent shows that it changed, and is listed again.
    fn read_folder(&self, folder: String) -> Result<Folder> {
        let mut read = Folder {
            path: folder,
            names: Names::default(),
            next: 0,
        };
        match self.read_names(&mut read) {
            Ok(facts) => {
                let stamp = Stamp {
                    facts,
                    fresh: is_fresh(&facts),
                };
                self.stamps.lock().insert(read.path.clone(), stamp);
            }
            Err(ListError::System(errno)) if vanished(errno) && !read.path.is_empty() => {
                self.stamps.lock().remove(&read.path);
            }
            Err(ListError::System(errno)) => return Err(read_error(&read.path, errno)),
            Err(ListError::Told(error)) => return Err(error),
        }
        read.names.sort();
        Ok(read)
    }

    fn read_names(&self, read: &mut Folder) -> Result<Facts, ListError> {
        let directory = self.root.folder(&read.path)?;
        let facts = directory.facts()?;
        directory.entries(|name, kind| read.push(name, kind, &directory))?;
        Ok(facts)
    }
}

/// The folder is not there any more; a link in its place is none of ours.
fn vanished(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

/// More than most stores have, so that soon after the start it is known how many licences there are.
const BATCHES_AHEAD: usize = 4096;

impl Snapshot for Listing {
    fn batches_ahead(&self) -> usize {
        BATCHES_AHEAD
    }

    fn list(self: Arc<Self>, emit: Emit) -> Result<()> {
        self.list_from(vec![String::new()], |_, _| true, emit)
    }

    fn unsettled(&self) -> Result<Unsettled> {
        let mut unsettled = Unsettled::default();
        for (folder, stamp) in self.stamps.lock().iter() {
            let now = match self.root.folder(folder).and_then(|folder| folder.facts()) {
                Err(errno) if vanished(errno) => None,
                facts => Some(facts.map_err(|errno| read_error(folder, errno))?),
            };
            if stamp.fresh || now != Some(stamp.facts) {
                unsettled.folders.insert(folder.clone());
            }
        }
        Ok(unsettled)
    }

    fn list_again(self: Arc<Self>, unsettled: &Unsettled, emit: Emit) -> Result<()> {
        let_settle();
        let folders = unsettled.folders.iter().cloned().collect();
        self.list_from(
            folders,
            |folder, name| !unsettled.known.contains(&tree::join(folder, name)),
            emit,
        )
    }
}

fn read_error(folder: &str, errno: Errno) -> Error {
    let shown = if folder.is_empty() { "." } else { folder };
    Error::system(
        Access::Read,
        format_args!("read the folder '{shown}' of the store"),
        errno,
    )
}

/// The sorted names of a folder, to be taken one by one.
struct Folder {
    path: String,
    names: Names,
    next: usize,
}

/// Why a folder could not be listed.
enum ListError {
    System(Errno),
    Told(Error),
}

impl From<Errno> for ListError {
    fn from(errno: Errno) -> ListError {
        ListError::System(errno)
    }
}

impl Folder {
    fn push(&mut self, name: &CStr, kind: Kind, directory: &Dir) -> Result<(), ListError> {
        if name.to_bytes().starts_with(b".") {
            return Ok(());
        }
        let kind = match kind {
            Kind::Unknown => match directory.facts_of(name) {
                Err(Errno::NOENT) => return Ok(()),
                facts => facts?.kind,
            },
            kind => kind,
        };
        let told = match (self.check(name), kind) {
            (Ok(name), _) => self.names.push(name, kind),
            (Err(error), Kind::File | Kind::Folder) => Err(error),
            // What is no licence is told, and must be told as text.
            (Err(_), _) => self
                .names
                .push(&name.to_string_lossy().escape_debug().to_string(), kind),
        };
        told.map_err(ListError::Told)
    }

    fn check<'n>(&self, name: &'n CStr) -> Result<&'n str> {
        let checked = match name::check(name.to_bytes()) {
            Ok(name) if self.path.len() + 1 + name.len() > name::NAME_MAX => Err(BadName::Length),
            checked => checked,
        };
        checked.map_err(|reason| {
            let whole = tree::join(&self.path, &name.to_string_lossy());
            let sentence = format!(
                "The name '{}' can't be kept in a backup: {reason}. Rename it and try again.",
                whole.escape_debug()
            );
            Error::new(Outcome::InvalidName, sentence)
        })
    }
}
