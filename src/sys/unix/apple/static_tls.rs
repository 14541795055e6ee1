//! Thread-local storage, which macOS makes in a place of its own.

pub fn keep() {}
