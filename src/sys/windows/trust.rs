//! The authorities that this system trusts.

#![forbid(unsafe_code)]

use rustls::pki_types::CertificateDer;
use schannel::cert_context::ValidUses;
use schannel::cert_store::CertStore;

/// The use of a certificate for a server (RFC 5280, 4.2.1.12).
const SERVER: &str = "1.3.6.1.5.5.7.3.1";

/// Reads the certificates of those that may vouch for a server; none where the system has none.
pub fn trusted() -> Vec<CertificateDer<'static>> {
    let Ok(store) = CertStore::open_current_user("ROOT") else {
        return Vec::new();
    };
    let own = store.certs().filter(|own| {
        let vouches = match own.valid_uses() {
            Ok(ValidUses::All) => true,
            Ok(ValidUses::Oids(uses)) => uses.iter().any(|of| of == SERVER),
            Err(_) => false,
        };
        vouches && own.is_time_valid().unwrap_or(false)
    });
    own.map(|own| own.to_der().to_vec().into()).collect()
}
