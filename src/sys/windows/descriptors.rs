//! Windows keeps the standard streams apart from what is opened.

/// Leaves SQLite as it is.
pub fn lift_sqlite() {}
