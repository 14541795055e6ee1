/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/**
 * @file licbak_wm.hpp
 *
 * The backup restorer object of the Windows Media Format SDK over licbak.h, for C++17 and later: a
 * client of the original compiles unchanged when it includes this file in place of Wmsdk.h.
 *
 * @code
 * licbak::wm::set_store_path(u"/var/lib/reader/licenses"); // or the variable LICBAK_STORE_PATH
 * IWMLicenseBackup *backup;
 * HRESULT hr = WMCreateBackupRestorer(&client, &backup); // from here on the client's own lines
 * @endcode
 *
 * The names, IIDs, orders of functions and values are the original's.
 * docs/windows-media-format-sdk.md names their sources, and compares calls, events and codes. What
 * a client must know:
 *
 * - The store. The original finds the computer's licences by itself. Here an operation takes the
 *   property StorePath, which SetProp sets; without it, the path of licbak::wm::set_store_path;
 *   without that, the environment variable LICBAK_STORE_PATH as it is when the operation starts. A
 *   host's own store (licbak_set_store) goes before all of them.
 * - Strings. A WCHAR has 16 bits on every system. Where wchar_t is wider, WCHAR is char16_t, and
 *   its literals are u"..."; a client with L"..." is compiled with -fshort-wchar, which makes WCHAR
 *   wchar_t. Values are UTF-16 in the machine's order, and end with a NUL.
 * - WMCreateBackupRestorer asks the callback for IWMStatusCallback and fails as the callback's
 *   QueryInterface does. It takes NULL too, and keeps no reference: each operation gets its own
 *   callback. E_POINTER if ppBackup is NULL; E_OUTOFMEMORY.
 * - BackupLicenses and RestoreLicenses keep a reference to their callback until the end has been
 *   told. E_INVALIDARG if the callback is NULL. What else they return says licbak.h, of
 *   licbak_backup_licenses and licbak_restore_licenses; its flags are taken, too, but for
 *   LICBAK_CALL_IN_WAIT (E_INVALIDARG).
 * - OnStatus is told WMT_BACKUPRESTORE_END exactly once, and last. WMT_ERROR with a sentence comes
 *   just before it where the operation has failed, unless by a cancel or by OnStatus. OnStatus is
 *   told the original's statuses only, see LICBAK_ALL_STATUSES. Its pvContext is NULL.
 *   WMT_INDIVIDUALIZE comes with a WM_INDIVIDUALIZE_STATUS that says INDI_SUCCEED, since nothing is
 *   downloaded. A failure that OnStatus returns, E_NOTIMPL apart, ends the operation. An exception
 *   that leaves a function of the client ends the process (std::terminate).
 * - The last Release cancels what runs and waits until OnStatus has returned, as licbak_destroy
 *   does. Inside OnStatus it returns at once, and the end is still told.
 * - GetPropCount, GetPropByIndex and GetPropByName return E_NOTIMPL as in the original, see
 *   LICBAK_WORKING_GETTERS.
 *
 * A program defines these macros before it includes this file, in each translation unit as it
 * likes:
 *
 * - LICBAK_WORKING_GETTERS: the three getters work, as they are documented of the original.
 * - LICBAK_ALL_STATUSES: OnStatus is told licbak's own statuses, LICBAK_STATUS_*, too.
 *
 * And this one, in all translation units or in none:
 *
 * - LICBAK_NO_WINDOWS_TYPES: the program has what is below "the system's types" from elsewhere, in
 *   the sizes of Windows; not on Windows itself, where it is the SDK's own.
 *
 * On Windows a program may include Wmsdk.h before this file. Then its declarations are used, and
 * what makes a restorer is licbak::wm::create_backup_restorer.
 *
 * Link with -llicbak, and also with -pthread if the C library has no threads (glibc before 2.34).
 */

#ifndef LICBAK_WM_HPP
#define LICBAK_WM_HPP

#include <licbak.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>

/** @cond the original's names are documented there */

// -- the system's types ---------------------------------------------------------------------------

#if defined(_WIN32)
#include <unknwn.h>

#include <nserror.h>
#elif !defined(LICBAK_NO_WINDOWS_TYPES)

#define STDMETHODCALLTYPE
#define STDMETHOD(method) virtual HRESULT STDMETHODCALLTYPE method
#define STDMETHOD_(type, method) virtual type STDMETHODCALLTYPE method
#define STDMETHODIMP HRESULT STDMETHODCALLTYPE
#define STDMETHODIMP_(type) type STDMETHODCALLTYPE

typedef std::uint8_t BYTE;
typedef std::uint16_t WORD;
typedef std::uint32_t DWORD;
typedef std::uint64_t QWORD;
typedef std::int32_t BOOL;
#if !defined(TRUE)
#define TRUE 1
#define FALSE 0
#endif
typedef std::int32_t LONG;
typedef std::uint32_t ULONG;
#if defined(__SIZEOF_WCHAR_T__) && __SIZEOF_WCHAR_T__ == 2
typedef wchar_t WCHAR;
#else
typedef char16_t WCHAR;
#endif
typedef WCHAR *LPWSTR;
typedef const WCHAR *LPCWSTR;

typedef std::int32_t HRESULT;
namespace licbak {
namespace wm {
constexpr HRESULT as_hresult(HRESULT hr) { return hr; }
} // namespace wm
} // namespace licbak
#define SUCCEEDED(hr) (licbak::wm::as_hresult(hr) >= 0)
#define FAILED(hr) (licbak::wm::as_hresult(hr) < 0)
#define S_OK (HRESULT{0})
#define S_FALSE (HRESULT{1})
#define E_NOTIMPL (static_cast<HRESULT>(0x80004001))
#define E_NOINTERFACE (static_cast<HRESULT>(0x80004002))
#define E_POINTER (static_cast<HRESULT>(0x80004003))
#define E_ABORT (static_cast<HRESULT>(0x80004004))
#define E_FAIL (static_cast<HRESULT>(0x80004005))
#define E_UNEXPECTED (static_cast<HRESULT>(0x8000FFFF))
#define E_ACCESSDENIED (static_cast<HRESULT>(0x80070005))
#define E_HANDLE (static_cast<HRESULT>(0x80070006))
#define E_OUTOFMEMORY (static_cast<HRESULT>(0x8007000E))
#define E_INVALIDARG (static_cast<HRESULT>(0x80070057))

struct GUID {
    std::uint32_t Data1;
    std::uint16_t Data2;
    std::uint16_t Data3;
    std::uint8_t Data4[8];
};
typedef GUID IID;
typedef const GUID &REFGUID;
typedef const IID &REFIID;

inline bool IsEqualGUID(REFGUID one, REFGUID other) { return std::memcmp(&one, &other, sizeof(GUID)) == 0; }
inline bool IsEqualIID(REFIID one, REFIID other) { return IsEqualGUID(one, other); }
inline bool operator==(REFGUID one, REFGUID other) { return IsEqualGUID(one, other); }
inline bool operator!=(REFGUID one, REFGUID other) { return !IsEqualGUID(one, other); }

inline constexpr IID IID_IUnknown = {0x00000000, 0x0000, 0x0000, {0xC0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x46}};

struct IUnknown {
    virtual HRESULT STDMETHODCALLTYPE QueryInterface(REFIID riid, void **ppvObject) = 0;
    virtual ULONG STDMETHODCALLTYPE AddRef() = 0;
    virtual ULONG STDMETHODCALLTYPE Release() = 0;
};

// What the client's own counts of references are made of.
inline LONG InterlockedIncrement(LONG volatile *number) { return __atomic_add_fetch(number, 1, __ATOMIC_SEQ_CST); }
inline LONG InterlockedDecrement(LONG volatile *number) { return __atomic_sub_fetch(number, 1, __ATOMIC_SEQ_CST); }

#endif

#if !defined(_WIN32) && !defined(NS_E_DRM_BACKUP_EXISTS)
#define NS_E_DRM_LICENSE_STORE_ERROR (static_cast<HRESULT>(0xC00D2712))
#define NS_E_DRM_NEEDS_INDIVIDUALIZATION (static_cast<HRESULT>(0xC00D2728))
#define NS_E_DRM_BACKUP_EXISTS (static_cast<HRESULT>(0xC00D2742))
#define NS_E_DRM_BACKUP_CORRUPT (static_cast<HRESULT>(0xC00D2743))
#define NS_E_DRM_BACKUPRESTORE_BUSY (static_cast<HRESULT>(0xC00D2744))
#define NS_E_DRM_INVALID_PROPERTY (static_cast<HRESULT>(0xC00D2749))
#define NS_E_DRM_RESTORE_FRAUD (static_cast<HRESULT>(0xC00D2753))
#define NS_E_DRM_BUFFER_TOO_SMALL (static_cast<HRESULT>(0xC00D275C))
#define NS_E_DRM_UNSUPPORTED_PROPERTY (static_cast<HRESULT>(0xC00D275D))
#define NS_E_DRM_OPERATION_CANCELED (static_cast<HRESULT>(0xC00D2768))
#define NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE (static_cast<HRESULT>(0xC00D2846))
#endif

static_assert(sizeof(WCHAR) == 2 && sizeof(WORD) == 2 && sizeof(DWORD) == 4 && sizeof(HRESULT) == 4 &&
                  sizeof(ULONG) == 4 && sizeof(GUID) == 16,
              "the program's own Windows types have other sizes than those of Windows");

// -- the original's declarations ------------------------------------------------------------------

#if !defined(WM_BACKUP_OVERWRITE) // mingw-w64's wmsdkidl.h lacks it
#define WM_BACKUP_OVERWRITE (static_cast<DWORD>(0x00000001))
#define WM_RESTORE_INDIVIDUALIZE (static_cast<DWORD>(0x00000002))
#endif

#if !defined(__wmsdkidl_h__)

enum WMT_ATTR_DATATYPE : int {
    WMT_TYPE_DWORD = 0,
    WMT_TYPE_STRING = 1,
    WMT_TYPE_BINARY = 2,
    WMT_TYPE_BOOL = 3,
    WMT_TYPE_QWORD = 4,
    WMT_TYPE_WORD = 5,
    WMT_TYPE_GUID = 6,
};

enum WMT_STATUS : int { // fixed, so that it also holds LICBAK_STATUS_*
    WMT_ERROR = 0,
    WMT_OPENED = 1,
    WMT_BUFFERING_START = 2,
    WMT_BUFFERING_STOP = 3,
    WMT_EOF = 4,
    WMT_END_OF_FILE = 4,
    WMT_END_OF_SEGMENT = 5,
    WMT_END_OF_STREAMING = 6,
    WMT_LOCATING = 7,
    WMT_CONNECTING = 8,
    WMT_NO_RIGHTS = 9,
    WMT_MISSING_CODEC = 10,
    WMT_STARTED = 11,
    WMT_STOPPED = 12,
    WMT_CLOSED = 13,
    WMT_STRIDING = 14,
    WMT_TIMER = 15,
    WMT_INDEX_PROGRESS = 16,
    WMT_SAVEAS_START = 17,
    WMT_SAVEAS_STOP = 18,
    WMT_NEW_SOURCEFLAGS = 19,
    WMT_NEW_METADATA = 20,
    WMT_BACKUPRESTORE_BEGIN = 21,
    WMT_SOURCE_SWITCH = 22,
    WMT_ACQUIRE_LICENSE = 23,
    WMT_INDIVIDUALIZE = 24,
    WMT_NEEDS_INDIVIDUALIZATION = 25,
    WMT_NO_RIGHTS_EX = 26,
    WMT_BACKUPRESTORE_END = 27,
    WMT_BACKUPRESTORE_CONNECTING = 28,
    WMT_BACKUPRESTORE_DISCONNECTING = 29,
    WMT_ERROR_WITHURL = 30,
    WMT_RESTRICTED_LICENSE = 31,
    WMT_CLIENT_CONNECT = 32,
    WMT_CLIENT_DISCONNECT = 33,
    WMT_NATIVE_OUTPUT_PROPS_CHANGED = 34,
    WMT_RECONNECT_START = 35,
    WMT_RECONNECT_END = 36,
    WMT_CLIENT_CONNECT_EX = 37,
    WMT_CLIENT_DISCONNECT_EX = 38,
    WMT_SET_FEC_SPAN = 39,
    WMT_PREROLL_READY = 40,
    WMT_PREROLL_COMPLETE = 41,
    WMT_CLIENT_PROPERTIES = 42,
    WMT_LICENSEURL_SIGNATURE_STATE = 43,
    WMT_INIT_PLAYLIST_BURN = 44,
    WMT_TRANSCRYPTOR_INIT = 45,
    WMT_TRANSCRYPTOR_SEEKED = 46,
    WMT_TRANSCRYPTOR_READ = 47,
    WMT_TRANSCRYPTOR_CLOSED = 48,
    WMT_PROXIMITY_RESULT = 49,
    WMT_PROXIMITY_COMPLETED = 50,
    WMT_CONTENT_ENABLER = 51,
};

#endif

#if !defined(__wmsdkidl_h__) || defined(__MINGW32__) // mingw-w64's lacks these

enum DRM_HTTP_STATUS {
    HTTP_NOTINITIATED = 0,
    HTTP_CONNECTING = 1,
    HTTP_REQUESTING = 2,
    HTTP_RECEIVING = 3,
    HTTP_COMPLETED = 4,
};

enum DRM_INDIVIDUALIZATION_STATUS {
    INDI_UNDEFINED = 0x00,
    INDI_BEGIN = 0x01,
    INDI_SUCCEED = 0x02,
    INDI_FAIL = 0x04,
    INDI_CANCEL = 0x08,
    INDI_DOWNLOAD = 0x10,
    INDI_INSTALL = 0x20,
};

struct WM_INDIVIDUALIZE_STATUS {
    HRESULT hr;
    DRM_INDIVIDUALIZATION_STATUS enIndiStatus;
    char *pszIndiRespUrl;
    DWORD dwHTTPRequest;
    DRM_HTTP_STATUS enHTTPStatus;
    DWORD dwHTTPReadProgress;
    DWORD dwHTTPReadTotal;
};

#endif

// An interface; then its IID: the constant and, on Windows, what __uuidof tells. The macros go at the
// end of this part.
#if defined(_WIN32)
#define LICBAK_INTERFACE(name, text) MIDL_INTERFACE(text) name : public IUnknown
#else
#define LICBAK_INTERFACE(name, text) struct name : public IUnknown
#endif
#if defined(__CRT_UUID_DECL)
#define LICBAK_UUIDOF(name, ...) __CRT_UUID_DECL(name, __VA_ARGS__)
#else
#define LICBAK_UUIDOF(name, ...)
#endif
#define LICBAK_IID(name, a, b, c, ...) \
    inline constexpr IID IID_##name = {a, b, c, {__VA_ARGS__}}; \
    LICBAK_UUIDOF(name, a, b, c, __VA_ARGS__)

#if !defined(__IWMStatusCallback_INTERFACE_DEFINED__)
#define __IWMStatusCallback_INTERFACE_DEFINED__
LICBAK_INTERFACE(IWMStatusCallback, "6d7cdc70-9888-11d3-8edc-00c04f6109cf") {
public:
    virtual HRESULT STDMETHODCALLTYPE OnStatus(WMT_STATUS Status, HRESULT hr, WMT_ATTR_DATATYPE dwType, BYTE *pValue,
                                               void *pvContext) = 0;
};
LICBAK_IID(IWMStatusCallback, 0x6D7CDC70, 0x9888, 0x11D3, 0x8E, 0xDC, 0x00, 0xC0, 0x4F, 0x61, 0x09, 0xCF)
#endif

#if defined(__IWMLicenseBackup_INTERFACE_DEFINED__)
#define LICBAK_HAS_ORIGINAL // which declares WMCreateBackupRestorer, too
#else
#define __IWMLicenseBackup_INTERFACE_DEFINED__
LICBAK_INTERFACE(IWMLicenseBackup, "05E5AC9F-3FB6-4508-BB43-A4067BA1EBE8") {
public:
    virtual HRESULT STDMETHODCALLTYPE BackupLicenses(DWORD dwFlags, IWMStatusCallback *pCallback) = 0;
    virtual HRESULT STDMETHODCALLTYPE CancelLicenseBackup() = 0;
};
LICBAK_IID(IWMLicenseBackup, 0x05E5AC9F, 0x3FB6, 0x4508, 0xBB, 0x43, 0xA4, 0x06, 0x7B, 0xA1, 0xEB, 0xE8)
#endif

#if !defined(__IWMLicenseRestore_INTERFACE_DEFINED__)
#define __IWMLicenseRestore_INTERFACE_DEFINED__
LICBAK_INTERFACE(IWMLicenseRestore, "C70B6334-A22E-4EFB-A245-15E65A004A13") {
public:
    virtual HRESULT STDMETHODCALLTYPE RestoreLicenses(DWORD dwFlags, IWMStatusCallback *pCallback) = 0;
    virtual HRESULT STDMETHODCALLTYPE CancelLicenseRestore() = 0;
};
LICBAK_IID(IWMLicenseRestore, 0xC70B6334, 0xA22E, 0x4EFB, 0xA2, 0x45, 0x15, 0xE6, 0x5A, 0x00, 0x4A, 0x13)
#endif

#if !defined(__IWMBackupRestoreProps_INTERFACE_DEFINED__)
#define __IWMBackupRestoreProps_INTERFACE_DEFINED__
LICBAK_INTERFACE(IWMBackupRestoreProps, "3C8E0DA6-996F-4FF3-A1AF-4838F9377E2E") {
public:
    virtual HRESULT STDMETHODCALLTYPE GetPropCount(WORD *pcProps) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetPropByIndex(WORD wIndex, LPWSTR pwszName, WORD *pcchNameLen,
                                                     WMT_ATTR_DATATYPE *pType, BYTE *pValue, WORD *pcbLength) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetPropByName(LPCWSTR pszName, WMT_ATTR_DATATYPE *pType, BYTE *pValue,
                                                    WORD *pcbLength) = 0;
    virtual HRESULT STDMETHODCALLTYPE SetProp(LPCWSTR pszName, WMT_ATTR_DATATYPE Type, const BYTE *pValue,
                                              WORD cbLength) = 0;
    virtual HRESULT STDMETHODCALLTYPE RemoveProp(LPCWSTR pcwszName) = 0;
    virtual HRESULT STDMETHODCALLTYPE RemoveAllProps() = 0;
};
LICBAK_IID(IWMBackupRestoreProps, 0x3C8E0DA6, 0x996F, 0x4FF3, 0xA1, 0xAF, 0x48, 0x38, 0xF9, 0x37, 0x7E, 0x2E)
#endif

#undef LICBAK_INTERFACE
#undef LICBAK_IID
#undef LICBAK_UUIDOF

/** @endcond */

// -- the restorer ---------------------------------------------------------------------------------

/** What this file adds to the original. */
namespace licbak::wm {

namespace detail {

// An array that may have got no memory: a client may be compiled without exceptions.
template <class T>
using array = std::unique_ptr<T[]>;

template <class T>
array<T> make_array(std::size_t size) noexcept
{
    return array<T>(new (std::nothrow) T[size]);
}

// A text as UTF-8, from UTF-16 that need not be aligned, up to `units` or its first NUL.
inline HRESULT to_utf8(const void *utf16, std::size_t units, array<char> &text, std::size_t &size) noexcept
{
    const auto unit = [&](std::size_t i) -> std::uint32_t {
        std::uint16_t one = 0;
        if (i < units)
            std::memcpy(&one, static_cast<const char *>(utf16) + i * sizeof one, sizeof one);
        return one;
    };
    std::size_t length = 0;
    while (unit(length) != 0)
        ++length;
    text = make_array<char>(3 * length + 1);
    if (text == nullptr)
        return E_OUTOFMEMORY;
    size = 0;
    const auto put = [&](std::uint32_t byte) { text[size++] = static_cast<char>(byte & 0xFF); };
    for (std::size_t i = 0; i < length; ++i) {
        std::uint32_t code = unit(i);
        if (code >= 0xD800 && code < 0xE000) { // half of a pair
            const std::uint32_t low = unit(++i);
            if (code >= 0xDC00 || low < 0xDC00 || low >= 0xE000)
                return E_INVALIDARG;
            code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        }
        int more = code < 0x80 ? 0 : code < 0x800 ? 1 : code < 0x10000 ? 2 : 3; // bytes after the first
        put(more == 0 ? code : ~(0x7FU >> more) | code >> (6 * more));
        while (more-- > 0)
            put(0x80 | (code >> (6 * more) & 0x3F));
    }
    put(0);
    --size;
    return S_OK;
}

inline HRESULT to_utf8(const WCHAR *utf16, array<char> &text) noexcept
{
    std::size_t size = 0;
    return to_utf8(utf16, SIZE_MAX, text, size);
}

// A text of the library as UTF-16. `units` counts its NUL.
inline HRESULT to_utf16(const std::uint8_t *utf8, std::size_t size, array<WCHAR> &text, std::size_t &units) noexcept
{
    text = make_array<WCHAR>(size + 1);
    if (text == nullptr)
        return E_OUTOFMEMORY;
    units = 0;
    const auto put = [&](std::uint32_t unit) { text[units++] = static_cast<WCHAR>(unit); };
    for (std::size_t i = 0; i < size;) {
        std::uint32_t code = utf8[i++];
        int more = code < 0xC0 ? 0 : code < 0xE0 ? 1 : code < 0xF0 ? 2 : 3;
        if (more > 0)
            code &= 0x3FU >> more;
        for (; more > 0 && i < size; --more)
            code = code << 6 | (utf8[i++] & 0x3FU);
        if (code < 0x10000) {
            put(code);
        } else {
            put(0xD800 + ((code - 0x10000) >> 10));
            put(0xDC00 + (code & 0x3FF));
        }
    }
    put(0);
    return S_OK;
}

// The path of set_store_path, and its lock. Neither ends with the program, as threads may outlive
// main.
inline char *store_path = nullptr;
inline std::mutex &store_path_lock() noexcept
{
    static auto &lock = *new std::mutex;
    return lock;
}

// Sets StorePath as set_store_path or the environment has it; S_FALSE where neither does.
inline HRESULT set_common_store(licbak_restorer *handle) noexcept
{
    const std::lock_guard<std::mutex> lock(store_path_lock());
    if (store_path != nullptr)
        return licbak_set_prop_string(handle, "StorePath", store_path);
#if defined(_WIN32)
    // The process's own variable, of which each C library has a copy.
    array<WCHAR> text;
    DWORD room = 0, units = 0;
    do {
        room = units + 1;
        text = make_array<WCHAR>(room);
        if (text == nullptr)
            return E_OUTOFMEMORY;
        units = GetEnvironmentVariableW(L"LICBAK_STORE_PATH", text.get(), room);
    } while (units >= room); // it tells how many there are
    const std::size_t size = units * sizeof(WCHAR);
    const WCHAR *path = text.get();
#else
    const char *path = std::getenv("LICBAK_STORE_PATH");
    const std::size_t size = path != nullptr ? std::strlen(path) : 0;
#endif
    if (size == 0)
        return S_FALSE;
    // BINARY: the system's own bytes, which need not be text.
    return licbak_set_prop(handle, "StorePath", LICBAK_WMT_TYPE_BINARY, reinterpret_cast<const std::uint8_t *>(path),
                           size);
}

// An operation that runs: what the library hands back to it. It lives until its end has been told,
// which the restorer may not.
template <bool all_statuses>
struct operation {
    IWMStatusCallback *callback;

    // A client that throws is ended here, where its stack still shows why.
    static licbak_hresult LICBAK_CALL tell(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                           const std::uint8_t *value, std::size_t size, void *context) noexcept
    {
        if (!all_statuses && status >= LICBAK_STATUS_PROGRESS)
            return LICBAK_S_OK; // the first of those that the original does not have
        auto *self = static_cast<operation *>(context);
        const licbak_hresult answer = self->tell(status, hr, type, value, size);
        if (status == LICBAK_WMT_BACKUPRESTORE_END) {
            self->callback->Release();
            delete self;
        }
        return answer;
    }

private:
    licbak_hresult tell(licbak_status status, licbak_hresult hr, licbak_datatype type, const std::uint8_t *value,
                        std::size_t size) noexcept
    {
        if (type == LICBAK_WMT_TYPE_STRING) {
            array<WCHAR> text;
            std::size_t units = 0;
            if (FAILED(to_utf16(value, size, text, units)))
                return LICBAK_E_OUTOFMEMORY;
            return call(status, hr, type, text.get());
        }
        if (status == LICBAK_WMT_INDIVIDUALIZE) {
            char no_address[] = "";
            WM_INDIVIDUALIZE_STATUS done{};
            done.enIndiStatus = INDI_SUCCEED;
            done.pszIndiRespUrl = no_address;
            return call(status, hr, LICBAK_WMT_TYPE_BINARY, &done);
        }
        return call(status, hr, type, const_cast<std::uint8_t *>(value)); // no client writes there
    }

    licbak_hresult call(licbak_status status, licbak_hresult hr, licbak_datatype type, void *value) noexcept
    {
        return callback->OnStatus(static_cast<WMT_STATUS>(status), hr, static_cast<WMT_ATTR_DATATYPE>(type),
                                  static_cast<BYTE *>(value), nullptr);
    }
};

// The interface that handle() asks for.
struct IHandle : public IUnknown {
    virtual licbak_restorer *STDMETHODCALLTYPE handle() noexcept = 0;
};

inline constexpr GUID iid_handle = {0xC80FC5B7, 0x1F0C, 0x4B4E, {0x9B, 0x2B, 0x34, 0x36, 0x41, 0x66, 0xDD, 0x63}};

// On Windows the constants need the SDK's libraries.
inline constexpr GUID iid_unknown = {0x00000000, 0x0000, 0x0000, {0xC0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x46}};
inline constexpr GUID iid_status_callback = {
    0x6D7CDC70, 0x9888, 0x11D3, {0x8E, 0xDC, 0x00, 0xC0, 0x4F, 0x61, 0x09, 0xCF}};
inline constexpr GUID iid_backup = {0x05E5AC9F, 0x3FB6, 0x4508, {0xBB, 0x43, 0xA4, 0x06, 0x7B, 0xA1, 0xEB, 0xE8}};
inline constexpr GUID iid_restore = {0xC70B6334, 0xA22E, 0x4EFB, {0xA2, 0x45, 0x15, 0xE6, 0x5A, 0x00, 0x4A, 0x13}};
inline constexpr GUID iid_props = {0x3C8E0DA6, 0x996F, 0x4FF3, {0xA1, 0xAF, 0x48, 0x38, 0xF9, 0x37, 0x7E, 0x2E}};

inline bool is(REFIID one, const GUID &other) noexcept
{
    return std::memcmp(&one, &other, sizeof other) == 0;
}

// The object. Its options are parameters, so that translation units may choose them apart.
template <bool working_getters, bool all_statuses>
class restorer final : public IWMLicenseBackup,
                       public IWMLicenseRestore,
                       public IWMBackupRestoreProps,
                       public IHandle {
public:
    explicit restorer(licbak_restorer *handle) noexcept : handle_(handle) {}
    restorer(const restorer &) = delete;
    restorer &operator=(const restorer &) = delete;

    // -- IUnknown

    HRESULT STDMETHODCALLTYPE QueryInterface(REFIID iid, void **object) noexcept override
    {
        if (object == nullptr)
            return E_POINTER;
        if (is(iid, iid_unknown) || is(iid, iid_backup))
            *object = static_cast<IWMLicenseBackup *>(this);
        else if (is(iid, iid_restore))
            *object = static_cast<IWMLicenseRestore *>(this);
        else if (is(iid, iid_props))
            *object = static_cast<IWMBackupRestoreProps *>(this);
        else if (is(iid, iid_handle))
            *object = static_cast<IHandle *>(this);
        else
            *object = nullptr;
        if (*object == nullptr)
            return E_NOINTERFACE;
        AddRef();
        return S_OK;
    }

    ULONG STDMETHODCALLTYPE AddRef() noexcept override { return ++references_; }

    ULONG STDMETHODCALLTYPE Release() noexcept override
    {
        const ULONG left = --references_;
        // OnStatus may still take and release references meanwhile.
        if (left == 0 && !goes_.exchange(true))
            delete this;
        return left;
    }

    // -- IWMLicenseBackup, IWMLicenseRestore

    HRESULT STDMETHODCALLTYPE BackupLicenses(DWORD flags, IWMStatusCallback *callback) noexcept override
    {
        return start(licbak_backup_licenses, flags, callback);
    }

    HRESULT STDMETHODCALLTYPE CancelLicenseBackup() noexcept override
    {
        return licbak_cancel_license_backup(handle_);
    }

    HRESULT STDMETHODCALLTYPE RestoreLicenses(DWORD flags, IWMStatusCallback *callback) noexcept override
    {
        return start(licbak_restore_licenses, flags, callback);
    }

    HRESULT STDMETHODCALLTYPE CancelLicenseRestore() noexcept override
    {
        return licbak_cancel_license_restore(handle_);
    }

    // -- IWMBackupRestoreProps

    HRESULT STDMETHODCALLTYPE GetPropCount(WORD *count) noexcept override
    {
        if (!working_getters)
            return E_NOTIMPL;
        if (count == nullptr)
            return E_POINTER;
        const std::lock_guard<std::mutex> lock(properties_);
        std::size_t found = 0;
        const licbak_hresult hr = licbak_get_prop_count(handle_, &found);
        *count = static_cast<WORD>(found);
        return hr;
    }

    HRESULT STDMETHODCALLTYPE GetPropByIndex(WORD index, LPWSTR name, WORD *name_length, WMT_ATTR_DATATYPE *type,
                                             BYTE *value, WORD *length) noexcept override
    {
        if (!working_getters)
            return E_NOTIMPL;
        if (name_length == nullptr || type == nullptr || length == nullptr)
            return E_POINTER;
        const std::lock_guard<std::mutex> lock(properties_);
        char found[256]; // every name fits
        std::size_t found_size = sizeof found, value_size = 0, units = 0;
        licbak_datatype found_type = 0;
        licbak_hresult hr =
            licbak_get_prop_by_index(handle_, index, found, &found_size, &found_type, nullptr, &value_size);
        if (FAILED(hr))
            return hr;
        array<WCHAR> text;
        if (FAILED(to_utf16(reinterpret_cast<const std::uint8_t *>(found), found_size - 1, text, units)))
            return E_OUTOFMEMORY;
        const bool fits = name == nullptr || units <= *name_length;
        hr = get(found, type, fits ? value : nullptr, length);
        if (FAILED(hr) && hr != LICBAK_NS_E_DRM_BUFFER_TOO_SMALL)
            return hr;
        *name_length = static_cast<WORD>(units);
        if (!fits)
            return NS_E_DRM_BUFFER_TOO_SMALL;
        if (SUCCEEDED(hr) && name != nullptr)
            std::memcpy(name, text.get(), units * sizeof(WCHAR));
        return hr;
    }

    HRESULT STDMETHODCALLTYPE GetPropByName(LPCWSTR name, WMT_ATTR_DATATYPE *type, BYTE *value,
                                            WORD *length) noexcept override
    {
        if (!working_getters)
            return E_NOTIMPL;
        if (name == nullptr || type == nullptr || length == nullptr)
            return E_POINTER;
        array<char> text;
        const HRESULT hr = to_utf8(name, text);
        if (FAILED(hr))
            return hr;
        const std::lock_guard<std::mutex> lock(properties_);
        return get(text.get(), type, value, length);
    }

    HRESULT STDMETHODCALLTYPE SetProp(LPCWSTR name, WMT_ATTR_DATATYPE type, const BYTE *value,
                                      WORD length) noexcept override
    {
        if (name == nullptr || value == nullptr)
            return E_POINTER;
        array<char> text, utf8;
        std::size_t size = length;
        HRESULT hr = to_utf8(name, text);
        if (SUCCEEDED(hr) && type == WMT_TYPE_STRING) {
            // Up to its NUL: clients give the size of the whole buffer, too.
            hr = length % sizeof(WCHAR) == 0 ? to_utf8(value, length / sizeof(WCHAR), utf8, size) : E_INVALIDARG;
            value = reinterpret_cast<const BYTE *>(utf8.get());
        }
        if (FAILED(hr))
            return hr;
        const std::lock_guard<std::mutex> lock(properties_);
        return licbak_set_prop(handle_, text.get(), static_cast<licbak_datatype>(type), value, size);
    }

    HRESULT STDMETHODCALLTYPE RemoveProp(LPCWSTR name) noexcept override
    {
        if (name == nullptr)
            return E_POINTER;
        array<char> text;
        const HRESULT hr = to_utf8(name, text);
        if (FAILED(hr))
            return hr;
        const std::lock_guard<std::mutex> lock(properties_);
        return licbak_remove_prop(handle_, text.get());
    }

    HRESULT STDMETHODCALLTYPE RemoveAllProps() noexcept override
    {
        const std::lock_guard<std::mutex> lock(properties_);
        return licbak_remove_all_props(handle_);
    }

    // -- IHandle

    licbak_restorer *STDMETHODCALLTYPE handle() noexcept override { return handle_; }

private:
    ~restorer() { licbak_destroy(handle_); }

    template <class Function>
    HRESULT start(Function function, DWORD flags, IWMStatusCallback *callback) noexcept
    {
        if (callback == nullptr || (flags & LICBAK_CALL_IN_WAIT) != 0) // no client waits
            return E_INVALIDARG;
        auto *started = new (std::nothrow) operation<all_statuses>{callback};
        if (started == nullptr)
            return E_OUTOFMEMORY;
        AddRef(); // OnStatus may release the client's last reference before this call is over
        callback->AddRef();
        const HRESULT hr = start_with_store(function, flags, started);
        if (FAILED(hr)) {
            callback->Release();
            delete started;
        } // else it is the library's, and perhaps gone already
        Release();
        return hr;
    }

    // The common store is lent for the call: the library reads its properties only then.
    template <class Function>
    HRESULT start_with_store(Function function, DWORD flags, operation<all_statuses> *started) noexcept
    {
        const std::lock_guard<std::mutex> lock(properties_);
        std::size_t size = 0;
        licbak_datatype type = 0;
        licbak_hresult hr = licbak_get_prop_by_name(handle_, "StorePath", &type, nullptr, &size);
        const bool lends = hr == LICBAK_NS_E_DRM_INVALID_PROPERTY; // it is not set
        const licbak_hresult lent = lends ? set_common_store(handle_) : LICBAK_S_OK;
        hr = function(handle_, flags, operation<all_statuses>::tell, started);
        if (hr == LICBAK_NS_E_DRM_INVALID_PROPERTY && FAILED(lent))
            hr = lent;
        if (lends)
            licbak_remove_prop(handle_, "StorePath");
        return hr;
    }

    HRESULT get(const char *name, WMT_ATTR_DATATYPE *type, BYTE *value, WORD *length) noexcept
    {
        std::size_t size = 0;
        licbak_datatype found = 0;
        licbak_hresult hr = licbak_get_prop_by_name(handle_, name, &found, nullptr, &size);
        if (FAILED(hr))
            return hr;
        const array<std::uint8_t> bytes = make_array<std::uint8_t>(size);
        if (bytes == nullptr)
            return E_OUTOFMEMORY;
        hr = licbak_get_prop_by_name(handle_, name, &found, bytes.get(), &size);
        if (FAILED(hr))
            return hr;
        const void *from = bytes.get();
        array<WCHAR> text;
        if (found == LICBAK_WMT_TYPE_STRING && size > 0) {
            if (FAILED(to_utf16(bytes.get(), size - 1, text, size)))
                return E_OUTOFMEMORY;
            size *= sizeof(WCHAR);
            from = text.get();
        }
        const WORD capacity = *length;
        *type = static_cast<WMT_ATTR_DATATYPE>(found);
        *length = static_cast<WORD>(size < 0xFFFF ? size : 0xFFFF);
        if (size > 0xFFFF || (value != nullptr && size > capacity))
            return NS_E_DRM_BUFFER_TOO_SMALL;
        if (value != nullptr)
            std::memcpy(value, from, size);
        return hr;
    }

    licbak_restorer *const handle_;
    std::atomic<ULONG> references_{1};
    std::atomic<bool> goes_{false};
    std::mutex properties_; // held where StorePath is lent
};

template <bool working_getters, bool all_statuses>
HRESULT create(IUnknown *callback, IWMLicenseBackup **backup) noexcept
{
    if (backup == nullptr)
        return E_POINTER;
    *backup = nullptr;
    if (callback != nullptr) {
        void *asked = nullptr;
        const HRESULT hr = callback->QueryInterface(iid_status_callback, &asked);
        if (FAILED(hr) || asked == nullptr)
            return FAILED(hr) ? hr : E_NOINTERFACE;
        static_cast<IWMStatusCallback *>(asked)->Release();
    }
    licbak_restorer *handle = nullptr;
    const licbak_hresult hr = licbak_create(&handle);
    if (FAILED(hr))
        return hr;
    *backup = new (std::nothrow) restorer<working_getters, all_statuses>(handle);
    if (*backup == nullptr) {
        licbak_destroy(handle);
        return E_OUTOFMEMORY;
    }
    return S_OK;
}

} // namespace detail

/**
 * Sets the store of all restorers of this program or library that have no StorePath of their own;
 * NULL or "" unsets it. It may be called at any time, and counts for the operations that start from
 * then on. They fail with E_INVALIDARG if StorePath can't be such a path.
 *
 * @return S_OK; E_INVALIDARG if the path is no UTF-16; E_OUTOFMEMORY.
 */
inline HRESULT set_store_path(const WCHAR *path) noexcept
{
    detail::array<char> text;
    if (path != nullptr && *path != 0) {
        const HRESULT hr = detail::to_utf8(path, text);
        if (FAILED(hr))
            return hr;
    }
    const std::lock_guard<std::mutex> lock(detail::store_path_lock());
    delete[] detail::store_path;
    detail::store_path = text.release();
    return S_OK;
}

/**
 * The restorer behind an interface of the object, for all that only licbak.h has: stores of the
 * host's own, verifying, sentences about failures. It lives as long as the object. Do not destroy it.
 *
 * @return The restorer; NULL if the object is not of this file.
 */
inline licbak_restorer *handle(IUnknown *object) noexcept
{
    void *found = nullptr;
    if (object == nullptr || FAILED(object->QueryInterface(detail::iid_handle, &found)))
        return nullptr;
    auto *with_handle = static_cast<detail::IHandle *>(found);
    licbak_restorer *const restorer = with_handle->handle();
    with_handle->Release();
    return restorer;
}

/** Makes a restorer: WMCreateBackupRestorer under a name that Wmsdk.h does not have. */
static inline HRESULT create_backup_restorer(IUnknown *callback, IWMLicenseBackup **backup) noexcept
{
#if defined(LICBAK_WORKING_GETTERS)
    constexpr bool working_getters = true;
#else
    constexpr bool working_getters = false;
#endif
#if defined(LICBAK_ALL_STATUSES)
    constexpr bool all_statuses = true;
#else
    constexpr bool all_statuses = false;
#endif
    return detail::create<working_getters, all_statuses>(callback, backup);
}

} // namespace licbak::wm

#if defined(LICBAK_HAS_ORIGINAL)
#undef LICBAK_HAS_ORIGINAL
#else
/**
 * Makes a backup restorer. The callback may be NULL.
 *
 * @return S_OK; E_POINTER; E_OUTOFMEMORY; what the callback's QueryInterface returns if it has no
 * IWMStatusCallback.
 */
static inline HRESULT STDMETHODCALLTYPE WMCreateBackupRestorer(IUnknown *pCallback, IWMLicenseBackup **ppBackup)
{
    return licbak::wm::create_backup_restorer(pCallback, ppBackup);
}
#endif

#endif // LICBAK_WM_HPP
