/* Events: what comes, in which order, and what a callback's answer and slowness do. The recorder
 * checks the rules that hold for each run; here are those that need a callback of a certain kind.
 * What a callback may call is reentry.c's. */
#include "../support/stall.h"

/* -- order ----------------------------------------------------------------------------------------------- */

static licbak_hresult nap_at_begin(recorder *rec, const event *e)
{
    (void)rec;
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        sleep_ms(200); /* the operation runs ahead, and its events queue up */
    }
    return LICBAK_S_OK;
}

/* Every event but PROGRESS arrives once, however late the callback is: here are more than may wait
 * for it. */
static void none_is_dropped(void)
{
    recorder rec = {.react = nap_at_begin};
    licbak_restorer *r = restorer_for(STALLING, "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), STALLING_LINKS);
    bool seen[STALLING_LINKS] = {false};
    for (size_t i = 0; i < rec.count; i++) {
        int link;
        if (rec.events[i].status == LICBAK_STATUS_LICENSE_LEFT_OUT) {
            CHECK_INT(sscanf(rec.events[i].text, "a-link-%d: ", &link), 1);
            CHECK(link >= 0 && link < STALLING_LINKS && !seen[link]);
            seen[link] = true;
        }
    }
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static double seconds_since(const struct timespec *start)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - start->tv_sec) + (double)(now.tv_nsec - start->tv_nsec) / 1e9;
}

static licbak_hresult nap(recorder *rec, const event *e)
{
    (void)rec;
    sleep_ms(e->status == LICBAK_STATUS_PROGRESS ? 20 : 2);
    return LICBAK_S_OK;
}

/* PROGRESS is coalesced: some tens a second, not one a licence, for a quick callback and for a slow
 * one. */
static void progress_is_coalesced(void)
{
    make_store("many", 3000);
    make_dir("many-backups");
    licbak_restorer *r = restorer_for("many", "many-backups");
    for (int slow = 0; slow < 2; slow++) {
        recorder rec = {.react = slow ? nap : NULL};
        struct timespec begun;
        clock_gettime(CLOCK_MONOTONIC, &begun);
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
        CHECK(count_of(&rec, LICBAK_STATUS_PROGRESS) <= 20 + (size_t)(seconds_since(&begun) * 100));
        CHECK_INT(final_figures(&rec).licenses_done, 3000);
        forget(&rec);
    }
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- answers --------------------------------------------------------------------------------------------- */

/* A callback has as much stack as any thread of the host, and where none of the host's waits at least 1 MiB: it may
 * put a large buffer there. */
static licbak_hresult use_the_stack(recorder *rec, const event *e)
{
    pthread_attr_t thread;
    size_t stack;
    CHECK(pthread_attr_init(&thread) == 0 && pthread_attr_getstacksize(&thread, &stack) == 0);
    pthread_attr_destroy(&thread);
    if (!waits && stack < 1 << 20) {
        stack = 1 << 20;
    }
    volatile char large[stack / 2];
    (void)rec;
    for (size_t i = 0; i < sizeof large; i += 4096) {
        large[i] = (char)e->status;
    }
    return large[4096] == (char)e->status ? LICBAK_S_OK : LICBAK_E_FAIL;
}

static void large_callback(void)
{
    recorder rec = {.react = use_the_stack};
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static licbak_hresult answer_not_implemented(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    return LICBAK_E_NOTIMPL;
}

static licbak_hresult answer_false(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    return LICBAK_S_FALSE;
}

/* E_NOTIMPL, as the original's hosts return it, and every success let it go on. */
static void harmless_answers(void)
{
    recorder rec = {.react = answer_not_implemented};
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    rec.react = answer_false;
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static licbak_hresult fail_at(recorder *rec, const event *e)
{
    return e->status == *(licbak_status *)rec->other ? (licbak_hresult)0xA0000BAD : LICBAK_S_OK;
}

/* A callback's failure ends the operation with that code; the recorder sees that only END comes
 * after it. */
static void failures_end_it(void)
{
    static licbak_status when[] = {LICBAK_WMT_BACKUPRESTORE_BEGIN, LICBAK_STATUS_LICENSE_LEFT_OUT};
    for (int i = 0; i < 2; i++) {
        recorder rec = {.react = fail_at, .other = &when[i]};
        make_dir("failed");
        licbak_restorer *r = restorer_for(STALLING, "failed"); /* it can't be over before the callback fails */
        CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), (licbak_hresult)0xA0000BAD);
        CHECK(rec.failed);
        CHECK_TEXT(entries("failed"), "");
        CHECK(error_message(r)[0] != '\0');
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
}

static licbak_hresult fail_at_the_end(recorder *rec, const event *e)
{
    (void)rec;
    bool last = e->status == LICBAK_WMT_BACKUPRESTORE_END || e->status == LICBAK_WMT_ERROR;
    return last ? LICBAK_E_ABORT : LICBAK_S_OK;
}

/* What ERROR's and END's callbacks return is ignored. */
static void too_late_to_fail(void)
{
    recorder rec = {.react = fail_at_the_end};
    make_dir("nothing");
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "nothing"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    begin("events");
    make_store("store", 20);
    make_dir("backups");
    make_stalling_store();
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    none_is_dropped();
    progress_is_coalesced();
    large_callback();
    harmless_answers();
    failures_end_it();
    too_late_to_fail();
    return finish();
}
