//! The rights to a file: who owns it, and who may do what with it.

use std::ffi::c_void;
use std::os::windows::io::{AsRawHandle, BorrowedHandle, FromRawHandle, OwnedHandle};
use std::sync::OnceLock;

use windows_sys::Win32::Foundation::HANDLE;
use windows_sys::Win32::Security::{
    ACL, ACL_REVISION, AddAccessAllowedAceEx, CONTAINER_INHERIT_ACE, CreateWellKnownSid,
    DACL_SECURITY_INFORMATION, EqualSid, GetKernelObjectSecurity, GetSecurityDescriptorControl,
    GetSecurityDescriptorOwner, GetTokenInformation, InitializeAcl, InitializeSecurityDescriptor,
    IsWellKnownSid, OBJECT_INHERIT_ACE, OWNER_SECURITY_INFORMATION,
    PROTECTED_DACL_SECURITY_INFORMATION, PSID, SE_DACL_PROTECTED, SECURITY_DESCRIPTOR,
    SetKernelObjectSecurity, SetSecurityDescriptorControl, SetSecurityDescriptorDacl,
    TOKEN_INFORMATION_CLASS, TOKEN_OWNER, TOKEN_QUERY, TOKEN_USER, TokenOwner, TokenUser,
    UNPROTECTED_DACL_SECURITY_INFORMATION, WELL_KNOWN_SID_TYPE, WinBuiltinAdministratorsSid,
    WinCreatorOwnerRightsSid, WinLocalSystemSid, WinWorldSid,
};
use windows_sys::Win32::Storage::FileSystem::FILE_ALL_ACCESS;
use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
use windows_sys::core::BOOL;

use super::errno::{Errno, succeeded};

/// The bytes of the largest SID (SECURITY_MAX_SID_SIZE of winnt.h).
const SID_MAX: u32 = 68;

/// The version of a security descriptor; Windows has no other.
const REVISION: u32 = 1;

/// Memory of words, as the structures of Windows need it.
pub type Words = Vec<u64>;

pub fn words(bytes: usize) -> Result<Words, Errno> {
    let mut words = Words::new();
    let count = bytes.div_ceil(size_of::<u64>());
    words.try_reserve_exact(count).map_err(|_| Errno::NOMEM)?;
    words.resize(count, 0);
    Ok(words)
}

/// The user of this process, and the rights of files that are that user's alone.
struct User {
    user: Words,
    /// The owner of what the user makes: an administrator may make it for all of them.
    owner: Words,
    /// The list of the rights, to which the descriptor leads.
    _list: Words,
    descriptor: Box<SECURITY_DESCRIPTOR>,
}

// SAFETY: it is never changed, and what it leads to is its own.
unsafe impl Send for User {}
// SAFETY: as above.
unsafe impl Sync for User {}

impl User {
    fn of_process() -> Result<User, Errno> {
        let token = token()?;
        let (user, owner) = (about(&token, TokenUser)?, about(&token, TokenOwner)?);
        // SAFETY: the words are what the call gave for this class, with a SID behind them.
        let (list, descriptor) = unsafe { alone((*user.as_ptr().cast::<TOKEN_USER>()).User.Sid)? };
        Ok(User {
            user,
            owner,
            _list: list,
            descriptor,
        })
    }

    /// Tells whether `sid` is the user's, or that of the owner of what the user makes.
    ///
    /// # Safety
    ///
    /// `sid` is a SID.
    unsafe fn is(&self, sid: PSID) -> bool {
        // SAFETY: the words are what the calls gave for these classes, and lead to themselves.
        unsafe {
            let user = (*self.user.as_ptr().cast::<TOKEN_USER>()).User.Sid;
            let owner = (*self.owner.as_ptr().cast::<TOKEN_OWNER>()).Owner;
            EqualSid(user, sid) != 0 || EqualSid(owner, sid) != 0
        }
    }
}

fn user() -> Result<&'static User, Errno> {
    static USER: OnceLock<User> = OnceLock::new();
    if let Some(user) = USER.get() {
        return Ok(user);
    }
    let user = User::of_process()?;
    Ok(USER.get_or_init(|| user))
}

fn token() -> Result<OwnedHandle, Errno> {
    let mut token: HANDLE = std::ptr::null_mut();
    // SAFETY: `token` is a place for the handle.
    unsafe {
        let opened = OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &raw mut token);
        succeeded(opened).map(|()| OwnedHandle::from_raw_handle(token))
    }
}

/// Asks with a place for the answer, its length, and a place for the length that is needed: first for
/// that, and then for the answer.
fn told(ask: impl Fn(*mut c_void, u32, *mut u32) -> BOOL) -> Result<Words, Errno> {
    let mut length = 0;
    ask(std::ptr::null_mut(), 0, &raw mut length);
    let mut told = words(length as usize)?;
    succeeded(ask(told.as_mut_ptr().cast(), length, &raw mut length))?;
    Ok(told)
}

fn about(token: &OwnedHandle, class: TOKEN_INFORMATION_CLASS) -> Result<Words, Errno> {
    told(|place, length, needed| {
        // SAFETY: the place has that length.
        unsafe { GetTokenInformation(token.as_raw_handle(), class, place, length, needed) }
    })
}

/// Those who have all rights to a private file besides the user: its owner, whatever the number that
/// another machine knows the user by; and the system and the administrators of any machine, who on
/// Windows are what root is elsewhere, so that a disk can be read where it is put when its machine
/// has died.
const TRUSTED: [WELL_KNOWN_SID_TYPE; 3] = [
    WinCreatorOwnerRightsSid,
    WinLocalSystemSid,
    WinBuiltinAdministratorsSid,
];

/// Makes a list of rights that gives all to `user` and those who are trusted, and nothing to others,
/// also below a folder; and a descriptor that leads to the list.
///
/// # Safety
///
/// `user` is a SID.
unsafe fn alone(user: PSID) -> Result<(Words, Box<SECURITY_DESCRIPTOR>), Errno> {
    /// The bytes of an entry with the largest SID.
    const ENTRY: usize = 8 + SID_MAX as usize;
    let inherited = OBJECT_INHERIT_ACE | CONTAINER_INHERIT_ACE;
    let mut descriptor = Box::<SECURITY_DESCRIPTOR>::default();
    let place: *mut c_void = (&raw mut *descriptor).cast();
    let mut list = words(size_of::<ACL>() + (1 + TRUSTED.len()) * ENTRY)?;
    let rights: *mut ACL = list.as_mut_ptr().cast();
    let room = u32::try_from(size_of_val(list.as_slice())).unwrap_or(u32::MAX);
    // SAFETY: `user` is a SID, and so are those that the system makes here; the list has room for
    // an entry with each.
    unsafe {
        let add =
            |sid| AddAccessAllowedAceEx(rights, ACL_REVISION, inherited, FILE_ALL_ACCESS, sid) != 0;
        let add_trusted = |kind| {
            let mut sid = [0_u64; (SID_MAX as usize).div_ceil(size_of::<u64>())];
            let (mut size, place) = (SID_MAX, sid.as_mut_ptr().cast());
            CreateWellKnownSid(kind, std::ptr::null_mut(), place, &raw mut size) != 0 && add(place)
        };
        let is_made = InitializeAcl(rights, room, ACL_REVISION) != 0
            && add(user)
            && TRUSTED.into_iter().all(add_trusted)
            && InitializeSecurityDescriptor(place, REVISION) != 0
            && SetSecurityDescriptorDacl(place, 1, rights, 0) != 0
            && SetSecurityDescriptorControl(place, SE_DACL_PROTECTED, SE_DACL_PROTECTED) != 0;
        match is_made {
            true => Ok((list, descriptor)),
            false => Err(Errno::last()),
        }
    }
}

/// Gives the descriptor of a file that is to be private.
pub fn private() -> Result<&'static SECURITY_DESCRIPTOR, Errno> {
    user().map(|user| &*user.descriptor)
}

/// Makes the file, which was opened for writing its rights, this user's alone.
pub fn make_private(file: BorrowedHandle) -> Result<(), Errno> {
    let what = DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION;
    let descriptor: *const SECURITY_DESCRIPTOR = private()?;
    // SAFETY: it is a descriptor.
    unsafe { set(file, what, descriptor.cast_mut().cast()) }
}

/// Gives the file `to` the rights of `from`.
pub fn copy(from: BorrowedHandle, to: BorrowedHandle) -> Result<(), Errno> {
    let mut told = of(from, DACL_SECURITY_INFORMATION)?;
    let (descriptor, mut control, mut revision) = (told.as_mut_ptr().cast(), 0, 0);
    // SAFETY: the words are a descriptor, and the others are places for the results.
    succeeded(unsafe {
        GetSecurityDescriptorControl(descriptor, &raw mut control, &raw mut revision)
    })?;
    let protection = match control & SE_DACL_PROTECTED {
        0 => UNPROTECTED_DACL_SECURITY_INFORMATION,
        _ => PROTECTED_DACL_SECURITY_INFORMATION,
    };
    // SAFETY: the words are a descriptor.
    unsafe { set(to, DACL_SECURITY_INFORMATION | protection, descriptor) }
}

/// Tells whether this user, or what the user makes belongs to, owns the file. Files of everybody
/// are those of file systems without owners, as FAT: whoever has the disk has them.
pub fn is_own(file: BorrowedHandle) -> Result<bool, Errno> {
    let mut told = of(file, OWNER_SECURITY_INFORMATION)?;
    let (mut owner, mut is_default): (PSID, i32) = (std::ptr::null_mut(), 0);
    let place = told.as_mut_ptr().cast();
    // SAFETY: the words are a descriptor, and the others are places for the results.
    succeeded(unsafe { GetSecurityDescriptorOwner(place, &raw mut owner, &raw mut is_default) })?;
    let user = user()?;
    // SAFETY: the owner is NULL, or a SID in the words.
    Ok(!owner.is_null() && unsafe { user.is(owner) || IsWellKnownSid(owner, WinWorldSid) != 0 })
}

/// Gives what the descriptor of a file says of `what`.
fn of(file: BorrowedHandle, what: u32) -> Result<Words, Errno> {
    told(|place, length, needed| {
        // SAFETY: the place has that length.
        unsafe { GetKernelObjectSecurity(file.as_raw_handle(), what, place, length, needed) }
    })
}

/// Sets `what` a descriptor says.
///
/// # Safety
///
/// `descriptor` is a security descriptor.
unsafe fn set(file: BorrowedHandle, what: u32, descriptor: *mut c_void) -> Result<(), Errno> {
    // SAFETY: the handle is open, and the rest is the caller's promise.
    succeeded(unsafe { SetKernelObjectSecurity(file.as_raw_handle(), what, descriptor) })
}
