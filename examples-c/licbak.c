/* licbak: back up licence files, restore, verify and list them, from the command line.
 *
 * A whole program that uses only the public header (C11). The command line is here, what the commands
 * do in licbak_commands.c, the display of an operation is in licbak_show.c and, as JSON, in
 * licbak_json.c, what is read from a backup without an operation is in licbak_list.c, the keys of
 * encrypted backups in licbak_keys.c, and what the system does, POSIX or Windows, in licbak_system.c.
 * The main thread starts an operation and waits. Only the status callback writes during an
 * operation, so that two threads never draw. Results go to stdout; progress, events and errors go
 * to stderr.
 *
 *     cc licbak*.c -o licbak $(pkg-config --cflags --libs licbak)
 */
#include <errno.h>
#include <getopt.h>
#include <licbak.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "licbak_commands.h"
#include "licbak_json.h"
#include "licbak_keys.h"
#include "licbak_show.h"
#include "licbak_system.h"

/* Where an option says something else of itself in another command, it has a row for each. */
static const struct known_option {
    unsigned bit;
    const char *name, *value, *about;
    const char *command; /* NULL: whichever has it */
} options[] = {
    {OVERWRITE, "--overwrite", "", "replace the backup that is there", "backup"},
    {OVERWRITE, "--overwrite", "", "replace licences that differ", "restore"},
    {FULL, "--full", "", "take nothing over from the backup that is there", NULL},
    {SALVAGE, "--salvage", "", "restore the intact licences of a damaged backup, and fail all the same", NULL},
    {DRY_RUN, "--dry-run", "", "tell everything, write nothing", NULL},
    {KEEP_GOING, "--keep-going", "", "pass over what can't be read, and end with 3", "backup"},
    {KEEP_GOING, "--keep-going", "", "pass over what can't be put back, and end with 3", "restore"},
    {VERIFY, "--verify", "", "then read the whole backup and check it", NULL},
    {THREADS, "--threads", "N", "workers, from 1 to 256; 0, the default: one for each core", NULL},
    {LEVEL, "--level", "N", "zstd compression level, from -131072 to 22", NULL},
    {KEY_ID, "--key-id", "ID", "only the licences of this key ID, as list shows it", NULL},
    {MACHINE_ID, "--machine-id", "WORD", "which machine this is; the backup keeps a hash of it", "backup"},
    {MACHINE_ID, "--machine-id", "WORD", "which machine this is, so that a backup of another is refused", "restore"},
    {MACHINE_ID, "--machine-id", "WORD", "which machine this is, so that machine is same or other", "info"},
    {RECIPIENT, "--recipient", "AGE", "encrypt the backup to this age recipient; may be given again", NULL},
    {RECIPIENTS_FILE, "--recipients-file", "FILE", "encrypt the backup to the recipients in FILE", NULL},
    {IDENTITY, "--identity", "FILE", "age identities for the backup that is replaced", "backup"},
    {IDENTITY, "--identity", "FILE", "age identities that open an encrypted backup", "restore"},
    {IDENTITY, "--identity", "FILE", "age identities that open an encrypted backup", "verify"},
    {IDENTITY, "--identity", "FILE", "age identities that open an encrypted backup", "list"},
    {IDENTITY, "--identity", "FILE", "age identities that open an encrypted backup", "info"},
    {PASSPHRASE, "--passphrase", "", "encrypt the backup with a passphrase, asked for on the terminal", "backup"},
    {PASSPHRASE, "--passphrase", "", "ask on the terminal for the passphrase of the backup", "restore"},
    {PASSPHRASE, "--passphrase", "", "ask on the terminal for the passphrase of the backup", "verify"},
    {PASSPHRASE, "--passphrase", "", "ask on the terminal for the passphrase of the backup", "list"},
    {PASSPHRASE, "--passphrase", "", "ask on the terminal for the passphrase of the backup", "info"},
    {ENDPOINT, "--endpoint", "URL", "the server of s3://, or AWS_ENDPOINT_URL_S3; default: AWS", NULL},
    {REGION, "--region", "NAME", "the region of s3://, or AWS_REGION", NULL},
    {INDIVIDUALIZE, "--individualize", "", "the user consents to this machine, if the backup is of another", NULL},
    {JSON, "--json", "", "JSON for scripts, one object a line", NULL},
    {QUIET, "--quiet", "", "tell nothing but errors", NULL},
    {HELP, "--help", "", "print this", NULL},
};
static const size_t option_count = sizeof options / sizeof *options;

static bool has_option(const struct command *command, const struct known_option *option)
{
    return (option->bit & (command->options | HELP)) != 0 &&
           (option->command == NULL || strcmp(option->command, command->name) == 0);
}

static int print_command_help(const struct command *command)
{
    printf("usage: licbak %s %s\n\n%s", command->name, command->synopsis, command->help);
    if (strcmp(command->path_names[0], "RestorePath") == 0)
        puts("BACKUP is the directory of a backup, or the backup file itself, whatever its name.");
    putchar('\n');
    for (size_t i = 0; i < option_count; i++)
        if (has_option(command, &options[i]))
            printf("  %s %-*s  %s\n", options[i].name, 22 - (int)strlen(options[i].name),
                   options[i].value, options[i].about);
    return EXIT_DONE;
}

/* Of a wrong command line the options are not known. `words` end with NULL. */
static bool asks_for_json(char **words)
{
    while (*words != NULL && strcmp(*words, "--json") != 0)
        words++;
    return *words != NULL;
}

/* `about` may be a word of the caller's, which need not be UTF-8, as JSON must. */
static void print_usage_error(const struct command *command, const char *about, const char *wrong)
{
    const struct json json = begin_json();
    char message[512];
    snprintf(message, sizeof message, "%s: %s", about, wrong);
    for (char *at = message; *at != '\0'; at++)
        if (((unsigned char)*at & 0x80) != 0)
            *at = '?';
    print_json_end(&json, command->name, LICBAK_E_INVALIDARG, message);
}

static int usage_error(const struct command *command, char **words, const char *about,
                       const char *wrong)
{
    if (asks_for_json(words))
        print_usage_error(command, about, wrong);
    fputs("licbak: ", stderr);
    put_safely(stderr, about);
    fprintf(stderr, ": %s\nusage: licbak %s %s\n", wrong, command->name, command->synopsis);
    return EXIT_USAGE;
}

static bool is_number(const char *text, int32_t least, int32_t most, int32_t *number)
{
    char *end;
    errno = 0;
    const long value = strtol(text, &end, 10);
    if (end == text || *end != '\0' || errno != 0 || value < least || value > most)
        return false;
    *number = (int32_t)value;
    return true;
}

/* Gives NULL, or says what is wrong. */
static const char *take_option(unsigned option, const char *value, struct arguments *arguments)
{
    arguments->given |= option;
    switch (option) {
    case THREADS: return is_number(value, 0, 256, &arguments->threads) ? NULL : needs_threads;
    case LEVEL: return is_number(value, -131072, 22, &arguments->level) ? NULL : needs_level;
    case KEY_ID:
        arguments->key_id = value;
        return *value == '\0' ? "needs a key ID" : NULL;
    case MACHINE_ID:
        arguments->machine_id = value;
        return *value == '\0' ? "needs a word" : NULL;
    case ENDPOINT:
        arguments->endpoint = value;
        return *value == '\0' ? "needs an address" : NULL;
    case REGION:
        arguments->region = value;
        return *value == '\0' ? "needs the name of a region" : NULL;
    case RECIPIENT: return add_recipient(arguments->keys, value);
    case RECIPIENTS_FILE: return add_recipients_file(arguments->keys, value);
    case IDENTITY: return add_identity_file(arguments->keys, value);
    default: return NULL;
    }
}

static const char *take_path(const struct command *command, const char *path,
                             struct arguments *arguments)
{
    if (arguments->path_count == 2 || command->path_names[arguments->path_count] == NULL)
        return "one path too many";
    arguments->paths[arguments->path_count++] = path;
    return NULL;
}

/* The command's options for getopt_long, which gives the bit of the one that it finds. */
static void describe_options(const struct command *command, struct option *found)
{
    for (size_t i = 0; i < option_count; i++)
        if (has_option(command, &options[i]))
            *found++ = (struct option){
                options[i].name + 2,
                options[i].bit & WITH_VALUE ? required_argument : no_argument, NULL,
                (int)options[i].bit};
    *found = (struct option){NULL, 0, NULL, 0};
}

/* words[0] is the command, and NULL stands after the last. */
static int parse_and_run(const struct command *command, int count, char **words)
{
    static struct keys keys;
    struct arguments arguments = {.keys = &keys};
    struct option known[sizeof options / sizeof *options + 1];
    const char *wrong = NULL;
    describe_options(command, known);
    opterr = 0; /* what is wrong is told here */
    for (int option, at = 0; (option = getopt_long(count, words, ":h", known, &at)) != -1;) {
        const char *about = words[optind - 1];
        if (option == '?')
            wrong = strchr(words[optind - 1], '=') != NULL ? "no such option with a value" : "no such option";
        else if (option == 'h')
            arguments.given |= HELP;
        else if (option != ':' && ((unsigned)option & WITH_VALUE) == 0 && strchr(about, '=') != NULL)
            wrong = "no such option with a value"; /* not every system's says so itself */
        else if (option == ':') /* its value is missing */
            wrong = take_option((unsigned)optopt, "", &arguments);
        else if ((wrong = take_option((unsigned)option, optarg != NULL ? optarg : "", &arguments)) != NULL)
            about = known[at].name - 2; /* with its dashes, and without the value */
        if (wrong != NULL)
            return usage_error(command, words, about, wrong);
    }
    for (char **path = words + optind; *path != NULL; path++)
        if ((wrong = take_path(command, *path, &arguments)) != NULL)
            return usage_error(command, words, *path, wrong);
    if (arguments.given & HELP)
        return print_command_help(command);
    if ((arguments.given & VERIFY) && (arguments.given & DRY_RUN))
        return usage_error(command, words, "--verify", "a dry run leaves nothing to verify");
    if (command->overwrite_flag == LICBAK_WM_BACKUP_OVERWRITE &&
        (arguments.given & KEEP_GOING) && (arguments.given & OVERWRITE))
        return usage_error(command, words, "--keep-going",
                           "not with --overwrite: the old backup may have what would be passed over");
    if (arguments.path_count < 2 && command->path_names[arguments.path_count] != NULL)
        return usage_error(command, words, command->name, "a path is missing");
    if (arguments.given & PASSPHRASE) {
        const bool is_new = is_backup(command) && (arguments.given & LOCKS) == 0;
        if ((wrong = ask_for_passphrase(&keys, is_new)) != NULL)
            return usage_error(command, words, "--passphrase", wrong);
    }
    return run_command(command, &arguments);
}

static int print_help(FILE *stream, int exit_code)
{
    fputs("usage: licbak COMMAND [OPTION]... PATH...\n\n", stream);
    for (size_t i = 0; i < command_count; i++)
        fprintf(stream, "  %-8s  %s\n", commands[i].name, commands[i].about);
    fputs("  help      print what a command does, and its options\n"
          "\n"
          "  licbak help COMMAND, or licbak COMMAND --help\n"
          "  licbak --version, or -V\n"
          "\n"
          "Ctrl-C cancels. A backup then leaves nothing behind; a restore can be run again.\n"
          "Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing to back up, or with --keep-going\n"
          "something was passed over, 130 Ctrl-C, 143 SIGTERM.\n",
          stream);
    return exit_code;
}

static int no_such_command(const char *word)
{
    fputs("licbak: ", stderr);
    put_safely(stderr, word);
    fputs(": no such command\n\n", stderr);
    return print_help(stderr, EXIT_USAGE);
}

/* words[0] is not NULL. */
static int run_words(int count, char **words)
{
    const char *word = words[0];
    const struct command *command = find_command(word);
    if (command != NULL)
        return parse_and_run(command, count, words);
    if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
        return printf("licbak %s\n", licbak_version()) < 0 ? EXIT_FAILED : EXIT_DONE;
    if (strcmp(word, "--help") != 0 && strcmp(word, "-h") != 0 && strcmp(word, "help") != 0)
        return no_such_command(word);
    if (count == 1)
        return print_help(stdout, EXIT_DONE);
    command = find_command(words[1]);
    return command != NULL ? print_command_help(command) : no_such_command(words[1]);
}

int main(int argc, char **argv)
{
    if ((argv = begin_process(argv)) == NULL) {
        fputs("licbak: there is no memory for the command line\n", stderr);
        return EXIT_FAILED;
    }
    const bool has_words = argc > 1;
    const int exit_code =
        has_words ? run_words(argc - 1, argv + 1) : print_help(stderr, EXIT_USAGE);
    if (fflush(stdout) == 0 && !ferror(stdout))
        return exit_code;
    perror("licbak: can't write the output");
    return exit_code == EXIT_DONE ? EXIT_FAILED : exit_code;
}
