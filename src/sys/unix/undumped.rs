//! Memory for secrets, which stands in no core file where the system can keep it out.

use std::ffi::c_void;
use std::ops::Deref;
use std::ptr::{self, NonNull};
use std::slice;

use rustix::io::Errno;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use zeroize::Zeroize;

use super::system::process::leave_out_of_dumps;

/// Bytes in pages of their own, which are wiped when they are dropped.
pub struct Undumped {
    start: NonNull<c_void>,
    length: usize,
}

// SAFETY: the bytes are this value's alone, and nobody changes them.
unsafe impl Send for Undumped {}
// SAFETY: as above.
unsafe impl Sync for Undumped {}

impl Undumped {
    pub fn new(bytes: &[u8]) -> Result<Undumped, Errno> {
        let length = bytes.len();
        let room = length.max(1);
        let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
        // SAFETY: nothing else has an address that the system chooses.
        let start = unsafe { mmap_anonymous(ptr::null_mut(), room, access, flags) }?;
        // SAFETY: the pages are those that were just mapped.
        unsafe { leave_out_of_dumps(start, room) };
        let start = NonNull::new(start).ok_or(Errno::NOMEM)?;
        let mut made = Undumped { start, length };
        made.bytes()
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        Ok(made)
    }

    fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: the mapping has so many bytes, of which zeros are a value, and is this value's.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().cast(), self.length) }
    }
}

impl Deref for Undumped {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: as above.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }
}

impl Drop for Undumped {
    fn drop(&mut self) {
        self.bytes().zeroize();
        // SAFETY: nobody has the bytes any more.
        let _ = unsafe { munmap(self.start.as_ptr(), self.length.max(1)) };
    }
}
