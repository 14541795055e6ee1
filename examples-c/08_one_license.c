/* 08: bring back the one licence that a user has lost.
 *
 * The idea: a host knows what the user wants to open, a book or a program, and so it knows the
 * key ID of the licence. It asks the backup for that licence alone. Only the end of the file and a
 * few frames are read, so that the answer comes at once, however large the backup is. If the
 * backup has no such licence, that is an answer too, and not a fault of the backup.
 *
 *     cc 08_one_license.c -o 08_one_license $(pkg-config --cflags --libs licbak)
 *     ./08_one_license BACKUP_DIR STORE KEY_ID
 */
#include <licbak.h>
#include <stdio.h>

/* Several licences may have the key ID. All of them come back, except those that the store has in
 * another version: the store keeps its own version. */
static licbak_hresult LICBAK_CALL tell_kept(licbak_status status, licbak_hresult hr,
                                            licbak_datatype type, const uint8_t *value,
                                            size_t size, void *context)
{
    (void)hr, (void)type, (void)size, (void)context;
    if (status == LICBAK_STATUS_LICENSE_KEPT)
        printf("kept: %s\n", (const char *)value);
    return LICBAK_S_OK;
}

static licbak_hresult restore_one(licbak_restorer *restorer, const char *directory,
                                  const char *store, const char *key_id)
{
    licbak_hresult hr, outcome;

    if ((hr = licbak_set_prop_string(restorer, "RestorePath", directory)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "StorePath", store)) < 0)
        return hr;
    if ((hr = licbak_restore_license(restorer, key_id, 0, tell_kept, NULL)) < 0)
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
    licbak_restorer *restorer;
    licbak_hresult hr;

    if (argc != 4) {
        fprintf(stderr, "usage: 08_one_license BACKUP_DIR STORE KEY_ID\n");
        return 2;
    }
    hr = licbak_create(&restorer);
    if (hr >= 0)
        hr = restore_one(restorer, argv[1], argv[2], argv[3]);

    if (hr >= 0)
        printf("%s is in %s\n", argv[3], argv[2]);
    else
        tell_failure(restorer, hr);
    if (hr == LICBAK_HRESULT_ERROR_NOT_FOUND)
        fprintf(stderr, "Ask the issuer of the licence to issue it again.\n");

    licbak_destroy(restorer);
    return hr >= 0 ? 0 : 1;
}
