/* calls STORE BACKUP_DIR: what calls cost, in nanoseconds of CPU, four numbers on a line: the
 * dearest of the getters that a host calls again and again, and clock_gettime for scale; then of a
 * backup, the thread that tells the host how far it is, and the whole process.
 */
#define _POSIX_C_SOURCE 200809L

#include <inttypes.h>
#include <licbak.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void check(licbak_hresult hr, const char *what)
{
    if (hr >= 0)
        return;
    fprintf(stderr, "calls: %s: %s\n", what, licbak_hresult_name(hr));
    exit(1);
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

/* ---- Getters -------------------------------------------------------------------------- */

static void get_progress(licbak_restorer *restorer)
{
    licbak_progress progress = {.struct_size = sizeof progress};
    check(licbak_get_progress(restorer, &progress), "get_progress");
}

static void get_prop(licbak_restorer *restorer)
{
    licbak_datatype type;
    uint8_t value[4096];
    size_t size = sizeof value;
    check(licbak_get_prop_by_name(restorer, "StorePath", &type, value, &size), "get_prop_by_name");
}

static void get_prop_count(licbak_restorer *restorer)
{
    size_t count;
    check(licbak_get_prop_count(restorer, &count), "get_prop_count");
}

static void get_time(licbak_restorer *restorer)
{
    (void)restorer;
    now_ns(CLOCK_MONOTONIC);
}

static double ns_a_call(void (*call)(licbak_restorer *restorer), licbak_restorer *restorer)
{
    enum { calls = 1000000 };
    const int64_t start = now_ns(CLOCK_THREAD_CPUTIME_ID);
    for (int i = 0; i < calls; i++)
        call(restorer);
    return (double)(now_ns(CLOCK_THREAD_CPUTIME_ID) - start) / calls;
}

static double dearest_getter(licbak_restorer *restorer)
{
    void (*const getters[])(licbak_restorer *) = {get_progress, get_prop, get_prop_count};
    double most = 0;
    for (size_t i = 0; i < sizeof getters / sizeof *getters; i++) {
        const double ns = ns_a_call(getters[i], restorer);
        most = ns > most ? ns : most;
    }
    return most;
}

/* ---- Progress ------------------------------------------------------------------------- */

struct told {
    int64_t telling, all;
};

/* The thread that calls this does nothing else from the beginning to the end. */
static licbak_hresult LICBAK_CALL on_status(licbak_status status, licbak_hresult hr,
                                            licbak_datatype type, const uint8_t *value, size_t size,
                                            void *context)
{
    struct told *told = context;
    (void)hr, (void)type, (void)value, (void)size;
    if (status == LICBAK_WMT_BACKUPRESTORE_END) {
        told->telling = now_ns(CLOCK_THREAD_CPUTIME_ID);
        told->all = now_ns(CLOCK_PROCESS_CPUTIME_ID);
    }
    return LICBAK_S_OK;
}

static void set_path(licbak_restorer *restorer, const char *name, const char *path)
{
    check(licbak_set_prop(restorer, name, LICBAK_WMT_TYPE_BINARY, (const uint8_t *)path, strlen(path)),
          name);
}

int main(int argc, char **argv)
{
    licbak_restorer *restorer;
    licbak_hresult outcome;
    struct told told;
    if (argc != 3) {
        fputs("usage: calls STORE BACKUP_DIR\n", stderr);
        return 2;
    }
    check(licbak_create(&restorer), "create");
    set_path(restorer, "StorePath", argv[1]);
    set_path(restorer, "BackupPath", argv[2]);
    check(licbak_backup_licenses(restorer, 0, on_status, &told), "backup_licenses");
    check(licbak_wait(restorer, UINT32_MAX, &outcome), "wait");
    check(outcome, "the backup");
    printf("%.1f %.1f %" PRId64 " %" PRId64 "\n", dearest_getter(restorer),
           ns_a_call(get_time, restorer), told.telling, told.all);
    licbak_destroy(restorer);
    return 0;
}
