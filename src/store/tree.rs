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

/// Removes the folder `name` of `parent` and everything below it, as long as `go_on` lets it.
pub fn remove(
    parent: &Dir,
    name: &str,
    go_on: &mut dyn FnMut() -> Result<(), Errno>,
) -> Result<(), Errno> {
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
                _ => {
                    go_on()?;
                    folder.remove_file(&name)?;
                }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::anchored_path::AnchoredPath;
    use crate::sys::test_folder;

    #[test]
    fn a_removal_ends_where_it_is_to() {
        let path = test_folder("tree");
        std::fs::create_dir_all(path.join("tree/below")).unwrap();
        for name in ["tree/a", "tree/b", "tree/below/c"] {
            std::fs::write(path.join(name), "").unwrap();
        }
        let parent = Dir::open(&AnchoredPath::now(&path)).unwrap();
        let mut left = 2_u32;
        let mut go_on = || {
            left = left.checked_sub(1).ok_or(Errno::WOULDBLOCK)?;
            Ok(())
        };
        assert_eq!(remove(&parent, "tree", &mut go_on), Err(Errno::WOULDBLOCK));
        assert!(path.join("tree/below/c").exists() && !path.join("tree/a").exists());
        remove(&parent, "tree", &mut || Ok(())).unwrap();
        assert!(!path.join("tree").exists());
        std::fs::remove_dir_all(path).unwrap();
    }
}
