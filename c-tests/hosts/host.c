/* A host in C with a loop of its own, in which poll waits for licbak beside all else. */
#include <licbak.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>

static licbak_hresult LICBAK_CALL on_status(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                            const uint8_t *value, size_t size, void *context)
{
    const licbak_progress *figures = (const licbak_progress *)value;
    (void)hr, (void)type, (void)size, (void)context;
    if (status == LICBAK_STATUS_PROGRESS)
        printf("%d of %d\n", (int)figures->licenses_done, (int)figures->licenses_total);
    if (status == LICBAK_STATUS_LICENSE_LEFT_OUT)
        printf("left out: %s\n", (const char *)value);
    return LICBAK_S_OK;
}

/* Goes on with the host's loop to the end of what `hr` says was started, and gives its outcome. */
static licbak_hresult loop(licbak_restorer *restorer, licbak_hresult hr)
{
    ptrdiff_t descriptor = -1;
    if (hr == LICBAK_S_OK)
        hr = licbak_get_wait_descriptor(restorer, &descriptor);
    while (hr == LICBAK_S_OK && licbak_wait(restorer, 0, &hr) == LICBAK_S_FALSE) {
        struct pollfd polled = {(int)descriptor, POLLIN, 0}; /* beside the host's others */
        poll(&polled, 1, -1);
    }
    return hr;
}

static licbak_hresult back_up(licbak_restorer *restorer, const char *store, const char *directory)
{
    licbak_set_prop_string(restorer, "StorePath", store);
    licbak_set_prop_string(restorer, "BackupPath", directory);
    return loop(restorer, licbak_backup_licenses(restorer, LICBAK_CALL_IN_WAIT, on_status, NULL));
}

/* -- a store of its own, in memory -- */

static struct entry {
    char name[64], content[4096];
    size_t size;
} entries[8];
static size_t count;

static licbak_hresult give(const struct entry *entry, licbak_license_callback emit, void *emit_context)
{
    licbak_license license = {.struct_size = sizeof license, .name = entry->name};
    license.content = (const uint8_t *)entry->content;
    license.content_size = entry->size;
    return emit(&license, emit_context);
}

static licbak_hresult LICBAK_CALL enumerate(void *context, licbak_license_callback emit, void *emit_context)
{
    licbak_hresult hr = LICBAK_S_OK;
    (void)context;
    for (size_t i = 0; i < count && hr == LICBAK_S_OK; i++)
        hr = give(&entries[i], emit, emit_context);
    return hr;
}

static licbak_hresult LICBAK_CALL get(void *context, const char *name, licbak_license_callback emit,
                                      void *emit_context)
{
    (void)context;
    for (size_t i = 0; i < count; i++)
        if (strcmp(entries[i].name, name) == 0)
            return give(&entries[i], emit, emit_context);
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL put(void *context, const licbak_license *license)
{
    struct entry *entry = &entries[count];
    (void)context;
    if (count == sizeof entries / sizeof entries[0] || strlen(license->name) >= sizeof entry->name ||
        license->content_size > sizeof entry->content)
        return LICBAK_E_OUTOFMEMORY;
    strcpy(entry->name, license->name);
    memcpy(entry->content, license->content, license->content_size);
    entry->size = license->content_size;
    count++;
    return LICBAK_S_OK;
}

/* -- what all hosts of the tests do -- */

static void tell(licbak_restorer *restorer, const char *what, licbak_hresult hr)
{
    char sentence[1024] = "";
    size_t size = sizeof sentence;
    licbak_get_error_message(restorer, sentence, &size);
    printf("%s: %s%s%s\n", what, licbak_hresult_name(hr), hr < 0 ? ": " : "", sentence);
}

int main(int argc, char **argv)
{
    const licbak_store own = {.struct_size = sizeof own, .enumerate = enumerate, .get = get, .put = put};
    licbak_restorer *restorer;
    if (argc != 5 || licbak_create(&restorer) != LICBAK_S_OK)
        return 2;
    tell(restorer, "backup", back_up(restorer, argv[1], argv[2]));
    tell(restorer, "again", back_up(restorer, argv[1], argv[2]));
    licbak_set_prop_string(restorer, "StorePath", argv[3]);
    licbak_set_prop_string(restorer, "RestorePath", argv[2]);
    tell(restorer, "restore", loop(restorer, licbak_restore_licenses(restorer, LICBAK_CALL_IN_WAIT, on_status, NULL)));
    licbak_set_store(restorer, &own);
    tell(restorer, "into own", loop(restorer, licbak_restore_licenses(restorer, LICBAK_CALL_IN_WAIT, on_status, NULL)));
    tell(restorer, "from own", back_up(restorer, argv[1], argv[4]));
    return licbak_destroy(restorer) != LICBAK_S_OK;
}
