/* 06: licences that the host keeps in its own memory.
 *
 * The idea: a store of the host's own gives the content of a licence and all that the host knows
 * about it: its key ID, its backup right and the time of its last modification. A restore gives
 * all of this back. This program makes three licences, backs them up, forgets them, restores them
 * and compares.
 *
 * Where the host has another version of a licence than the backup, `merge` chooses. Here a licence
 * counts plays, and the lower count wins: so nobody refills it with an old backup.
 *
 * The functions are called on a thread of the library, one at a time. Data that they share with
 * other threads of the host needs a lock of the host's own. Here main only waits meanwhile.
 *
 *     cc 06_host_memory.c -o 06_host_memory $(pkg-config --cflags --libs licbak)
 *     ./06_host_memory BACKUP_DIR
 */
#include <licbak.h>
#include <stdio.h>
#include <string.h>

#define ROOM 8

struct entry {
    char name[64], key_id[64], content[128];
    int64_t modified; /* nanoseconds since 1970 UTC */
    uint32_t right;   /* LICBAK_RIGHT_* */
};

struct wallet {
    struct entry entries[ROOM];
    size_t count;
};

static struct entry *find(struct wallet *wallet, const char *name)
{
    for (size_t i = 0; i < wallet->count; i++)
        if (strcmp(wallet->entries[i].name, name) == 0)
            return &wallet->entries[i];
    return NULL;
}

static licbak_hresult give(const struct entry *entry, licbak_license_callback emit,
                           void *emit_context)
{
    const licbak_license license = {
        .struct_size = sizeof license,
        .name = entry->name,
        .key_id = entry->key_id, /* NULL: read it from the content */
        .content = (const uint8_t *)entry->content,
        .content_size = strlen(entry->content),
        .modified = entry->modified,
        .backup_right = entry->right,
    };

    return emit(&license, emit_context); /* emit has copied everything when it returns */
}

/* For a backup: every licence. */
static licbak_hresult LICBAK_CALL enumerate(void *context, licbak_license_callback emit,
                                            void *emit_context)
{
    struct wallet *wallet = context;
    licbak_hresult hr = LICBAK_S_OK;

    for (size_t i = 0; i < wallet->count && hr >= 0; i++)
        hr = give(&wallet->entries[i], emit, emit_context);
    return hr; /* a failure of emit is returned at once */
}

/* For a restore: the licence of that name, or none. */
static licbak_hresult LICBAK_CALL get(void *context, const char *name,
                                      licbak_license_callback emit, void *emit_context)
{
    const struct entry *entry = find(context, name);

    return entry == NULL ? LICBAK_S_OK : give(entry, emit, emit_context);
}

/* For a restore: keeps the licence, in place of the one of that name. */
static licbak_hresult LICBAK_CALL put(void *context, const licbak_license *license)
{
    struct wallet *wallet = context;
    struct entry *entry = find(wallet, license->name);

    if (entry == NULL && wallet->count == ROOM)
        return LICBAK_E_OUTOFMEMORY; /* this is then the restore's outcome */
    if (strlen(license->name) >= sizeof entry->name ||
        strlen(license->key_id) >= sizeof entry->key_id ||
        license->content_size >= sizeof entry->content)
        return LICBAK_HRESULT_ERROR_FILE_TOO_LARGE;
    if (entry == NULL)
        entry = &wallet->entries[wallet->count++];

    memset(entry, 0, sizeof *entry);
    strcpy(entry->name, license->name);
    strcpy(entry->key_id, license->key_id); /* the library never gives NULL here */
    memcpy(entry->content, license->content, license->content_size);
    entry->modified = license->modified;
    entry->right = license->backup_right;
    return LICBAK_S_OK;
}

/* The plays that are left; -1 for a licence that does not count them. */
static int plays_of(const licbak_license *license)
{
    char text[128] = "";
    int plays;

    if (license->content_size < sizeof text)
        memcpy(text, license->content, license->content_size);
    return sscanf(text, "plays: %d", &plays) == 1 ? plays : -1;
}

/* For a restore: of two versions emits the one to keep. If it emits none, the host's own stays. */
static licbak_hresult LICBAK_CALL merge(void *context, const licbak_license *mine,
                                        const licbak_license *theirs,
                                        licbak_license_callback emit, void *emit_context)
{
    const int left = plays_of(mine), left_then = plays_of(theirs);

    (void)context;
    return left_then >= 0 && left_then < left ? emit(theirs, emit_context) : LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL say_ok(licbak_status status, licbak_hresult hr,
                                         licbak_datatype type, const uint8_t *value,
                                         size_t size, void *context)
{
    (void)status, (void)hr, (void)type, (void)value, (void)size, (void)context;
    return LICBAK_S_OK;
}

static licbak_hresult finish(licbak_restorer *restorer, licbak_hresult started)
{
    licbak_hresult hr, outcome;

    if (started < 0)
        return started;
    hr = licbak_wait(restorer, LICBAK_WAIT_FOREVER, &outcome);
    return hr < 0 ? hr : outcome;
}

static licbak_hresult back_up_forget_restore(licbak_restorer *restorer, struct wallet *wallet,
                                             const char *directory)
{
    const licbak_store store = {sizeof store, wallet, enumerate, get, put, merge};
    licbak_hresult hr;

    if ((hr = licbak_set_store(restorer, &store)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "BackupPath", directory)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "RestorePath", directory)) < 0)
        return hr;

    if ((hr = finish(restorer, licbak_backup_licenses(restorer, 0, say_ok, NULL))) < 0)
        return hr;
    memset(wallet, 0, sizeof *wallet);
    return finish(restorer, licbak_restore_licenses(restorer, 0, say_ok, NULL));
}

/* What becomes of the first licence, if it has `content` when the backup is restored again. */
static licbak_hresult restore_over(licbak_restorer *restorer, struct wallet *wallet,
                                   const char *content)
{
    licbak_hresult hr;

    strcpy(wallet->entries[0].content, content);
    hr = finish(restorer, licbak_restore_licenses(restorer, 0, say_ok, NULL));
    if (hr >= 0)
        printf("%s, and the backup has plays: 12: %s\n", content, wallet->entries[0].content);
    return hr;
}

static void tell_failure(licbak_restorer *restorer, licbak_hresult hr)
{
    char sentence[16384];
    size_t size = sizeof sentence;

    if (licbak_get_error_message(restorer, sentence, &size) < 0 || sentence[0] == '\0')
        fprintf(stderr, "%s\n", licbak_hresult_message(hr)); /* no operation had begun */
    else
        fprintf(stderr, "%s\n", sentence);
}

static int is_same(const struct entry *one, const struct entry *other)
{
    return other != NULL && strcmp(one->key_id, other->key_id) == 0 &&
           strcmp(one->content, other->content) == 0 && one->modified == other->modified &&
           one->right == other->right;
}

int main(int argc, char **argv)
{
    static const struct wallet before = {
        {{"films/night-train", "b3f1c0", "plays: 12", 1700000000000000001, LICBAK_RIGHT_ALLOWED},
         {"seat", "cad-pro", "seat 7 of 20", 1650000000500000000, LICBAK_RIGHT_ALLOWED},
         {"books/salt", "urn:salt", "until 2031", 1600000000000000000, LICBAK_RIGHT_UNSTATED}},
        3};
    struct wallet wallet = before, came_back;
    licbak_restorer *restorer;
    licbak_hresult hr;
    size_t same = 0;

    if (argc != 2) {
        fprintf(stderr, "usage: 06_host_memory BACKUP_DIR\n");
        return 2;
    }
    hr = licbak_create(&restorer);
    if (hr >= 0)
        hr = back_up_forget_restore(restorer, &wallet, argv[1]);
    came_back = wallet;
    if (hr >= 0)
        hr = restore_over(restorer, &wallet, "plays: 3"); /* some were used up: 3 */
    if (hr >= 0)
        hr = restore_over(restorer, &wallet, "plays: 99"); /* how come? 12 */
    if (hr < 0)
        tell_failure(restorer, hr);
    licbak_destroy(restorer); /* from here on the library does not use the wallet */
    if (hr < 0)
        return 1;

    for (size_t i = 0; i < before.count; i++)
        same += is_same(&before.entries[i], find(&came_back, before.entries[i].name));
    printf("%zu of %zu licences came back as they were\n", same, before.count);
    return same == before.count && came_back.count == before.count ? 0 : 1;
}
