//! Compares licences with the files that have their names in the store.

use crate::buffer::sized;
use crate::sys::files::{Dir, Errno, File, Kind};

/// What has a licence's name in the store.
pub enum Existing {
    /// The same content, in a file that has changed last then.
    Same(i64),
    Other(File),
    /// A folder, a link or a special file.
    NoFile,
}

/// Compares the file of this name in `directory` with a licence's content.
pub fn compare(
    directory: &Dir,
    name: &str,
    content: &[u8],
    buffer: &mut Vec<u8>,
) -> Result<Option<Existing>, Errno> {
    let file = match directory.file(name) {
        Err(Errno::NOENT) => return Ok(None),
        Err(Errno::LOOP | Errno::NXIO) => return Ok(Some(Existing::NoFile)),
        file => file?,
    };
    let facts = file.facts()?;
    if facts.kind != Kind::File {
        return Ok(Some(Existing::NoFile));
    }
    if facts.size == content.len() as u64 {
        // One more byte shows a file that grows.
        let read = file.read_full(sized(buffer, content.len() + 1).map_err(|_| Errno::NOMEM)?)?;
        if buffer.get(..read) == Some(content) {
            return Ok(Some(Existing::Same(facts.changed)));
        }
    }
    Ok(Some(Existing::Other(file)))
}

/// Tells whether `file` is the same in both folders.
pub fn same(from: &Dir, into: &Dir, file: &str) -> Result<bool, Errno> {
    let staged = from.file(file)?;
    let mut content = Vec::new();
    let size = staged.facts()?.size as usize;
    let read = staged.read_full(sized(&mut content, size).map_err(|_| Errno::NOMEM)?)?;
    content.truncate(read);
    Ok(matches!(
        compare(into, file, &content, &mut Vec::new())?,
        Some(Existing::Same(_))
    ))
}
