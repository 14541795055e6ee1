//! Walks what is below a folder without recursion: how deep it goes is not ours to say.

use crate::sys::files::{Dir, Errno, Kind};

/// `folder`, or what is below it.
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        [folder, "/", name].concat()
    }
}

/// What is in `folder`: its names as text, and what they are.
pub fn names(folder: &Dir) -> Result<Vec<(String, Kind)>, Errno> {
    let mut names = Vec::new();
    folder.entries::<Errno>(|name, kind, _| {
        // Only what this library made is walked, and that has names that are text.
        let name = name.to_str().map_err(|_| Errno::ILSEQ)?;
        let kind = if kind == Kind::Unknown {
            folder.facts_of(name)?.kind
        } else {
            kind
        };
        names.try_reserve(1).map_err(|_| Errno::NOMEM)?;
        names.push((name.to_owned(), kind));
        Ok(())
    })?;
    Ok(names)
}

/// Removes the folder `name` of `parent` and all that is below it.
pub fn remove(parent: &Dir, name: &str) -> Result<(), Errno> {
    let mut folders = vec![name.to_owned()];
    let mut next = 0;
    while let Some(path) = folders.get(next).cloned() {
        next += 1;
        let folder = parent.folder(&path)?;
        for (name, kind) in names(&folder)? {
            match kind {
                Kind::Folder => {
                    folders.try_reserve(1).map_err(|_| Errno::NOMEM)?;
                    folders.push(join(&path, &name));
                }
                _ => folder.remove_file(&name)?,
            }
        }
    }
    // Children come after their parents in the list.
    folders
        .iter()
        .rev()
        .try_for_each(|path| parent.remove_folder(path))
}
