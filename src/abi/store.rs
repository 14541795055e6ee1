//! A host's own store.

use std::cell::RefCell;
use std::ffi::c_void;
use std::sync::Arc;

use super::callback::call_host;
use super::guard::guard;
use super::handle::on;
use super::hresult::{
    LICBAK_E_OUTOFMEMORY, LICBAK_HRESULT_ERROR_DISK_FULL, LICBAK_NS_E_DRM_OPERATION_CANCELED,
    LICBAK_S_OK, name_of,
};
use super::memory::{bytes, not_null, read_struct, text, with_nul};
use super::types::*;
use crate::error::{Error, Outcome, Result, caught};
use crate::license::name::{shown, shown_bytes};
use crate::license::{BackupRight, Format, check_size};
use crate::store::host::{Host, Take, Unfit};
use crate::store::license::License;
use crate::sys::fork::{HomeMark, home};

/// Sets a store of the host's own in place of StorePath, for licences that lie among other things,
/// in a database or in memory. It counts for the operations that start from now on.
///
/// The struct is copied. The functions are called on threads of the library, on one thread at a
/// time, possibly while the status callback runs on another thread. With LICBAK_CALL_IN_WAIT they
/// are called inside licbak_wait, and emit calls the status callback with what is due. A failure of
/// a function is the operation's outcome.
///
/// @param store The functions; NULL to go back to StorePath. The context in it must live until the
/// next licbak_set_store that succeeds, or until licbak_destroy is over.
/// @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_INVALIDARG if struct_size is too small or too
/// large, or if the struct has something that this version does not know;
/// LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY while an operation runs; LICBAK_E_OUTOFMEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_set_store(
    restorer: *mut licbak_restorer,
    store: *const licbak_store,
) -> licbak_hresult {
    on(restorer, |restorer| {
        if store.is_null() {
            return restorer.set_host(None);
        }
        // SAFETY: the host's struct, not NULL.
        let functions = unsafe { read_struct(store) }?;
        restorer.set_host(Some(Arc::new(HostStore { functions })))
    })
}

struct HostStore {
    functions: licbak_store,
}

// SAFETY: the host promises that the functions may be called with the context on threads of the
// library; they are called on one at a time.
unsafe impl Send for HostStore {}
// SAFETY: as above.
unsafe impl Sync for HostStore {}

/// The receiver of a host's function's licences, in the emit_context that the function is given.
struct Emission<'t> {
    process: &'static HomeMark,
    /// Borrowed while a licence is taken: what takes it may call the status callback, which has no
    /// business to emit.
    taking: RefCell<Taking<'t>>,
}

struct Taking<'t> {
    take: Take<'t>,
    /// Why a licence was refused. After a refusal no licence is taken.
    refused: Option<Error>,
}

/// The emit that a host's function is given.
unsafe extern "C" fn emit(
    license: *const licbak_license,
    emit_context: *mut c_void,
) -> licbak_hresult {
    guard(|| {
        not_null(emit_context)?;
        // SAFETY: the host gives back what `collect` gave it, inside the function that it was given
        // to.
        let emission = unsafe { &*emit_context.cast::<Emission>() };
        if !emission.process.is_home() {
            return Err(Error::new(Outcome::Handle, ""));
        }
        let mut taking = emission.taking.try_borrow_mut().map_err(|_| {
            Error::new(
                Outcome::IllegalCall,
                "A licence was emitted inside the status callback.",
            )
        })?;
        if let Some(refused) = &taking.refused {
            return Err(refused.clone());
        }
        // SAFETY: the host's licence, valid until this returns.
        let taken = caught(|| unsafe { take_license(license, taking.take) });
        taken.inspect_err(|error| taking.refused = Some(error.clone()))
    })
}

/// # Safety
/// `license` is NULL, or a licence whose pointers are valid as long as this runs.
unsafe fn take_license(license: *const licbak_license, take: Take) -> Result<()> {
    not_null(license)?;
    // SAFETY: the caller's promise.
    let license = unsafe { read_struct(license) }?;
    // SAFETY: as above.
    let name = unsafe { text(license.name) }?;
    let unfit = |why: &str| {
        let name = shown_bytes(name);
        let error = refused(Outcome::InvalidName, &name, why).of_one(why);
        Unfit { name, error }
    };
    let Ok(name) = std::str::from_utf8(name) else {
        return take(Err(unfit("its name is not UTF-8")));
    };
    let key_id = match license.key_id.is_null() {
        true => None,
        // SAFETY: as above.
        false => match std::str::from_utf8(unsafe { text(license.key_id) }?) {
            Ok(key_id) => Some(key_id),
            Err(_) => return take(Err(unfit("its key ID is not UTF-8"))),
        },
    };
    if let Err(error) = check_size(&shown(name), license.content_size as u64) {
        let name = shown(name);
        return take(Err(Unfit { name, error }));
    }
    let content = match license.content_size {
        0 => &[],
        _ if license.content.is_null() => {
            return Err(refused(
                Outcome::Pointer,
                &shown(name),
                "its content is NULL",
            ));
        }
        // SAFETY: as above.
        size => unsafe { bytes(license.content, size) }?,
    };
    let right = BackupRight::from_number(license.backup_right).ok_or_else(|| {
        refused(
            Outcome::InvalidArgument,
            &shown(name),
            "its backup right must be 0, 1 or 2",
        )
    })?;
    take(Ok(License {
        name,
        key_id,
        content,
        modified: license.modified,
        right,
        format: Format::Opaque,
    }))
}

fn refused(outcome: Outcome, name: &str, why: &str) -> Error {
    Error::new(
        outcome,
        format!("The host's licence '{name}' can't be taken: {why}."),
    )
}

/// Calls a function of the host that emits, and gives its licences to `take`. `what` names the
/// function and its licence.
fn collect(
    what: &str,
    take: Take,
    call: impl FnOnce(licbak_license_callback, *mut c_void) -> licbak_hresult,
) -> Result<()> {
    let refused = None;
    let emission = Emission {
        process: home(),
        taking: RefCell::new(Taking { take, refused }),
    };
    let hr = call_host(|| call(Some(emit), (&raw const emission).cast_mut().cast()));
    match emission.taking.into_inner().refused {
        Some(refused) => Err(refused),
        None => check(what, hr),
    }
}

fn check(what: &str, hr: licbak_hresult) -> Result<()> {
    match hr {
        LICBAK_S_OK.. => Ok(()),
        LICBAK_NS_E_DRM_OPERATION_CANCELED => Err(Error::canceled()),
        _ => {
            let code = name_of(hr);
            let sentence = format!(
                "The host's function {what} failed with {hr:#010x}{code}. Look for the reason in the host."
            );
            Err(Error::new(Outcome::Host(hr), sentence))
        }
    }
}

fn missing(name: &str) -> Error {
    Error::new(
        Outcome::NotImplemented,
        format!("The host's store has no function {name}, which this operation needs."),
    )
}

impl Host for HostStore {
    fn can_back_up(&self) -> bool {
        self.functions.enumerate.is_some()
    }

    fn can_restore(&self, dry_run: bool) -> bool {
        self.functions.get.is_some() && (dry_run || self.functions.put.is_some())
    }

    fn enumerate(&self, take: Take) -> Result<()> {
        let function = self
            .functions
            .enumerate
            .ok_or_else(|| missing("enumerate"))?;
        // SAFETY: the host's function, called as it promised it may be.
        collect("enumerate", take, |emit, emit_context| unsafe {
            function(self.functions.context, emit, emit_context)
        })
    }

    fn get(&self, name: &str, take: Take) -> Result<()> {
        let function = self.functions.get.ok_or_else(|| missing("get"))?;
        let (what, name) = (format!("get (of the licence '{name}')"), with_nul(name));
        // SAFETY: the host's function, called as it promised it may be; the name lives until then.
        collect(&what, take, |emit, emit_context| unsafe {
            function(
                self.functions.context,
                name.as_ptr().cast(),
                emit,
                emit_context,
            )
        })
    }

    fn put(&self, license: &License) -> Result<()> {
        let function = self.functions.put.ok_or_else(|| missing("put"))?;
        let what = format!("put (of the licence '{}')", license.name);
        let texts = Texts::of(license);
        let license = texts.license(license);
        // SAFETY: the host's function, called as it promised it may be; the licence lives until
        // then.
        let hr = call_host(|| unsafe { function(self.functions.context, &raw const license) });
        check(&what, hr).map_err(|error| match hr {
            // The others would fail as well.
            LICBAK_E_OUTOFMEMORY | LICBAK_HRESULT_ERROR_DISK_FULL => error,
            _ => error.of_one(format_args!("put failed with {hr:#010x}{}", name_of(hr))),
        })
    }

    fn can_merge(&self) -> bool {
        self.functions.merge.is_some()
    }

    fn merge(&self, mine: &License, theirs: &License, take: Take) -> Result<()> {
        let function = self.functions.merge.ok_or_else(|| missing("merge"))?;
        let what = format!("merge (of the licence '{}')", theirs.name);
        let texts = (Texts::of(mine), Texts::of(theirs));
        let (mine, theirs) = (texts.0.license(mine), texts.1.license(theirs));
        // SAFETY: the host's function, called as it promised it may be; the licences live until
        // then.
        collect(&what, take, |emit, emit_context| unsafe {
            function(
                self.functions.context,
                &raw const mine,
                &raw const theirs,
                emit,
                emit_context,
            )
        })
    }
}

/// The texts of a licence, as C has them.
struct Texts {
    name: Vec<u8>,
    key_id: Option<Vec<u8>>,
}

impl Texts {
    fn of(license: &License) -> Texts {
        Texts {
            name: with_nul(license.name),
            key_id: license.key_id.map(with_nul),
        }
    }

    /// The licence as C has it, which lives as long as its texts and its content.
    fn license(&self, license: &License) -> licbak_license {
        let key_id = self.key_id.as_ref();
        licbak_license {
            struct_size: size_of::<licbak_license>(),
            name: self.name.as_ptr().cast(),
            key_id: key_id.map_or(std::ptr::null(), |key_id| key_id.as_ptr().cast()),
            content: license.content.as_ptr(),
            content_size: license.content.len(),
            modified: license.modified,
            backup_right: license.right.number(),
            format: license.format.number(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::panic::resume_unwind; // panics without a word

    use super::*;

    #[test]
    fn a_licence_at_which_we_panicked_is_not_passed_over() {
        let license = licbak_license {
            struct_size: size_of::<licbak_license>(),
            name: c"name".as_ptr(),
            key_id: std::ptr::null(),
            content: std::ptr::null(),
            content_size: 0,
            modified: 0,
            backup_right: 0,
            format: 0,
        };
        let mut take = |_: Result<License, Unfit>| resume_unwind(Box::new("on purpose"));
        let collected = collect("enumerate", &mut take, |emit, emit_context| {
            // SAFETY: called inside the function that it is given to, with a licence that is valid.
            unsafe { emit.unwrap()(&raw const license, emit_context) };
            LICBAK_S_OK
        });
        assert_eq!(collected.unwrap_err().outcome, Outcome::Unexpected);
    }
}
