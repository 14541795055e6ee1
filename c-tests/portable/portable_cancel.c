/* Operations that end early: cancelled, by a callback's failure, and by destroying the restorer. */
#include "../support/host.h"

#define CANCELED LICBAK_NS_E_DRM_OPERATION_CANCELED

typedef licbak_hresult(LICBAK_CALL *canceler)(licbak_restorer *);

/* Held at its beginning, an operation can't be over before the test is ready. */
static void begin_held(operation op, licbak_restorer *r, uint32_t flags, recorder *rec)
{
    rec->react = hold_at_begin;
    start(op, r, flags, rec);
    wait_for(&rec->gate->reached);
}

static void each_operation(void)
{
    static const struct {
        operation start;
        canceler right, wrong;
    } cases[] = {
        {licbak_backup_licenses, licbak_cancel_license_backup, licbak_cancel_license_restore},
        {licbak_backup_licenses, licbak_cancel, licbak_cancel_license_restore},
        {licbak_restore_licenses, licbak_cancel_license_restore, licbak_cancel_license_backup},
        {licbak_restore_licenses, licbak_cancel, licbak_cancel_license_backup},
        {licbak_verify_backup, licbak_cancel, licbak_cancel_license_backup},
    };
    gate g;
    gate_init(&g);
    recorder rec = {.gate = &g};
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "fresh"), LICBAK_S_OK);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        licbak_hresult outcome = 77;
        make_dir("fresh");
        CHECK_HR(licbak_set_prop_string(r, "StorePath", cases[i].start == licbak_backup_licenses ? "store" : "new"),
                 LICBAK_S_OK);
        begin_held(cases[i].start, r, 0, &rec);
        CHECK_HR(licbak_verify_backup(r, 0, record, NULL), LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY);
        CHECK_HR(licbak_set_store(r, NULL), LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY);
        CHECK_HR(licbak_wait(r, 10, &outcome), LICBAK_S_FALSE);
        CHECK_INT(outcome, 77);
        CHECK_HR(cases[i].wrong(r), LICBAK_S_FALSE);
        CHECK_HR(cases[i].right(r), LICBAK_S_OK);
        CHECK(post_semaphore(&g.open));
        CHECK_HR(end(r, &rec), CANCELED);
        CHECK_HR(cases[i].right(r), LICBAK_S_FALSE);
        CHECK_TEXT(entries("fresh"), "");
    }
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK(!exists("new") || entries("new")[0] == '\0');
    forget(&rec);
}

static licbak_hresult fail_at_begin(recorder *rec, const event *e)
{
    (void)rec;
    return e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN ? OWN_FAILURE : LICBAK_S_OK;
}

static void by_the_callback(void)
{
    recorder rec = {.react = fail_at_begin};
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL, &rec), OWN_FAILURE);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), OWN_FAILURE);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), OWN_FAILURE);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);
}

/* Backups and restores that are cancelled after some time, wherever they are then. */
static void at_many_moments(void)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for("store", "backups");
    for (unsigned round = 0; round < 24; round++) {
        const bool saves = round % 2 == 0;
        const uint32_t flags = saves ? LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL : 0;
        CHECK_HR(licbak_set_prop_string(r, "StorePath", saves ? "store" : "partly"), LICBAK_S_OK);
        start(saves ? licbak_backup_licenses : licbak_restore_licenses, r, flags, &rec);
        sleep_ms(round / 2);
        licbak_hresult hr = licbak_cancel(r), outcome = end(r, &rec);
        CHECK_HR(outcome, hr == LICBAK_S_OK ? CANCELED : LICBAK_S_OK);
        CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    }
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK); /* completes */
    CHECK_SAME_TREE("partly", "store");
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);
}

/* -- destroying ------------------------------------------------------------------------------------------ */

static licbak_hresult destroy_at_begin(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        CHECK_HR(licbak_wait(rec->restorer, 0, NULL), LICBAK_E_ILLEGAL_METHOD_CALL);
        CHECK_HR(licbak_destroy(rec->restorer), LICBAK_S_OK); /* returns at once */
        CHECK_HR(licbak_destroy(rec->restorer), LICBAK_E_HANDLE);
    }
    if (e->status == LICBAK_WMT_BACKUPRESTORE_END) {
        CHECK_HR(e->hr, CANCELED);
        CHECK(post_semaphore(&rec->gate->reached));
    }
    return LICBAK_S_OK;
}

static void *destroy(void *r)
{
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return NULL;
}

static void destroyed(void)
{
    gate g;
    thread destroying;
    gate_init(&g);
    recorder rec = {.gate = &g, .react = destroy_at_begin};
    start(licbak_backup_licenses, restorer_for("store", "backups"), LICBAK_WM_BACKUP_OVERWRITE, &rec);
    wait_for(&g.reached); /* the end is told all the same */

    recorder other = {.gate = &g};
    licbak_restorer *r = restorer_for("store", "backups");
    begin_held(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &other);
    CHECK(start_thread(&destroying, destroy, r));
    while (licbak_cancel(r) != LICBAK_E_HANDLE) {
        sleep_ms(1);
    }
    CHECK(post_semaphore(&g.open));
    CHECK(join_thread(destroying)); /* waits for the callbacks */
    CHECK(atomic_load(&other.ended) && !atomic_load(&other.inside));
    CHECK_HR(other.events[other.count - 1].hr, CANCELED);
    forget(&other);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    while (!atomic_load(&rec.ended) || atomic_load(&rec.inside)) {
        sleep_ms(1);
    }
    forget(&rec);
}

int main(void)
{
    begin("portable_cancel");
    make_store("store", 60);
    for (int i = 0; i < 6; i++) {
        char path[64];
        snprintf(path, sizeof path, "store/noise-%d.lic", i);
        write_noise(path, 1000000, (uint64_t)i);
    }
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    each_operation();
    by_the_callback();
    at_many_moments();
    destroyed();
    return finish();
}
