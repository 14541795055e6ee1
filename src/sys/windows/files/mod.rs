//! Files and folders by handle: no path is followed twice, and no link below an opened folder is
//! followed.

#![forbid(unsafe_code)]

mod dir;
mod facts;
mod file;

pub use self::dir::Dir;
pub use self::facts::{
    Facts, Held, check_name, check_writable, facts_at, facts_now_at, is_taken, is_unavailable,
    kind_at,
};
pub use self::file::File;
pub use super::errno::Errno;
pub use crate::sys::kinds::{Identity, Inode, Kind, Lock, Protection};
pub use crate::sys::unknown_room::Room;
