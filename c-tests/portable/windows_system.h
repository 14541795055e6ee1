/* portable.h on Windows. */
#ifndef WINDOWS_SYSTEM_H
#define WINDOWS_SYSTEM_H

#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>

#include <aclapi.h>
#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <tlhelp32.h>
#include <wchar.h>

#undef PATH_MAX /* 260 */
#define PATH_MAX 4096
enum { WIDE_PATH_MAX = 8192 };

/* -- what the C library lacks ---------------------------------------------------------------------------- */

#undef STDERR_FILENO
#define STDERR_FILENO 2

/* Prints at once, as a process that ends needs it. */
static inline void vdprintf(int descriptor, const char *format, va_list arguments)
{
    char text[8192];
    int length = vsnprintf(text, sizeof text, format, arguments);
    if (length > 0) {
        _write(descriptor, text, (unsigned)length < sizeof text ? (unsigned)length : (unsigned)sizeof text - 1);
    }
}

static inline void dprintf(int descriptor, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vdprintf(descriptor, format, arguments);
    va_end(arguments);
}

/* -- files ----------------------------------------------------------------------------------------------- */

/* The whole path with the prefix that lifts the limit of 260 characters. */
static inline const wchar_t *wide_path(const char *path, wchar_t wide[WIDE_PATH_MAX])
{
    wchar_t given[WIDE_PATH_MAX];
    wcscpy(wide, L"\\\\?\\");
    if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, given, WIDE_PATH_MAX) == 0 ||
        GetFullPathNameW(given, WIDE_PATH_MAX - 4, wide + 4, NULL) == 0) {
        wide[0] = L'\0'; /* no path: whatever gets it fails */
    }
    return wide;
}

/* Modes are "rb" and "wb". (_wfopen knows no paths over 260 characters everywhere.) */
static inline FILE *open_file(const char *path, const char *mode)
{
    wchar_t wide[WIDE_PATH_MAX];
    bool writes = mode[0] == 'w';
    HANDLE file = CreateFileW(wide_path(path, wide), writes ? GENERIC_WRITE : GENERIC_READ,
                              FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL,
                              writes ? CREATE_ALWAYS : OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        errno = ENOENT;
        return NULL;
    }
    return _fdopen(_open_osfhandle((intptr_t)file, writes ? 0 : _O_RDONLY), mode);
}

static inline bool remove_file(const char *path)
{
    wchar_t wide[WIDE_PATH_MAX];
    return DeleteFileW(wide_path(path, wide));
}

static inline bool make_folder(const char *path)
{
    wchar_t wide[WIDE_PATH_MAX];
    return CreateDirectoryW(wide_path(path, wide), NULL) || GetLastError() == ERROR_ALREADY_EXISTS;
}

static inline bool remove_folder(const char *path)
{
    wchar_t wide[WIDE_PATH_MAX];
    return RemoveDirectoryW(wide_path(path, wide)) || GetLastError() == ERROR_FILE_NOT_FOUND ||
           GetLastError() == ERROR_PATH_NOT_FOUND;
}

static const int64_t seconds_from_1601_to_1970 = 11644473600;

static inline bool facts_of(const char *path, file_facts *facts)
{
    wchar_t wide[WIDE_PATH_MAX];
    WIN32_FILE_ATTRIBUTE_DATA found;
    *facts = (file_facts){0};
    if (!GetFileAttributesExW(wide_path(path, wide), GetFileExInfoStandard, &found)) {
        return false;
    }
    bool is_link = (found.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0;
    bool is_folder = (found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
    const FILETIME written = found.ftLastWriteTime;
    int64_t time = (int64_t)((uint64_t)written.dwHighDateTime << 32 | written.dwLowDateTime);
    facts->kind = is_link ? A_SPECIAL : is_folder ? A_FOLDER : A_FILE;
    facts->size = (long long)((uint64_t)found.nFileSizeHigh << 32 | found.nFileSizeLow);
    facts->seconds = time / 10000000 - seconds_from_1601_to_1970;
    facts->nanoseconds = (long)(time % 10000000) * 100;
    return true;
}

static inline bool set_modified_time(const char *path, int64_t seconds, long nanoseconds)
{
    wchar_t wide[WIDE_PATH_MAX];
    uint64_t ticks = (uint64_t)(seconds + seconds_from_1601_to_1970) * 10000000 + (uint64_t)nanoseconds / 100;
    FILETIME time = {(DWORD)ticks, (DWORD)(ticks >> 32)};
    HANDLE file = CreateFileW(wide_path(path, wide), FILE_WRITE_ATTRIBUTES,
                              FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, NULL, OPEN_EXISTING,
                              FILE_FLAG_BACKUP_SEMANTICS, NULL);
    if (file == INVALID_HANDLE_VALUE) {
        return false;
    }
    bool is_set = SetFileTime(file, NULL, NULL, &time);
    CloseHandle(file);
    return is_set;
}

static inline bool set_read_only(const char *path, bool read_only)
{
    wchar_t wide[WIDE_PATH_MAX];
    return SetFileAttributesW(wide_path(path, wide), read_only ? FILE_ATTRIBUTE_READONLY : FILE_ATTRIBUTE_NORMAL);
}

/* No group that others are in may do anything. */
static inline bool is_private(const char *path)
{
    static const WELL_KNOWN_SID_TYPE groups[] = {WinWorldSid, WinBuiltinUsersSid, WinAuthenticatedUserSid,
                                                 WinBuiltinGuestsSid, WinAnonymousSid, WinNetworkSid};
    wchar_t wide[WIDE_PATH_MAX];
    ACL *list = NULL;
    void *descriptor = NULL, *entry;
    if (GetNamedSecurityInfoW(wide_path(path, wide), SE_FILE_OBJECT, DACL_SECURITY_INFORMATION, NULL, NULL, &list, NULL,
                              &descriptor) != ERROR_SUCCESS) {
        return false;
    }
    bool is_private = list != NULL;
    for (DWORD i = 0; list != NULL && GetAce(list, i, &entry); i++) {
        ACCESS_ALLOWED_ACE *ace = entry;
        for (size_t group = 0; group < sizeof groups / sizeof groups[0]; group++) {
            is_private = is_private && (ace->Header.AceType != ACCESS_ALLOWED_ACE_TYPE || ace->Mask == 0 ||
                                        !IsWellKnownSid(&ace->SidStart, groups[group]));
        }
    }
    LocalFree(descriptor);
    return is_private;
}

typedef struct folder_reader {
    HANDLE search;
    bool is_first;
    WIN32_FIND_DATAW found;
    char name[3 * MAX_PATH + 1];
} folder_reader;

static inline bool open_folder(folder_reader *reader, const char *path)
{
    wchar_t wide[WIDE_PATH_MAX];
    wide_path(path, wide);
    if (wcslen(wide) + 3 > WIDE_PATH_MAX) {
        reader->search = INVALID_HANDLE_VALUE;
        return false;
    }
    reader->search = FindFirstFileW(wcscat(wide, L"\\*"), &reader->found);
    reader->is_first = true;
    return reader->search != INVALID_HANDLE_VALUE;
}

static inline const char *next_in_folder(folder_reader *reader)
{
    if (!reader->is_first && !FindNextFileW(reader->search, &reader->found)) {
        return NULL;
    }
    reader->is_first = false;
    WideCharToMultiByte(CP_UTF8, 0, reader->found.cFileName, -1, reader->name, sizeof reader->name, NULL, NULL);
    return reader->name;
}

static inline void close_folder(folder_reader *reader)
{
    if (reader->search != INVALID_HANDLE_VALUE) {
        FindClose(reader->search);
    }
}

static inline void empty_folder(const char *path)
{
    folder_reader *reader = malloc(sizeof *reader); /* the stack is small, and folders are deep */
    char *below = malloc(PATH_MAX);
    const char *name;
    bool is_open = reader != NULL && below != NULL && open_folder(reader, path);
    while (is_open && (name = next_in_folder(reader)) != NULL) {
        bool is_folder = (reader->found.dwFileAttributes & FILE_ATTRIBUTE_DIRECTORY) != 0;
        bool is_link = (reader->found.dwFileAttributes & FILE_ATTRIBUTE_REPARSE_POINT) != 0;
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
            snprintf(below, PATH_MAX, "%s/%s", path, name) >= PATH_MAX) {
            continue;
        }
        if (!is_folder) {
            set_read_only(below, false);
            remove_file(below);
            continue;
        }
        if (!is_link) {
            empty_folder(below);
        }
        remove_folder(below);
    }
    if (is_open) {
        close_folder(reader);
    }
    free(below);
    free(reader);
}

static inline bool whole_path(const char *path, char *whole)
{
    wchar_t wide[WIDE_PATH_MAX];
    wide_path(path, wide);
    return wide[0] != L'\0' && WideCharToMultiByte(CP_UTF8, 0, wide + 4, -1, whole, PATH_MAX, NULL, NULL) > 0;
}

/* The name that the system has made for programs that know no longer ones; false where it has made none. */
static inline bool short_name(const char *path, char *name, int size)
{
    wchar_t wide[WIDE_PATH_MAX], whole[WIDE_PATH_MAX];
    if (GetShortPathNameW(wide_path(path, wide), whole, WIDE_PATH_MAX) == 0) {
        return false;
    }
    const wchar_t *last = wcsrchr(whole, L'\\') + 1;
    return wcschr(last, L'~') != NULL && WideCharToMultiByte(CP_UTF8, 0, last, -1, name, size, NULL, NULL) > 0;
}

/* UTF-16, the least significant byte first. */
static inline size_t system_units(const char *path, uint8_t *units, size_t room)
{
    wchar_t wide[WIDE_PATH_MAX];
    int length = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, WIDE_PATH_MAX);
    size_t size = length > 0 ? ((size_t)length - 1) * sizeof *wide : 0;
    memcpy(units, wide, size < room ? size : room);
    return size < room ? size : room;
}

/* -- the working folder ---------------------------------------------------------------------------------- */

static inline bool enter_folder(const char *path)
{
    wchar_t wide[WIDE_PATH_MAX];
    return SetCurrentDirectoryW(wide_path(path, wide) + 4); /* it does not take the prefix */
}

static inline bool make_new_folder(char *path, size_t size, const char *program)
{
    wchar_t parent[MAX_PATH + 1] = L".", whole[MAX_PATH + 1];
    char below[3 * MAX_PATH];
    if (_wgetenv(L"TMPDIR") == NULL) {
        GetTempPathW(MAX_PATH, parent);
    } else if (GetEnvironmentVariableW(L"TMPDIR", parent, MAX_PATH) == 0) {
        return false;
    }
    if (GetFullPathNameW(parent, MAX_PATH, whole, NULL) == 0 ||
        WideCharToMultiByte(CP_UTF8, 0, whole, -1, below, sizeof below, NULL, NULL) == 0) {
        return false;
    }
    int length = snprintf(path, size, "%s/licbak-%s-%lu", below, program, (unsigned long)GetCurrentProcessId());
    wchar_t wide[WIDE_PATH_MAX];
    return length > 0 && (size_t)length < size && CreateDirectoryW(wide_path(path, wide), NULL);
}

/* A folder that a process is in can't be removed. */
static inline bool leave_folder(const char *path)
{
    char parent[PATH_MAX];
    snprintf(parent, sizeof parent, "%s/..", path);
    return enter_folder(parent);
}

/* -- processes ------------------------------------------------------------------------------------------- */

typedef HANDLE process;

static inline long process_number(void)
{
    return (long)GetCurrentProcessId();
}

static inline bool start_self(process *started, const char *const *arguments)
{
    wchar_t self[WIDE_PATH_MAX], line[WIDE_PATH_MAX];
    STARTUPINFOW startup = {.cb = sizeof startup, .dwFlags = STARTF_USESTDHANDLES};
    PROCESS_INFORMATION information;
    *started = NULL;
    if (GetModuleFileNameW(NULL, self, WIDE_PATH_MAX) == 0) {
        return false;
    }
    int length = swprintf(line, WIDE_PATH_MAX, L"\"%ls\"", self);
    for (int i = 0; arguments[i] != NULL && length > 0; i++) {
        length += swprintf(line + length, (size_t)(WIDE_PATH_MAX - length), L" %hs", arguments[i]);
    }
    startup.hStdOutput = GetStdHandle(STD_OUTPUT_HANDLE);
    startup.hStdError = GetStdHandle(STD_ERROR_HANDLE);
    SetHandleInformation(startup.hStdOutput, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    SetHandleInformation(startup.hStdError, HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT);
    fflush(NULL);
    if (!CreateProcessW(self, line, NULL, NULL, TRUE, 0, NULL, NULL, &startup, &information)) {
        return false;
    }
    CloseHandle(information.hThread);
    *started = information.hProcess;
    return true;
}

enum { KILLED_STATUS = 0xDEAD };

static inline int wait_process(process waited)
{
    DWORD status = 127;
    WaitForSingleObject(waited, INFINITE);
    GetExitCodeProcess(waited, &status);
    CloseHandle(waited);
    return status == KILLED_STATUS ? -1 : (int)status;
}

static inline bool kill_process(process killed)
{
    return TerminateProcess(killed, KILLED_STATUS);
}

static inline DWORD WINAPI die_in_time(void *milliseconds)
{
    Sleep((DWORD)(uintptr_t)milliseconds);
    TerminateProcess(GetCurrentProcess(), 142); /* as a shell tells of SIGALRM */
    return 0;
}

static inline void die_after(unsigned seconds)
{
    HANDLE watch = CreateThread(NULL, 0, die_in_time, (void *)((uintptr_t)seconds * 1000), 0, NULL);
    if (watch != NULL) {
        CloseHandle(watch);
    }
}

/* Each that there may be is looked at. (Wine does not count them.) */
static inline long open_handles(void)
{
    long count = 0;
    for (uintptr_t value = 4; value < 16384; value += 4) {
        DWORD flags;
        count += GetHandleInformation((HANDLE)value, &flags) != 0;
    }
    return count;
}

static inline long running_threads(void)
{
    HANDLE all = CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0);
    THREADENTRY32 entry = {.dwSize = sizeof entry};
    long count = 0;
    for (BOOL more = Thread32First(all, &entry); more; more = Thread32Next(all, &entry)) {
        count += entry.th32OwnerProcessID == GetCurrentProcessId();
    }
    CloseHandle(all);
    return count;
}

/* -- threads --------------------------------------------------------------------------------------------- */

typedef HANDLE thread;
typedef HANDLE semaphore;

typedef struct thread_body {
    void *(*body)(void *);
    void *argument;
} thread_body;

static inline DWORD WINAPI run_thread(void *context)
{
    thread_body given = *(thread_body *)context;
    free(context);
    given.body(given.argument);
    return 0;
}

static inline bool start_thread(thread *started, void *(*body)(void *), void *argument)
{
    thread_body *given = malloc(sizeof *given);
    *started = NULL;
    if (given == NULL) {
        return false;
    }
    *given = (thread_body){body, argument};
    *started = CreateThread(NULL, 0, run_thread, given, 0, NULL);
    return *started != NULL;
}

static inline bool join_thread(thread joined)
{
    return WaitForSingleObject(joined, INFINITE) == WAIT_OBJECT_0 && CloseHandle(joined);
}

static inline bool detach_thread(thread detached)
{
    return CloseHandle(detached);
}

typedef DWORD thread_number;

static inline thread_number this_thread(void)
{
    return GetCurrentThreadId();
}

static inline bool same_thread(thread_number left, thread_number right)
{
    return left == right;
}

static inline bool make_semaphore(semaphore *made)
{
    *made = CreateSemaphoreW(NULL, 0, INT_MAX, NULL);
    return *made != NULL;
}

static inline bool post_semaphore(semaphore *posted)
{
    return ReleaseSemaphore(*posted, 1, NULL);
}

static inline bool wait_semaphore(semaphore *waited)
{
    return WaitForSingleObject(*waited, INFINITE) == WAIT_OBJECT_0;
}

static inline void sleep_ms(unsigned milliseconds)
{
    Sleep(milliseconds);
}

static inline bool becomes_ready(ptrdiff_t descriptor, int timeout_ms)
{
    return WaitForSingleObject((HANDLE)descriptor, (DWORD)timeout_ms) == WAIT_OBJECT_0;
}

#endif
