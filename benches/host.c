/* host STEP LICENSES BACKUP_DIR: a host that makes its licences up, small ones, the same each time and sorted
 * by name. STEP is
 *
 *   make      gives them to nobody: what making them costs
 *   backup    also over the backup that is there
 *   verify
 *   one       restores the one in the middle by its key ID, and compares
 *
 * Prints how many licences it was about.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <licbak.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- Licences ------------------------------------------------------------------------- */

struct made {
    char name[sizeof "00000000.lic"], key_id[33];
    uint8_t content[300];
    licbak_license license;
};

static uint64_t next_random(uint64_t *state) /* splitmix64 */
{
    uint64_t mixed = *state += 0x9E3779B97F4A7C15;
    mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9;
    mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB;
    return mixed ^ mixed >> 31;
}

static void put_hex(char *to, uint64_t number)
{
    for (int i = 0; i < 16; i++)
        to[i] = "0123456789abcdef"[number >> (60 - 4 * i) & 15];
}

static const char rights[] = "play=unlimited; copy=never; burn=3; transfer=secure; begin=issue; expires=never; "
                             "security=2000; output=digital,protected; resolution=any; restart=yes\n";

/* Words that all have, of which some have more; a key, and a signature. */
static void make(struct made *made, uint64_t number)
{
    uint64_t random[11], state = number;
    uint8_t *content = made->content;
    for (size_t i = 0; i < sizeof random / sizeof *random; i++)
        random[i] = next_random(&state);
    memcpy(made->name, "00000000.lic", sizeof made->name);
    for (uint64_t i = 7, rest = number; rest > 0; i--, rest /= 10)
        made->name[i] = (char)('0' + rest % 10);
    put_hex(made->key_id, random[0]);
    put_hex(made->key_id + 16, random[1]);
    made->key_id[32] = '\0';

    memcpy(content, "LICENSE ", 8), content += 8;
    memcpy(content, made->key_id, 32), content += 32;
    memcpy(content, random + 2, 72), content += 72;
    const size_t words = random[10] % sizeof rights;
    memcpy(content, rights, words), content += words;
    made->license = (licbak_license){
        .struct_size = sizeof made->license,
        .name = made->name,
        .key_id = made->key_id,
        .content = made->content,
        .content_size = (size_t)(content - made->content),
        .modified = INT64_C(1600000000000000000) + (int64_t)number * 1000000000,
        .backup_right = LICBAK_RIGHT_ALLOWED,
    };
}

/* ---- Store ---------------------------------------------------------------------------- */

struct store {
    uint64_t count, restored;
};

static licbak_hresult LICBAK_CALL enumerate(void *context, licbak_license_callback emit,
                                            void *emit_context)
{
    const struct store *store = context;
    struct made made;
    licbak_hresult hr = LICBAK_S_OK;
    for (uint64_t number = 0; number < store->count && hr >= 0; number++) {
        make(&made, number);
        hr = emit(&made.license, emit_context);
    }
    return hr;
}

/* All are gone. */
static licbak_hresult LICBAK_CALL get(void *context, const char *name, licbak_license_callback emit,
                                      void *emit_context)
{
    (void)context, (void)name, (void)emit, (void)emit_context;
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL put(void *context, const licbak_license *license)
{
    struct store *store = context;
    struct made made;
    make(&made, strtoull(license->name, NULL, 10));
    if (strcmp(license->name, made.name) != 0 || license->content_size != made.license.content_size ||
        memcmp(license->content, made.content, made.license.content_size) != 0)
        return LICBAK_E_FAIL;
    store->restored++;
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL count(const licbak_license *license, void *context)
{
    *(uint64_t *)context += license->content_size > 0;
    return LICBAK_S_OK;
}

/* ---- Steps ---------------------------------------------------------------------------- */

static void check(licbak_restorer *restorer, licbak_hresult hr, const char *what)
{
    char sentence[4096];
    size_t size = sizeof sentence;
    if (hr >= 0)
        return;
    if (licbak_get_error_message(restorer, sentence, &size) < 0)
        *sentence = '\0';
    fprintf(stderr, "host: %s: %s %s\n", what, licbak_hresult_name(hr), sentence);
    exit(1);
}

static licbak_hresult LICBAK_CALL on_status(licbak_status status, licbak_hresult hr,
                                            licbak_datatype type, const uint8_t *value, size_t size,
                                            void *context)
{
    (void)status, (void)hr, (void)type, (void)value, (void)size, (void)context;
    return LICBAK_S_OK;
}

static licbak_hresult start(licbak_restorer *restorer, const char *step, uint64_t licenses)
{
    struct made made;
    if (strcmp(step, "backup") == 0)
        return licbak_backup_licenses(restorer, LICBAK_WM_BACKUP_OVERWRITE, on_status, NULL);
    if (strcmp(step, "verify") == 0)
        return licbak_verify_backup(restorer, 0, on_status, NULL);
    make(&made, licenses / 2);
    return licbak_restore_license(restorer, made.key_id, 0, on_status, NULL);
}

static uint64_t run(const char *step, struct store *store, const char *directory)
{
    const licbak_store functions = {sizeof functions, store, enumerate, get, put};
    licbak_progress progress = {.struct_size = sizeof progress};
    licbak_restorer *restorer;
    licbak_hresult outcome;
    check(NULL, licbak_create(&restorer), "create");
    check(restorer, licbak_set_store(restorer, &functions), "set_store");
    check(restorer, licbak_set_prop_string(restorer, "BackupPath", directory), "BackupPath");
    check(restorer, licbak_set_prop_string(restorer, "RestorePath", directory), "RestorePath");
    check(restorer, start(restorer, step, store->count), step);
    check(restorer, licbak_wait(restorer, LICBAK_WAIT_FOREVER, &outcome), "wait");
    check(restorer, outcome, step);
    check(restorer, licbak_get_progress(restorer, &progress), "get_progress");
    licbak_destroy(restorer);
    return strcmp(step, "one") == 0 ? store->restored : progress.licenses_done;
}

int main(int argc, char **argv)
{
    static const char *const steps[] = {"make", "backup", "verify", "one"};
    size_t step = 0;
    uint64_t done = 0;
    while (argc == 4 && step < 4 && strcmp(argv[1], steps[step]) != 0)
        step++;
    if (argc != 4 || step == 4) {
        fputs("usage: host make|backup|verify|one LICENSES BACKUP_DIR\n", stderr);
        return 2;
    }
    struct store store = {.count = strtoull(argv[2], NULL, 10)};
    if (store.count > 100000000) {
        fputs("host: a name has but eight digits\n", stderr);
        return 2;
    }
    if (step == 0)
        enumerate(&store, count, &done);
    else
        done = run(argv[1], &store, argv[3]);
    printf("%" PRIu64 " licences\n", done);
    return 0;
}
