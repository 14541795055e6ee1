//! The rooms in which a place of backups can be.

use std::sync::Arc;

use super::Location;
use super::address::{Access, Address};
#[cfg(feature = "object-storage")]
use super::bucket::Bucket;
use super::directory::Directory;
#[cfg(not(feature = "object-storage"))]
use super::unsupported::Bucket;
use crate::sys::anchored_path::AnchoredPath;

pub fn in_directory(path: AnchoredPath) -> Arc<dyn Location> {
    Arc::new(Directory(path))
}

pub fn in_bucket(address: Address, access: Access) -> Arc<dyn Location> {
    Arc::new(Bucket { address, access })
}
