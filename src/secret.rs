//! Texts that are secrets: they are wiped when nobody has them any more, and nobody prints them.

#![forbid(unsafe_code)]

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::sys::files::Errno;
use crate::sys::undumped::Undumped;

/// A secret of the host. A clone is the same bytes, not a copy.
#[derive(Clone)]
pub struct Secret(Arc<Undumped>);

impl Secret {
    /// Takes a secret over; the text itself is wiped.
    pub fn new(text: String) -> Result<Secret, Errno> {
        let text = Zeroizing::new(text);
        Ok(Secret(Arc::new(Undumped::new(text.as_bytes())?)))
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}
