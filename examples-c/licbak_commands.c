/* What the commands do, which is an operation or a reading each; see licbak_commands.h. */
#include "licbak_commands.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "licbak_json.h"
#include "licbak_keys.h"
#include "licbak_list.h"
#include "licbak_show.h"
#include "licbak_system.h"

struct errand {
    const struct command *command;
    const struct arguments *arguments;
    licbak_restorer *restorer;
    struct json json;  /* what is known for the last object of --json */
    licbak_hresult hr; /* after a failure every later step does nothing */
    bool did_less;     /* something was passed over */
};

/* ---- Failures ------------------------------------------------------------------------- */

static void tell_failure(licbak_hresult hr, const char *message)
{
    const char *name = licbak_hresult_name(hr);
    if (strncmp(name, "LICBAK_", 7) == 0)
        name += 7;
    fputs("licbak: ", stderr);
    put_safely(stderr, message);
    fprintf(stderr, " (%s%s0x%08" PRIX32 ")\n", name, *name != '\0' ? ", " : "", (uint32_t)hr);
}

/* All failures are told here, so that with --json each has the last object. */
static void fail(struct errand *errand, licbak_hresult hr, const char *message)
{
    errand->hr = hr;
    if (errand->arguments->given & JSON)
        print_json_end(&errand->json, errand->command->name, hr, message);
    tell_failure(hr, message);
}

/* The restorer keeps the sentence of a start, an operation or a reading that failed. */
static void fail_with_sentence(struct errand *errand, licbak_hresult hr)
{
    static char sentence[16384];
    size_t size = sizeof sentence;
    const licbak_hresult got = licbak_get_error_message(errand->restorer, sentence, &size);
    if (got < 0 && got != LICBAK_NS_E_DRM_BUFFER_TOO_SMALL)
        *sentence = '\0';
    fail(errand, hr, *sentence != '\0' ? sentence : licbak_hresult_message(hr));
}

/* ---- Running an operation ------------------------------------------------------------- */

static licbak_hresult wait_or_cancel(licbak_restorer *restorer)
{
    enum { wake_ms = 100 }; /* how long an interrupt may go unseen */
    licbak_hresult hr, outcome;
    while ((hr = licbak_wait(restorer, wake_ms, &outcome)) == LICBAK_S_FALSE)
        if (interrupting_signal() != 0)
            licbak_cancel(restorer);
    return hr < 0 ? hr : outcome;
}

/* ---- The commands --------------------------------------------------------------------- */

const struct command commands[] = {
    {"backup", "[OPTION]... STORE BACKUP_DIR", "back up the licences below STORE",
     "STORE is a folder, below which every file is a licence, or an SQLite database with a table\n"
     "license. All of them are saved in the one file BACKUP_DIR/licenses.tar.zst. A backup that is\n"
     "there already stays, unless --overwrite is given. With a recipient or a passphrase the file is\n"
     "encrypted, as age does, and named licenses.tar.zst.age. BACKUP_DIR may be s3://bucket/prefix.\n",
     OVERWRITE | FULL | DRY_RUN | KEEP_GOING | VERIFY | THREADS | LEVEL | MACHINE_ID | LOCKS | KEYS | ACCOUNT | JSON |
         QUIET,
     {"StorePath", "BackupPath"}, licbak_backup_licenses, LICBAK_WM_BACKUP_OVERWRITE,
     "backing up", "Backed up", "Would back up", NULL, NULL},
    {"restore", "[OPTION]... BACKUP STORE", "restore the licences of a backup into STORE",
     "Licences that STORE lacks are written; nothing is deleted. Where STORE has another version\n"
     "of a licence, it keeps its own, unless --overwrite is given. Of a damaged backup nothing is\n"
     "restored, unless --salvage is given. STORE is a folder or an SQLite database. If it does not\n"
     "exist, it is made: a database if its name ends in .db, .sqlite or .sqlite3. With --machine-id,\n"
     "a backup of another machine is restored only with --individualize.\n",
     KEY_ID | OVERWRITE | SALVAGE | DRY_RUN | KEEP_GOING | MACHINE_ID | INDIVIDUALIZE | KEYS | ACCOUNT | JSON | QUIET,
     {"RestorePath", "StorePath"},
     licbak_restore_licenses, LICBAK_RESTORE_OVERWRITE,
     "restoring", "Restored", "Would restore", NULL, NULL},
    {"verify", "[OPTION]... BACKUP", "check every byte of a backup",
     "Each damaged licence is named. Any damage is a failure.\n",
     KEYS | ACCOUNT | JSON | QUIET, {"RestorePath", NULL}, licbak_verify_backup, 0, "verifying", "Verified",
     NULL, NULL, NULL},
    {"list", "[OPTION]... BACKUP", "print the licences of a backup",
     "It prints one licence a line: format, backup right, size in bytes, key ID and name. As JSON:\n"
     "name, key_id, format, right, size and modified.\n",
     KEYS | ACCOUNT | JSON, {"RestorePath", NULL}, NULL, 0, NULL, NULL, NULL, list_columns, list_json},
    {"info", "[OPTION]... BACKUP", "print what a backup says about itself",
     "It prints one fact a line: the ID, which the backups that replace it keep; the generation,\n"
     "which counts them; the time; whether it is of the machine that --machine-id names; licences,\n"
     "and those left out because their issuers deny backup; the sizes in bytes. As JSON: id,\n"
     "generation, created, machine (same, other or unknown), licenses, restricted, content_bytes,\n"
     "backup_bytes, encrypted and version. None of it is proof: who can write backups can forge it.\n",
     MACHINE_ID | KEYS | ACCOUNT | JSON, {"RestorePath", NULL}, NULL, 0, NULL, NULL, NULL, info_columns, info_json},
};
const size_t command_count = sizeof commands / sizeof *commands;

/* A function of a DLL may have two addresses, so operations are not compared by them. */
bool is_backup(const struct command *command)
{
    return strcmp(command->name, "backup") == 0;
}

const struct command *find_command(const char *name)
{
    for (size_t i = 0; i < command_count; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

/* `rule` says which values the property takes. */
static void set_property(struct errand *errand, const char *name, licbak_datatype type,
                         const void *value, size_t size, const char *rule)
{
    if (errand->hr < 0)
        return;
    const licbak_hresult hr = licbak_set_prop(errand->restorer, name, type, value, size);
    if (hr < 0) {
        char message[512];
        snprintf(message, sizeof message, "%s: %s", name,
                 hr == LICBAK_E_INVALIDARG ? rule : licbak_hresult_message(hr));
        fail(errand, hr, message);
    }
}

const char needs_threads[] = "needs a number from 0 to 256";
const char needs_level[] = "needs a number from -131072 to 22";

static void set_path(struct errand *errand, const char *name, const char *path)
{
    set_property(errand, name, path_type, path, strlen(path),
                 "A path must have at most 32,768 bytes and no \"://\"; a backup may be at s3://bucket/prefix.");
}

/* What the command line does not say of the account is taken from where the programs of AWS look for it. */
static void set_account(struct errand *errand, const struct arguments *arguments)
{
    const struct {
        const char *property, *given, *names[2], *rule;
    } account[] = {
        {"Endpoint", arguments->endpoint, {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"},
         "needs an address as https://host or http://host"},
        {"Region", arguments->region, {"AWS_REGION", "AWS_DEFAULT_REGION"}, "needs the name of a region"},
        {"AccessKeyId", NULL, {"AWS_ACCESS_KEY_ID", NULL}, "must be ASCII without control characters"},
        {"SecretAccessKey", NULL, {"AWS_SECRET_ACCESS_KEY", NULL}, "must be ASCII without control characters"},
        {"SessionToken", NULL, {"AWS_SESSION_TOKEN", NULL}, "must be ASCII without control characters"},
    };
    for (size_t i = 0; i < sizeof account / sizeof *account; i++) {
        const char *value = account[i].given;
        for (size_t name = 0; name < 2 && value == NULL; name++)
            if (account[i].names[name] != NULL && (value = getenv(account[i].names[name])) != NULL && *value == '\0')
                value = NULL;
        if (value != NULL)
            set_property(errand, account[i].property, LICBAK_WMT_TYPE_STRING, value, strlen(value),
                         account[i].rule);
    }
}

static bool is_in_bucket(const char *path)
{
    return path != NULL && strncmp(path, "s3://", 5) == 0;
}

static void set_keys(struct errand *errand, unsigned given, const struct keys *keys)
{
    if (given & LOCKS)
        set_property(errand, "Recipients", LICBAK_WMT_TYPE_STRING, keys->recipients,
                     strlen(keys->recipients), "takes age recipients (age1...), one a line");
    if (given & IDENTITY)
        set_property(errand, "Identities", LICBAK_WMT_TYPE_STRING, keys->identities,
                     strlen(keys->identities), "takes age identities (AGE-SECRET-KEY-1...), one a line");
    if (given & PASSPHRASE)
        set_property(errand, "Passphrase", LICBAK_WMT_TYPE_STRING, keys->passphrase,
                     strlen(keys->passphrase), "must be UTF-8");
}

static licbak_hresult start(const struct errand *errand, licbak_status_callback callback,
                            void *context)
{
    const struct command *command = errand->command;
    const struct arguments *arguments = errand->arguments;
    const unsigned given = arguments->given;
    const uint32_t flags = (given & OVERWRITE ? command->overwrite_flag : 0) |
                           (given & FULL ? LICBAK_BACKUP_FULL : 0) |
                           (given & SALVAGE ? LICBAK_RESTORE_SALVAGE : 0) |
                           (given & INDIVIDUALIZE ? LICBAK_WM_RESTORE_INDIVIDUALIZE : 0) |
                           (given & KEEP_GOING ? LICBAK_KEEP_GOING : 0) |
                           (given & DRY_RUN ? LICBAK_DRY_RUN : 0);
    if (given & KEY_ID)
        return licbak_restore_license(errand->restorer, arguments->key_id, flags, callback, context);
    return command->operation(errand->restorer, flags, callback, context);
}

static void tell_way_out(licbak_hresult hr, unsigned options_left, const struct arguments *arguments)
{
    /* What is there may also be a folder or a device, which nobody replaces, or of the other kind. */
    const bool is_encrypted = (arguments->given & (LOCKS | PASSPHRASE)) != 0;
    const char *own = is_encrypted ? "licenses.tar.zst.age" : "licenses.tar.zst";
    char beginning[1];
    if (hr == LICBAK_NS_E_DRM_BACKUP_EXISTS && (options_left & OVERWRITE) &&
        read_beginning(arguments->paths[1], own, beginning, sizeof beginning) > 0)
        fputs("licbak: use --overwrite to replace it\n", stderr);
    if (hr == LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION)
        fputs("licbak: use --individualize if the user consents\n", stderr);
    if (hr == LICBAK_NS_E_DRM_BACKUP_CORRUPT && (options_left & SALVAGE))
        fputs("licbak: if it was a backup, use --salvage to restore its intact licences\n", stderr);
    if (hr == LICBAK_HRESULT_ERROR_DECRYPTION_FAILED && (options_left & KEYS) == KEYS)
        fputs("licbak: use --identity or --passphrase to open it\n", stderr);
}

static licbak_hresult run_shown(const struct errand *errand)
{
    const struct command *command = errand->command;
    const unsigned given = errand->arguments->given;
    struct show show = begin_show(command->working, (given & QUIET) != 0);
    licbak_hresult hr = start(errand, show_status, &show);
    if (hr >= 0)
        hr = wait_or_cancel(errand->restorer);
    /* The licences that a salvage restored are a result, though the operation has failed. */
    if (!show.quiet && (hr >= 0 || (hr == LICBAK_NS_E_DRM_BACKUP_CORRUPT && (given & SALVAGE))))
        tell_summary(&show, given & DRY_RUN ? command->would_do : command->done,
                     (given & (KEY_ID | SALVAGE)) == 0);
    return hr;
}

static licbak_hresult run_as_json(struct errand *errand)
{
    licbak_hresult hr = start(errand, json_status, &errand->json);
    if (hr >= 0)
        hr = wait_or_cancel(errand->restorer);
    if (hr >= 0)
        print_json_end(&errand->json, errand->command->name, hr, NULL);
    return hr;
}

static void run_operation(struct errand *errand)
{
    const struct arguments *arguments = errand->arguments;
    if (errand->hr < 0)
        return;
    catch_interrupts();
    const licbak_hresult hr = arguments->given & JSON ? run_as_json(errand) : run_shown(errand);
    errand->did_less |= hr == LICBAK_S_FALSE;
    if (hr < 0) {
        fail_with_sentence(errand, hr);
        tell_way_out(hr, errand->command->options & ~arguments->given, arguments);
    }
}

static void run_reading(struct errand *errand, reading read)
{
    if (errand->hr < 0)
        return;
    const licbak_hresult hr = read(errand->restorer);
    if (hr < 0)
        fail_with_sentence(errand, hr);
}

/* Of a backup that replaces another most is known; the list would be a good part of its work. */
static bool is_worth_looking(const struct errand *errand)
{
    const unsigned given = errand->arguments->given;
    return is_backup(errand->command) &&
           (given & (DRY_RUN | JSON | QUIET)) == 0 && (given & (OVERWRITE | VERIFY)) != OVERWRITE &&
           is_folder(errand->arguments->paths[0]); /* a database has no files to look at */
}

/* What else can't be told does not matter, but an interrupt does. */
static void look_for_unread(struct errand *errand)
{
    if (errand->hr >= 0 && tell_unread(errand->restorer, errand->arguments->paths[0]) ==
                               LICBAK_NS_E_DRM_OPERATION_CANCELED)
        fail(errand, LICBAK_NS_E_DRM_OPERATION_CANCELED,
             licbak_hresult_message(LICBAK_NS_E_DRM_OPERATION_CANCELED));
}

int run_command(const struct command *command, const struct arguments *arguments)
{
    const unsigned given = arguments->given;
    struct errand errand = {.command = command, .arguments = arguments, .json = begin_json()};
    const licbak_hresult created = licbak_create(&errand.restorer);
    if (created < 0)
        fail_with_sentence(&errand, created);
    for (int i = 0; i < arguments->path_count; i++)
        set_path(&errand, command->path_names[i], arguments->paths[i]);
    if (given & THREADS)
        set_property(&errand, "Threads", LICBAK_WMT_TYPE_DWORD, &arguments->threads, 4,
                     needs_threads);
    if (given & LEVEL)
        set_property(&errand, "CompressionLevel", LICBAK_WMT_TYPE_DWORD, &arguments->level, 4,
                     needs_level);
    if (given & MACHINE_ID)
        set_property(&errand, "MachineId", LICBAK_WMT_TYPE_STRING, arguments->machine_id,
                     strlen(arguments->machine_id),
                     "A word must be UTF-8 and have at most 32,768 bytes.");
    if (is_in_bucket(arguments->paths[0]) || is_in_bucket(arguments->paths[1]))
        set_account(&errand, arguments);
    set_keys(&errand, given, arguments->keys);
    forget_keys(arguments->keys);
    if (command->operation != NULL)
        run_operation(&errand);
    else
        run_reading(&errand, given & JSON ? command->json : command->columns);
    if (is_backup(command))
        set_path(&errand, "RestorePath", arguments->paths[1]);
    if (is_worth_looking(&errand))
        look_for_unread(&errand);
    const struct arguments verify = {.given = given & (JSON | QUIET)};
    if (given & VERIFY) {
        errand.command = find_command("verify");
        errand.arguments = &verify;
        errand.json = begin_json();
        run_operation(&errand);
    }
    licbak_destroy(errand.restorer);
    if (errand.hr == LICBAK_HRESULT_ERROR_EMPTY)
        return EXIT_LESS;
    if (errand.hr == LICBAK_E_INVALIDARG)
        return EXIT_USAGE;
    if (errand.hr == LICBAK_NS_E_DRM_OPERATION_CANCELED && interrupting_signal() != 0)
        return EXIT_SIGNAL + interrupting_signal(); /* as a shell says it of one that was killed */
    if (errand.hr < 0)
        return EXIT_FAILED;
    return errand.did_less ? EXIT_LESS : EXIT_DONE;
}
