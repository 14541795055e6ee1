/* Cancel: from anywhere, at any moment; what it returns is what END says. */
#include "../support/stall.h"

#define CANCELED LICBAK_NS_E_DRM_OPERATION_CANCELED

typedef licbak_hresult(LICBAK_CALL *canceler)(licbak_restorer *);

static void idle(void)
{
    licbak_restorer *r = restorer_for("store", "backups");
    recorder rec = {0};
    for (int i = 0; i < 2; i++) {
        CHECK_HR(licbak_cancel(r), LICBAK_S_FALSE);
        CHECK_HR(licbak_cancel_license_backup(r), LICBAK_S_FALSE);
        CHECK_HR(licbak_cancel_license_restore(r), LICBAK_S_FALSE);
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK); /* no trace of it */
    }
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- a backup that can't be over yet ---------------------------------------------------------------------- */

static licbak_hresult cancel_at_begin(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        CHECK_HR(licbak_cancel(rec->restorer), LICBAK_S_OK);
    }
    if (e->status == LICBAK_WMT_BACKUPRESTORE_END) {
        CHECK_HR(licbak_cancel(rec->restorer), LICBAK_S_FALSE);
    }
    return LICBAK_S_OK;
}

static void from_the_callback(void)
{
    uint64_t before = digest("backups/licenses.tar.zst");
    recorder rec = {.react = cancel_at_begin};
    licbak_restorer *r = restorer_for(STALLING, "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), CANCELED);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK(digest("backups/licenses.tar.zst") == before);
    make_dir("fresh");
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "fresh"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), CANCELED);
    CHECK_TEXT(entries("fresh"), "");

    rec.react = NULL; /* the restorer goes on as if nothing had been */
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 10);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    remove_tree("fresh");
}

static void from_outside(canceler cancel)
{
    gate g;
    gate_init(&g);
    recorder rec = {.react = hold_at_begin, .gate = &g};
    licbak_hresult outcome;
    licbak_restorer *r = restorer_for(STALLING, "backups");
    start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
    wait_for(&g.reached);
    CHECK_HR(licbak_cancel_license_restore(r), LICBAK_S_FALSE); /* another kind */
    CHECK_HR(cancel(r), LICBAK_S_OK);
    CHECK_HR(cancel(r), LICBAK_S_OK); /* still true */
    CHECK_HR(licbak_wait(r, 20, &outcome), LICBAK_S_FALSE);
    sem_post(&g.open);
    CHECK_HR(end(r, &rec), CANCELED);
    CHECK_HR(cancel(r), LICBAK_S_FALSE);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static licbak_hresult cancel_then_fail(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        CHECK_HR(licbak_cancel(rec->restorer), LICBAK_S_OK);
        return LICBAK_E_ABORT;
    }
    return LICBAK_S_OK;
}

/* The first cause wins. */
static void cancel_before_failure(void)
{
    recorder rec = {.react = cancel_then_fail};
    licbak_restorer *r = restorer_for(STALLING, "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), CANCELED);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- restore and verify ----------------------------------------------------------------------------------- */

/* A restore that has more to tell than may wait: every licence of the store differs. */
static void restore_from_outside(canceler cancel)
{
    gate g;
    gate_init(&g);
    recorder rec = {.react = hold_at_begin, .gate = &g};
    licbak_restorer *r = restorer_for("differs", "differs-backups");
    char *before = tree("differs");
    start(licbak_restore_licenses, r, 0, &rec);
    wait_for(&g.reached);
    CHECK_HR(licbak_cancel_license_backup(r), LICBAK_S_FALSE);
    CHECK_HR(cancel(r), LICBAK_S_OK);
    sem_post(&g.open);
    CHECK_HR(end(r, &rec), CANCELED);
    char *after = tree("differs");
    CHECK_TEXT(after, before); /* nothing hidden either */
    free(before);
    free(after);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void make_differing_store(void)
{
    for (int i = 0; i < 5000; i++) {
        char path[64];
        snprintf(path, sizeof path, "differs/%04d", i);
        write_text(path, "as backed up");
    }
    make_dir("differs-backups");
    CHECK_HR(backup("differs", "differs-backups", 0), LICBAK_S_OK);
    for (int i = 0; i < 5000; i++) {
        char path[64];
        snprintf(path, sizeof path, "differs/%04d", i);
        write_text(path, "in use");
    }
}

/* A verify is neither a backup nor a restore, and only licbak_cancel cancels it. */
static void verify_kinds(void)
{
    gate g;
    gate_init(&g);
    recorder rec = {.react = hold_at_begin, .gate = &g};
    licbak_restorer *r = restorer_for("store", "backups");
    start(licbak_verify_backup, r, 0, &rec);
    wait_for(&g.reached);
    CHECK_HR(licbak_cancel_license_backup(r), LICBAK_S_FALSE);
    CHECK_HR(licbak_cancel_license_restore(r), LICBAK_S_FALSE);
    licbak_hresult canceled = licbak_cancel(r);
    sem_post(&g.open);
    CHECK_HR(end(r, &rec), canceled == LICBAK_S_OK ? CANCELED : LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- at any moment ---------------------------------------------------------------------------------------- */

/* Whenever it comes: S_OK means CANCELED and no trace, S_FALSE means that it was too late. */
static void at_any_moment(operation op, const char *store, uint32_t flags)
{
    int canceled = 0;
    for (int i = 0; i < 120; i++) {
        recorder rec = {0};
        licbak_restorer *r = restorer_for(store, "moment-backups");
        start(op, r, flags, &rec);
        if (i > 0) {
            usleep((unsigned)(i * i)); /* right after the start, and up to 14 ms later */
        }
        licbak_hresult hr = licbak_cancel(r);
        CHECK(hr == LICBAK_S_OK || hr == LICBAK_S_FALSE);
        CHECK_HR(end(r, &rec), hr == LICBAK_S_OK ? CANCELED : LICBAK_S_OK);
        CHECK_TEXT(entries("moment-backups"), "licenses.tar.zst");
        canceled += hr == LICBAK_S_OK;
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    CHECK(canceled > 0);
    CHECK_HR(verify("moment-backups"), LICBAK_S_OK);
}

static void at_any_moments(void)
{
    make_store("moment", 500);
    make_dir("moment-backups");
    CHECK_HR(backup("moment", "moment-backups", 0), LICBAK_S_OK);
    at_any_moment(licbak_backup_licenses, "moment", LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL);
    at_any_moment(licbak_verify_backup, "moment", 0);
    at_any_moment(licbak_restore_licenses, "moment-target", LICBAK_RESTORE_OVERWRITE);
    CHECK_HR(restore("moment-target", "moment-backups", 0), LICBAK_S_OK); /* run again, it completes */
    CHECK_SAME_TREE("moment-target", "moment");
}

struct loop {
    licbak_restorer *r;
    atomic_bool stop;
};

static void *cancel_always(void *argument)
{
    struct loop *l = argument;
    while (!atomic_load(&l->stop)) {
        licbak_hresult hr = licbak_cancel(l->r);
        if (hr != LICBAK_S_OK && hr != LICBAK_S_FALSE) {
            check_fail(__FILE__, __LINE__, "cancel: expected LICBAK_S_OK or LICBAK_S_FALSE, got %s", hresult_name(hr));
        }
    }
    return NULL;
}

/* A thread that cancels all the time: each operation has one END still, CANCELED or done. */
static void all_the_time(void)
{
    struct loop l = {.r = restorer_for("moment", "moment-backups")};
    recorder rec = {0};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, cancel_always, &l) == 0);
    for (int i = 0; i < 50; i++) {
        licbak_hresult hr = run(licbak_backup_licenses, l.r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
        CHECK(hr == CANCELED || hr == LICBAK_S_OK);
    }
    atomic_store(&l.stop, true);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK_TEXT(entries("moment-backups"), "licenses.tar.zst");
    forget(&rec);
    CHECK_HR(licbak_destroy(l.r), LICBAK_S_OK);
}

int main(void)
{
    begin("cancel");
    make_store("store", 20);
    make_dir("backups");
    make_stalling_store();
    make_differing_store();
    idle();
    from_the_callback();
    from_outside(licbak_cancel);
    from_outside(licbak_cancel_license_backup);
    cancel_before_failure();
    restore_from_outside(licbak_cancel);
    restore_from_outside(licbak_cancel_license_restore);
    verify_kinds();
    at_any_moments();
    all_the_time();
    return finish();
}
