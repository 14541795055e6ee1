/* A crowd: 64 threads that use the library at once. Half of them have a restorer of their own each,
 * and back up either into a directory of their own or into one that others overwrite meanwhile,
 * some of them from a database and into one. The other half share one restorer, which one of them
 * replaces and destroys while the others use it. Whatever comes, it must be what may.
 */
#include "../support/process.h"
#include "../support/recorder.h"

#define CANCELED LICBAK_NS_E_DRM_OPERATION_CANCELED
#define BUSY LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY

enum { THREADS = 64, ROUNDS = 4, LICENSES = 24 };

struct member {
    pthread_t thread;
    int number;
    uint64_t random;
};

static pthread_barrier_t line;
static _Atomic(licbak_restorer *) common;
static atomic_int alone = THREADS / 2; /* who are not done yet */
static atomic_int operations, canceled, busy, gone;

static bool one_in(struct member *m, unsigned many)
{
    return next_random(&m->random) % many == 0;
}

static void set_threads(licbak_restorer *r, uint32_t count)
{
    licbak_hresult hr = licbak_set_prop(r, "Threads", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&count, sizeof count);
    CHECK(hr == LICBAK_S_OK || hr == LICBAK_E_HANDLE);
}

static licbak_hresult LICBAK_CALL count_one(const licbak_license *license, void *context)
{
    CHECK(license->content_size > 0);
    ++*(int *)context;
    return LICBAK_S_OK;
}

static bool has_database(int number)
{
    return number % 8 == 2;
}

/* Where a member backs up to: itself alone, or others too. */
static void backed_up_by(int number, char name[32])
{
    snprintf(name, 32, number % 8 == 6 ? "shared" : "own-%d", number);
}

/* Where it restores to. */
static void restored_by(int number, char name[32])
{
    snprintf(name, 32, has_database(number) ? "restored-%d.db" : "restored-%d", number);
}

/* -- by oneself ------------------------------------------------------------------------------------------- */

/* Runs an operation; now and then cancels it at some moment, and what cancel returns is how it
 * ends. */
static void operate(struct member *m, licbak_restorer *r, operation op, uint32_t flags)
{
    recorder rec = {.may_roll_back = has_database(m->number)};
    licbak_progress progress = {.struct_size = sizeof progress};
    licbak_hresult hr = LICBAK_S_FALSE;
    start(op, r, flags, &rec);
    CHECK_HR(licbak_get_progress(r, &progress), LICBAK_S_OK);
    CHECK(progress.licenses_done <= LICENSES);
    if (one_in(m, 3)) {
        usleep((unsigned)(next_random(&m->random) % 3000));
        hr = licbak_cancel(r);
    }
    licbak_hresult outcome = end(r, &rec);
    if (hr == LICBAK_S_OK || op != licbak_backup_licenses || outcome != LICBAK_NS_E_DRM_BACKUP_EXISTS) {
        CHECK_HR(outcome, hr == LICBAK_S_OK ? CANCELED : LICBAK_S_OK);
    } /* else another has put its backup there meanwhile */
    atomic_fetch_add(&operations, 1);
    atomic_fetch_add(&canceled, hr == LICBAK_S_OK);
    forget(&rec);
}

static void by_oneself(struct member *m)
{
    char backups[32], restored[32];
    recorder rec = {.may_roll_back = has_database(m->number)};
    backed_up_by(m->number, backups);
    restored_by(m->number, restored);
    for (int round = 0; round < ROUNDS; round++) {
        licbak_restorer *r = restorer_for(has_database(m->number) ? "store.db" : "store", backups);
        set_threads(r, 2);
        operate(m, r, licbak_backup_licenses, LICBAK_WM_BACKUP_OVERWRITE);
        operate(m, r, licbak_verify_backup, 0);
        int listed = 0;
        CHECK_HR(licbak_list_backup(r, count_one, &listed), LICBAK_S_OK);
        CHECK_INT(listed, LICENSES);
        CHECK_HR(licbak_set_prop_string(r, "StorePath", restored), LICBAK_S_OK);
        operate(m, r, licbak_restore_licenses, round % 2 ? LICBAK_RESTORE_OVERWRITE : 0);
        if (round == ROUNDS - 1) { /* run again, it completes */
            CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
        } else if (one_in(m, 2)) { /* in the middle of it */
            start(licbak_verify_backup, r, 0, &rec);
        }
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        CHECK(rec.count == 0 || (atomic_load(&rec.ended) && !atomic_load(&rec.inside)));
        forget(&rec);
    }
    atomic_fetch_sub(&alone, 1);
}

/* -- together --------------------------------------------------------------------------------------------- */

static void make_common(void)
{
    licbak_restorer *r = restorer_for("common", "shared");
    set_threads(r, 2);
    licbak_restorer *before = atomic_exchange(&common, r);
    CHECK_HR(licbak_destroy(before), before != NULL ? LICBAK_S_OK : LICBAK_E_HANDLE);
}

/* What a call on the common restorer may return. */
static bool may_be(licbak_hresult hr, licbak_hresult other)
{
    atomic_fetch_add(&busy, hr == BUSY);
    atomic_fetch_add(&gone, hr == LICBAK_E_HANDLE);
    return hr == LICBAK_S_OK || hr == LICBAK_E_HANDLE || hr == other;
}

static void operate_on_common(licbak_restorer *r, operation op, uint32_t flags)
{
    recorder rec = {.restorer = r};
    licbak_hresult outcome, hr = op(r, flags, record, &rec);
    CHECK(may_be(hr, BUSY));
    if (hr != LICBAK_S_OK) {
        return;
    }
    CHECK(may_be(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK)); /* for this operation, or somebody's next */
    while (!atomic_load(&rec.ended) || atomic_load(&rec.inside)) {
        sleep_ms(1);
    }
    outcome = rec.events[rec.count - 1].hr;
    CHECK(outcome == LICBAK_S_OK || outcome == CANCELED);
    atomic_fetch_add(&operations, 1);
    atomic_fetch_add(&canceled, outcome == CANCELED);
    forget(&rec);
}

static void together(struct member *m)
{
    while (atomic_load(&alone) > 0) {
        licbak_restorer *r = atomic_load(&common);
        licbak_progress progress = {.struct_size = sizeof progress};
        char text[64];
        size_t size = sizeof text;
        licbak_datatype type;
        int listed = 0;
        switch (next_random(&m->random) % 9) {
        case 0:
            operate_on_common(r, licbak_backup_licenses, LICBAK_WM_BACKUP_OVERWRITE);
            break;
        case 1:
            operate_on_common(r, licbak_restore_licenses, LICBAK_RESTORE_OVERWRITE);
            break;
        case 2:
            operate_on_common(r, licbak_verify_backup, 0);
            break;
        case 3:
            CHECK(may_be(licbak_list_backup(r, count_one, &listed), LICBAK_S_OK) && listed <= LICENSES);
            break;
        case 4:
            CHECK(may_be(licbak_get_progress(r, &progress), LICBAK_S_OK) && progress.licenses_done <= LICENSES);
            break;
        case 5:
            CHECK(may_be(licbak_cancel(r), LICBAK_S_FALSE));
            break;
        case 6:
            set_threads(r, 1 + next_random(&m->random) % 3);
            break;
        case 7:
            CHECK(may_be(licbak_get_prop_by_name(r, "StorePath", &type, (uint8_t *)text, &size), LICBAK_S_OK));
            break;
        default:
            CHECK(may_be(licbak_set_store(r, NULL), BUSY));
        }
        if (m->number == 1 && one_in(m, 8)) {
            make_common();
        }
        usleep((unsigned)(next_random(&m->random) % 5000));
    }
}

/* -- all of them ------------------------------------------------------------------------------------------ */

static void *take_part(void *argument)
{
    struct member *m = argument;
    pthread_barrier_wait(&line);
    (m->number % 2 ? together : by_oneself)(m);
    return NULL;
}

/* A database has its licences as the store has them, but for their times, which it does not
 * keep. */
static void check_database(const char *database)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for(database, "from-database");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, LICENSES);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "store"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_kept, 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    static struct member members[THREADS];
    char path[32];
    begin("crowd");
    int had_descriptors = descriptor_count();
    make_store("store", LICENSES);
    make_store("common", LICENSES);
    make_dir("shared");
    make_dir("from-database");
    CHECK_HR(backup("store", "shared", 0), LICBAK_S_OK);
    for (int i = 0; i < THREADS; i += 2) {
        backed_up_by(i, path);
        make_dir(path);
        CHECK_HR(backup("store", path, LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    }
    CHECK_HR(restore("store.db", "shared", 0), LICBAK_S_OK);
    make_common();

    CHECK(pthread_barrier_init(&line, NULL, THREADS) == 0);
    for (int i = 0; i < THREADS; i++) {
        members[i] = (struct member){.number = i, .random = (uint64_t)i * 2654435761u + 1};
        CHECK(pthread_create(&members[i].thread, NULL, take_part, &members[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        CHECK(pthread_join(members[i].thread, NULL) == 0);
    }
    CHECK_HR(licbak_destroy(atomic_load(&common)), LICBAK_S_OK);

    for (int i = 0; i < THREADS; i += 2) {
        restored_by(i, path);
        if (has_database(i)) {
            check_database(path);
        } else {
            CHECK_SAME_TREE(path, "store");
        }
        backed_up_by(i, path);
        CHECK_TEXT(entries(path), "licenses.tar.zst");
        CHECK_HR(verify(path), LICBAK_S_OK);
    }
    CHECK_SAME_TREE("common", "store");
    CHECK_INT(threads_settled(THREADS_AT_REST), THREADS_AT_REST);
    CHECK_INT(descriptor_count(), had_descriptors);
    CHECK(atomic_load(&canceled) > 0 && atomic_load(&busy) > 0);
    figure("threads %d at once: operations %d, canceled %d, calls refused as busy %d, calls on a destroyed restorer %d",
           THREADS, atomic_load(&operations), atomic_load(&canceled), atomic_load(&busy), atomic_load(&gone));
    return finish();
}
