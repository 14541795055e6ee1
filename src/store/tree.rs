//! Walks the content of a folder without recursion: its depth is not ours to choose.

use crate::sys::files::{Dir, Errno, Kind};

/// Joins `folder` and `name`; an empty `folder` adds nothing.
pub fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        [folder, "/", name].concat()
    }
}

/// Gives the names in `folder` as text, with their kinds.
pub fn names(folder: &Dir) -> Result<Vec<(String, Kind)>, Errno> {
    let mut names = Vec::new();
    folder.entries::<Errno>(|name, kind, _| {
        // Only folders made by this library are walked, and their names are text.
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

/// Removes the folder `name` of `parent` and everything below it.
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
    let mut children_first = folders.iter().rev();
    children_first.try_for_each(|path| match path.rsplit_once('/') {
        Some((above, name)) => parent.folder(above)?.remove_folder(name),
        None => parent.remove_folder(path),
    })
}
