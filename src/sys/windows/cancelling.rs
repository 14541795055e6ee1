//! Windows has no way to cancel a thread that a thread could keep off.

/// Nothing is kept off.
pub struct Off;

pub fn off() -> Off {
    Off
}
