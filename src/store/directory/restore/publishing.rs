//! The move of the staged licences into their places.

use super::super::comparison::same;
use super::super::rights::keep_up;
use super::Restore;
use crate::error::{Error, Result, words};
use crate::store::staging::move_new;
use crate::store::tree;
use crate::sys::clock;
use crate::sys::files::{Dir, Errno, Kind};

/// News of the move of a licence or folder.
pub enum Published<'a> {
    /// A licence of this size.
    File(u64),
    /// A folder and everything below it.
    Folder(&'a str),
    /// A licence that was not moved: another version has come to the store meanwhile, and is kept.
    Kept(&'a str),
    /// A licence that could not be moved, and why.
    Failed(&'a str, Error),
}

impl Restore {
    /// Moves all staged licences into their places. `tell` learns of everything that has been
    /// moved, of licences that another has put there meanwhile, and of those that can't be moved; it
    /// may end the move.
    pub fn publish(&mut self, tell: &mut dyn FnMut(Published) -> Result<()>) -> Result<()> {
        let (Some(root), Some(staging)) = (&self.root, &self.staging) else {
            return Ok(());
        };
        self.is_new = false;
        let mut folders = vec![String::new()];
        while let Some(folder) = folders.pop() {
            let failed = |errno| self.write_error("move a licence to the folder", &folder, errno);
            let from = staging.folder.folder(&folder).map_err(failed)?;
            let into = match root.folder(&folder) {
                Err(errno) if !folder.is_empty() => {
                    self.fail_below(&folder, &failed(errno).of_one(words(errno)), tell)?;
                    continue;
                }
                opened => opened.map_err(failed)?,
            };
            let names = tree::names(&from).map_err(failed)?;
            // What was tried here may have come back, see [`Staging::can_move`].
            let licenses = names.into_iter().filter(|(name, _)| !name.starts_with('.'));
            for (name, kind) in licenses {
                let whole = tree::join(&folder, &name);
                if kind == Kind::Folder {
                    // rclone loses what it has in its cache of a folder that is moved.
                    let moved = match root.is_of_program() {
                        true => Err(Errno::TXTBSY),
                        false => move_new(&from, &name, &into, &name, true),
                    };
                    match moved {
                        Ok(()) => tell(Published::Folder(&whole))?,
                        Err(Errno::EXIST | Errno::NOTEMPTY) => {
                            folders.try_reserve(1)?;
                            folders.push(whole);
                        }
                        // Something in it is open, and keeps it from being moved as a whole.
                        Err(Errno::TXTBSY) => {
                            let made = self.make_in(&into, &name, staging.masked);
                            made.map_err(|errno| {
                                self.write_error("make the folder", &whole, errno)
                            })?;
                            folders.try_reserve(1)?;
                            folders.push(whole);
                        }
                        Err(errno) => {
                            let error = self.write_error("make the folder", &whole, errno);
                            self.fail_below(&whole, &error.of_one(words(errno)), tell)?;
                        }
                    }
                    continue;
                }
                tell(match self.publish_file(&from, &name, &into, &whole) {
                    Ok(Some(size)) => Published::File(size),
                    Ok(None) => Published::Kept(&whole),
                    Err(errno) => {
                        let error = self.write_error("write the licence", &whole, errno);
                        Published::Failed(&whole, error.of_one(words(errno)))
                    }
                })?;
            }
            into.hand_over().map_err(failed)?;
        }
        Ok(())
    }

    /// Makes the folder `name` in the store's folder `into`, as [`make_below`] makes one of the staging.
    fn make_in(&self, into: &Dir, name: &str, masked: bool) -> Result<(), Errno> {
        match into.make_folder(name) {
            Err(Errno::EXIST) => return Ok(()),
            made => made?,
        }
        if masked {
            into.unmask(name)?;
        }
        let folder = into.folder(name)?;
        folder.drop_default_list();
        folder.give(&into.facts()?)
    }

    /// Tells of each licence in the staged `folder`, which can't be moved because of `error`.
    fn fail_below(
        &self,
        folder: &str,
        error: &Error,
        tell: &mut dyn FnMut(Published) -> Result<()>,
    ) -> Result<()> {
        let Some(staging) = &self.staging else {
            return Ok(());
        };
        let failed = |errno| self.write_error("move the licences of the folder", folder, errno);
        let mut folders = vec![folder.to_owned()];
        while let Some(folder) = folders.pop() {
            let staged = staging.folder.folder(&folder).map_err(failed)?;
            for (name, kind) in tree::names(&staged).map_err(failed)? {
                let whole = tree::join(&folder, &name);
                if kind == Kind::Folder {
                    folders.try_reserve(1)?;
                    folders.push(whole);
                } else {
                    tell(Published::Failed(&whole, error.clone()))?;
                }
            }
        }
        Ok(())
    }

    /// Moves a licence into its place and gives its size; none where another version has come there
    /// and is kept.
    fn publish_file(
        &self,
        from: &Dir,
        name: &str,
        into: &Dir,
        whole: &str,
    ) -> Result<Option<u64>, Errno> {
        let new = from.facts_of(name)?;
        if self.replace {
            keep_up(from, name, &new, into)?;
            from.rename(name, into, name)?;
            return Ok(Some(new.size));
        }
        match move_new(from, name, into, name, false) {
            Err(Errno::EXIST) if !same(from, into, name)? => return Ok(None),
            // Another has put it there, who may not have waited for the disk.
            Err(Errno::EXIST) => {
                let found = self.unsynced.found(whole, clock::now());
                found.map_err(|_| Errno::NOMEM)?;
            }
            moved => moved?,
        }
        Ok(Some(new.size))
    }
}
