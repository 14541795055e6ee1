//! Files and folders by descriptor: no path is followed twice, and no link below an opened folder
//! is followed.

#![forbid(unsafe_code)]

mod dir;
pub(super) mod facts;
mod file;
mod owners;

pub use rustix::io::Errno;

pub use self::dir::Dir;
pub use self::facts::{
    Facts, Held, check_name, check_writable, facts_at, is_taken, is_unavailable, kind_at,
};
pub use self::file::File;
pub use super::system::Room;
pub use super::system::facts::facts_now_at;
pub use crate::sys::kinds::{Identity, Inode, Kind, Lock, Protection};
