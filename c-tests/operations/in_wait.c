/* Operations that call the host's functions inside licbak_wait, on the thread that is in it. What
 * holds of every operation is checked by other suites once more in this way; here is what is
 * different. */
#include "../support/host.h"
#include "../support/process.h"

#include <poll.h>

#define IN_WAIT LICBAK_CALL_IN_WAIT
#define CANCELED LICBAK_NS_E_DRM_OPERATION_CANCELED

enum { DENIED = 10000 };

/* -- a host with an event loop ---------------------------------------------------------------------------- */

static int descriptor_of(licbak_restorer *r)
{
    intptr_t descriptor = -1, again = -1;
    CHECK_HR(licbak_get_wait_descriptor(r, &descriptor), LICBAK_S_OK);
    CHECK_HR(licbak_get_wait_descriptor(r, &again), LICBAK_S_OK);
    CHECK_INT(descriptor, again);
    CHECK(fcntl((int)descriptor, F_GETFD) & FD_CLOEXEC);
    return (int)descriptor;
}

static bool is_readable(int descriptor, int timeout_ms)
{
    struct pollfd polled = {descriptor, POLLIN, 0};
    int count = poll(&polled, 1, timeout_ms);
    CHECK(count >= 0);
    return count == 1;
}

/* Runs an operation as an event loop does, and gives its outcome. Nothing is called between two
 * waits, and no wait comes in vain. */
static licbak_hresult loop(operation op, licbak_restorer *r, uint32_t flags, recorder *rec, size_t *rounds)
{
    licbak_hresult hr, outcome = LICBAK_E_UNEXPECTED;
    const int descriptor = descriptor_of(r);
    CHECK(!is_readable(descriptor, 0));
    rec->restorer = r;
    CHECK_HR(op(r, flags | IN_WAIT, rec == NULL ? NULL : record, rec), LICBAK_S_OK);
    *rounds = 0;
    do {
        const size_t before = rec->count;
        CHECK(is_readable(descriptor, 10000));
        sleep_ms(*rounds < 20 ? 1 : 0);
        CHECK(is_readable(descriptor, 0)); /* level-triggered */
        CHECK_INT(rec->count, before);
        hr = licbak_wait(r, 0, &outcome);
        ++*rounds;
    } while (hr == LICBAK_S_FALSE);
    CHECK_HR(hr, LICBAK_S_OK);
    CHECK(!is_readable(descriptor, 0));
    CHECK(atomic_load(&rec->ended));
    return outcome;
}

static void in_a_loop(void)
{
    host h = {0};
    fill(&h);
    make_dir("looped");
    make_store("files", 300);
    for (int of_files = 0; of_files < 2; of_files++) {
        size_t rounds;
        recorder rec = {0};
        licbak_restorer *r = of_files ? restorer_for("files", "looped") : restorer_of(&h, "looped");
        CHECK_HR(loop(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec, &rounds), LICBAK_S_OK);
        CHECK(rounds >= 2 && rounds <= rec.count + 3); /* BEGIN and END are two; what a store's calls tell are none */
        forget(&rec);
        CHECK_HR(loop(licbak_verify_backup, r, 0, &rec, &rounds), LICBAK_S_OK);
        forget(&rec);
        CHECK_HR(loop(licbak_restore_licenses, r, 0, &rec, &rounds), LICBAK_S_OK);
        CHECK_INT(final_figures(&rec).licenses_done, of_files ? 300 : h.count);
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    host_forget(&h);
}

/* -- a store on the thread that hears events ---------------------------------------------------------------- */

static licbak_hresult give_denied(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    licbak_hresult hr = LICBAK_S_OK;
    (void)h, (void)name;
    for (int i = 0; i < DENIED && hr >= 0; i++) {
        char each[32];
        snprintf(each, sizeof each, "%05d.lic", i);
        licbak_license license = {sizeof license, each, NULL, (const uint8_t *)each, 9, 1, LICBAK_RIGHT_DENIED, 0};
        hr = emit(&license, emit_context);
    }
    return hr;
}

/* More is told than may wait, and the only thread that listens is the one that gives it. */
static void denied_on_one_thread(void)
{
    make_dir("denied");
    for (int polls = 0; polls < 2; polls++) {
        host h = {.give = give_denied};
        recorder rec = {0};
        size_t rounds;
        licbak_hresult outcome;
        licbak_restorer *r = restorer_of(&h, "denied");
        if (polls) {
            outcome = loop(licbak_backup_licenses, r, 0, &rec, &rounds);
        } else {
            CHECK_HR(licbak_backup_licenses(r, IN_WAIT, record, &rec), LICBAK_S_OK);
            CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
        }
        CHECK_HR(outcome, LICBAK_HRESULT_ERROR_EMPTY);
        CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), DENIED);
        CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), DENIED);
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
}

/* -- the authorizer ------------------------------------------------------------------------------------------ */

static licbak_hresult LICBAK_CALL allow_here(const licbak_backup_info *info, char *url, size_t url_size, void *context)
{
    (void)url, (void)url_size;
    CHECK_INT(info->generation, 1);
    CHECK(pthread_equal(*(pthread_t *)context, pthread_self()));
    CHECK_HR(licbak_wait(NULL, 0, NULL), LICBAK_E_HANDLE);
    *(pthread_t *)context = (pthread_t)0; /* asked once */
    return LICBAK_S_OK;
}

/* It is called there, too, and without a listener as well. */
static void authorized(void)
{
    make_dir("allowed");
    CHECK_HR(backup("files", "allowed", 0), LICBAK_S_OK);
    for (int hears = 0; hears < 2; hears++) {
        pthread_t here = pthread_self();
        recorder rec = {0};
        licbak_hresult outcome;
        licbak_restorer *r = restorer_for("allowed-files", "allowed");
        CHECK_HR(licbak_set_authorizer(r, allow_here, &here), LICBAK_S_OK);
        CHECK_HR(licbak_restore_licenses(r, IN_WAIT, hears ? record : NULL, &rec), LICBAK_S_OK);
        CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
        CHECK_HR(outcome, LICBAK_S_OK);
        CHECK(here == (pthread_t)0);
        CHECK_INT(count_of(&rec, LICBAK_WMT_BACKUPRESTORE_CONNECTING), hears);
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
}

/* -- who listens to nothing ------------------------------------------------------------------------------- */

static void deaf(void)
{
    host h = {0};
    fill(&h);
    make_dir("deaf");
    make_store("deaf-files", 30);
    for (int of_files = 0; of_files < 2; of_files++) {
        licbak_hresult outcome = LICBAK_E_UNEXPECTED;
        licbak_restorer *r = of_files ? restorer_for("deaf-files", "deaf") : restorer_of(&h, "deaf");
        const int descriptor = descriptor_of(r);
        CHECK_HR(licbak_backup_licenses(r, LICBAK_WM_BACKUP_OVERWRITE, NULL, NULL), LICBAK_E_INVALIDARG);
        CHECK_HR(licbak_backup_licenses(r, LICBAK_WM_BACKUP_OVERWRITE | IN_WAIT, NULL, NULL), LICBAK_S_OK);
        do {
            CHECK(is_readable(descriptor, 10000));
        } while (licbak_wait(r, 0, &outcome) == LICBAK_S_FALSE);
        CHECK_HR(outcome, LICBAK_S_OK);
        CHECK(!is_readable(descriptor, 0));
        licbak_progress progress = {.struct_size = sizeof progress};
        CHECK_HR(licbak_get_progress(r, &progress), LICBAK_S_OK);
        CHECK_INT(progress.licenses_done, of_files ? 30 : h.count);
        /* By itself, waited for or not. */
        CHECK_HR(licbak_set_prop_string(r, "RestorePath", "nowhere"), LICBAK_S_OK);
        CHECK_HR(licbak_verify_backup(r, IN_WAIT, NULL, NULL), LICBAK_S_OK);
        CHECK(is_readable(descriptor, 10000));
        CHECK_HR(licbak_wait(r, 0, &outcome), LICBAK_S_OK);
        CHECK_HR(outcome, LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
        CHECK(strstr(error_message(r), "nowhere") != NULL);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    host_forget(&h);
}

/* -- the end ---------------------------------------------------------------------------------------------- */

/* Without a wait nothing is called: not by the start, not by a destroy, and not the end. */
static void destroyed_without_a_wait(void)
{
    make_dir("unwaited");
    make_store("unwaited-files", 30);
    for (int cancels = 0; cancels < 2; cancels++) {
        recorder rec = {0};
        host h = {0};
        fill(&h);
        licbak_restorer *r = cancels ? restorer_of(&h, "unwaited") : restorer_for("unwaited-files", "unwaited");
        const int descriptor = descriptor_of(r);
        CHECK_HR(licbak_backup_licenses(r, IN_WAIT, record, &rec), LICBAK_S_OK);
        CHECK(is_readable(descriptor, 10000));
        sleep_ms(20);
        CHECK_HR(licbak_backup_licenses(r, IN_WAIT, record, &rec), LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY);
        if (cancels) {
            licbak_hresult outcome;
            CHECK_HR(licbak_cancel(r), LICBAK_S_OK);
            CHECK_INT(rec.count, 0);
            CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
            CHECK_HR(outcome, CANCELED);
            CHECK_INT(rec.count, 2);
            forget(&rec);
            CHECK_HR(licbak_backup_licenses(r, IN_WAIT, record, &rec), LICBAK_S_OK);
        }
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        CHECK_INT(rec.count, 0);
        CHECK(fcntl(descriptor, F_GETFD) == -1 && errno == EBADF);
        CHECK_INT(count_of(&rec, LICBAK_WMT_BACKUPRESTORE_END), 0);
        host_forget(&h);
    }
}

static licbak_hresult destroy_at(recorder *rec, const event *e)
{
    if (e->status == *(const licbak_status *)rec->other) {
        CHECK_HR(licbak_wait(rec->restorer, 0, NULL), LICBAK_E_ILLEGAL_METHOD_CALL);
        CHECK_HR(licbak_destroy(rec->restorer), LICBAK_S_OK);
    }
    return LICBAK_S_OK;
}

/* A wait whose function destroys its restorer lasts until the end has been told. */
static void destroyed_inside(void)
{
    const licbak_status statuses[] = {LICBAK_WMT_BACKUPRESTORE_BEGIN, LICBAK_WMT_BACKUPRESTORE_END};
    make_dir("inside");
    for (int i = 0; i < 2; i++) {
        for (int patient = 0; patient < 2; patient++) {
            recorder rec = {.react = destroy_at, .other = (void *)&statuses[i]};
            rec.restorer = restorer_for("files", "inside");
            CHECK_HR(licbak_backup_licenses(rec.restorer, LICBAK_DRY_RUN | IN_WAIT, record, &rec), LICBAK_S_OK);
            licbak_hresult hr;
            do {
                hr = licbak_wait(rec.restorer, patient ? FOREVER : 0, NULL);
            } while (hr == LICBAK_S_FALSE);
            CHECK_HR(hr, LICBAK_E_HANDLE);
            CHECK(atomic_load(&rec.ended));
            CHECK_HR(rec.events[rec.count - 1].hr, i == 0 ? CANCELED : LICBAK_S_OK);
            forget(&rec);
        }
    }
}

static licbak_hresult start_at_end(recorder *rec, const event *e)
{
    recorder *next = rec->other;
    if (e->status == LICBAK_WMT_BACKUPRESTORE_END) {
        CHECK_HR(licbak_backup_licenses(rec->restorer, LICBAK_DRY_RUN | IN_WAIT, record, next), LICBAK_S_OK);
        CHECK_INT(next->count, 0);
    }
    return LICBAK_S_OK;
}

/* Whoever is told the end may start again; what it starts is the next wait's. */
static void started_inside_the_end(void)
{
    recorder next = {0}, rec = {.react = start_at_end, .other = &next};
    licbak_hresult outcome;
    licbak_restorer *r = rec.restorer = restorer_for("files", "inside");
    CHECK_HR(licbak_backup_licenses(r, LICBAK_DRY_RUN | IN_WAIT, record, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
    CHECK_HR(outcome, LICBAK_S_OK);
    CHECK(atomic_load(&rec.ended));
    CHECK_INT(next.count, 0);
    CHECK_HR(end(r, &next), LICBAK_S_OK);
    forget(&next);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- time ------------------------------------------------------------------------------------------------- */

static licbak_hresult hold_at_begin_of(recorder *rec, const event *e)
{
    return e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN ? hold_at_begin(rec, e) : LICBAK_S_OK;
}

static void *wait_to_the_end(void *restorer)
{
    licbak_hresult outcome = LICBAK_E_UNEXPECTED;
    CHECK_HR(licbak_wait(restorer, FOREVER, &outcome), LICBAK_S_OK);
    CHECK_HR(outcome, LICBAK_S_OK);
    return NULL;
}

/* While one thread calls the host, nothing is due for another. */
static void one_at_a_time(void)
{
    gate g;
    gate_init(&g);
    recorder rec = {.react = hold_at_begin_of, .gate = &g, .on_any_thread = true};
    pthread_t threads[4];
    licbak_restorer *r = restorer_for("files", "inside");
    const int descriptor = descriptor_of(r);
    CHECK_HR(licbak_backup_licenses(r, LICBAK_DRY_RUN | IN_WAIT, record, &rec), LICBAK_S_OK);
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, wait_to_the_end, r) == 0);
    }
    wait_for(&g.reached);
    CHECK(!is_readable(descriptor, 50));
    CHECK_HR(licbak_wait(r, 0, NULL), LICBAK_S_FALSE);
    CHECK_HR(licbak_wait(r, 20, NULL), LICBAK_S_FALSE);
    CHECK_INT(rec.count, 1);
    sem_post(&g.open);
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    CHECK(atomic_load(&rec.ended));
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    begin("in_wait");
    in_a_loop();
    denied_on_one_thread();
    authorized();
    deaf();
    destroyed_without_a_wait();
    destroyed_inside();
    started_inside_the_end();
    one_at_a_time();
    return finish();
}
