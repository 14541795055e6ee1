//! Thread-local storage that comes with its thread.
//!
//! The storage of a library that is loaded by `dlopen`, as Python does, is made when a thread first
//! uses it, and where there is no memory then glibc ends the process. But if one access in the
//! library is of the kind that needs the storage at a fixed place ("initial exec"), glibc gives it
//! a place in the storage that every thread has from the start. This holds for all of the library's
//! some hundred bytes. Rust has no such access on its stable channel, so there is one here.

#[cfg(all(
    target_env = "gnu",
    any(target_arch = "x86_64", target_arch = "aarch64")
))]
mod access {
    use std::arch::{asm, global_asm};

    global_asm!(
        ".pushsection .tbss.licbak_static_tls,\"awT\",@nobits",
        ".globl licbak_static_tls",
        ".hidden licbak_static_tls",
        ".type licbak_static_tls,@object",
        ".size licbak_static_tls,8",
        ".p2align 3",
        "licbak_static_tls:",
        ".zero 8",
        ".popsection",
    );

    pub fn keep() {
        // SAFETY: the instructions load a constant into a register.
        unsafe {
            #[cfg(target_arch = "x86_64")]
            asm!(
                "mov {offset}, qword ptr [rip + licbak_static_tls@GOTTPOFF]",
                offset = out(reg) _,
                options(nomem, nostack, preserves_flags)
            );
            #[cfg(target_arch = "aarch64")]
            asm!(
                "adrp {offset}, :gottprel:licbak_static_tls",
                "ldr {offset}, [{offset}, #:gottprel_lo12:licbak_static_tls]",
                offset = out(reg) _,
                options(nomem, nostack, preserves_flags)
            );
        }
    }
}

/// Keeps the access in the library, where its presence is enough.
pub fn keep() {
    #[cfg(all(
        target_env = "gnu",
        any(target_arch = "x86_64", target_arch = "aarch64")
    ))]
    access::keep();
}
