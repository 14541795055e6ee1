/* licbak: back up licence files, restore, verify and list them, from the command line.
 *
 * A whole program that uses only the public header (C11). The commands and the command line are
 * here, the display of an operation is in licbak_show.c, what is read from a backup without an
 * operation is in licbak_list.c, and what the system does, POSIX or Windows, in licbak_system.c.
 * The main thread starts an operation and waits. Only the status callback writes during an
 * operation, so that two threads never draw. Results go to stdout; progress, events and errors go
 * to stderr.
 *
 *     cc licbak*.c -o licbak $(pkg-config --cflags --libs licbak)
 */
#include <errno.h>
#include <inttypes.h>
#include <licbak.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "licbak_list.h"
#include "licbak_show.h"
#include "licbak_system.h"

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LESS = 3 };

enum {
    OVERWRITE = 1, FULL = 2, DRY_RUN = 4, VERIFY = 8, THREADS = 16, LEVEL = 32, KEY_ID = 64,
    SALVAGE = 128, JSON = 256, QUIET = 512, HELP = 1024, MACHINE_ID = 2048,
    INDIVIDUALIZE = 4096, KEEP_GOING = 8192,
    WITH_VALUE = THREADS | LEVEL | KEY_ID | MACHINE_ID
};

struct arguments {
    unsigned given; /* the options that were given */
    int32_t threads, level;
    const char *key_id, *machine_id;
    const char *paths[2];
    int path_count;
};

struct errand {
    licbak_restorer *restorer;
    licbak_hresult hr; /* after a failure every later step does nothing */
    bool did_less;     /* something was passed over */
};

/* ---- Failures ------------------------------------------------------------------------- */

static void tell_failure(licbak_hresult hr, const char *about, const char *sentence)
{
    const char *name = licbak_hresult_name(hr);
    if (strncmp(name, "LICBAK_", 7) == 0)
        name += 7;
    fprintf(stderr, "licbak: %s%s", about, *about != '\0' ? ": " : "");
    put_safely(stderr, sentence);
    fprintf(stderr, " (%s%s0x%08" PRIX32 ")\n", name, *name != '\0' ? ", " : "", (uint32_t)hr);
}

/* The restorer keeps the sentence of a start, an operation or a reading that failed. */
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

/* ---- Running an operation ------------------------------------------------------------- */

static licbak_hresult wait_or_cancel(licbak_restorer *restorer)
{
    enum { wake_ms = 100 }; /* how long an interrupt may go unseen */
    licbak_hresult hr, outcome;
    while ((hr = licbak_wait(restorer, wake_ms, &outcome)) == LICBAK_S_FALSE)
        if (was_interrupted())
            licbak_cancel(restorer);
    return hr < 0 ? hr : outcome;
}

/* ---- The commands --------------------------------------------------------------------- */

typedef licbak_hresult (LICBAK_CALL *operation)(licbak_restorer *restorer, uint32_t flags,
                                                licbak_status_callback callback, void *context);
typedef licbak_hresult (*reading)(licbak_restorer *restorer);

struct command {
    const char *name, *synopsis, *about, *help;
    unsigned options;
    const char *path_names[2]; /* the properties for its paths, in their order */
    operation operation;       /* NULL: a reading */
    uint32_t overwrite_flag;
    const char *working, *done, *would_do;
    reading columns, json;
};

static const struct command commands[] = {
    {"backup", "[OPTION]... STORE BACKUP_DIR", "back up the licences below STORE",
     "STORE is a folder, below which every file is a licence, or an SQLite database with a table\n"
     "license. All of them are saved in the one file BACKUP_DIR/licenses.tar.zst. A backup that is\n"
     "there already stays, unless --overwrite is given.\n",
     OVERWRITE | FULL | DRY_RUN | KEEP_GOING | VERIFY | THREADS | LEVEL | MACHINE_ID | QUIET,
     {"StorePath", "BackupPath"}, licbak_backup_licenses, LICBAK_WM_BACKUP_OVERWRITE,
     "backing up", "Backed up", "Would back up", NULL, NULL},
    {"restore", "[OPTION]... BACKUP STORE", "restore the licences of a backup into STORE",
     "Licences that STORE lacks are written; nothing is deleted. Where STORE has another version\n"
     "of a licence, it keeps its own, unless --overwrite is given. Of a damaged backup nothing is\n"
     "restored, unless --salvage is given. STORE is a folder or an SQLite database. If it does not\n"
     "exist, it is made: a database if its name ends in .db, .sqlite or .sqlite3. With --machine-id,\n"
     "a backup of another machine is restored only with --individualize.\n",
     KEY_ID | OVERWRITE | SALVAGE | DRY_RUN | KEEP_GOING | MACHINE_ID | INDIVIDUALIZE | QUIET,
     {"RestorePath", "StorePath"},
     licbak_restore_licenses, LICBAK_RESTORE_OVERWRITE,
     "restoring", "Restored", "Would restore", NULL, NULL},
    {"verify", "[OPTION]... BACKUP", "check every byte of a backup",
     "Each damaged licence is named. Any damage is a failure.\n",
     QUIET, {"RestorePath", NULL}, licbak_verify_backup, 0, "verifying", "Verified", NULL,
     NULL, NULL},
    {"list", "[OPTION]... BACKUP", "print the licences of a backup",
     "It prints one licence a line: format, backup right, size in bytes, key ID and name. As JSON:\n"
     "name, key_id, format, right, size and modified.\n",
     JSON, {"RestorePath", NULL}, NULL, 0, NULL, NULL, NULL, list_columns, list_json},
    {"info", "[OPTION]... BACKUP", "print what a backup says about itself",
     "It prints one fact a line: the ID, which the backups that replace it keep; the generation,\n"
     "which counts them; the time; whether it is of the machine that --machine-id names; licences,\n"
     "and those left out because their issuers deny backup; the sizes in bytes. As JSON: id,\n"
     "generation, created, machine (same, other or unknown), licenses, restricted, content_bytes,\n"
     "backup_bytes, encrypted and version. None of it is proof: who can write backups can forge it.\n",
     MACHINE_ID | JSON, {"RestorePath", NULL}, NULL, 0, NULL, NULL, NULL, info_columns, info_json},
};
static const size_t command_count = sizeof commands / sizeof *commands;

static const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* `range` says which values the property takes. */
static void set_property(struct errand *errand, const char *name, licbak_datatype type,
                         const void *value, size_t size, const char *range)
{
    if (errand->hr < 0)
        return;
    errand->hr = licbak_set_prop(errand->restorer, name, type, value, size);
    if (errand->hr < 0)
        tell_failure(errand->hr, name,
                     errand->hr == LICBAK_E_INVALIDARG ? range
                                                       : licbak_hresult_message(errand->hr));
}

static void set_path(struct errand *errand, const char *name, const char *path)
{
    set_property(errand, name, path_type, path, strlen(path),
                 "A path must have at most 32,768 bytes and no \"://\".");
}

static licbak_hresult start(licbak_restorer *restorer, const struct command *command,
                            const struct arguments *arguments, struct show *show)
{
    const unsigned given = arguments->given;
    const uint32_t flags = (given & OVERWRITE ? command->overwrite_flag : 0) |
                           (given & FULL ? LICBAK_BACKUP_FULL : 0) |
                           (given & SALVAGE ? LICBAK_RESTORE_SALVAGE : 0) |
                           (given & INDIVIDUALIZE ? LICBAK_WM_RESTORE_INDIVIDUALIZE : 0) |
                           (given & KEEP_GOING ? LICBAK_KEEP_GOING : 0) |
                           (given & DRY_RUN ? LICBAK_DRY_RUN : 0);
    if (given & KEY_ID)
        return licbak_restore_license(restorer, arguments->key_id, flags, show_status, show);
    return command->operation(restorer, flags, show_status, show);
}

static void tell_way_out(licbak_hresult hr, unsigned options_left)
{
    if (hr == LICBAK_NS_E_DRM_BACKUP_EXISTS && (options_left & OVERWRITE))
        fputs("licbak: use --overwrite to replace it\n", stderr);
    if (hr == LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION)
        fputs("licbak: use --individualize if the user consents\n", stderr);
    if (hr == LICBAK_NS_E_DRM_BACKUP_CORRUPT && (options_left & SALVAGE))
        fputs("licbak: use --salvage to restore its intact licences\n", stderr);
}

static void run_operation(struct errand *errand, const struct command *command,
                          const struct arguments *arguments)
{
    const unsigned given = arguments->given;
    struct show show = begin_show(command->working, (given & QUIET) != 0);
    if (errand->hr < 0)
        return;
    catch_interrupts();
    licbak_hresult hr = start(errand->restorer, command, arguments, &show);
    if (hr >= 0)
        hr = wait_or_cancel(errand->restorer);
    /* The licences that a salvage restored are a result, though the operation has failed. */
    if (!show.quiet && (hr >= 0 || (hr == LICBAK_NS_E_DRM_BACKUP_CORRUPT && (given & SALVAGE))))
        tell_summary(&show, given & DRY_RUN ? command->would_do : command->done,
                     (given & (KEY_ID | SALVAGE)) == 0);
    errand->did_less |= hr == LICBAK_S_FALSE;
    if (hr < 0) {
        fail(errand, hr);
        tell_way_out(hr, command->options & ~given);
    }
}

static void run_reading(struct errand *errand, reading read)
{
    if (errand->hr < 0)
        return;
    const licbak_hresult hr = read(errand->restorer);
    if (hr < 0)
        fail(errand, hr);
}

static int run_command(const struct command *command, const struct arguments *arguments)
{
    const unsigned given = arguments->given;
    struct errand errand = {0};
    const licbak_hresult created = licbak_create(&errand.restorer);
    if (created < 0)
        fail(&errand, created);
    for (int i = 0; i < arguments->path_count; i++)
        set_path(&errand, command->path_names[i], arguments->paths[i]);
    if (given & THREADS)
        set_property(&errand, "Threads", LICBAK_WMT_TYPE_DWORD, &arguments->threads, 4,
                     "The number of workers must be from 0 to 256.");
    if (given & LEVEL)
        set_property(&errand, "CompressionLevel", LICBAK_WMT_TYPE_DWORD, &arguments->level, 4,
                     "A level must be at least -131072 and at most 22.");
    if (given & MACHINE_ID)
        set_property(&errand, "MachineId", LICBAK_WMT_TYPE_STRING, arguments->machine_id,
                     strlen(arguments->machine_id),
                     "A word must be UTF-8 and have at most 32,768 bytes.");
    if (command->operation != NULL)
        run_operation(&errand, command, arguments);
    else
        run_reading(&errand, given & JSON ? command->json : command->columns);
    /* Of a backup that replaces another most is known; the list would be a good part of its work. */
    if (command->operation == licbak_backup_licenses &&
        (given & (DRY_RUN | QUIET)) == 0 && (given & (OVERWRITE | VERIFY)) != OVERWRITE) {
        set_path(&errand, "RestorePath", arguments->paths[1]);
        if (errand.hr >= 0)
            tell_unread(errand.restorer, arguments->paths[0]);
    }
    if (given & VERIFY) {
        const struct arguments verify = {.given = given & QUIET};
        set_path(&errand, "RestorePath", arguments->paths[1]);
        run_operation(&errand, find_command("verify"), &verify);
    }
    licbak_destroy(errand.restorer);
    if (errand.hr < 0)
        return errand.hr == LICBAK_HRESULT_ERROR_EMPTY ? EXIT_LESS : EXIT_FAILED;
    return errand.did_less ? EXIT_LESS : EXIT_DONE;
}

/* ---- The command line ----------------------------------------------------------------- */

static const struct option {
    unsigned bit;
    const char *name, *value, *about;
} options[] = {
    {OVERWRITE, "--overwrite", "", "replace the backup that is there, or licences that differ"},
    {FULL, "--full", "", "take nothing over from the backup that is there"},
    {SALVAGE, "--salvage", "", "restore the intact licences of a damaged backup, and fail all the same"},
    {DRY_RUN, "--dry-run", "", "tell everything, write nothing"},
    {KEEP_GOING, "--keep-going", "", "pass over what can't be read or put back"},
    {VERIFY, "--verify", "", "then read the whole backup and check it"},
    {THREADS, "--threads", "N", "workers, at most 256; 0: one for each core (the default)"},
    {LEVEL, "--level", "N", "zstd compression level, at most 22"},
    {KEY_ID, "--key-id", "ID", "only the licences of this key ID, as list shows it"},
    {MACHINE_ID, "--machine-id", "WORD", "which machine this is; the backup keeps a hash of it"},
    {INDIVIDUALIZE, "--individualize", "", "the user consents to this machine, if the backup is of another"},
    {JSON, "--json", "", "JSON for scripts, one object a line"},
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
    printf("usage: licbak %s %s\n\n%s", command->name, command->synopsis, command->help);
    if (strcmp(command->path_names[0], "RestorePath") == 0)
        puts("BACKUP is the directory of a backup, or the backup file itself, whatever its name.");
    putchar('\n');
    for (size_t i = 0; i < option_count; i++)
        if (options[i].bit & (command->options | HELP))
            printf("  %s %-*s  %s\n", options[i].name, 16 - (int)strlen(options[i].name),
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

/* Gives NULL, or says what is wrong. */
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

/* Moves `next` to the option's value, if the option has one. */
static const char *take_option(const struct command *command, char ***next,
                               struct arguments *arguments)
{
    const unsigned option = find_option((*next)[0]) & (command->options | HELP);
    const char *value = (*next)[1] != NULL ? (*next)[1] : "";
    arguments->given |= option;
    *next += (option & WITH_VALUE) != 0 && *value != '\0';
    switch (option) {
    case 0: return "no such option";
    case THREADS: return take_number(value, &arguments->threads);
    case LEVEL: return take_number(value, &arguments->level);
    case KEY_ID:
        arguments->key_id = value;
        return *value == '\0' ? "needs a key ID" : NULL;
    case MACHINE_ID:
        arguments->machine_id = value;
        return *value == '\0' ? "needs a word" : NULL;
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
    if (command->overwrite_flag == LICBAK_WM_BACKUP_OVERWRITE &&
        (arguments.given & KEEP_GOING) && (arguments.given & OVERWRITE))
        return usage_error(command, "--keep-going",
                           "not with --overwrite: the old backup may have what would be passed over");
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
          "Ctrl-C cancels. A backup then leaves nothing behind; a restore can be run again.\n"
          "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing to back up, or with --keep-going\n"
          "something was passed over.\n",
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
    (void)argc;
    if ((argv = begin_process(argv)) == NULL) {
        fputs("licbak: there is no memory for the command line\n", stderr);
        return EXIT_FAILED;
    }
    const bool has_words = argv[0] != NULL && argv[1] != NULL;
    const int exit_code = has_words ? run_word(argv[1], argv + 2) : print_help(stderr, EXIT_USAGE);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    perror("licbak: can't write the output");
    return exit_code == EXIT_DONE ? EXIT_FAILED : exit_code;
}
