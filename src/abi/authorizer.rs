//! A host's function that allows or refuses restores.

use std::ffi::{CStr, c_char, c_void};
use std::sync::Arc;

use super::callback::call_host;
use super::handle::on;
use super::hresult::{LICBAK_NS_E_DRM_OPERATION_CANCELED, LICBAK_S_OK, message_of, name_of};
use super::reading::facts;
use super::types::*;
use crate::engine::authorizer::{Authorizer, Refusal};
use crate::engine::reading::info::Info;
use crate::error::{Error, Outcome, Result};

/// Sets a function of the host's own that allows or refuses each restore. So a host asks its
/// service, counts the machines that a backup has come to, or refuses a backup that is older than
/// one it has seen. In the original, Microsoft's License Management Service did this. It counts for
/// the operations that start from now on. Without an authorizer every restore is free.
///
/// The function is called once in each restore, after the backup has been opened and before
/// anything else of it is read; in a dry run it is not called. LICBAK_WMT_BACKUPRESTORE_CONNECTING
/// is told before the call and LICBAK_WMT_BACKUPRESTORE_DISCONNECTING after it. Any failure that it
/// returns is the outcome of the operation, and nothing is restored. A restore that it allows may
/// still fail, as where the backup proves damaged: a host that counts machines counts each once.
///
/// @param authorize The function; NULL: none.
/// @param context Is given to the function. It must live until the next licbak_set_authorizer that
/// succeeds, or until licbak_destroy is over.
/// @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY while an operation
/// runs; LICBAK_E_OUTOFMEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_set_authorizer(
    restorer: *mut licbak_restorer,
    authorize: licbak_authorize_callback,
    context: *mut c_void,
) -> licbak_hresult {
    on(restorer, |restorer| {
        let authorizer = authorize.map(|function| -> Arc<dyn Authorizer> {
            Arc::new(HostAuthorizer { function, context })
        });
        restorer.set_authorizer(authorizer)
    })
}

type AuthorizeFunction = unsafe extern "C" fn(
    *const licbak_backup_info,
    *mut c_char,
    usize,
    *mut c_void,
) -> licbak_hresult;

struct HostAuthorizer {
    function: AuthorizeFunction,
    context: *mut c_void,
}

// SAFETY: the host promises that the function may be called with the context on threads of the
// library; it is called on one at a time.
unsafe impl Send for HostAuthorizer {}
// SAFETY: as above.
unsafe impl Sync for HostAuthorizer {}

/// The room for an address, its NUL included: as much as browsers take.
const URL_SIZE: usize = 2084;

impl Authorizer for HostAuthorizer {
    fn authorize(&self, info: &Info) -> Result<(), Refusal> {
        let info = facts(info, size_of::<licbak_backup_info>());
        let mut url = [0; URL_SIZE];
        // SAFETY: the host's function, called as it promised it may be; the facts and the room live
        // until then.
        let hr = call_host(|| unsafe {
            (self.function)(
                &raw const info,
                url.as_mut_ptr().cast(),
                URL_SIZE,
                self.context,
            )
        });
        match hr {
            LICBAK_S_OK => Ok(()),
            _ => {
                let url = address(&url);
                Err(Refusal {
                    error: refusal(hr, url),
                    url: url.map(str::to_owned),
                })
            }
        }
    }
}

/// The address that the host has written, if it has. What is cut or no text would lead elsewhere.
fn address(url: &[u8]) -> Option<&str> {
    let url = CStr::from_bytes_until_nul(url).ok()?.to_str().ok()?;
    (!url.is_empty()).then_some(url)
}

fn refusal(hr: licbak_hresult, url: Option<&str>) -> Error {
    let code = format!("{hr:#010x}{}", name_of(hr));
    match hr {
        0.. => Error::new(
            Outcome::AccessDenied,
            format!(
                "The host's function authorize returned {code}, and only LICBAK_S_OK allows a restore. Correct it in the host."
            ),
        ),
        LICBAK_NS_E_DRM_OPERATION_CANCELED => Error::canceled(),
        _ => {
            let (why, what_to_do) = (message_of(hr), advice(url));
            Error::new(
                Outcome::Host(hr),
                format!(
                    "The host does not allow this restore: its function authorize failed with {code}.{why}{what_to_do}"
                ),
            )
        }
    }
}

fn advice(url: Option<&str>) -> String {
    match url {
        Some(url) => format!(" See {url}"),
        None => " Look for the reason in the host.".into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_whole_text_or_none() {
        let mut url = [b'u'; URL_SIZE];
        assert_eq!(address(&url), None); // no NUL: it may be cut
        url[URL_SIZE - 1] = 0;
        assert_eq!(address(&url).map(str::len), Some(URL_SIZE - 1));
        assert_eq!(address(b"https://a/\0\xFF"), Some("https://a/"));
        assert_eq!(address("https://é\0".as_bytes()), Some("https://é"));
        for none in [
            &b"\0https://a/\0"[..],
            b"https://\xC3\0",
            b"\xED\xA0\x80\0",
            b"",
        ] {
            assert_eq!(address(none), None);
        }
    }
}
