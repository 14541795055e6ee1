//! Gives the shared library its name and keeps it mapped.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(name).unwrap_or_default();
    let link = |argument: &str| println!("cargo::rustc-cdylib-link-arg=-Wl,{argument}");
    match target("CARGO_CFG_TARGET_OS").as_str() {
        "linux" => {
            // Programs remember the SONAME, not the path they were linked with. It rises with the
            // ABI, not with the release.
            link("-soname,liblicbak.so.0");
            // A thread of the host may still have thread-local storage of ours to destroy after
            // dlclose.
            link("-z,nodelete");
        }
        // Programs look for the library in the folders that they were told of.
        "macos" => link("-install_name,@rpath/liblicbak.dylib"),
        // Else the DLL would tell when it was built.
        "windows" if target("CARGO_CFG_TARGET_ENV") == "gnu" => link("--no-insert-timestamp"),
        _ => {}
    }
}
