/* 03: show progress, and cancel on Ctrl-C.
 *
 * The idea: the library tells its progress by LICBAK_STATUS_PROGRESS, some tens of times a
 * second at most, so that a callback may simply draw. A signal handler may do very little and
 * must not call the library. Here it sets a flag. The main thread wakes from licbak_wait ten
 * times a second, sees the flag and cancels. A cancelled backup leaves no file behind and an
 * older backup untouched.
 *
 *     cc 03_progress_and_cancel.c -o 03_progress_and_cancel $(pkg-config --cflags --libs licbak)
 *     ./03_progress_and_cancel STORE BACKUP_DIR
 */
#include <inttypes.h>
#include <licbak.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define WAKE_MS 100u
#define BAR_WIDTH 40

static volatile sig_atomic_t interrupted;

static void on_interrupt(int signal_number)
{
    interrupted = 1;
    signal(signal_number, SIG_DFL); /* a second Ctrl-C ends the program at once */
}

static void draw(const licbak_progress *progress)
{
    static const char full[] = "########################################";
    double share = progress->phase == LICBAK_PHASE_COMMITTING; /* nearly done */

    if (progress->phase_total > 0) /* 0: not known */
        share = (double)progress->phase_done / (double)progress->phase_total;
    fprintf(stderr, "\r[%-*.*s] %" PRIu64 " of %" PRIu64 " licences", BAR_WIDTH,
            (int)(share * BAR_WIDTH), full, progress->licenses_done, progress->licenses_total);
}

static licbak_hresult LICBAK_CALL show_progress(licbak_status status, licbak_hresult hr,
                                                licbak_datatype type, const uint8_t *value,
                                                size_t size, void *context)
{
    licbak_progress progress = {0};

    (void)hr, (void)type, (void)context;
    if (status == LICBAK_STATUS_PROGRESS || status == LICBAK_WMT_BACKUPRESTORE_END) {
        /* A later library has a larger struct: take the part that this program knows. */
        memcpy(&progress, value, size < sizeof progress ? size : sizeof progress);
        draw(&progress);
    }
    if (status == LICBAK_WMT_BACKUPRESTORE_END)
        fputc('\n', stderr);
    return LICBAK_S_OK;
}

static licbak_hresult wait_or_cancel(licbak_restorer *restorer)
{
    licbak_hresult hr, outcome;

    while ((hr = licbak_wait(restorer, WAKE_MS, &outcome)) == LICBAK_S_FALSE)
        if (interrupted)
            licbak_cancel(restorer); /* a second cancel does no harm */
    return hr < 0 ? hr : outcome;
}

static licbak_hresult back_up(licbak_restorer *restorer, const char *store,
                              const char *directory)
{
    licbak_hresult hr;

    if ((hr = licbak_set_prop_string(restorer, "StorePath", store)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "BackupPath", directory)) < 0)
        return hr;
    if ((hr = licbak_backup_licenses(restorer, 0, show_progress, NULL)) < 0)
        return hr;
    return wait_or_cancel(restorer);
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
        fprintf(stderr, "usage: 03_progress_and_cancel STORE BACKUP_DIR\n");
        return 2;
    }
    signal(SIGINT, on_interrupt);
    hr = licbak_create(&restorer);
    if (hr >= 0)
        hr = back_up(restorer, argv[1], argv[2]);

    if (hr == LICBAK_NS_E_DRM_OPERATION_CANCELED)
        fprintf(stderr, "cancelled: %s is as it was\n", argv[2]);
    else if (hr < 0)
        tell_failure(restorer, hr);

    licbak_destroy(restorer);
    return hr >= 0 ? 0 : 1;
}
