/* The commands, with what the command line gives them. */
#ifndef LICBAK_COMMANDS_H
#define LICBAK_COMMANDS_H

#include <licbak.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct keys;

enum { EXIT_DONE = 0, EXIT_FAILED = 1, EXIT_USAGE = 2, EXIT_LESS = 3, EXIT_SIGNAL = 128 };

enum {
    OVERWRITE = 1, FULL = 2, DRY_RUN = 4, VERIFY = 8, THREADS = 16, LEVEL = 32, KEY_ID = 64,
    SALVAGE = 128, JSON = 256, QUIET = 512, HELP = 1024, MACHINE_ID = 2048,
    INDIVIDUALIZE = 4096, KEEP_GOING = 8192, RECIPIENT = 16384, RECIPIENTS_FILE = 32768,
    IDENTITY = 65536, PASSPHRASE = 131072, ENDPOINT = 262144, REGION = 524288,
    WITH_VALUE = THREADS | LEVEL | KEY_ID | MACHINE_ID | RECIPIENT | RECIPIENTS_FILE | IDENTITY |
                 ENDPOINT | REGION,
    ACCOUNT = ENDPOINT | REGION,
    LOCKS = RECIPIENT | RECIPIENTS_FILE, /* besides a passphrase */
    KEYS = IDENTITY | PASSPHRASE
};

struct arguments {
    unsigned given; /* the options that were given */
    int32_t threads, level;
    const char *key_id, *machine_id, *endpoint, *region;
    struct keys *keys;
    const char *paths[2];
    int path_count;
};

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

extern const struct command commands[];
extern const size_t command_count;

/* What is said of a number that can't be taken. */
extern const char needs_threads[], needs_level[];

/* Gives NULL if there is no such command. */
const struct command *find_command(const char *name);

bool is_backup(const struct command *command);

/* Does what was asked for, tells what came of it, and gives the code to exit with. */
int run_command(const struct command *command, const struct arguments *arguments);

#endif
