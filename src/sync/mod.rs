//! What threads meet at: locks and channels.

#![forbid(unsafe_code)]

pub mod channel;
pub mod locks;
