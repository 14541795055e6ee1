//! The properties of a restorer. The original's IWMBackupRestoreProps.

use std::ffi::c_char;

use super::handle::on;
use super::hresult::{LICBAK_S_FALSE, LICBAK_S_OK};
use super::memory::{Buffer, bytes, give, invalid, not_null, text, utf8, with_nul};
use super::types::*;
use crate::engine::properties::{Property, Value};
use crate::error::{Error, Outcome, Result};

/// Sets a property. The original's IWMBackupRestoreProps::SetProp.
///
/// An operation reads its properties once, when it starts. A property that is set later counts for
/// the next operation.
///
/// | name             | type   | meaning                                                        |
/// |------------------|--------|----------------------------------------------------------------|
/// | BackupPath       | STRING | the directory that a backup is saved in                        |
/// | RestorePath      | STRING | the directory in which restore, verify, list and info find a   |
/// |                  |        | backup, or the backup file itself, whatever its name           |
/// | StorePath        | STRING | where the licences are: a directory that holds nothing else,   |
/// |                  |        | or an SQLite database, see below                               |
/// | Threads          | DWORD  | workers, 256 at most, of which no more than four for each core |
/// |                  |        | are made; 0 or not set: one for each core                      |
/// | CompressionLevel | DWORD  | a zstd level, an int32; not set: the level that measured best  |
/// | MachineId        | STRING | which machine this is, in the host's own words (a serial       |
/// |                  |        | number, a hash); not set or empty: not told                    |
/// | UnstatedRight    | DWORD  | a licence that states no backup right: 0 or not set: back it   |
/// |                  |        | up; 1: leave it out                                            |
/// | Recipients       | STRING | age recipients (age1...), one a line: a backup is encrypted to |
/// |                  |        | them                                                           |
/// | Passphrase       | STRING | encrypts a backup, where Recipients is not set; opens those    |
/// |                  |        | that it has encrypted                                          |
/// | Identities       | STRING | age identities (AGE-SECRET-KEY-1...), one a line: open backups |
/// |                  |        | that are encrypted to their recipients                         |
/// | Endpoint         | STRING | the server of an object store: https://host or http://host,    |
/// |                  |        | perhaps with a port and a path; not set: AWS                   |
/// | Region           | STRING | the region of the bucket; needed for AWS                       |
/// | AccessKeyId      | STRING | the key to the object store                                    |
/// | SecretAccessKey  | STRING | its secret                                                     |
/// | SessionToken     | STRING | the token of a key for a while                                 |
///
/// BackupPath and RestorePath may be s3://bucket/prefix: a backup is then the object
/// prefix/licenses.tar.zst, or ....age, in an object store that speaks S3. RestorePath may also be
/// the address of a backup itself; it is looked at when there is none below it. A backup is
/// created on the condition that there is none, or with LICBAK_WM_BACKUP_OVERWRITE replaces the
/// version that was there at the start, so that two hosts never overwrite each other unnoticed.
/// That needs a store that keeps the conditions If-None-Match and If-Match: one that refuses them
/// is LICBAK_HRESULT_ERROR_NOT_SUPPORTED, and one that ignores them gives no such protection. What
/// may pass is tried again for up to a minute; licbak_backup_licenses and licbak_restore_licenses
/// name the outcomes. A cancel, and licbak_destroy of a list, take effect within a second, unless
/// the system is looking the store's name up. A store of AWS, and one whose Endpoint begins with
/// the bucket's name, is asked by that name; others have the bucket in the path. Servers must have
/// a certificate that the system trusts; http:// is neither encrypted nor proof of who answers.
/// The library reads no AWS_* of the environment.
///
/// An encrypted backup is the file licenses.tar.zst.age, which the program age opens:
/// age -d -i key licenses.tar.zst.age | tar --zstd -x. A backup of one kind never takes the place of
/// one of the other: LICBAK_NS_E_DRM_BACKUP_EXISTS, even with LICBAK_WM_BACKUP_OVERWRITE. Where both
/// are in RestorePath, readers answer LICBAK_HRESULT_ERROR_ALREADY_EXISTS. If Passphrase or
/// Identities is set, they refuse a backup that is not encrypted, so that nobody can put one in its
/// place (LICBAK_HRESULT_ERROR_DECRYPTION_FAILED, as where no key fits). Of the lines of Recipients
/// and Identities those that are empty or begin with # say nothing. Whoever has lost the key to a
/// backup has lost the backup.
///
/// Passphrase, Identities, SecretAccessKey and SessionToken are secrets. The library wipes them from
/// its memory when they are replaced or removed, or the restorer is destroyed; an operation wipes
/// its copies when it ends. They stand in no core file where the system can keep memory out of one
/// (Linux), but for the moment in which a backup is opened or begun, or a request is signed: then
/// there are copies in ordinary memory, which are wiped at its end. Nobody gets secrets back: see
/// licbak_get_prop_by_name.
///
/// A database has the licences in a table named license, which for a backup may also be a view. Its
/// columns are name TEXT PRIMARY KEY, content BLOB NOT NULL, and optionally key_id TEXT and
/// backup_right INTEGER (LICBAK_RIGHT_*). Where one of the last two is NULL, the library reads it
/// from the content. Where one of them is generated from other columns, it is read and not written.
///
/// A restore makes a database if StorePath does not exist and ends in .db, .sqlite or .sqlite3. The
/// database is made in a hidden folder beside its path, and is moved to its path when it is whole.
/// Any number of restores may make the same database at once: the first one makes it, and the
/// others restore into it. A restore is one transaction. Callbacks run while the database is locked
/// for writing, and must not wait for anybody who writes to it. A program that has the database
/// open itself, with an SQLite of its own, closes it for the operation or uses licbak_set_store:
/// when a process closes any descriptor of a file, POSIX drops all locks that the process has on
/// that file.
///
/// SQLite does not survive a fork in the middle of its work. In a child that was forked while an
/// operation on a database ran, operations on databases end with
/// LICBAK_HRESULT_ERROR_NOT_SUPPORTED. Call exec in the child, or fork before or after such
/// operations. Directories and licbak_set_store work there as always.
///
/// A backup keeps of MachineId only an HMAC-SHA-256 that is keyed with the backup's ID. Two backups
/// do not show that they are of one machine, but a person who guesses MachineId can check the
/// guess. licbak_get_backup_info compares it with MachineId as it is then. A restore of another
/// machine's backup needs the user's consent (LICBAK_WM_RESTORE_INDIVIDUALIZE).
///
/// A path may also be BINARY: the system's own bytes. A path that contains "://" is refused,
/// but for s3://bucket/prefix as above.
///
/// @param name The property.
/// @param type LICBAK_WMT_TYPE_STRING, _DWORD or _BINARY.
/// @param value The value, of any alignment; copied.
/// @param size The size of value in bytes. For a STRING it does not count the NUL, but may include
/// one NUL at the end.
/// @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER; LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY for
/// an unknown name; LICBAK_E_INVALIDARG for a wrong type, a value out of range, another NUL or bad
/// UTF-8 in a STRING, or a DWORD that does not have 4 bytes; LICBAK_E_OUTOFMEMORY.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_set_prop(
    restorer: *mut licbak_restorer,
    name: *const c_char,
    type_: licbak_datatype,
    value: *const u8,
    size: usize,
) -> licbak_hresult {
    on(restorer, |restorer| {
        // SAFETY: the host's text and bytes.
        let (name, value) = unsafe { (text(name)?, bytes(value, size)?) };
        let property = property(name)?;
        restorer.set_property(property, read_value(type_, value)?)
    })
}

/// Sets a STRING property to a text that ends with a NUL. Everything else is as in licbak_set_prop.
///
/// @return As licbak_set_prop.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_set_prop_string(
    restorer: *mut licbak_restorer,
    name: *const c_char,
    value: *const c_char,
) -> licbak_hresult {
    on(restorer, |restorer| {
        // SAFETY: the host's texts.
        let (name, value) = unsafe { (text(name)?, text(value)?) };
        let property = property(name)?;
        restorer.set_property(property, read_value(LICBAK_WMT_TYPE_STRING, value)?)
    })
}

fn property(name: &[u8]) -> Result<Property> {
    let name = std::str::from_utf8(name);
    let name = name.map_err(|_| {
        Error::new(
            Outcome::UnsupportedProperty,
            "A property's name is not UTF-8.",
        )
    })?;
    Property::from_name(name)
}

/// The most bytes that a value may have: several times what any system takes for a path.
const VALUE_MAX: usize = 32 << 10;

fn read_value(datatype: licbak_datatype, value: &[u8]) -> Result<Value> {
    if value.len() > VALUE_MAX {
        return Err(invalid(
            "A value has at most 32,768 bytes, and this one has more.",
        ));
    }
    match datatype {
        LICBAK_WMT_TYPE_STRING => {
            let text = value.strip_suffix(b"\0").unwrap_or(value);
            if text.contains(&0) {
                return Err(invalid("A STRING must not have a NUL before its end."));
            }
            Ok(Value::String(utf8(text)?.to_owned()))
        }
        LICBAK_WMT_TYPE_BINARY => Ok(Value::Binary(value.to_owned())),
        LICBAK_WMT_TYPE_DWORD => {
            let value = value
                .try_into()
                .map_err(|_| invalid("A DWORD must have 4 bytes."))?;
            Ok(Value::Dword(u32::from_ne_bytes(value)))
        }
        _ => Err(invalid(
            "No property has this type. The types are STRING, DWORD and BINARY.",
        )),
    }
}

/// Tells how many properties are set. The original's IWMBackupRestoreProps::GetPropCount.
///
/// @param count Receives the number.
/// @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_get_prop_count(
    restorer: *mut licbak_restorer,
    count: *mut usize,
) -> licbak_hresult {
    on(restorer, |restorer| {
        not_null(count)?;
        // SAFETY: not NULL, and so the host's to be written.
        unsafe {
            count.write_unaligned(restorer.with_properties(|properties| properties.iter().count()))
        };
        Ok(())
    })
}

/// Gets one of the properties that are set, by its number. The original's
/// IWMBackupRestoreProps::GetPropByIndex.
///
/// @param index From 0 to the number of properties less 1.
/// @param name Receives the name with its NUL; NULL to ask for its size.
/// @param name_size The size of name in bytes; receives the size of the name, NUL included.
/// @param type Receives LICBAK_WMT_TYPE_*.
/// @param value Receives the value, a STRING with its NUL; NULL to ask for its size.
/// @param size The size of value in bytes; receives the size of the value, NUL included.
/// @return LICBAK_S_OK; LICBAK_S_FALSE for a secret, as in licbak_get_prop_by_name; LICBAK_E_HANDLE;
/// LICBAK_E_POINTER; LICBAK_E_INVALIDARG if fewer properties are set; LICBAK_NS_E_DRM_BUFFER_TOO_SMALL: both sizes are set and nothing else is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_get_prop_by_index(
    restorer: *mut licbak_restorer,
    index: usize,
    name: *mut c_char,
    name_size: *mut usize,
    type_: *mut licbak_datatype,
    value: *mut u8,
    size: *mut usize,
) -> licbak_hresult {
    on(restorer, |restorer| {
        // SAFETY: the host's buffers and their sizes.
        let (name, value) = unsafe {
            (
                Buffer::new(name.cast(), name_size)?,
                Buffer::new(value, size)?,
            )
        };
        not_null(type_)?;
        let found = restorer.with_properties(|properties| {
            properties
                .iter()
                .nth(index)
                .map(|(name, value)| (name, Shape::of(value)))
        });
        let (found, shape) = found
            .ok_or_else(|| invalid("No property has this index: fewer properties are set."))?;
        give(&[(name, &with_nul(found)), (value, &shape.content)])?;
        // SAFETY: not NULL, and so the host's to be written.
        unsafe { type_.write_unaligned(shape.datatype) };
        Ok(shape.hresult)
    })
}

/// Gets the value of a property. The original's IWMBackupRestoreProps::GetPropByName.
///
/// @param name The property.
/// @param type Receives LICBAK_WMT_TYPE_*.
/// @param value Receives the value, a STRING with its NUL; NULL to ask for its size.
/// @param size The size of value in bytes; receives the size of the value, NUL included.
/// @return LICBAK_S_OK; LICBAK_S_FALSE for a secret, of which only the type is told, with the size
/// 0; LICBAK_E_HANDLE; LICBAK_E_POINTER; LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY for an
/// unknown name; LICBAK_NS_E_DRM_INVALID_PROPERTY if it is not set;
/// LICBAK_NS_E_DRM_BUFFER_TOO_SMALL: *size is set and nothing else is written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_get_prop_by_name(
    restorer: *mut licbak_restorer,
    name: *const c_char,
    type_: *mut licbak_datatype,
    value: *mut u8,
    size: *mut usize,
) -> licbak_hresult {
    on(restorer, |restorer| {
        // SAFETY: the host's text, buffer and size.
        let (name, value) = unsafe { (text(name)?, Buffer::new(value, size)?) };
        not_null(type_)?;
        let property = property(name)?;
        let shape =
            restorer.with_properties(|properties| properties.get(property).map(Shape::of))?;
        give(&[(value, &shape.content)])?;
        // SAFETY: not NULL, and so the host's to be written.
        unsafe { type_.write_unaligned(shape.datatype) };
        Ok(shape.hresult)
    })
}

/// A value as the host gets it: its type, its bytes, and the answer to the call.
struct Shape {
    datatype: licbak_datatype,
    content: Vec<u8>,
    hresult: licbak_hresult,
}

impl Shape {
    fn of(value: &Value) -> Shape {
        let (datatype, content, hresult) = match value {
            Value::String(text) => (LICBAK_WMT_TYPE_STRING, with_nul(text), LICBAK_S_OK),
            Value::Secret(_) => (LICBAK_WMT_TYPE_STRING, Vec::new(), LICBAK_S_FALSE),
            Value::Binary(bytes) => (LICBAK_WMT_TYPE_BINARY, bytes.clone(), LICBAK_S_OK),
            Value::Dword(number) => {
                let content = number.to_ne_bytes().to_vec();
                (LICBAK_WMT_TYPE_DWORD, content, LICBAK_S_OK)
            }
        };
        Shape {
            datatype,
            content,
            hresult,
        }
    }
}

/// Removes a property, if it is set. The original's IWMBackupRestoreProps::RemoveProp.
///
/// @param name The property.
/// @return LICBAK_S_OK; LICBAK_E_HANDLE; LICBAK_E_POINTER; LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY for
/// an unknown name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_remove_prop(
    restorer: *mut licbak_restorer,
    name: *const c_char,
) -> licbak_hresult {
    on(restorer, |restorer| {
        // SAFETY: the host's text.
        restorer.remove_property(property(unsafe { text(name) }?)?)
    })
}

/// Removes all properties. The original's IWMBackupRestoreProps::RemoveAllProps.
///
/// @return LICBAK_S_OK; LICBAK_E_HANDLE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn licbak_remove_all_props(restorer: *mut licbak_restorer) -> licbak_hresult {
    on(restorer, |restorer| {
        restorer.remove_all_properties();
        Ok(())
    })
}
