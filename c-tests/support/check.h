/* What every test program shares: checks, and a directory of its own to work in.
 *
 * A program calls begin("name") first and returns finish() last. Between the two its working
 * directory is a new, empty one, so tests speak of "store" and "backups"; it is removed at the end.
 * A check that fails prints the place, the expression, what was expected and what came, and ends
 * the process with 1. What a test has counted it prints in between, with figure().
 *
 * Include this header (or one that includes it) before any other.
 */
#ifndef CHECK_H
#define CHECK_H

#include "../portable/portable.h"

#include <licbak.h>

static const char *check_program = "";
static char check_directory[PATH_MAX];
static long check_owner; /* the process that removes the directory */
static atomic_ulong check_count;
static char check_said[512]; /* the library's last sentence of a failure, to show beside a check's */
static int check_stderr = STDERR_FILENO; /* where failures go: a test may have another use for stderr */

#define CHECK(condition) \
    check_that((condition), __FILE__, __LINE__, #condition)
#define CHECK_HR(call, expected) \
    check_hresult((call), (expected), __FILE__, __LINE__, #call)
#define CHECK_INT(value, expected) \
    check_integer((long long)(value), (long long)(expected), __FILE__, __LINE__, #value)
#define CHECK_TEXT(value, expected) \
    check_text((value), (expected), __FILE__, __LINE__, #value)
#define CHECK_HAS(text, part) \
    check_has((text), (part), __FILE__, __LINE__, #text)

/* -- the working directory ------------------------------------------------------------------------------ */

/* Removes the working directory; a forked child leaves it to its parent. */
static inline void check_clean(void)
{
    if (check_owner == process_number() && check_directory[0] != '\0' && enter_folder(check_directory)) {
        empty_folder("."); /* from inside: the longest paths would not fit below a long TMPDIR */
        if (leave_folder(check_directory)) {
            remove_folder(check_directory);
        }
    }
}

/* -- checks --------------------------------------------------------------------------------------------- */

static inline _Noreturn void check_fail(const char *file, int line, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    dprintf(check_stderr, "%s:%d: ", file, line);
    vdprintf(check_stderr, format, arguments);
    dprintf(check_stderr, "\n");
    va_end(arguments);
    if (check_said[0] != '\0') {
        dprintf(check_stderr, "    the library's last words: %s\n", check_said);
    }
    check_clean();
    _exit(1); /* a library thread may be here: no exit handlers */
}

static inline void check_that(bool condition, const char *file, int line, const char *expression)
{
    atomic_fetch_add(&check_count, 1);
    if (!condition) {
        check_fail(file, line, "%s: expected true, got false", expression);
    }
}

static inline const char *hresult_name(licbak_hresult hr)
{
    static _Thread_local char unknown[16];
    const char *name = licbak_hresult_name(hr);
    if (name != NULL && name[0] != '\0') {
        return name;
    }
    snprintf(unknown, sizeof unknown, "0x%08X", (unsigned)hr);
    return unknown;
}

static inline void check_hresult(licbak_hresult hr, licbak_hresult expected,
                                 const char *file, int line, const char *call)
{
    atomic_fetch_add(&check_count, 1);
    if (hr != expected) {
        char name[64];
        snprintf(name, sizeof name, "%s", hresult_name(expected));
        check_fail(file, line, "%s: expected %s, got %s", call, name, hresult_name(hr));
    }
}

static inline void check_integer(long long value, long long expected,
                                 const char *file, int line, const char *expression)
{
    atomic_fetch_add(&check_count, 1);
    if (value != expected) {
        check_fail(file, line, "%s: expected %lld, got %lld", expression, expected, value);
    }
}

/* Of two long texts only the first line that differs is shown. */
static inline void check_text(const char *value, const char *expected,
                              const char *file, int line, const char *expression)
{
    atomic_fetch_add(&check_count, 1);
    if (strcmp(value, expected) == 0) {
        return;
    }
    size_t start = 0;
    for (size_t i = 0; value[i] == expected[i]; i++) {
        if (value[i] == '\n') {
            start = i + 1;
        }
    }
    check_fail(file, line, "%s: expected \"%.*s\", got \"%.*s\"", expression,
               (int)strcspn(expected + start, "\n"), expected + start,
               (int)strcspn(value + start, "\n"), value + start);
}

static inline void check_has(const char *text, const char *part,
                             const char *file, int line, const char *expression)
{
    atomic_fetch_add(&check_count, 1);
    if (strstr(text, part) == NULL) {
        check_fail(file, line, "%s: expected a text with \"%s\" in it, got \"%s\"", expression, part, text);
    }
}

/* -- a program ------------------------------------------------------------------------------------------ */

/* Whether everything is to be tried, however long it takes, and no sample (torture.sh). */
static inline bool torture(void)
{
    return getenv("LICBAK_TORTURE") != NULL;
}

/* Whether another program runs this one, which shows it a kernel of its own making (qemu). */
static inline bool emulated(void)
{
    return getenv("LICBAK_RUNNER") != NULL;
}

static inline void begin(const char *program)
{
    check_program = program;
    check_owner = process_number();
    CHECK(make_new_folder(check_directory, sizeof check_directory, program));
    CHECK(enter_folder(check_directory));
    die_after(torture() ? 7000 : 280); /* a test that hangs ends here */
}

static inline int finish(void)
{
    check_clean();
    printf("%s: %lu checks passed\n", check_program, atomic_load(&check_count));
    return 0;
}

/* Prints what a test has counted: "what: figures". A check that fails after it leaves it on the
 * screen. */
static inline void figure(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("%s: ", check_program);
    vprintf(format, arguments);
    printf("\n");
    fflush(stdout);
    va_end(arguments);
}

/* Names what this machine or user cannot test. */
static inline void skip(const char *what, const char *why)
{
    dprintf(check_stderr, "%s: skipped: %s (%s)\n", check_program, what, why);
}

#ifndef _WIN32
static inline bool has_zstd(void)
{
    return system("command -v zstd >/dev/null") == 0;
}

/* Runs `body` in a forked child and demands that its checks pass: a resource limit, a user ID or a
 * death is then the child's alone. */
static inline void in_child(void (*body)(void *), void *argument)
{
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(emulated() ? 240 : 60);
        body(argument);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
    if (WEXITSTATUS(status) != 0) {
        check_clean();
        _exit(1); /* the child has said why */
    }
}
#endif

/* A fixed sequence (xorshift), so that a test does the same on each run. */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

#endif
