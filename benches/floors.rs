//! The least that could be done: every file of a store opened, read and closed, or only looked at.
//! What a backup costs beyond it is the backup's own. They run as whole processes, like all else.

use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir};

use crate::Outcome;

#[derive(Clone, Copy)]
pub enum Floor {
    Read,
    Stat,
}

impl Floor {
    /// The argument by which this program runs as a floor.
    pub fn word(self) -> &'static str {
        match self {
            Floor::Read => "read-floor",
            Floor::Stat => "stat-floor",
        }
    }

    pub fn from_word(word: &str) -> Option<Floor> {
        [Floor::Read, Floor::Stat]
            .into_iter()
            .find(|floor| floor.word() == word)
    }
}

/// More gains nothing on two cores, and its CPU is the same on any number.
const THREADS: usize = 2;
/// Names that a thread takes at once.
const BATCH: usize = 256;

struct Folder {
    descriptor: OwnedFd,
    /// Each ends with a NUL: no memory of its own for any of them.
    names: Vec<u8>,
}

/// Goes over the store, and prints how many files it met.
pub fn run(floor: Floor, store: &Path) -> Outcome<()> {
    let folders = list(store)?;
    let batches: Vec<(&Folder, Vec<&CStr>)> = folders.iter().flat_map(batches).collect();
    let next = AtomicUsize::new(0);
    let counts = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|_| scope.spawn(|| work(floor, &batches, &next)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().map_err(|_| "a thread has panicked")?)
            .sum::<Outcome<usize>>()
    })?;
    println!("{counts} files");
    Ok(())
}

fn list(store: &Path) -> Outcome<Vec<Folder>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut waiting = vec![rustix::fs::openat(CWD, store, flags, Mode::empty())?];
    let mut folders = Vec::new();
    let mut buffer = vec![MaybeUninit::uninit(); 64 << 10];
    while let Some(descriptor) = waiting.pop() {
        let mut names = Vec::new();
        let mut entries = RawDir::new(&descriptor, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = entry.file_name();
            match entry.file_type() {
                FileType::RegularFile => names.extend_from_slice(name.to_bytes_with_nul()),
                FileType::Directory if name.to_bytes() != b"." && name.to_bytes() != b".." => {
                    waiting.push(rustix::fs::openat(&descriptor, name, flags, Mode::empty())?);
                }
                _ => {}
            }
        }
        folders.push(Folder { descriptor, names });
    }
    Ok(folders)
}

fn batches(folder: &Folder) -> Vec<(&Folder, Vec<&CStr>)> {
    let names: Vec<&CStr> = folder
        .names
        .split_inclusive(|byte| *byte == 0)
        .filter_map(|name| CStr::from_bytes_with_nul(name).ok())
        .collect();
    names
        .chunks(BATCH)
        .map(|names| (folder, names.to_vec()))
        .collect()
}

fn work(floor: Floor, batches: &[(&Folder, Vec<&CStr>)], next: &AtomicUsize) -> Outcome<usize> {
    let mut buffer = vec![0; 64 << 10];
    let mut files = 0;
    while let Some((folder, names)) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
        for name in names {
            match floor {
                Floor::Read => read(&folder.descriptor, name, &mut buffer)?,
                Floor::Stat => drop(rustix::fs::statat(
                    &folder.descriptor,
                    *name,
                    AtFlags::SYMLINK_NOFOLLOW,
                )?),
            }
        }
        files += names.len();
    }
    Ok(files)
}

/// One read, as all files of the corpus are smaller than the buffer.
fn read(folder: &OwnedFd, name: &CStr, buffer: &mut [u8]) -> Outcome<()> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let file = rustix::fs::openat(folder, name, flags, Mode::empty())?;
    match rustix::io::read(&file, &mut *buffer)? < buffer.len() {
        true => Ok(()),
        false => Err(format!("{name:?} is larger than a licence of the corpus").into()),
    }
}
