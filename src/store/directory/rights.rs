//! The owners and rights of the files and folders that a restore makes.

use crate::store::tree;
use crate::sys::anchored_path::AnchoredPath;
use crate::sys::files::{Dir, Errno, Facts, File, Kind};

/// The rights that a licence's file gets.
pub enum Rights<'a> {
    /// Those of the file that it replaces.
    Of(&'a File),
    /// Its owner's alone, who is that of its folder.
    New(&'a Facts),
}

/// Writes a licence into its new file.
pub fn fill(
    file: &File,
    content: &[u8],
    modified: i64,
    rights: Rights,
    masked: bool,
) -> Result<(), Errno> {
    file.write_all(content)?;
    if masked {
        file.keep_private()?;
    }
    if let Rights::Of(old) = rights {
        file.take_rights_of(old)?;
    }
    if modified != 0 {
        file.set_modified(modified)?;
    }
    // This comes last: then it may not be this user's any more.
    if let Rights::New(folder) = rights {
        file.give(folder)?;
    }
    file.hand_over()
}

/// Gives the staged file `name`, of which `new` are the facts, the rights that the file has by now
/// which it is to replace, if they are others than when it was written.
pub fn keep_up(from: &Dir, name: &str, new: &Facts, into: &Dir) -> Result<(), Errno> {
    match into.facts_of(name) {
        Ok(there) if there.kind == Kind::File && !new.has_rights_of(&there) => {
            from.own_file(name)?.take_rights_of(&into.file(name)?)
        }
        _ => Ok(()),
    }
}

/// Gives `root`, the folder at `path`, which was made anew, to the owner of the folder that it is in.
/// Who owns that one may have put another in its place, which is an error, or may have done so
/// before: what is given must be empty, since that owner could have made an empty one as well.
pub fn give_new(root: &Dir, path: &AnchoredPath) -> Result<(), Errno> {
    let (Ok(parent), Some(name)) = (Dir::open(&path.parent()), path.as_given().file_name()) else {
        return Ok(());
    };
    let (above, own) = (parent.facts()?, root.facts()?);
    let there = parent.facts_of(name)?;
    if there.identity != own.identity {
        return Err(Errno::NOENT);
    }
    let is_it = own.identity.device == above.identity.device;
    match is_it && root.is_own() && tree::names(root).is_ok_and(|names| names.is_empty()) {
        true => root.give(&above),
        false => Ok(()),
    }
}

/// Opens the folder `path` of the `staging`, and makes its missing parts. Each belongs to whom the
/// folder of its name in the `store` does, or the one that it comes into.
pub fn make_below(staging: &Dir, store: &Dir, path: &str, masked: bool) -> Result<Dir, Errno> {
    match staging.folder(path) {
        Err(Errno::NOENT) => {}
        done => return done,
    }
    let (mut folder, mut twin) = (staging.folder("")?, Some(store.folder("")?));
    let mut of = store.facts()?;
    for part in path.split('/') {
        match folder.make_folder(part) {
            // Another worker has made it.
            Err(Errno::EXIST) => {}
            made => made?,
        }
        if masked {
            folder.unmask(part)?;
        }
        folder = folder.folder(part)?;
        twin = twin.and_then(|twin| twin.folder(part).ok());
        if let Some(twin) = &twin {
            of = twin.facts()?;
        }
        folder.give(&of)?;
    }
    Ok(folder)
}
