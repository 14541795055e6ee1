/* 02: restore the licences of a backup into a folder.
 *
 * The idea: a restore completes a store and removes nothing from it. It writes the licences
 * that are missing and leaves those alone that are the same. Where the store has another version
 * of a licence, the store's version is kept: a licence in use carries consumed counts that an old
 * copy must not refill. LICBAK_STATUS_LICENSE_KEPT names each licence that is kept;
 * LICBAK_RESTORE_OVERWRITE replaces it instead.
 *
 *     cc 02_restore.c -o 02_restore $(pkg-config --cflags --libs licbak)
 *     ./02_restore BACKUP_DIR STORE
 */
#include <licbak.h>
#include <stdio.h>

static licbak_hresult LICBAK_CALL tell_kept(licbak_status status, licbak_hresult hr,
                                            licbak_datatype type, const uint8_t *value,
                                            size_t size, void *context)
{
    unsigned long *kept = context;

    (void)hr, (void)type, (void)size;
    if (status == LICBAK_STATUS_LICENSE_KEPT) {
        printf("kept: %s\n", (const char *)value);
        ++*kept;
    }
    return LICBAK_S_OK;
}

static licbak_hresult restore(licbak_restorer *restorer, const char *directory,
                              const char *store, unsigned long *kept)
{
    licbak_hresult hr, outcome;

    if ((hr = licbak_set_prop_string(restorer, "RestorePath", directory)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "StorePath", store)) < 0)
        return hr;
    if ((hr = licbak_restore_licenses(restorer, 0, tell_kept, kept)) < 0)
        return hr;

    hr = licbak_wait(restorer, LICBAK_WAIT_FOREVER, &outcome);
    return hr < 0 ? hr : outcome;
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

int main(int argc, char **argv)
{
    unsigned long kept = 0; /* used by the callback, so it must outlive the operation */
    licbak_restorer *restorer;
    licbak_hresult hr;

    if (argc != 3) {
        fprintf(stderr, "usage: 02_restore BACKUP_DIR STORE\n");
        return 2;
    }
    hr = licbak_create(&restorer);
    if (hr >= 0)
        hr = restore(restorer, argv[1], argv[2], &kept);

    if (hr >= 0)
        printf("restored to %s, %lu kept as they were\n", argv[2], kept);
    else
        tell_failure(restorer, hr);

    licbak_destroy(restorer);
    return hr >= 0 ? 0 : 1;
}
