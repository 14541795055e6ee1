//! Gives the shared library its name and keeps it mapped.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_OS").as_deref() != Ok("linux") {
        return;
    }
    // Programs remember the SONAME, not the path they were linked with. It rises with the ABI, not
    // with the release.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-soname,liblicbak.so.0");
    // A thread of the host may still have thread-local storage of ours to destroy after dlclose.
    println!("cargo::rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
