//! The authorities that this system trusts.

#![forbid(unsafe_code)]

use rustls::pki_types::CertificateDer;

/// Reads their certificates; none where the system has none.
pub fn trusted() -> Vec<CertificateDer<'static>> {
    rustls_native_certs::load_native_certs().certs
}
