//! A function of the host and its context, as one value.

use std::cell::Cell;
use std::ffi::c_void;

use super::hresult::{
    LICBAK_E_HANDLE, LICBAK_E_NOTIMPL, LICBAK_NS_E_DRM_BACKUP_CORRUPT, LICBAK_S_FALSE, LICBAK_S_OK,
    hresult, hresult_of,
};
use super::memory::{invalid, put_with_nul, with_nul};
use super::types::*;
use crate::engine::operation::listener::{Caller, Event, Listener, Listening, Notice};
use crate::engine::operation::progress::Progress;
use crate::engine::reading::list::ListedLicense;
use crate::error::{Error, Outcome, Result, shown};
use crate::sys::fork::{HomeMark, home};
use crate::sys::threads;

thread_local! {
    /// In which process a function of the host runs on this thread.
    static INSIDE: Cell<Option<&'static HomeMark>> = const { Cell::new(None) };
}

/// Whether the caller runs inside a function of a host. A child that was forked inside such a
/// function does not.
pub fn is_inside_host() -> bool {
    INSIDE.get().is_some_and(HomeMark::is_home)
}

/// Calls a function of the host, and remembers for this thread that it runs.
///
/// The function may return in a forked child. Nothing of the operation may be touched there: the
/// files are the parent's, and the other threads do not exist. A caller of the host then gets a
/// failure; a thread of the library has no caller, and ends.
pub fn call_host(function: impl FnOnce() -> licbak_hresult) -> licbak_hresult {
    let (process, outside) = (home(), INSIDE.get());
    INSIDE.set(Some(process));
    let hr = function();
    INSIDE.set(outside);
    if process.is_home() {
        return hr;
    }
    threads::end_if_ours();
    LICBAK_E_HANDLE
}

type StatusFunction = unsafe extern "C" fn(
    licbak_status,
    licbak_hresult,
    licbak_datatype,
    *const u8,
    usize,
    *mut c_void,
) -> licbak_hresult;

/// The host's status callback.
pub struct StatusCallback {
    function: StatusFunction,
    context: *mut c_void,
}

// SAFETY: the host promises that the function may be called with the context on a thread of the
// library, or on those that wait.
unsafe impl Send for StatusCallback {}

impl StatusCallback {
    /// Gives how the host wants to be told.
    pub fn listening(
        flags: u32,
        callback: licbak_status_callback,
        context: *mut c_void,
    ) -> Result<Listening> {
        let in_wait = flags & LICBAK_CALL_IN_WAIT != 0;
        let caller = match callback {
            None if in_wait => Caller::WaitingDeaf,
            None => {
                return Err(invalid(
                    "The status callback is NULL, which only LICBAK_CALL_IN_WAIT allows.",
                ));
            }
            Some(_) if in_wait => Caller::Waiting,
            Some(_) => Caller::Own,
        };
        let listener =
            |function| -> Box<dyn Listener> { Box::new(StatusCallback { function, context }) };
        Ok(Listening {
            caller,
            listener: callback.map(listener),
        })
    }

    /// Tells an event that has no more to say than its status.
    fn mark(&self, status: licbak_status) -> Result<(), i32> {
        self.call(status, LICBAK_S_OK, EventValue::Dword(0))
    }

    fn call(
        &self,
        status: licbak_status,
        hr: licbak_hresult,
        value: EventValue,
    ) -> Result<(), i32> {
        let (datatype, bytes, size) = match &value {
            EventValue::Dword(number) => (
                LICBAK_WMT_TYPE_DWORD,
                (&raw const *number).cast(),
                size_of::<u32>(),
            ),
            EventValue::Text(text) => (
                LICBAK_WMT_TYPE_STRING,
                text.as_ptr(),
                text.len().saturating_sub(1),
            ),
            EventValue::Progress(progress) => (
                LICBAK_WMT_TYPE_BINARY,
                (&raw const *progress).cast(),
                size_of::<licbak_progress>(),
            ),
        };
        // SAFETY: the host's function, called as it promised it may be; the value lives until it
        // returns.
        let answer = call_host(|| unsafe {
            (self.function)(status, hr, datatype, bytes, size, self.context)
        });
        if answer >= LICBAK_S_OK || answer == LICBAK_E_NOTIMPL {
            Ok(())
        } else {
            Err(answer)
        }
    }
}

/// The value of an event, aligned for its type.
enum EventValue {
    Dword(u32),
    /// With its NUL.
    Text(Vec<u8>),
    Progress(licbak_progress),
}

impl EventValue {
    fn text(text: &str) -> EventValue {
        EventValue::Text(with_nul(text))
    }
}

impl Listener for StatusCallback {
    fn tell(&self, event: Event) -> Result<(), i32> {
        match event {
            Event::Notice(Notice::Begin) => self.mark(LICBAK_WMT_BACKUPRESTORE_BEGIN),
            Event::Notice(Notice::Individualize) => self.mark(LICBAK_WMT_INDIVIDUALIZE),
            Event::Notice(Notice::NeedsIndividualization) => {
                self.mark(LICBAK_WMT_NEEDS_INDIVIDUALIZATION)
            }
            Event::Notice(Notice::Connecting) => self.mark(LICBAK_WMT_BACKUPRESTORE_CONNECTING),
            Event::Notice(Notice::Disconnecting) => {
                self.mark(LICBAK_WMT_BACKUPRESTORE_DISCONNECTING)
            }
            Event::Notice(Notice::ErrorWithUrl { outcome, url }) => self.call(
                LICBAK_WMT_ERROR_WITHURL,
                hresult(*outcome),
                EventValue::text(url),
            ),
            Event::Notice(Notice::Restricted { key_id }) => self.call(
                LICBAK_WMT_RESTRICTED_LICENSE,
                LICBAK_S_FALSE,
                EventValue::text(key_id),
            ),
            Event::Notice(Notice::Kept { name }) => self.call(
                LICBAK_STATUS_LICENSE_KEPT,
                LICBAK_S_FALSE,
                EventValue::text(name),
            ),
            Event::Notice(Notice::Damaged { name }) => self.call(
                LICBAK_STATUS_LICENSE_DAMAGED,
                LICBAK_NS_E_DRM_BACKUP_CORRUPT,
                EventValue::text(name),
            ),
            Event::Notice(Notice::LeftOut { name, reason }) => {
                let told = EventValue::text(&shown(format!("{name}: {reason}")));
                self.call(LICBAK_STATUS_LICENSE_LEFT_OUT, LICBAK_S_FALSE, told)
            }
            Event::Progress(progress) => self.call(
                LICBAK_STATUS_PROGRESS,
                LICBAK_S_OK,
                EventValue::Progress(figures(&progress)),
            ),
            Event::Error { outcome, sentence } => self.call(
                LICBAK_WMT_ERROR,
                hresult(outcome),
                EventValue::text(sentence),
            ),
            Event::End { outcome, progress } => {
                let hr = hresult_of(outcome.map(|()| progress.done()));
                self.call(
                    LICBAK_WMT_BACKUPRESTORE_END,
                    hr,
                    EventValue::Progress(figures(&progress)),
                )
            }
        }
    }
}

/// The figures as the host sees them.
pub fn figures(progress: &Progress) -> licbak_progress {
    licbak_progress {
        struct_size: size_of::<licbak_progress>(),
        licenses_total: progress.licenses_total,
        licenses_done: progress.licenses_done,
        licenses_restricted: progress.licenses_restricted,
        licenses_kept: progress.licenses_kept,
        licenses_damaged: progress.licenses_damaged,
        content_bytes: progress.content_bytes,
        backup_bytes: progress.backup_bytes,
        phase_done: progress.phase_done,
        phase_total: progress.phase_total,
        phase: progress.phase,
        reserved: 0,
        licenses_skipped: progress.licenses_skipped,
        licenses_gone: progress.licenses_gone,
    }
}

/// The host's function for a list, on the thread that asked for it.
pub struct LicenseCallback {
    function: unsafe extern "C" fn(*const licbak_license, *mut c_void) -> licbak_hresult,
    context: *mut c_void,
    /// The name and the key ID of a licence, as C has them.
    name: Vec<u8>,
    key_id: Vec<u8>,
}

impl LicenseCallback {
    pub fn new(callback: licbak_license_callback, context: *mut c_void) -> Result<LicenseCallback> {
        let function = callback.ok_or_else(|| invalid("The licence callback is NULL."))?;
        Ok(LicenseCallback {
            function,
            context,
            name: Vec::new(),
            key_id: Vec::new(),
        })
    }

    pub fn call(&mut self, listed: &ListedLicense) -> Result<()> {
        let name = put_with_nul(&mut self.name, listed.name)?;
        let key_id = put_with_nul(&mut self.key_id, listed.key_id)?;
        let license = licbak_license {
            struct_size: size_of::<licbak_license>(),
            name: name.as_ptr().cast(),
            key_id: key_id.as_ptr().cast(),
            content: std::ptr::null(),
            content_size: usize::try_from(listed.size).unwrap_or(usize::MAX),
            modified: listed.modified,
            backup_right: listed.right.number(),
            format: listed.format.number(),
        };
        // SAFETY: the host's function, called as it promised it may be; the licence lives until it
        // returns.
        let hr = call_host(|| unsafe { (self.function)(&raw const license, self.context) });
        if hr >= LICBAK_S_OK {
            return Ok(());
        }
        let sentence = format!(
            "The host's function ended the list with {hr:#010x}. Look for the reason in the host."
        );
        Err(Error::new(Outcome::Host(hr), sentence))
    }
}
