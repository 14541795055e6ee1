/* 01: back up a folder of licences.
 *
 * The idea: a program starts a backup, which runs by itself on threads of the library and ends
 * exactly once. A backup that is already there is never replaced by accident: without the
 * overwrite flag the answer is LICBAK_NS_E_DRM_BACKUP_EXISTS, and nothing has been touched. The
 * host then asks its user, or keeps the old backup elsewhere, and starts again with the flag.
 *
 *     cc 01_back_up.c -o 01_back_up $(pkg-config --cflags --libs licbak)
 *     ./01_back_up STORE BACKUP_DIR [--overwrite]
 */
#include <licbak.h>
#include <stdio.h>
#include <string.h>

/* Called on a thread of the library. Licences whose issuer denies backup are left out, and so are
 * links and special files. The user should hear of these. */
static licbak_hresult LICBAK_CALL tell_left_out(licbak_status status, licbak_hresult hr,
                                                licbak_datatype type, const uint8_t *value,
                                                size_t size, void *context)
{
    (void)hr, (void)type, (void)size, (void)context;
    if (status == LICBAK_STATUS_LICENSE_LEFT_OUT)
        printf("left out: %s\n", (const char *)value);
    return LICBAK_S_OK; /* also for every status that this program does not know */
}

static licbak_hresult back_up(licbak_restorer *restorer, const char *store,
                              const char *directory, uint32_t flags)
{
    licbak_hresult hr, outcome;

    if ((hr = licbak_set_prop_string(restorer, "StorePath", store)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "BackupPath", directory)) < 0)
        return hr;
    if ((hr = licbak_backup_licenses(restorer, flags, tell_left_out, NULL)) < 0)
        return hr; /* the backup has not begun, and the callback is never called */

    /* The backup has begun. Its outcome comes once, here (04_wait.c has more on this call). */
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
    const int overwrite = argc == 4 && strcmp(argv[3], "--overwrite") == 0;
    licbak_restorer *restorer;
    licbak_hresult hr;

    if (argc != 3 && !overwrite) {
        fprintf(stderr, "usage: 01_back_up STORE BACKUP_DIR [--overwrite]\n");
        return 2;
    }
    hr = licbak_create(&restorer);
    if (hr >= 0)
        hr = back_up(restorer, argv[1], argv[2], overwrite ? LICBAK_WM_BACKUP_OVERWRITE : 0);

    if (hr >= 0)
        printf("backed up to %s\n", argv[2]);
    else
        tell_failure(restorer, hr);
    if (hr == LICBAK_NS_E_DRM_BACKUP_EXISTS)
        fprintf(stderr, "Use --overwrite to replace it.\n");

    licbak_destroy(restorer);
    return hr >= 0 ? 0 : 1;
}
