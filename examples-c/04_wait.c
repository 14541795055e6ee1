/* 04: operations that read as a straight line.
 *
 * The idea: a host that wants no events passes a callback that always returns LICBAK_S_OK, and
 * asks licbak_wait for the outcome. A start and a wait together are an ordinary blocking call, so
 * that "back up, then check the backup" is two lines. The restorer keeps the sentence about a
 * failure until its next start, so nothing is lost.
 *
 * Any thread of the host may call licbak_wait. It is refused only inside the library's callbacks,
 * where it would wait for itself.
 *
 *     cc 04_wait.c -o 04_wait $(pkg-config --cflags --libs licbak)
 *     ./04_wait STORE BACKUP_DIR
 */
#include <licbak.h>
#include <stdio.h>

static licbak_hresult LICBAK_CALL say_ok(licbak_status status, licbak_hresult hr,
                                         licbak_datatype type, const uint8_t *value,
                                         size_t size, void *context)
{
    (void)status, (void)hr, (void)type, (void)value, (void)size, (void)context;
    return LICBAK_S_OK;
}

/* The failure of the start call, given as `started`, or else the outcome of the operation. */
static licbak_hresult finish(licbak_restorer *restorer, licbak_hresult started)
{
    licbak_hresult hr, outcome;

    if (started < 0)
        return started;
    hr = licbak_wait(restorer, LICBAK_WAIT_FOREVER, &outcome);
    return hr < 0 ? hr : outcome;
}

static licbak_hresult back_up_and_verify(licbak_restorer *restorer, const char *store,
                                         const char *directory)
{
    licbak_hresult hr;

    if ((hr = licbak_set_prop_string(restorer, "StorePath", store)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "BackupPath", directory)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "RestorePath", directory)) < 0)
        return hr;

    if ((hr = finish(restorer, licbak_backup_licenses(restorer, 0, say_ok, NULL))) < 0)
        return hr;
    return finish(restorer, licbak_verify_backup(restorer, 0, say_ok, NULL));
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

    if (argc != 3) {
        fprintf(stderr, "usage: 04_wait STORE BACKUP_DIR\n");
        return 2;
    }
    hr = licbak_create(&restorer);
    if (hr >= 0)
        hr = back_up_and_verify(restorer, argv[1], argv[2]);

    if (hr >= 0)
        printf("%s holds a backup that was read back and found right\n", argv[2]);
    else
        tell_failure(restorer, hr);

    licbak_destroy(restorer);
    return hr >= 0 ? 0 : 1;
}
