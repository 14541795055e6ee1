/* A host in C whose loop is GLib's, as that of GTK is. */
#include <glib-unix.h>
#include <licbak.h>

static GMainLoop *loop;
static licbak_hresult outcome;

static licbak_hresult LICBAK_CALL on_status(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                            const uint8_t *value, size_t size, void *context)
{
    const licbak_progress *figures = (const licbak_progress *)value;
    (void)hr, (void)type, (void)size, (void)context;
    if (status == LICBAK_STATUS_PROGRESS)
        g_print("%d of %d\n", (int)figures->licenses_done, (int)figures->licenses_total);
    if (status == LICBAK_STATUS_LICENSE_LEFT_OUT)
        g_print("left out: %s\n", (const char *)value);
    return LICBAK_S_OK;
}

static gboolean on_ready(gint descriptor, GIOCondition condition, gpointer restorer)
{
    (void)descriptor, (void)condition;
    if (licbak_wait(restorer, 0, &outcome) == LICBAK_S_FALSE)
        return G_SOURCE_CONTINUE;
    g_main_loop_quit(loop); /* or what the host does when its backup is done */
    return G_SOURCE_REMOVE;
}

static void back_up(licbak_restorer *restorer, const char *store, const char *directory)
{
    ptrdiff_t descriptor;
    licbak_set_prop_string(restorer, "StorePath", store);
    licbak_set_prop_string(restorer, "BackupPath", directory);
    outcome = licbak_get_wait_descriptor(restorer, &descriptor);
    if (outcome == LICBAK_S_OK)
        outcome = licbak_backup_licenses(restorer, LICBAK_CALL_IN_WAIT, on_status, NULL);
    if (outcome == LICBAK_S_OK)
        g_unix_fd_add((gint)descriptor, G_IO_IN, on_ready, restorer);
}

/* -- what all hosts of the tests do -- */

static void tell(licbak_restorer *restorer, const char *what)
{
    char sentence[1024] = "";
    size_t size = sizeof sentence;
    licbak_get_error_message(restorer, sentence, &size);
    g_print("%s: %s%s%s\n", what, licbak_hresult_name(outcome), outcome < 0 ? ": " : "", sentence);
}

int main(int argc, char **argv)
{
    licbak_restorer *restorer;
    ptrdiff_t descriptor;
    if (argc != 5 || licbak_create(&restorer) != LICBAK_S_OK)
        return 2;
    loop = g_main_loop_new(NULL, FALSE);
    back_up(restorer, argv[1], argv[2]);
    g_main_loop_run(loop);
    tell(restorer, "backup");
    back_up(restorer, argv[1], argv[2]);
    tell(restorer, "again");
    licbak_set_prop_string(restorer, "StorePath", argv[3]);
    licbak_set_prop_string(restorer, "RestorePath", argv[2]);
    outcome = licbak_restore_licenses(restorer, LICBAK_CALL_IN_WAIT, on_status, NULL);
    licbak_get_wait_descriptor(restorer, &descriptor);
    g_unix_fd_add((gint)descriptor, G_IO_IN, on_ready, restorer);
    g_main_loop_run(loop);
    tell(restorer, "restore");
    g_main_loop_unref(loop);
    return licbak_destroy(restorer) != LICBAK_S_OK;
}
