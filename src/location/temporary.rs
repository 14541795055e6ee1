//! Files without a name in the system's folder for temporary files.

use crate::random::{HIDDEN_BACKUP, hidden_name};
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Errno, File};

pub fn temporary_file() -> Result<File, Errno> {
    let folder = Dir::open(&AnchoredPath::now(std::env::temp_dir()))?;
    let name = hidden_name(HIDDEN_BACKUP);
    if let Some(file) = folder.create_unnamed(&name)? {
        return Ok(file);
    }
    let file = folder.create(&name)?;
    folder.remove_file(&name)?;
    Ok(file)
}
