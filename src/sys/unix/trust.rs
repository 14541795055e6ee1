//! The authorities that this system trusts.

#![forbid(unsafe_code)]

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use super::descriptors::beside_streams;

/// The places of their certificates on Debian and Arch, Fedora and RHEL, openSUSE, Alpine and the
/// BSDs.
const PLACES: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Reads their certificates; none where the system has none.
pub fn trusted() -> Vec<CertificateDer<'static>> {
    beside_streams(|| {
        let mut bundles = PLACES
            .iter()
            .filter_map(|place| CertificateDer::pem_file_iter(place).ok());
        // One that can't be read is no reason to trust nobody else.
        bundles.next().into_iter().flatten().flatten().collect()
    })
}
