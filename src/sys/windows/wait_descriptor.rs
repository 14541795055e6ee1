//! An event that a host waits for beside others, to learn that something is due.

use std::os::windows::io::{AsRawHandle, FromRawHandle, OwnedHandle};
use std::sync::{Mutex, PoisonError};

use windows_sys::Win32::System::Threading::{CreateEventW, ResetEvent, SetEvent};

use super::files::Errno;

/// An event of the manual kind that is signalled while something is due. It is made when it is
/// first asked for.
#[derive(Debug, Default)]
pub struct WaitDescriptor(Mutex<Shown>);

#[derive(Debug, Default)]
struct Shown {
    is_due: bool,
    event: Option<OwnedHandle>,
}

impl WaitDescriptor {
    /// Gives the handle of the event, which is the same until this is dropped.
    pub fn open(&self) -> Result<isize, Errno> {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let event = match shown.event.take() {
            Some(event) => event,
            None => event(shown.is_due)?,
        };
        let handle = event.as_raw_handle() as isize;
        shown.event = Some(event);
        Ok(handle)
    }

    /// Shows whether something is due.
    pub fn show(&self, is_due: bool) {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if shown.is_due == is_due {
            return;
        }
        shown.is_due = is_due;
        if let Some(event) = &shown.event {
            let show = if is_due { SetEvent } else { ResetEvent };
            // SAFETY: the event is ours and open.
            unsafe { show(event.as_raw_handle()) };
        }
    }
}

fn event(is_due: bool) -> Result<OwnedHandle, Errno> {
    // SAFETY: an event without a name and with the default rights, of the manual kind.
    let event = unsafe { CreateEventW(std::ptr::null(), 1, i32::from(is_due), std::ptr::null()) };
    match event.is_null() {
        true => Err(Errno::last()),
        // SAFETY: just made, and nobody else's.
        false => Ok(unsafe { OwnedHandle::from_raw_handle(event) }),
    }
}

#[cfg(test)]
impl WaitDescriptor {
    pub fn is_due(&self) -> bool {
        self.0.lock().unwrap().is_due
    }
}
