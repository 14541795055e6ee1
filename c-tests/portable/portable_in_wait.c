/* Operations that call the host inside licbak_wait: by waiting, and by a descriptor that an event
 * loop waits for. */
#include "../support/host.h"

static thread_number waiter; /* the one thread on which the host may be called */
static recorder rec;

static licbak_hresult LICBAK_CALL hear(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                       const uint8_t *value, size_t size, void *context)
{
    CHECK(same_thread(waiter, this_thread()));
    return record(status, hr, type, value, size, context);
}

static licbak_hresult on_the_waiter(host *h, const char *function, const char *name)
{
    (void)h, (void)function, (void)name;
    CHECK(same_thread(waiter, this_thread()));
    return LICBAK_S_OK;
}

static void begin_in_wait(operation op, licbak_restorer *r, uint32_t flags)
{
    forget(&rec);
    rec.restorer = r;
    waiter = this_thread();
    CHECK_HR(op(r, flags | LICBAK_CALL_IN_WAIT, hear, &rec), LICBAK_S_OK);
    sleep_ms(20);
    CHECK_INT(rec.count, 0); /* nothing is told but in a wait */
}

static licbak_hresult end_by_polling(licbak_restorer *r, ptrdiff_t descriptor)
{
    licbak_hresult hr, outcome = LICBAK_E_UNEXPECTED;
    do {
        CHECK(becomes_ready(descriptor, 30000));
        hr = licbak_wait(r, 0, &outcome);
    } while (hr == LICBAK_S_FALSE);
    CHECK_HR(hr, LICBAK_S_OK);
    return outcome;
}

static void by_waiting(void)
{
    licbak_restorer *r = restorer_for("store", "backups");
    begin_in_wait(licbak_backup_licenses, r, 0);
    CHECK_HR(end(r, &rec), LICBAK_S_OK);
    begin_in_wait(licbak_verify_backup, r, 0);
    CHECK_HR(end(r, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "restored"), LICBAK_S_OK);
    begin_in_wait(licbak_restore_licenses, r, 0);
    CHECK_HR(end(r, &rec), LICBAK_S_OK);
    CHECK_SAME_TREE("restored", "store");
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void by_descriptor(void)
{
    licbak_restorer *r = restorer_for("polled", "backups");
    ptrdiff_t descriptor = -1;
    CHECK_HR(licbak_get_wait_descriptor(r, NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_get_wait_descriptor(r, &descriptor), LICBAK_S_OK);
    for (int round = 0; round < 10; round++) {
        CHECK(!becomes_ready(descriptor, 0)); /* nothing is due */
        begin_in_wait(round % 2 ? licbak_verify_backup : licbak_restore_licenses, r, 0);
        CHECK_HR(end_by_polling(r, descriptor), LICBAK_S_OK);
        CHECK_INT(rec.events[rec.count - 1].status, LICBAK_WMT_BACKUPRESTORE_END);
    }
    CHECK_SAME_TREE("polled", "store");

    /* Operations without the flag do not touch it. */
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK(!becomes_ready(descriptor, 0));

    /* Without a callback the end is due until it is asked for. */
    CHECK_HR(licbak_verify_backup(r, LICBAK_CALL_IN_WAIT, NULL, NULL), LICBAK_S_OK);
    CHECK(becomes_ready(descriptor, 30000));
    CHECK(becomes_ready(descriptor, 0));
    CHECK_HR(end_by_polling(r, descriptor), LICBAK_S_OK);
    CHECK(!becomes_ready(descriptor, 0));
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* A store and an authorizer are called there, too. */
static licbak_hresult LICBAK_CALL allow(const licbak_backup_info *info, char *url, size_t url_size, void *context)
{
    (void)info, (void)url, (void)url_size;
    CHECK(same_thread(waiter, this_thread()));
    ++*(int *)context;
    return LICBAK_S_OK;
}

static void the_whole_host(void)
{
    host h = {.inside = on_the_waiter}, restored = {.inside = on_the_waiter};
    int asked = 0;
    fill(&h);
    make_dir("host");
    waiter = this_thread();
    licbak_restorer *r = restorer_of(&h, "host");
    begin_in_wait(licbak_backup_licenses, r, 0);
    CHECK_HR(end(r, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    r = restorer_of(&restored, "host");
    ptrdiff_t descriptor = -1;
    CHECK_HR(licbak_get_wait_descriptor(r, &descriptor), LICBAK_S_OK);
    CHECK_HR(licbak_set_authorizer(r, allow, &asked), LICBAK_S_OK);
    begin_in_wait(licbak_restore_licenses, r, 0);
    CHECK_HR(end_by_polling(r, descriptor), LICBAK_S_OK);
    CHECK_INT(asked, 1);
    CHECK_INT(restored.count, h.count);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    host_forget(&h);
    host_forget(&restored);
}

static void *wait_long(void *r)
{
    licbak_hresult outcome = LICBAK_S_OK;
    waiter = this_thread();
    CHECK_HR(licbak_wait(r, LICBAK_WAIT_FOREVER, &outcome), LICBAK_S_OK);
    CHECK_HR(outcome, LICBAK_NS_E_DRM_OPERATION_CANCELED);
    return NULL;
}

/* Cancelled from another thread than the one that waits; and destroyed without a wait. */
static void cancelled(void)
{
    licbak_restorer *r = restorer_for("store", "backups");
    thread waiting;
    begin_in_wait(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL);
    CHECK_HR(licbak_cancel(r), LICBAK_S_OK);
    CHECK(start_thread(&waiting, wait_long, r));
    CHECK(join_thread(waiting));
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");

    begin_in_wait(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_INT(rec.count, 0); /* not even the end is told */
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK_HR(verify("backups"), LICBAK_S_OK);
}

int main(void)
{
    begin("portable_in_wait");
    make_store("store", 60);
    make_dir("backups");
    by_waiting();
    by_descriptor();
    the_whole_host();
    cancelled();
    forget(&rec);
    return finish();
}
