/* licbak: back up licence files, restore, verify and list them, from the command line.
 *
 * A whole program on the public header alone (C11 and POSIX). The main thread starts an
 * operation and waits; what is shown meanwhile comes from the status callback alone, so that
 * no two threads ever draw. Results go to stdout, progress, events and errors to stderr.
 *
 *     cc licbak.c -o licbak $(pkg-config --cflags --libs licbak)
 */
#define _POSIX_C_SOURCE 200809L

#include <errno.h>
#include <inttypes.h>
#include <licbak.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_NOTHING = 3 };

enum {
    OVERWRITE = 1, FULL = 2, DRY_RUN = 4, VERIFY = 8, THREADS = 16, LEVEL = 32, QUIET = 64,
    HELP = 128
};

struct arguments {
    unsigned given; /* of the options */
    int32_t threads, level;
    const char *paths[2];
    int path_count;
};

struct errand {
    licbak_restorer *restorer;
    licbak_hresult hr;   /* once a failure, every later step does nothing */
    const char *working; /* what the working phase is called here */
    bool quiet, has_cursor;
    uint32_t told_phase; /* the last one told as a plain line */
    uint64_t left_out;
    licbak_progress progress; /* the newest */
};

/* ---- Words and numbers ---------------------------------------------------------------- */

/* Names of links, and paths in sentences, may hold anything, so also what would drive a
 * terminal: control characters, of which those called C1 are two bytes in UTF-8. */
static void put_safely(FILE *stream, const char *text)
{
    for (const unsigned char *at = (const unsigned char *)text; *at != '\0'; at++) {
        const bool c1 = at[0] == 0xC2 && at[1] >= 0x80 && at[1] < 0xA0;
        fputc(*at < 0x20 || *at == 0x7F || c1 ? '?' : *at, stream);
        at += c1;
    }
}

static const char *format_bytes(uint64_t bytes, char text[16])
{
    static const char units[] = "KMGTPE";
    double amount = (double)bytes / 1024;
    size_t unit = 0;
    for (; amount >= 1024; unit++)
        amount /= 1024;
    if (bytes < 1024)
        snprintf(text, 16, "%u B", (unsigned)bytes);
    else
        snprintf(text, 16, "%.1f %ciB", amount, units[unit]);
    return text;
}

/* ---- Failures ------------------------------------------------------------------------- */

static void tell_failure(licbak_hresult hr, const char *about, const char *sentence)
{
    const char *name = licbak_hresult_name(hr);
    if (strncmp(name, "LICBAK_", 7) == 0)
        name += 7;
    fprintf(stderr, "licbak: %s%s", about, *about != '\0' ? ": " : "");
    put_safely(stderr, sentence);
    fprintf(stderr, " (%s%s0x%08" PRIX32 ")\n", name, *name != '\0' ? ", " : "", (uint32_t)hr);
    if (hr == LICBAK_NS_E_DRM_BACKUP_EXISTS)
        fputs("licbak: say --overwrite to replace it\n", stderr);
}

/* A start, an operation or a list that failed has left its sentence with the restorer. */
static void fail(struct errand *errand, licbak_hresult hr)
{
    char sentence[16384];
    size_t size = sizeof sentence;
    errand->hr = hr;
    if (licbak_get_error_message(errand->restorer, sentence, &size) < 0 || *sentence == '\0')
        tell_failure(hr, "", licbak_hresult_message(hr));
    else
        tell_failure(hr, "", sentence);
}

/* ---- What is shown while an operation runs -------------------------------------------- */

static bool stderr_has_cursor(void)
{
    const char *terminal = getenv("TERM");
    return isatty(STDERR_FILENO) && terminal != NULL && strcmp(terminal, "dumb") != 0;
}

static int terminal_columns(void)
{
    struct winsize size;
    return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

static void clear_bar(const struct errand *errand)
{
    if (errand->has_cursor && !errand->quiet)
        fputs("\r\033[K", stderr);
    fflush(stderr);
}

static const char *phase_name(const struct errand *errand)
{
    static const char *const names[] = {"starting", "listing", "checking", NULL, "committing"};
    const uint32_t phase = errand->progress.phase;
    const bool is_own = phase >= sizeof names / sizeof *names || names[phase] == NULL;
    return is_own ? errand->working : names[phase];
}

/* How much of the phase is done, 0 to 1; 0 also while its end is not known. */
static double share_done(const licbak_progress *progress)
{
    if (progress->phase_total == 0 || progress->phase_done > progress->phase_total)
        return progress->phase_total == 0 ? 0 : 1;
    return (double)progress->phase_done / (double)progress->phase_total;
}

/* " 53%, 16 of 30 licences, 12.3 KiB": as much of it as is known yet. */
static void describe_progress(const licbak_progress *progress, char *text, size_t capacity)
{
    char percent[16] = "", total[32] = "", bytes[16];
    if (progress->phase_total > 0)
        snprintf(percent, sizeof percent, "%3d%%, ", (int)(100 * share_done(progress)));
    if (progress->licenses_total > 0)
        snprintf(total, sizeof total, " of %" PRIu64, progress->licenses_total);
    snprintf(text, capacity, "%s%" PRIu64 "%s licences, %s", percent, progress->licenses_done,
             total, format_bytes(progress->content_bytes, bytes));
}

/* One line, never wider than the terminal: the bar is the first to go. */
static void draw_bar(const struct errand *errand)
{
    enum { widest = 40, narrowest = 8 };
    static const char full[] = "########################################";
    static const char empty[] = "----------------------------------------";
    const int columns = terminal_columns() - 1; /* in the last one it might wrap */
    char text[128], bar[128] = "", line[384];
    describe_progress(&errand->progress, text, sizeof text);
    int width = columns - (int)(strlen(phase_name(errand)) + strlen(text) + strlen(" [] "));
    if (width > widest)
        width = widest;
    if (width >= narrowest && errand->progress.phase_total > 0) {
        const int filled = (int)(share_done(&errand->progress) * width);
        snprintf(bar, sizeof bar, "[%.*s%.*s] ", filled, full, width - filled, empty);
    }
    snprintf(line, sizeof line, "%s %s%s", phase_name(errand), bar, text);
    fprintf(stderr, "\r%.*s\033[K", columns, line);
    fflush(stderr);
}

/* For a log: one line when a phase begins. */
static void tell_phase(struct errand *errand)
{
    if (errand->progress.phase == errand->told_phase)
        return;
    errand->told_phase = errand->progress.phase;
    fprintf(stderr, "%s", phase_name(errand));
    if (errand->progress.licenses_total > 0)
        fprintf(stderr, ": %" PRIu64 " licences", errand->progress.licenses_total);
    fputc('\n', stderr);
}

static void take_progress(struct errand *errand, const uint8_t *value, size_t size)
{
    /* The struct grows with the library: this program takes the part that it knows. */
    if (size > sizeof errand->progress)
        size = sizeof errand->progress;
    memcpy(&errand->progress, value, size);
}

static const char *event_name(licbak_status status)
{
    switch (status) {
    case LICBAK_WMT_RESTRICTED_LICENSE: return "restricted"; /* its key ID, for the issuer */
    case LICBAK_STATUS_LICENSE_LEFT_OUT: return "left out";
    case LICBAK_STATUS_LICENSE_KEPT: return "kept";
    case LICBAK_STATUS_LICENSE_DAMAGED: return "damaged";
    default: return NULL;
    }
}

static void tell_event(struct errand *errand, licbak_status status, const uint8_t *value)
{
    if (status == LICBAK_STATUS_LICENSE_LEFT_OUT)
        errand->left_out++;
    if (event_name(status) == NULL ||
        (errand->quiet && status != LICBAK_STATUS_LICENSE_DAMAGED))
        return;
    clear_bar(errand);
    fprintf(stderr, "%s: ", event_name(status));
    put_safely(stderr, (const char *)value);
    fputc('\n', stderr);
}

static licbak_hresult LICBAK_CALL show_status(licbak_status status, licbak_hresult hr,
                                              licbak_datatype type, const uint8_t *value,
                                              size_t size, void *context)
{
    struct errand *errand = context;
    (void)hr, (void)type;
    if (status == LICBAK_STATUS_PROGRESS) {
        take_progress(errand, value, size);
        if (!errand->quiet && errand->has_cursor)
            draw_bar(errand);
        else if (!errand->quiet)
            tell_phase(errand);
    } else if (status == LICBAK_WMT_BACKUPRESTORE_END) {
        take_progress(errand, value, size);
        clear_bar(errand);
    } else {
        tell_event(errand, status, value); /* WMT_ERROR's sentence is left to fail() */
    }
    return LICBAK_S_OK;
}

/* ---- Running an operation ------------------------------------------------------------- */

static volatile sig_atomic_t interrupted;

static void on_signal(int number)
{
    (void)number;
    interrupted = 1;
}

/* The first signal asks for a clean end; SA_RESETHAND lets the second one kill. */
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

static licbak_hresult wait_or_cancel(licbak_restorer *restorer)
{
    enum { wake_ms = 100 }; /* how long a signal may go unseen */
    licbak_hresult hr, outcome;
    while ((hr = licbak_wait(restorer, wake_ms, &outcome)) == LICBAK_S_FALSE)
        if (interrupted)
            licbak_cancel(restorer);
    return hr < 0 ? hr : outcome;
}

static void tell_summary(const struct errand *errand, const char *done)
{
    const licbak_progress *progress = &errand->progress;
    char bytes[16];
    printf("%s %" PRIu64 " %s (%s", done, progress->licenses_done,
           progress->licenses_done == 1 ? "licence" : "licences",
           format_bytes(progress->content_bytes, bytes));
    if (progress->backup_bytes > 0)
        printf(", %s compressed", format_bytes(progress->backup_bytes, bytes));
    putchar(')');
    if (errand->left_out > 0)
        printf("; %" PRIu64 " left out", errand->left_out);
    if (progress->licenses_kept > 0)
        printf("; %" PRIu64 " kept", progress->licenses_kept);
    putchar('\n');
    fflush(stdout); /* before what stderr says of the next operation */
}

/* ---- The commands --------------------------------------------------------------------- */

typedef licbak_hresult (LICBAK_CALL *operation)(licbak_restorer *restorer, uint32_t flags,
                                                licbak_status_callback callback, void *context);

struct command {
    const char *name, *synopsis, *about, *help;
    unsigned options;
    const char *path_names[2]; /* the properties that its paths are, in their order */
    operation operation;       /* NULL: a list */
    uint32_t overwrite_flag;
    const char *working, *done, *would_do;
};

static const struct command commands[] = {
    {"backup", "[OPTION]... STORE BACKUP_DIR", "back up the licences below STORE",
     "Every file below the folder STORE is a licence, and is saved in the one file\n"
     "BACKUP_DIR/licenses.tar.zst. A backup that is there already stays, unless told otherwise.\n",
     OVERWRITE | FULL | DRY_RUN | VERIFY | THREADS | LEVEL | QUIET,
     {"StorePath", "BackupPath"}, licbak_backup_licenses, LICBAK_WM_BACKUP_OVERWRITE,
     "backing up", "Backed up", "Would back up"},
    {"restore", "[OPTION]... BACKUP_DIR STORE", "restore the licences of a backup into STORE",
     "What STORE lacks is written, nothing is deleted. A licence that STORE holds in another\n"
     "version is kept, unless told otherwise. Of a damaged backup nothing is restored.\n",
     OVERWRITE | DRY_RUN | QUIET, {"RestorePath", "StorePath"},
     licbak_restore_licenses, LICBAK_RESTORE_OVERWRITE,
     "restoring", "Restored", "Would restore"},
    {"verify", "[OPTION]... BACKUP_DIR", "check every byte of a backup",
     "Each damaged licence is named; any damage at all is a failure.\n",
     QUIET, {"RestorePath", NULL}, licbak_verify_backup, 0, "verifying", "Verified", NULL},
    {"list", "[OPTION]... BACKUP_DIR", "print the licences of a backup",
     "One licence a line: size in bytes, key ID, name.\n",
     0, {"RestorePath", NULL}, NULL, 0, NULL, NULL, NULL},
};
static const size_t command_count = sizeof commands / sizeof *commands;

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static void set_property(struct errand *errand, const char *name, licbak_datatype type,
                         const void *value, size_t size)
{
    if (errand->hr < 0)
        return;
    errand->hr = licbak_set_prop(errand->restorer, name, type, value, size);
    if (errand->hr < 0)
        tell_failure(errand->hr, name, licbak_hresult_message(errand->hr));
}

/* As BINARY a path is the system's own bytes, which need not be UTF-8. */
static void set_path(struct errand *errand, const char *name, const char *path)
{
    set_property(errand, name, LICBAK_WMT_TYPE_BINARY, path, strlen(path));
}

static void run_operation(struct errand *errand, const struct command *command,
                          unsigned given)
{
    const uint32_t flags = (given & OVERWRITE ? command->overwrite_flag : 0) |
                           (given & FULL ? LICBAK_BACKUP_FULL : 0) |
                           (given & DRY_RUN ? LICBAK_DRY_RUN : 0);
    if (errand->hr < 0)
        return;
    errand->working = command->working;
    errand->told_phase = 0;
    errand->left_out = 0;
    catch_signal(SIGINT);
    catch_signal(SIGTERM);
    licbak_hresult hr = command->operation(errand->restorer, flags, show_status, errand);
    if (hr >= 0)
        hr = wait_or_cancel(errand->restorer);
    if (hr < 0)
        fail(errand, hr);
    else if (!errand->quiet)
        tell_summary(errand, given & DRY_RUN ? command->would_do : command->done);
}

/* In columns of a terminal, near enough: one for each character of UTF-8. */
static int text_width(const char *text)
{
    int width = 0;
    for (; *text != '\0'; text++)
        width += ((unsigned char)*text & 0xC0) != 0x80;
    return width;
}

static licbak_hresult LICBAK_CALL print_row(const licbak_license *license, void *context)
{
    const int padding = 40 - text_width(license->key_id);
    (void)context;
    printf("%8zu  %s%*s  %s\n", license->content_size, license->key_id,
           padding > 0 ? padding : 0, "", license->name);
    return LICBAK_S_OK;
}

static void list(struct errand *errand)
{
    if (errand->hr < 0)
        return;
    const licbak_hresult hr = licbak_list_backup(errand->restorer, print_row, NULL);
    if (hr < 0)
        fail(errand, hr);
}

static int run_command(const struct command *command, const struct arguments *arguments)
{
    const unsigned given = arguments->given;
    struct errand errand = {.quiet = (given & QUIET) != 0, .has_cursor = stderr_has_cursor()};
    const licbak_hresult created = licbak_create(&errand.restorer);
    if (created < 0)
        fail(&errand, created);
    for (int i = 0; i < arguments->path_count; i++)
        set_path(&errand, command->path_names[i], arguments->paths[i]);
    if (given & THREADS)
        set_property(&errand, "Threads", LICBAK_WMT_TYPE_DWORD, &arguments->threads, 4);
    if (given & LEVEL)
        set_property(&errand, "CompressionLevel", LICBAK_WMT_TYPE_DWORD, &arguments->level, 4);
    if (command->operation != NULL)
        run_operation(&errand, command, given);
    else
        list(&errand);
    if (given & VERIFY) {
        set_path(&errand, "RestorePath", arguments->paths[1]);
        run_operation(&errand, find_command("verify"), 0);
    }
    licbak_destroy(errand.restorer);
    if (errand.hr == LICBAK_HRESULT_ERROR_EMPTY)
        return EXIT_NOTHING;
    return errand.hr < 0 ? EXIT_FAILED : EXIT_DONE;
}

/* ---- The command line ----------------------------------------------------------------- */

static const struct option {
    unsigned bit;
    const char *name, *value, *about;
} options[] = {
    {OVERWRITE, "--overwrite", "", "replace what is there: a backup, or licences that differ"},
    {FULL, "--full", "", "take nothing over from the backup that is there"},
    {DRY_RUN, "--dry-run", "", "tell everything, write nothing"},
    {VERIFY, "--verify", "", "then read the backup back and check all of it"},
    {THREADS, "--threads", "N", "workers, at most 256; 0: one for each core (the default)"},
    {LEVEL, "--level", "N", "zstd compression level"},
    {QUIET, "--quiet", "", "tell nothing but errors"},
    {HELP, "--help", "", "print this"},
};
static const size_t option_count = sizeof options / sizeof *options;

static unsigned find_option(const char *name)
{
    for (size_t i = 0; i < option_count; i++)
        if (strcmp(options[i].name, name) == 0)
            return options[i].bit;
    return 0;
}

static int print_command_help(const struct command *command)
{
    printf("usage: licbak %s %s\n\n%s\n", command->name, command->synopsis, command->help);
    for (size_t i = 0; i < option_count; i++)
        if (options[i].bit & (command->options | HELP))
            printf("  %s %-*s  %s\n", options[i].name, 11 - (int)strlen(options[i].name),
                   options[i].value, options[i].about);
    return EXIT_DONE;
}

static int usage_error(const struct command *command, const char *about, const char *wrong)
{
    fputs("licbak: ", stderr);
    put_safely(stderr, about);
    fprintf(stderr, ": %s\nusage: licbak %s %s\n", wrong, command->name, command->synopsis);
    return EXIT_USAGE;
}

/* NULL, or what is wrong. */
static const char *take_number(const char *text, int32_t *number)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < INT32_MIN || value > INT32_MAX)
        return "needs a number";
    *number = (int32_t)value;
    return NULL;
}

static const char *take_path(const struct command *command, const char *path,
                             struct arguments *arguments)
{
    if (arguments->path_count == 2 || command->path_names[arguments->path_count] == NULL)
        return "one path too many";
    arguments->paths[arguments->path_count++] = path;
    return NULL;
}

/* Moves on over the option's value, if it has one. */
static const char *take_option(const struct command *command, char ***next,
                               struct arguments *arguments)
{
    const unsigned option = find_option((*next)[0]) & (command->options | HELP);
    const char *value = (*next)[1] != NULL ? (*next)[1] : "";
    arguments->given |= option;
    *next += (option & (THREADS | LEVEL)) != 0 && *value != '\0';
    switch (option) {
    case 0: return "no such option";
    case THREADS: return take_number(value, &arguments->threads);
    case LEVEL: return take_number(value, &arguments->level);
    default: return NULL;
    }
}

static int parse_and_run(const struct command *command, char **next)
{
    struct arguments arguments = {0};
    for (bool only_paths = false; *next != NULL; next++) {
        const char *argument = *next, *wrong = NULL;
        if (only_paths || argument[0] != '-')
            wrong = take_path(command, argument, &arguments);
        else if (strcmp(argument, "--") == 0)
            only_paths = true;
        else
            wrong = take_option(command, &next, &arguments);
        if (wrong != NULL)
            return usage_error(command, argument, wrong);
    }
    if (arguments.given & HELP)
        return print_command_help(command);
    if ((arguments.given & VERIFY) && (arguments.given & DRY_RUN))
        return usage_error(command, "--verify", "a dry run leaves nothing to verify");
    if (arguments.path_count < 2 && command->path_names[arguments.path_count] != NULL)
        return usage_error(command, command->name, "a path is missing");
    return run_command(command, &arguments);
}

static int print_help(FILE *stream, int exit_code)
{
    fputs("usage: licbak COMMAND [OPTION]... PATH...\n\n", stream);
    for (size_t i = 0; i < command_count; i++)
        fprintf(stream, "  %-8s  %s\n", commands[i].name, commands[i].about);
    fputs("\n"
          "  licbak COMMAND --help   what the command does, and its options\n"
          "  licbak --version\n"
          "\n"
          "Ctrl-C cancels: a backup leaves nothing behind, a restore can be run again.\n"
          "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing to back up.\n",
          stream);
    return exit_code;
}

static int run_word(const char *word, char **rest)
{
    const struct command *command = find_command(word);
    if (command != NULL)
        return parse_and_run(command, rest);
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0)
        return print_help(stdout, EXIT_DONE);
    if (strcmp(word, "--version") == 0)
        return printf("licbak %s\n", licbak_version()) < 0 ? EXIT_FAILED : EXIT_DONE;
    fputs("licbak: ", stderr);
    put_safely(stderr, word);
    fputs(": no such command\n\n", stderr);
    return print_help(stderr, EXIT_USAGE);
}

int main(int argc, char **argv)
{
    setvbuf(stderr, NULL, _IOLBF, BUFSIZ); /* whole lines, also where others write there */
    const int exit_code =
        argc < 2 ? print_help(stderr, EXIT_USAGE) : run_word(argv[1], argv + 2);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    perror("licbak: can't write the output");
    return exit_code == EXIT_DONE ? EXIT_FAILED : exit_code;
}
