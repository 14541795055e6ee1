/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/**
 * @file licbak.hpp
 *
 * licbak.h for C++17 and later: the same backup restorer, with destructors, exceptions and futures.
 *
 * @code
 * licbak::restorer restorer;
 * restorer.set_store_path("/var/lib/reader/licenses");
 * restorer.set_backup_path("/mnt/stick");
 * std::cout << restorer.backup().get().figures.licenses_done << " licences saved\n";
 * @endcode
 *
 * licbak.h is the manual of operations and their outcomes. These things are different here:
 *
 * - Failures. A failure throws licbak::error. Its what() is the library's sentence, and its code()
 *   compares with licbak::errc and with std::errc. An operation tells every failure by its future,
 *   also that it was refused at once.
 * - Functions of the host may throw. An exception ends the operation, and its future throws the
 *   very same exception. The future does so even if the operation could not be stopped any more,
 *   for example after the last figures of a backup that is complete by then: no exception is lost.
 * - Lifetime. An operation owns what it needs: the listener's functions, the store and the
 *   authorizer live until its end has been told, even if the restorer is gone or nobody keeps the
 *   future. The future's destructor never blocks. When the future is ready, the operation has
 *   released them.
 * - Without waiting. listener::on_end is told the outcome, on the library's thread: it hands it to an
 *   event loop, or resumes a coroutine.
 * - Threads. A listener's functions are called on one thread of the library, and a store's
 *   functions and the authorizer on another, each one call at a time. A restorer may be used from
 *   any thread, also inside those functions, but by one thread at a time, as any object of the
 *   standard library; cancel, progress, list and info are allowed at any time. A function of the
 *   host must not wait for the future of the operation that calls it.
 * - A thread of the host's own. After set_call_in_wait(true) all of these functions are called inside
 *   wait, on the thread that is in it, and the future becomes ready there. An event loop polls
 *   wait_descriptor and then calls wait(0). The destructor also waits in this way.
 *
 * Link with -llicbak, and also with -pthread if the C library has no threads (glibc before 2.34).
 */

#ifndef LICBAK_HPP
#define LICBAK_HPP

#if defined(_MSVC_LANG) ? _MSVC_LANG < 201703L : __cplusplus < 201703L
#error "licbak.hpp needs C++17 or later: say -std=c++17, or /std:c++17"
#endif
#if !defined(__cpp_exceptions) && !defined(_CPPUNWIND)
#error "licbak.hpp throws: leave out -fno-exceptions, or say /EHsc. licbak.h does without exceptions"
#endif

#include <licbak.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

// Its exceptions are caught in other shared objects than the one that throws them, also where those
// hide their names.
#if defined(__GNUC__) && !defined(_WIN32)
#define LICBAK_HPP_VISIBLE __attribute__((visibility("default")))
#else
#define LICBAK_HPP_VISIBLE
#endif

namespace licbak {

// -- errors ---------------------------------------------------------------------------------------

/** The failures of licbak.h, also those that only a host's authorizer returns. It may also hold a
    host's own HRESULT. */
enum class errc : licbak_hresult {
    not_implemented = LICBAK_E_NOTIMPL,
    pointer = LICBAK_E_POINTER,
    failed = LICBAK_E_FAIL,
    illegal_method_call = LICBAK_E_ILLEGAL_METHOD_CALL,
    unexpected = LICBAK_E_UNEXPECTED,
    access_denied = LICBAK_E_ACCESSDENIED,
    handle = LICBAK_E_HANDLE,
    out_of_memory = LICBAK_E_OUTOFMEMORY,
    invalid_argument = LICBAK_E_INVALIDARG,
    license_store_error = LICBAK_NS_E_DRM_LICENSE_STORE_ERROR,
    needs_individualization = LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION,
    backup_exists = LICBAK_NS_E_DRM_BACKUP_EXISTS,
    backup_corrupt = LICBAK_NS_E_DRM_BACKUP_CORRUPT,
    busy = LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY,
    invalid_property = LICBAK_NS_E_DRM_INVALID_PROPERTY,
    restore_fraud = LICBAK_NS_E_DRM_RESTORE_FRAUD,
    buffer_too_small = LICBAK_NS_E_DRM_BUFFER_TOO_SMALL,
    unsupported_property = LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY,
    operation_canceled = LICBAK_NS_E_DRM_OPERATION_CANCELED,
    restore_service_unavailable = LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE,
    file_not_found = LICBAK_HRESULT_ERROR_FILE_NOT_FOUND,
    path_not_found = LICBAK_HRESULT_ERROR_PATH_NOT_FOUND,
    too_many_open_files = LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES,
    write_protect = LICBAK_HRESULT_ERROR_WRITE_PROTECT,
    write_fault = LICBAK_HRESULT_ERROR_WRITE_FAULT,
    read_fault = LICBAK_HRESULT_ERROR_READ_FAULT,
    sharing_violation = LICBAK_HRESULT_ERROR_SHARING_VIOLATION,
    lock_violation = LICBAK_HRESULT_ERROR_LOCK_VIOLATION,
    not_supported = LICBAK_HRESULT_ERROR_NOT_SUPPORTED,
    disk_full = LICBAK_HRESULT_ERROR_DISK_FULL,
    invalid_name = LICBAK_HRESULT_ERROR_INVALID_NAME,
    already_exists = LICBAK_HRESULT_ERROR_ALREADY_EXISTS,
    file_too_large = LICBAK_HRESULT_ERROR_FILE_TOO_LARGE,
    directory = LICBAK_HRESULT_ERROR_DIRECTORY,
    not_found = LICBAK_HRESULT_ERROR_NOT_FOUND,
    host_unreachable = LICBAK_HRESULT_ERROR_HOST_UNREACHABLE,
    revision_mismatch = LICBAK_HRESULT_ERROR_REVISION_MISMATCH,
    timeout = LICBAK_HRESULT_ERROR_TIMEOUT,
    empty = LICBAK_HRESULT_ERROR_EMPTY,
    decryption_failed = LICBAK_HRESULT_ERROR_DECRYPTION_FAILED,
};

} // namespace licbak

namespace std {
template <>
struct is_error_code_enum<licbak::errc> : true_type {};
} // namespace std

namespace licbak {

namespace detail {

class hresult_category final : public std::error_category {
public:
    const char *name() const noexcept override { return "licbak"; }

    std::string message(int hr) const override
    {
        const char *sentence = licbak_hresult_message(hr);
        if (*sentence != '\0')
            return sentence;
        char number[32];
        std::snprintf(number, sizeof number, "HRESULT 0x%08X", static_cast<unsigned>(hr));
        return number;
    }

    // Only where the two mean the same; a corrupt backup, for one, has no equal among std::errc.
    std::error_condition default_error_condition(int hr) const noexcept override
    {
        switch (hr) {
        case LICBAK_E_NOTIMPL: return std::errc::function_not_supported;
        case LICBAK_E_ILLEGAL_METHOD_CALL: return std::errc::resource_deadlock_would_occur;
        case LICBAK_E_ACCESSDENIED: return std::errc::permission_denied;
        case LICBAK_E_OUTOFMEMORY: return std::errc::not_enough_memory;
        case LICBAK_E_INVALIDARG: return std::errc::invalid_argument;
        case LICBAK_NS_E_DRM_BACKUP_EXISTS:
        case LICBAK_HRESULT_ERROR_ALREADY_EXISTS: return std::errc::file_exists;
        case LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY: return std::errc::device_or_resource_busy;
        case LICBAK_NS_E_DRM_OPERATION_CANCELED: return std::errc::operation_canceled;
        case LICBAK_HRESULT_ERROR_FILE_NOT_FOUND:
        case LICBAK_HRESULT_ERROR_PATH_NOT_FOUND: return std::errc::no_such_file_or_directory;
        case LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES: return std::errc::too_many_files_open;
        case LICBAK_HRESULT_ERROR_WRITE_PROTECT: return std::errc::read_only_file_system;
        case LICBAK_HRESULT_ERROR_WRITE_FAULT:
        case LICBAK_HRESULT_ERROR_READ_FAULT: return std::errc::io_error;
        case LICBAK_HRESULT_ERROR_SHARING_VIOLATION:
        case LICBAK_HRESULT_ERROR_LOCK_VIOLATION: return std::errc::resource_unavailable_try_again;
        case LICBAK_HRESULT_ERROR_NOT_SUPPORTED: return std::errc::not_supported;
        case LICBAK_HRESULT_ERROR_DISK_FULL: return std::errc::no_space_on_device;
        case LICBAK_HRESULT_ERROR_FILE_TOO_LARGE: return std::errc::file_too_large;
        case LICBAK_HRESULT_ERROR_DIRECTORY: return std::errc::not_a_directory;
        default: return {hr, *this};
        }
    }
};

} // namespace detail

/** The category of all HRESULTs; message() is licbak_hresult_message. */
inline const std::error_category &category() noexcept
{
    static const auto *only = new detail::hresult_category; // for ever: threads may outlive main
    return *only;
}

/** The code of a failure, as std::error_code asks for it. */
inline std::error_code make_error_code(errc code) noexcept
{
    return {static_cast<int>(code), category()};
}

/** Whether a failure has this code. Every shared object may have a category of its own, so the
    names of the categories are compared. */
inline bool operator==(const std::error_code &code, errc expected) noexcept
{
    return code.value() == static_cast<int>(expected) &&
           std::strcmp(code.category().name(), category().name()) == 0;
}

/** Whether a failure has this code. */
inline bool operator==(errc expected, const std::error_code &code) noexcept { return code == expected; }

/** Whether a failure has another code. */
inline bool operator!=(const std::error_code &code, errc expected) noexcept { return !(code == expected); }

/** Whether a failure has another code. */
inline bool operator!=(errc expected, const std::error_code &code) noexcept { return !(code == expected); }

/** A failure. code() is the HRESULT; what() says what failed, on what, why and what to do. */
class LICBAK_HPP_VISIBLE error : public std::system_error {
public:
    /** Makes a failure. Without a sentence, what() is the sentence of the code. */
    explicit error(errc code, const std::string &sentence = {})
        : std::system_error(make_error_code(code)),
          sentence_(sentence.empty() ? this->code().message() : sentence)
    {
    }

    /** The sentence alone; the base class would add the general words of the code. */
    const char *what() const noexcept override { return sentence_.what(); }

private:
    std::runtime_error sentence_; // a text that, as an exception must, copies without throwing
};

// -- licences and stores --------------------------------------------------------------------------

/** What a licence says of its backup, LICBAK_RIGHT_*. */
enum class right : std::uint32_t { unstated, allowed, denied };

/** A licence for a function or from it. Its texts live until that function returns. */
struct license {
    std::string_view name;    ///< unique in its store, '/' between parts
    std::string_view key_id;  ///< empty from a host: the library reads it from the content
    std::string_view content; ///< its bytes; empty in a list
    std::size_t size = 0;     ///< how many bytes, also in a list; ignored from a host
    std::chrono::nanoseconds modified{0}; ///< since 1970 UTC; 0: not known
    right backup_right = right::unstated; ///< unstated from a host: it is read from the content
    std::uint32_t format = LICBAK_FORMAT_OPAQUE; ///< LICBAK_FORMAT_*; ignored from a host
};

/** A function that takes a licence. */
using license_function = std::function<void(const license &)>;

/**
 * A store of the host's own, see licbak_store. For one restorer its functions are called one at a
 * time. An exception from them ends the operation, and the future throws it; with keep_going, a licence
 * whose put throws is passed over. They must not catch an exception from `give`.
 */
class store {
public:
    virtual ~store() = default;
    /** For a backup: gives every licence, always in the same order. */
    virtual void enumerate(const license_function &give) = 0;
    /** For a restore: gives the licence of that name, or none. */
    virtual void get(std::string_view name, const license_function &give) = 0;
    /** For a restore: keeps the licence, in place of the one of that name. */
    virtual void put(const license &given) = 0;
    /** For a restore: of two versions of a licence gives the one to keep; none: mine, the store's,
        stays. theirs is the backup's. Not asked with restore_flags::overwrite. */
    virtual void merge(const license & /*mine*/, const license & /*theirs*/, const license_function & /*give*/) {}
};

// -- backups --------------------------------------------------------------------------------------

/** Whether a backup is of the machine that set_machine_id names, LICBAK_MACHINE_*. */
enum class machine : std::uint32_t {
    unknown, ///< set_machine_id was not called, or not for the backup
    same,
    other,
};

/** What a backup says about itself, see licbak_backup_info. None of it is proof. */
struct backup_info {
    /** 32 hexadecimal digits, which the backups that replace it keep; "" where its end is lost. */
    std::string id;
    /** How many backups have replaced each other so far, this one included. */
    std::uint64_t generation = 0;
    std::chrono::nanoseconds created{0}; ///< since 1970 UTC; 0: not known
    licbak::machine machine = licbak::machine::unknown; ///< whether it is of this machine
    bool encrypted = false;          ///< with age
    std::uint64_t licenses = 0;      ///< in the backup
    std::uint64_t restricted = 0;    ///< left out because their issuers deny backup
    std::uint64_t content_bytes = 0; ///< of the licences in the backup
    std::uint64_t backup_bytes = 0;  ///< of the backup file
    std::uint32_t version_major = 0; ///< of the backup's format
    std::uint32_t version_minor = 0; ///< of the backup's format
};

/**
 * A refusal of a restore, to be thrown by an authorizer: errc::restore_fraud,
 * errc::restore_service_unavailable, or any other code. It may carry the address of a page about
 * it.
 */
class LICBAK_HPP_VISIBLE refusal : public error {
public:
    /** Makes a refusal, as an error. */
    explicit refusal(errc code, const std::string &sentence = {}, std::string address = {})
        : error(code, sentence), address_(std::make_shared<const std::string>(std::move(address)))
    {
    }

    /** The address, or "". */
    const std::string &address() const noexcept { return *address_; }

private:
    std::shared_ptr<const std::string> address_; // copies without throwing
};

/**
 * A function that allows or refuses the restore of the backup with these facts, see
 * licbak_set_authorizer. It allows the restore by returning. An exception, a refusal or any other,
 * ends the operation before anything is done, and the future throws it. A backup whose end a
 * salvage has found lost states no id.
 */
using authorizer = std::function<void(const backup_info &)>;

// -- operations -----------------------------------------------------------------------------------

/** The flags of a backup. */
enum class backup_flags : std::uint32_t {
    none = 0,
    overwrite = LICBAK_WM_BACKUP_OVERWRITE, ///< replace the backup that is there
    full = LICBAK_BACKUP_FULL,              ///< read every licence anew, and take nothing over
    dry_run = LICBAK_DRY_RUN,               ///< tell everything, write nothing
    keep_going = LICBAK_KEEP_GOING,         ///< pass over what can't be read or kept; not with overwrite
};

/** The flags of a restore. */
enum class restore_flags : std::uint32_t {
    none = 0,
    overwrite = LICBAK_RESTORE_OVERWRITE, ///< replace licences that the store has in another version
    dry_run = LICBAK_DRY_RUN,             ///< tell everything, write nothing
    keep_going = LICBAK_KEEP_GOING,       ///< pass over what can't be put back
    /** The user consents to binding the licences to this machine, if the backup is of another one.
        Without the consent such a restore fails with errc::needs_individualization. */
    individualize = LICBAK_WM_RESTORE_INDIVIDUALIZE,
    /** Restore the intact licences of a damaged backup, and fail with errc::backup_corrupt. Then
        progress() tells how many were restored, and notice::damaged which are lost. */
    salvage = LICBAK_RESTORE_SALVAGE,
};

/** Both flags. */
constexpr backup_flags operator|(backup_flags one, backup_flags other) noexcept
{
    return static_cast<backup_flags>(static_cast<std::uint32_t>(one) | static_cast<std::uint32_t>(other));
}

/** Both flags. */
constexpr restore_flags operator|(restore_flags one, restore_flags other) noexcept
{
    return static_cast<restore_flags>(static_cast<std::uint32_t>(one) | static_cast<std::uint32_t>(other));
}

/** The notices about single licences. Each comes with a text. */
enum class notice : licbak_status {
    restricted = LICBAK_WMT_RESTRICTED_LICENSE, ///< its issuer denies backup; a key ID. left_out follows
    left_out = LICBAK_STATUS_LICENSE_LEFT_OUT,  ///< not backed up, or passed over; "name: reason"
    kept = LICBAK_STATUS_LICENSE_KEPT,          ///< the store keeps its other version; a name
    damaged = LICBAK_STATUS_LICENSE_DAMAGED,    ///< damaged in the backup; a name
};

/** The result of an operation that succeeded. */
struct result {
    licbak_progress figures{};         ///< the last figures
    std::vector<std::string> left_out; ///< "name: reason" of each
    std::vector<std::string> kept;     ///< of a restore: names that the store keeps in another version

    /** Licences and folders that were passed over, with keep_going; left_out names them. */
    std::uint64_t skipped() const
    {
        return figures.licenses_skipped;
    }

    /** Licences of the backup that was replaced that are not in the store any more; empty if their
        number is not known. */
    std::optional<std::uint64_t> gone() const
    {
        return figures.licenses_gone == UINT64_MAX ? std::nullopt : std::optional(figures.licenses_gone);
    }
};

/** The host's functions for the events of an operation. Each may be left empty. */
struct listener {
    std::function<void(const licbak_progress &)> on_progress = nullptr; ///< tens of times a second at most
    std::function<void(notice, std::string_view)> on_notice = nullptr; ///< once for each licence
    /**
     * Once, last, for each operation, also for one that is refused, by the call that starts it: told
     * its failure, or null and its result. The next operation may be started here. The future becomes
     * ready only afterwards, and throws what this function throws, if nothing was thrown before.
     */
    std::function<void(std::exception_ptr, const result &)> on_end = nullptr;
};

namespace detail {

inline licbak_hresult give_to_c(const license &given, licbak_license_callback take, void *take_context)
{
    const std::string name(given.name), key_id(given.key_id);
    if ((name + key_id).find('\0') != std::string::npos) // where in C they would end
        throw error(errc::invalid_name, "The name or the key ID of a licence must not have a NUL byte.");
    const licbak_license l{sizeof l,
                           name.c_str(),
                           key_id.empty() ? nullptr : key_id.c_str(),
                           reinterpret_cast<const std::uint8_t *>(given.content.data()),
                           given.content.size(),
                           given.modified.count(),
                           static_cast<std::uint32_t>(given.backup_right),
                           LICBAK_FORMAT_OPAQUE};
    return take(&l, take_context);
}

// A struct of the library's as far as that has it, which may be older than this header; else zeros.
template <class Struct>
Struct known(const void *given)
{
    std::size_t size = 0;
    std::memcpy(&size, given, sizeof size);
    Struct here{};
    std::memcpy(&here, given, size < sizeof here ? size : sizeof here);
    return here;
}

inline license from_c(const licbak_license *given)
{
    const auto l = known<licbak_license>(given);
    const auto *content = reinterpret_cast<const char *>(l.content);
    return {l.name,
            l.key_id,
            content == nullptr ? std::string_view() : std::string_view(content, l.content_size),
            l.content_size,
            std::chrono::nanoseconds(l.modified),
            static_cast<right>(l.backup_right),
            l.format};
}

inline backup_info from_c(const licbak_backup_info *given)
{
    const auto c = known<licbak_backup_info>(given);
    backup_info told;
    told.id = c.id;
    told.generation = c.generation;
    told.created = std::chrono::nanoseconds(c.created);
    told.machine = static_cast<machine>(c.machine);
    told.encrypted = c.encrypted != 0;
    told.licenses = c.licenses;
    told.restricted = c.restricted;
    told.content_bytes = c.content_bytes;
    told.backup_bytes = c.backup_bytes;
    told.version_major = c.version_major;
    told.version_minor = c.version_minor;
    return told;
}

// The library's outcome when a function of the host has thrown. The exception itself waits in C++.
constexpr licbak_hresult thrown_hresult = LICBAK_E_ABORT;

// Calls a function of the host for C, and lets no exception out.
template <class Call>
licbak_hresult contain(std::exception_ptr &thrown, Call &&call) noexcept
{
    try {
        call();
        return LICBAK_S_OK;
    } catch (const std::bad_alloc &) {
        thrown = std::current_exception();
        return LICBAK_E_OUTOFMEMORY; // which keep_going does not pass over
    } catch (...) {
        thrown = std::current_exception();
        return thrown_hresult;
    }
}

// A store as C sees it.
struct c_store {
    std::shared_ptr<store> functions;
    std::exception_ptr thrown; // until the end of the operation fetches it; the library orders the two

    licbak_store c() noexcept { return {sizeof(licbak_store), this, enumerate, get, put, merge}; }

    static licbak_hresult LICBAK_CALL enumerate(void *context, licbak_license_callback take,
                                                void *take_context) noexcept
    {
        return giving(context, take, take_context,
                        [](store &s, const license_function &give) { s.enumerate(give); });
    }

    static licbak_hresult LICBAK_CALL get(void *context, const char *name, licbak_license_callback take,
                                          void *take_context) noexcept
    {
        return giving(context, take, take_context,
                        [name](store &s, const license_function &give) { s.get(name, give); });
    }

    static licbak_hresult LICBAK_CALL put(void *context, const licbak_license *given) noexcept
    {
        auto &self = *static_cast<c_store *>(context);
        return contain(self.thrown, [&] { self.functions->put(from_c(given)); });
    }

    static licbak_hresult LICBAK_CALL merge(void *context, const licbak_license *mine,
                                            const licbak_license *theirs, licbak_license_callback take,
                                            void *take_context) noexcept
    {
        return giving(context, take, take_context, [mine, theirs](store &s, const license_function &give) {
            s.merge(from_c(mine), from_c(theirs), give);
        });
    }

    template <class Call>
    static licbak_hresult giving(void *context, licbak_license_callback take, void *take_context,
                                   Call &&call) noexcept
    {
        auto &self = *static_cast<c_store *>(context);
        licbak_hresult refused = LICBAK_S_OK; // by the library
        std::exception_ptr unsent, thrown;    // out of handing one over; out of the host's function
        const licbak_hresult hr = contain(thrown, [&] {
            call(*self.functions, [&](const license &given) {
                // After the first licence that was not taken none is taken. So a host that catches
                // the exception does not make the backup lack a licence.
                if (LICBAK_SUCCEEDED(refused) && unsent == nullptr)
                    contain(unsent, [&] { refused = give_to_c(given, take, take_context); });
                if (unsent != nullptr)
                    std::rethrow_exception(unsent);
                if (LICBAK_FAILED(refused))
                    throw error(static_cast<errc>(refused)); // only ends the host's loop
            });
        });
        if (LICBAK_FAILED(refused))
            return refused; // the library's reason is better than a later exception
        self.thrown = unsent != nullptr ? unsent : thrown;
        return unsent != nullptr ? thrown_hresult : hr;
    }
};

// An authorizer as C sees it.
struct c_authorizer {
    authorizer function;
    std::exception_ptr thrown; // as in c_store

    static licbak_hresult LICBAK_CALL authorize(const licbak_backup_info *info, char *url,
                                                std::size_t url_size, void *context) noexcept
    {
        auto &self = *static_cast<c_authorizer *>(context);
        licbak_hresult hr = LICBAK_S_OK;
        const licbak_hresult contained = contain(self.thrown, [&] {
            try {
                self.function(from_c(info));
            } catch (const refusal &refused) {
                hr = refused.code().value();
                if (refused.address().size() < url_size)
                    refused.address().copy(url, url_size - 1);
                throw;
            }
        });
        return LICBAK_FAILED(hr) ? hr : contained;
    }
};

// The sentence about a restorer's last failure.
inline std::string last_sentence(licbak_restorer *handle)
{
    std::string text;
    std::size_t size = 0;
    while (licbak_get_error_message(handle, text.data(), &size) == LICBAK_NS_E_DRM_BUFFER_TOO_SMALL)
        text.resize(size); // again if it has grown meanwhile
    return text.c_str();
}

inline void check(licbak_hresult hr)
{
    if (LICBAK_FAILED(hr))
        throw error(static_cast<errc>(hr));
}

// The things that a running operation owns, as the callback's context. It owns itself until the end.
struct operation {
    std::shared_ptr<operation> self;
    bool waited_for = false; // the host's thread is in a wait that calls it
    bool keeps_going = false;
    listener told;
    std::shared_ptr<c_store> store; // so that it outlives a restorer that is destroyed meanwhile
    std::shared_ptr<c_authorizer> authorizer; // likewise
    std::promise<result> outcome;
    result gathered;
    std::string sentence;
    std::exception_ptr thrown;

    static licbak_hresult LICBAK_CALL tell(licbak_status status, licbak_hresult hr, licbak_datatype,
                                           const std::uint8_t *value, std::size_t size,
                                           void *context) noexcept
    {
        auto *self = static_cast<operation *>(context);
        if (status == LICBAK_WMT_BACKUPRESTORE_END) {
            self->gathered.figures = known<licbak_progress>(value);
            end(std::move(self->self), hr);
            return LICBAK_S_OK;
        }
        if (self->thrown != nullptr)
            return thrown_hresult; // a function that threw is called no more
        return contain(self->thrown, [&] { self->hear(status, value, size); });
    }

    void hear(licbak_status status, const std::uint8_t *value, std::size_t size)
    {
        const std::string_view text(reinterpret_cast<const char *>(value), size);
        switch (status) {
        case LICBAK_STATUS_PROGRESS:
            if (told.on_progress)
                told.on_progress(known<licbak_progress>(value));
            return;
        case LICBAK_WMT_ERROR: sentence = text; return;
        case LICBAK_STATUS_LICENSE_LEFT_OUT: gathered.left_out.emplace_back(text); break;
        case LICBAK_STATUS_LICENSE_KEPT: gathered.kept.emplace_back(text); break;
        case LICBAK_WMT_RESTRICTED_LICENSE:
        case LICBAK_STATUS_LICENSE_DAMAGED: break;
        default: return; // the beginning, what a transfer tells, or of a later version
        }
        if (told.on_notice)
            told.on_notice(static_cast<notice>(status), text);
    }

    // In this order: the host's functions are gone before the future is ready. Called inside END, so
    // that the next operation may be started in on_end.
    static void end(std::shared_ptr<operation> self, licbak_hresult hr)
    {
        std::exception_ptr failure = std::exchange(self->thrown, nullptr);
        const auto fetch = [&failure](std::exception_ptr &kept) {
            std::exception_ptr later = std::exchange(kept, nullptr);
            if (failure == nullptr)
                failure = later;
        };
        if (self->store != nullptr) {
            // What was passed over is told as left out, and is not the outcome.
            if (self->keeps_going && hr != thrown_hresult)
                self->store->thrown = nullptr;
            fetch(self->store->thrown);
        }
        if (self->authorizer != nullptr)
            fetch(self->authorizer->thrown);
        if (failure == nullptr && LICBAK_FAILED(hr))
            contain(failure, [&] { throw error(static_cast<errc>(hr), self->sentence); });
        settle(std::move(self), failure);
    }

    // Tells the host the outcome, and makes the future ready.
    static void settle(std::shared_ptr<operation> self, std::exception_ptr failure)
    {
        std::promise<result> outcome = std::move(self->outcome);
        result gathered = std::move(self->gathered);
        auto on_end = std::exchange(self->told.on_end, nullptr);
        self.reset();
        std::exception_ptr thrown;
        if (on_end)
            contain(thrown, [&] { std::exchange(on_end, nullptr)(failure, gathered); });
        if (failure == nullptr)
            failure = thrown;
        if (failure != nullptr)
            outcome.set_exception(failure);
        else
            outcome.set_value(std::move(gathered));
    }
};

// Destroys a restorer. An operation that calls the host in a wait is first waited for; where that is
// forbidden, inside a function of the host, and no wait is left that would tell its end, it ends here.
struct destroy {
    std::weak_ptr<operation> in_wait; // the last one that calls the host so

    void operator()(licbak_restorer *handle) const noexcept
    {
        if (!in_wait.expired() && LICBAK_SUCCEEDED(licbak_cancel(handle)))
            licbak_wait(handle, LICBAK_WAIT_FOREVER, nullptr);
        licbak_destroy(handle);
        std::shared_ptr<operation> left = in_wait.lock();
        if (left != nullptr && !left->waited_for) {
            left->self.reset();
            operation::end(std::move(left), LICBAK_NS_E_DRM_OPERATION_CANCELED);
        }
    }
};

} // namespace detail

// -- the restorer ---------------------------------------------------------------------------------

/**
 * A backup restorer, see licbak_restorer. Its destructor cancels a running operation and waits for
 * its end. Inside a function of the host the destructor returns at once, and the operation ends by
 * itself. After a move, every call on the old object throws errc::handle.
 */
class restorer {
public:
    restorer()
    {
        licbak_restorer *made = nullptr;
        detail::check(licbak_create(&made));
        handle_.reset(made);
    }

    /** Takes over the other restorer's state. */
    restorer(restorer &&) noexcept = default;

    /** Takes over the other restorer's state. The old state is released as by the destructor. */
    restorer &operator=(restorer other) noexcept
    {
        store_.swap(other.store_);
        authorizer_.swap(other.authorizer_);
        handle_.swap(other.handle_);
        std::swap(call_in_wait_, other.call_in_wait_);
        return *this;
    }

    // Settings. An operation reads them when it starts. Paths may have any name that the system
    // allows.

    /** The folder of licences, or an SQLite database. */
    void set_store_path(const std::filesystem::path &path) { set_path("StorePath", path); }

    /** The directory that a backup is saved in. */
    void set_backup_path(const std::filesystem::path &path) { set_path("BackupPath", path); }

    /** The directory in which restore, verify, list and info find a backup, or the file itself. */
    void set_restore_path(const std::filesystem::path &path) { set_path("RestorePath", path); }

    /** How many workers, 256 at most; 0: one for each core. */
    void set_threads(std::uint32_t count) { set_number("Threads", count, "0 to 256"); }

    /** A zstd level, in place of the level that measured best. */
    void set_compression_level(std::int32_t level)
    {
        set_number("CompressionLevel", level, "-131072 to 22");
    }

    /** Which machine this is, in the host's own words. A backup keeps a keyed hash of it, and a
        restore of another machine's backup needs restore_flags::individualize. */
    void set_machine_id(const std::string &id)
    {
        set("MachineId", LICBAK_WMT_TYPE_STRING, id.c_str(), id.size(), id, "UTF-8 without a NUL");
    }

    /** Whether a licence that states no backup right is left out; else it is backed up. */
    void set_leave_out_unstated(bool leave_out) { set_number("UnstatedRight", leave_out ? 1 : 0, "0 or 1"); }

    /** The age recipients (age1...), one a line, that a backup is encrypted to. */
    void set_recipients(const std::string &lines)
    {
        set("Recipients", LICBAK_WMT_TYPE_STRING, lines.c_str(), lines.size(), lines,
            "age recipients, one a line");
    }

    /** Encrypts a backup, where there are no recipients, and opens those that it has encrypted. The
        library wipes its own copies; this text is the caller's. */
    void set_passphrase(const std::string &text)
    {
        set("Passphrase", LICBAK_WMT_TYPE_STRING, text.c_str(), text.size(), hidden(),
            "a text that is not empty and has no NUL");
    }

    /** The age identities (AGE-SECRET-KEY-1...), one a line, that open encrypted backups. The library
        wipes its own copies; this text is the caller's. */
    void set_identities(const std::string &lines)
    {
        set("Identities", LICBAK_WMT_TYPE_STRING, lines.c_str(), lines.size(), hidden(),
            "age identities, one a line");
    }

    /** The server of backups at s3://bucket/prefix, as https://host; without one that is AWS. */
    void set_endpoint(const std::string &url)
    {
        set("Endpoint", LICBAK_WMT_TYPE_STRING, url.c_str(), url.size(), url,
            "an address as https://host or http://host");
    }

    /** The region of the bucket, which AWS needs. */
    void set_region(const std::string &name)
    {
        set("Region", LICBAK_WMT_TYPE_STRING, name.c_str(), name.size(), name,
            "letters, digits and hyphens");
    }

    /** The key to the object store; `token` is that of a key for a while. The library wipes its own
        copies; these texts are the caller's. */
    void set_access_key(const std::string &id, const std::string &secret, const std::string &token = "")
    {
        static const char rule[] = "ASCII without control characters";
        set("AccessKeyId", LICBAK_WMT_TYPE_STRING, id.c_str(), id.size(), id, rule);
        set("SecretAccessKey", LICBAK_WMT_TYPE_STRING, secret.c_str(), secret.size(), hidden(), rule);
        if (token.empty())
            detail::check(licbak_remove_prop(handle(), "SessionToken"));
        else
            set("SessionToken", LICBAK_WMT_TYPE_STRING, token.c_str(), token.size(), hidden(), rule);
    }

    /** Sets a store of the host's own in place of the path; nullptr goes back to the path. */
    void set_store(std::shared_ptr<store> functions)
    {
        std::shared_ptr<detail::c_store> next;
        if (functions != nullptr)
            next.reset(new detail::c_store{std::move(functions), nullptr});
        const licbak_store c = next != nullptr ? next->c() : licbak_store{};
        detail::check(licbak_set_store(handle(), next != nullptr ? &c : nullptr));
        store_ = std::move(next);
    }

    /** Sets the function that allows or refuses each restore; nullptr: none, and restores are free. */
    void set_authorizer(authorizer function)
    {
        std::shared_ptr<detail::c_authorizer> next;
        if (function != nullptr)
            next.reset(new detail::c_authorizer{std::move(function), nullptr});
        detail::check(licbak_set_authorizer(
            handle(), next != nullptr ? detail::c_authorizer::authorize : nullptr, next.get()));
        authorizer_ = std::move(next);
    }

    /** Whether later operations call the functions of the host inside wait, and nowhere else. */
    void set_call_in_wait(bool in_wait) noexcept { call_in_wait_ = in_wait; }

    // Operations. Each starts, runs by itself, and makes its future ready once. If another
    // operation still runs, the future throws errc::busy. The next operation may start as soon as
    // the future of the one before is ready.

    /** Saves all licences of the store into licenses.tar.zst, see licbak_backup_licenses. */
    [[nodiscard]] std::future<result> backup(backup_flags flags = backup_flags::none, listener told = {})
    {
        return start(licbak_backup_licenses, static_cast<std::uint32_t>(flags), std::move(told));
    }

    /** Completes the store from the backup, see licbak_restore_licenses. */
    [[nodiscard]] std::future<result> restore(restore_flags flags = restore_flags::none, listener told = {})
    {
        return start(licbak_restore_licenses, static_cast<std::uint32_t>(flags), std::move(told));
    }

    /** Restores only the licences of one key ID, see licbak_restore_license. */
    [[nodiscard]] std::future<result> restore_license(const std::string &key_id,
                                                      restore_flags flags = restore_flags::none, listener told = {})
    {
        // In C it would end at a NUL; no licence has such a key ID, nor an empty one.
        const char *const c = key_id.find('\0') == std::string::npos ? key_id.c_str() : "";
        const auto function = [c](licbak_restorer *asked, std::uint32_t bits, licbak_status_callback tell,
                                  void *context) { return licbak_restore_license(asked, c, bits, tell, context); };
        return start(function, static_cast<std::uint32_t>(flags), std::move(told));
    }

    /** Reads every byte of the backup, see licbak_verify_backup; fails with errc::backup_corrupt. */
    [[nodiscard]] std::future<result> verify(listener told = {})
    {
        return start(licbak_verify_backup, 0, std::move(told));
    }

    /** Cancels what runs, with errc::operation_canceled; false if nothing runs, or it is too
     * late. */
    bool cancel()
    {
        const licbak_hresult hr = licbak_cancel(handle());
        detail::check(hr);
        return hr == LICBAK_S_OK;
    }

    /**
     * Waits for the end of the operation that runs; false if the time runs out before. With
     * set_call_in_wait this calls the functions of the host, see licbak_wait: 0 calls what is due.
     */
    bool wait(std::uint32_t milliseconds = LICBAK_WAIT_FOREVER)
    {
        const auto called = handle_.get_deleter().in_wait; // *this may be destroyed meanwhile
        const auto mark = [&called](bool is_waited_for) {
            if (const auto running = called.lock())
                running->waited_for = is_waited_for;
        };
        mark(true);
        const licbak_hresult hr = licbak_wait(handle(), milliseconds, nullptr);
        mark(false);
        detail::check(hr);
        return hr == LICBAK_S_OK;
    }

    /** The descriptor that an event loop polls for set_call_in_wait, see licbak_get_wait_descriptor. */
    std::ptrdiff_t wait_descriptor() const
    {
        std::ptrdiff_t descriptor = -1;
        detail::check(licbak_get_wait_descriptor(handle(), &descriptor));
        return descriptor;
    }

    /** The figures of the operation that runs; if none runs, those of the last one. */
    licbak_progress progress() const
    {
        licbak_progress figures{};
        figures.struct_size = sizeof figures;
        detail::check(licbak_get_progress(handle(), &figures));
        return figures;
    }

    /** Gives `each` the licences of the backup, on this thread and without their contents. */
    void list(const license_function &each)
    {
        struct reader {
            const license_function &each;
            std::exception_ptr thrown;
        } reading{each, nullptr};
        licbak_restorer *const asked = handle(); // *this may be destroyed in `each`
        const licbak_hresult hr = licbak_list_backup(
            asked,
            [](const licbak_license *found, void *context) noexcept -> licbak_hresult {
                auto &r = *static_cast<reader *>(context);
                return detail::contain(r.thrown, [&] { r.each(detail::from_c(found)); });
            },
            &reading);
        if (reading.thrown != nullptr)
            std::rethrow_exception(reading.thrown);
        if (LICBAK_FAILED(hr))
            throw error(static_cast<errc>(hr), detail::last_sentence(asked));
    }

    /** What the backup says about itself, see licbak_get_backup_info. */
    backup_info info() const
    {
        licbak_backup_info c{};
        c.struct_size = sizeof c;
        const licbak_hresult hr = licbak_get_backup_info(handle(), &c);
        if (LICBAK_FAILED(hr))
            throw error(static_cast<errc>(hr), detail::last_sentence(handle()));
        return detail::from_c(&c);
    }

    /** The restorer for licbak.h, for properties that are not here. Do not destroy it. */
    licbak_restorer *handle() const noexcept { return handle_.get(); }

private:
    void set_path(const char *name, const std::filesystem::path &path)
    {
        // The system's own bytes: a name need not be text.
        const auto &native = path.native();
        set(name, LICBAK_WMT_TYPE_BINARY, native.c_str(), native.size() * sizeof(std::filesystem::path::value_type),
            path.u8string(), "a path without a NUL and without '://'");
    }

    template <class Number>
    void set_number(const char *name, Number number, const char *range)
    {
        set(name, LICBAK_WMT_TYPE_DWORD, &number, sizeof number, std::to_string(number), range);
    }

    // What is given, and what the property takes, are for the sentence.
    /** Stands for a secret in an error's sentence. */
    static std::string hidden() { return "***"; }

    template <class Text>
    void set(const char *name, licbak_datatype type, const void *value, std::size_t size, const Text &given,
             const char *takes)
    {
        const licbak_hresult hr =
            licbak_set_prop(handle(), name, type, static_cast<const std::uint8_t *>(value), size);
        if (hr == LICBAK_E_INVALIDARG)
            throw error(errc::invalid_argument, std::string(name) + " can't be '" +
                                                    std::string(given.begin(), given.end()) + "'. It takes " +
                                                    takes + '.');
        detail::check(hr);
    }

    template <class Function>
    std::future<result> start(Function function, std::uint32_t flags, listener told)
    {
        auto made = std::make_shared<detail::operation>();
        made->told = std::move(told);
        made->keeps_going = (flags & LICBAK_KEEP_GOING) != 0;
        made->store = store_;
        made->authorizer = authorizer_;
        std::future<result> future = made->outcome.get_future();
        const std::weak_ptr<detail::operation> in_wait = made;
        detail::operation *const started = made.get();
        started->self = std::move(made);

        // From here on without *this, which a function of the host may destroy before this one
        // returns; but not where it is only called in a wait.
        licbak_restorer *const asked = handle();
        const bool calls_in_wait = call_in_wait_;
        const licbak_hresult hr =
            function(asked, calls_in_wait ? flags | LICBAK_CALL_IN_WAIT : flags, detail::operation::tell, started);
        if (LICBAK_SUCCEEDED(hr)) {
            if (calls_in_wait) // else it may be gone already
                handle_.get_deleter().in_wait = in_wait;
            return future;
        }
        detail::operation::settle(std::move(started->self), std::make_exception_ptr(error(
                                      static_cast<errc>(hr), detail::last_sentence(asked))));
        return future;
    }

    // In this order: the library must be done with these before they go.
    std::shared_ptr<detail::c_store> store_;
    std::shared_ptr<detail::c_authorizer> authorizer_;
    std::unique_ptr<licbak_restorer, detail::destroy> handle_;
    bool call_in_wait_ = false;
};

} // namespace licbak

#endif // LICBAK_HPP
