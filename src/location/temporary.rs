//! Files without a name: for what waits beside a backup, or in the system's folder for temporary
//! files, which is another disk with faults of its own.

use std::io;
use std::path::PathBuf;

use crate::error::{Access, Error};
use crate::random::{HIDDEN_BACKUP, hidden_name};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Errno, File};

/// A file for what waits, which leaves nothing behind.
pub struct Temporary {
    pub file: File,
    /// The system's folder for such files; none where it is beside the backup.
    folder: Option<PathBuf>,
}

impl Temporary {
    /// Makes a file in the system's folder.
    pub fn new() -> io::Result<Temporary> {
        let folder = std::env::temp_dir();
        let make = || {
            let folder = Dir::open(&AnchoredPath::now(&folder))?;
            let name = hidden_name(HIDDEN_BACKUP);
            if let Some(file) = folder.create_unnamed(&name)? {
                return Ok(file);
            }
            let file = folder.create(&name)?;
            folder.remove_file(&name)?;
            Ok(file)
        };
        let made = make();
        let file = made.map_err(|errno| io::Error::other(failed(&folder, errno)))?;
        Ok(Temporary {
            file,
            folder: Some(folder),
        })
    }

    /// Takes a file that is beside the backup.
    pub fn beside(file: File) -> Temporary {
        Temporary { file, folder: None }
    }

    /// Makes the error of a use of it: one of the system's folder is not the backup's.
    pub fn failed(&self, error: io::Error) -> io::Error {
        let folder = self.folder.as_ref();
        match folder.zip(Errno::from_io_error(&error)) {
            Some((folder, errno)) => io::Error::other(failed(folder, errno)),
            None => error,
        }
    }
}

fn failed(folder: &std::path::Path, errno: Errno) -> Error {
    let variable = if cfg!(windows) { "TMP" } else { "TMPDIR" };
    let doing = format_args!(
        "keep what waits for the backup in the folder for temporary files, '{}' ({variable})",
        folder.display()
    );
    Error::system(Access::Write, doing, errno)
}
