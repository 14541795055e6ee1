/* The two systems; see licbak_system.h. */
#if !defined(_WIN32)
#define _POSIX_C_SOURCE 200809L
#endif

#include "licbak_system.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static volatile sig_atomic_t interrupted; /* the signal, or 0 */

int interrupting_signal(void)
{
    return interrupted;
}

#if !defined(_WIN32)

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

/* As BINARY a path is the system's own bytes, which need not be UTF-8. */
const licbak_datatype path_type = LICBAK_WMT_TYPE_BINARY;

/* Opens the standard streams that the caller has closed. Else the backup file could get the number
 * of such a stream, and the words of this program would be written into the backup. Writing to
 * these streams fails, as writing to a closed stream does. */
static void occupy_standard_streams(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDONLY);
    while (fd >= 0 && fd <= STDERR_FILENO);
    close(fd);
}

char **begin_process(char **argv)
{
    occupy_standard_streams();
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* whole lines, also if other programs write there */
    return argv;
}

bool is_folder(const char *path)
{
    struct stat facts;
    return stat(path, &facts) == 0 && S_ISDIR(facts.st_mode);
}

/* O_NONBLOCK: what is there now may be a pipe that nobody writes into. */
size_t read_beginning(const char *folder, const char *name, char *buffer, size_t size)
{
    static const char *last; /* asked for many files, one by one */
    static int folder_fd = -1;
    if (folder != last) {
        if (folder_fd >= 0)
            close(folder_fd);
        folder_fd = open(folder, O_RDONLY | O_CLOEXEC);
        last = folder;
    }
    const int fd = folder_fd < 0 ? -1 : openat(folder_fd, name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    const ssize_t got = fd < 0 ? -1 : read(fd, buffer, size);
    if (fd >= 0)
        close(fd);
    return got < 0 ? 0 : (size_t)got;
}

FILE *open_file(const char *path)
{
    return fopen(path, "rb");
}

static void on_signal(int number)
{
    interrupted = number;
}

/* SA_RESETHAND lets the second signal kill the program. */
static void catch_signal(int number)
{
    struct sigaction action, before;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = (int)(SA_RESETHAND | SA_RESTART);
    sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, &before) == 0 && before.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

void catch_interrupts(void)
{
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
}

bool is_terminal(FILE *stream)
{
    return isatty(fileno(stream));
}

bool stderr_has_cursor(void)
{
    const char *terminal = getenv("TERM");
    return is_terminal(stderr) && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

int stderr_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* The line is read byte by byte: a stream would keep a copy. */
static bool read_line(int terminal, char *answer, size_t size)
{
    size_t length = 0;
    while (length < size) {
        const ssize_t got = read(terminal, &answer[length], 1);
        if (got != 1)
            return false;
        if (answer[length] == '\n') {
            answer[length] = '\0';
            return true;
        }
        length++;
    }
    return false;
}

bool ask_secret(const char *question, char *answer, size_t size)
{
    const int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC);
    struct termios shown;
    if (terminal < 0)
        return false;
    bool is_read = tcgetattr(terminal, &shown) == 0;
    if (is_read) {
        struct termios hidden = shown;
        hidden.c_lflag &= ~(tcflag_t)(ECHO | ECHONL);
        tcsetattr(terminal, TCSAFLUSH, &hidden);
        is_read = write(terminal, question, strlen(question)) >= 0 && read_line(terminal, answer, size);
        tcsetattr(terminal, TCSAFLUSH, &shown);
        if (write(terminal, "\n", 1) < 0)
            is_read = false;
    }
    close(terminal);
    return is_read;
}

bool find_utc(int64_t seconds, struct tm *utc)
{
    const time_t time = (time_t)seconds;
    return gmtime_r(&time, utc) != NULL;
}

#else

#include <fcntl.h>
#include <io.h>
#include <windows.h>

#include <shellapi.h>

/* As STRING a path is UTF-8, as the words of the command line are made here. */
const licbak_datatype path_type = LICBAK_WMT_TYPE_STRING;

static UINT old_code_page;     /* 0 if there is no console */
static DWORD old_console_mode; /* that of stderr, if has_changed_mode */
static bool has_changed_mode;

static HANDLE stderr_handle(void)
{
    return GetStdHandle(STD_ERROR_HANDLE);
}

/* The console outlives this program. */
static void give_console_back(void)
{
    if (old_code_page != 0)
        SetConsoleOutputCP(old_code_page);
    if (has_changed_mode)
        SetConsoleMode(stderr_handle(), old_console_mode);
}

static char *to_utf8(const wchar_t *word)
{
    const int size = WideCharToMultiByte(CP_UTF8, 0, word, -1, NULL, 0, NULL, NULL);
    char *text = malloc((size_t)size);
    if (text != NULL)
        WideCharToMultiByte(CP_UTF8, 0, word, -1, text, size, NULL, NULL);
    return text;
}

static wchar_t *to_wide(const char *text)
{
    const int size = MultiByteToWideChar(CP_UTF8, 0, text, -1, NULL, 0);
    wchar_t *wide = malloc((size_t)size * sizeof *wide);
    if (wide != NULL)
        MultiByteToWideChar(CP_UTF8, 0, text, -1, wide, size);
    return wide;
}

FILE *open_file(const char *path)
{
    wchar_t *wide = to_wide(path);
    FILE *file = wide != NULL ? _wfopen(wide, L"rb") : NULL;
    free(wide);
    return file;
}

bool is_folder(const char *path)
{
    wchar_t *wide = to_wide(path);
    const DWORD facts = wide != NULL ? GetFileAttributesW(wide) : INVALID_FILE_ATTRIBUTES;
    free(wide);
    return facts != INVALID_FILE_ATTRIBUTES && (facts & FILE_ATTRIBUTE_DIRECTORY) != 0;
}

size_t read_beginning(const char *folder, const char *name, char *buffer, size_t size)
{
    const size_t room = strlen(folder) + strlen(name) + 2;
    char *path = malloc(room);
    if (path != NULL)
        snprintf(path, room, "%s/%s", folder, name);
    FILE *file = path != NULL ? open_file(path) : NULL;
    const size_t got = file != NULL ? fread(buffer, 1, size, file) : 0;
    if (file != NULL)
        fclose(file);
    free(path);
    return got;
}

/* Those that main gets are in the code page of the system, which lacks most characters. */
static char **take_arguments(void)
{
    int count;
    wchar_t **words = CommandLineToArgvW(GetCommandLineW(), &count);
    char **argv = words != NULL ? calloc((size_t)count + 1, sizeof *argv) : NULL;
    for (int i = 0; argv != NULL && i < count; i++)
        if ((argv[i] = to_utf8(words[i])) == NULL)
            return NULL;
    LocalFree(words);
    return argv;
}

/* The same bytes as elsewhere. A character must not be cut in two on its way to the console, which
 * an unbuffered stream does; here there are no streams of lines. */
static void set_up(FILE *stream, size_t room)
{
    _setmode(_fileno(stream), _O_BINARY);
    setvbuf(stream, NULL, _IOFBF, room);
}

char **begin_process(char **argv)
{
    (void)argv;
    set_up(stdout, 1 << 16);
    set_up(stderr, 1 << 12);
    old_code_page = GetConsoleOutputCP();
    atexit(give_console_back);
    SetConsoleOutputCP(CP_UTF8);
    return take_arguments();
}

/* Runs on a thread of the system's own. */
static BOOL WINAPI on_control(DWORD event)
{
    if (interrupted) {
        give_console_back();
        return FALSE; /* which ends the process */
    }
    interrupted = event == CTRL_C_EVENT || event == CTRL_BREAK_EVENT ? SIGINT : SIGTERM;
    if (event != CTRL_C_EVENT && event != CTRL_BREAK_EVENT)
        Sleep(INFINITE); /* the process would be ended when this returns, and in some seconds anyway */
    return TRUE;
}

void catch_interrupts(void)
{
    static bool does_catch;
    if (!does_catch)
        does_catch = SetConsoleCtrlHandler(on_control, TRUE) != 0;
}

bool is_terminal(FILE *stream)
{
    DWORD mode; /* _isatty also says yes to NUL */
    return GetConsoleMode((HANDLE)_get_osfhandle(_fileno(stream)), &mode) != 0;
}

bool stderr_has_cursor(void)
{
    const HANDLE console = stderr_handle();
    DWORD mode;
    if (!GetConsoleMode(console, &mode))
        return false;
    if (mode & ENABLE_VIRTUAL_TERMINAL_PROCESSING)
        return true;
    if (!SetConsoleMode(console, mode | ENABLE_VIRTUAL_TERMINAL_PROCESSING))
        return false; /* before Windows 10 */
    old_console_mode = mode;
    has_changed_mode = true;
    return true;
}

int stderr_columns(void)
{
    CONSOLE_SCREEN_BUFFER_INFO console;
    if (!GetConsoleScreenBufferInfo(stderr_handle(), &console))
        return 80;
    return console.srWindow.Right - console.srWindow.Left + 1;
}

bool ask_secret(const char *question, char *answer, size_t size)
{
    const HANDLE in = CreateFileW(L"CONIN$", GENERIC_READ | GENERIC_WRITE, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL,
                                  OPEN_EXISTING, 0, NULL);
    wchar_t line[1024];
    DWORD mode, count = 0;
    if (in == INVALID_HANDLE_VALUE)
        return false;
    bool is_read = GetConsoleMode(in, &mode) && SetConsoleMode(in, mode & ~(DWORD)ENABLE_ECHO_INPUT);
    if (is_read) {
        fputs(question, stderr);
        fflush(stderr);
        is_read = ReadConsoleW(in, line, sizeof line / sizeof *line, &count, NULL) && count > 0 &&
                  line[count - 1] == L'\n';
        SetConsoleMode(in, mode);
        fputs("\n", stderr);
    }
    CloseHandle(in);
    while (count > 0 && (line[count - 1] == L'\n' || line[count - 1] == L'\r'))
        count--;
    const int room = (int)size - 1;
    const int length =
        is_read && count > 0 ? WideCharToMultiByte(CP_UTF8, 0, line, (int)count, answer, room, NULL, NULL) : 0;
    answer[length > 0 ? length : 0] = '\0';
    SecureZeroMemory(line, sizeof line);
    return is_read && (length > 0 || count == 0);
}

/* By the system, since the C library refuses times before 1970. */
bool find_utc(int64_t seconds, struct tm *utc)
{
    const int64_t ticks = (seconds + INT64_C(11644473600)) * 10000000; /* since 1601 */
    const FILETIME time = {(DWORD)ticks, (DWORD)(ticks >> 32)};
    SYSTEMTIME at;
    if (!FileTimeToSystemTime(&time, &at))
        return false;
    *utc = (struct tm){.tm_year = at.wYear - 1900, .tm_mon = at.wMonth - 1, .tm_mday = at.wDay,
                       .tm_hour = at.wHour, .tm_min = at.wMinute, .tm_sec = at.wSecond};
    return true;
}

#endif
