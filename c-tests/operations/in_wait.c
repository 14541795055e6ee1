/* Operations that call the host's functions inside licbak_wait, on the thread that is in it. What
 * holds of every operation is checked by other suites once more in this way; here is what is
 * different. How they are left is in_wait_ends.c's. */
#include "../support/in_wait.h"
#include "../support/process.h"
#include "../support/stall.h"

#include <sys/resource.h>

enum { DENIED = 10000 };

/* -- a host with an event loop ---------------------------------------------------------------------------- */

/* Runs an operation as an event loop does, and gives its outcome. Nothing is called between two
 * waits, and nothing is left to poll for, and no thread, after the last. */
static licbak_hresult loop(operation op, licbak_restorer *r, uint32_t flags, recorder *rec, size_t *rounds)
{
    licbak_hresult hr, outcome = LICBAK_E_UNEXPECTED;
    const int descriptor = descriptor_of(r);
    CHECK(!is_readable(descriptor, 0));
    begin_in_wait(op, r, flags, rec);
    *rounds = 0;
    do {
        const size_t before = rec->count;
        until_due(descriptor);
        sleep_ms(*rounds < 20 ? 1 : 0);
        CHECK(is_readable(descriptor, 0)); /* level-triggered */
        CHECK_INT(rec->count, before);
        hr = licbak_wait(r, 0, &outcome);
        ++*rounds;
    } while (hr == LICBAK_S_FALSE);
    CHECK_HR(hr, LICBAK_S_OK);
    CHECK(!is_readable(descriptor, 0));
    CHECK(atomic_load(&rec->ended));
    CHECK_INT(threads_settled(THREADS_AT_REST), THREADS_AT_REST);
    return outcome;
}

static void in_a_loop(void)
{
    host h = {.inside = while_waiting};
    fill(&h);
    make_dir("looped");
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

static licbak_hresult look_at_descriptor(recorder *rec, const event *e)
{
    if (e->status != LICBAK_STATUS_PROGRESS) {
        /* Time for the next to be due: at END, for progress that nobody may hear of any more. */
        sleep_ms(e->status == LICBAK_WMT_BACKUPRESTORE_END ? 150 : 20);
    }
    CHECK(!is_readable(*(int *)rec->other, 0));
    return LICBAK_S_OK;
}

/* Nothing is due for a poll while a thread calls the host, however long that takes. */
static void slow_in_a_loop(void)
{
    int descriptor;
    size_t rounds;
    recorder rec = {.react = look_at_descriptor, .other = &descriptor};
    make_store("slow", 300);
    CHECK(symlink("nowhere", "slow/link") == 0 && symlink("nowhere", "slow/another") == 0);
    licbak_restorer *r = restorer_for("slow", "looped");
    descriptor = descriptor_of(r);
    CHECK_HR(loop(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec, &rounds), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), 2);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Nobody waits until as much is due as may be: nothing is lost, and nothing hangs. */
static void more_than_may_wait(void)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for(STALLING, "looped");
    begin_in_wait(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec);
    sleep_ms(50);
    const int descriptor = descriptor_of(r); /* shows what was due before, too */
    until_due(descriptor);
    CHECK_HR(licbak_wait(r, 0, NULL), LICBAK_S_FALSE);
    CHECK_INT(rec.count, 1);
    sleep_ms(300); /* the operation waits now, too */
    until_due(descriptor);
    CHECK_INT(rec.count, 1);
    CHECK_HR(end_by_polling(r, descriptor), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), STALLING_LINKS);
    CHECK(!is_readable(descriptor, 0));
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void no_descriptor_left(void *unused)
{
    (void)unused;
    intptr_t descriptor = -7;
    licbak_restorer *r = restorer_for("files", "looped");
    const struct rlimit none = {3, 3};
    CHECK(setrlimit(RLIMIT_NOFILE, &none) == 0);
    CHECK_HR(licbak_get_wait_descriptor(r, &descriptor), LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES);
    CHECK_INT(descriptor, -7);
    CHECK_HR(licbak_get_wait_descriptor(r, NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_HR(licbak_get_wait_descriptor(r, &descriptor), LICBAK_E_HANDLE);
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

static licbak_license_callback emit_now; /* of the enumeration that runs */
static void *emit_now_context;
static int emissions_refused;

/* More is told than may wait, and the only thread that listens is the one that gives it. */
static void denied_on_one_thread(void)
{
    make_dir("denied");
    for (int polls = 0; polls < 2; polls++) {
        host h = {.give = give_denied, .inside = while_waiting};
        recorder rec = {0};
        size_t rounds;
        licbak_hresult outcome;
        licbak_restorer *r = restorer_of(&h, "denied");
        if (polls) {
            outcome = loop(licbak_backup_licenses, r, 0, &rec, &rounds);
        } else {
            begin_in_wait(licbak_backup_licenses, r, 0, &rec);
            CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
        }
        CHECK_HR(outcome, LICBAK_HRESULT_ERROR_EMPTY);
        CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), DENIED);
        CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), DENIED);
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
}

/* The licences of a host that the library takes further at once: the emit of the next one hands them
 * on, and tells what is due while it waits. */
enum { BATCH = 512, BATCHES_MAX = 40 };

/* Emits denied licences until one that hands nothing on has told something. */
static licbak_hresult give_until_told(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    const recorder *rec = h->other;
    bool is_told = false;
    (void)name;
    for (int i = 0; !is_told; i++) {
        const size_t before = rec->count;
        char each[32];
        snprintf(each, sizeof each, "%05d", i);
        licbak_license license = {sizeof license, each, NULL, NULL, 0, 1, LICBAK_RIGHT_DENIED, 0};
        CHECK_HR(emit(&license, emit_context), LICBAK_S_OK);
        is_told = i % BATCH != 0 && rec->count > before;
        CHECK(i < BATCHES_MAX * BATCH);
        sleep_ms(i % BATCH < 10 ? 10 : 0); /* time for something to be due */
    }
    return LICBAK_S_OK;
}

/* Each emit tells what is due, whether the library has a use for the licence yet or not. */
static void told_by_emit(void)
{
    recorder rec = {0};
    host h = {.give = give_until_told, .inside = while_waiting, .other = &rec};
    licbak_hresult outcome;
    licbak_restorer *r = restorer_of(&h, "denied");
    set_number(r, "Threads", 1);
    begin_in_wait(licbak_backup_licenses, r, 0, &rec);
    CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
    CHECK_HR(outcome, LICBAK_HRESULT_ERROR_EMPTY);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* What emit tells is told inside it: there is no emitting in there. */
static licbak_hresult emit_when_told(recorder *rec, const event *e)
{
    host *h = rec->other;
    if (e->status == LICBAK_WMT_RESTRICTED_LICENSE && h->running > 0) {
        licbak_license license = {sizeof license, "inside", NULL, NULL, 0, 1, LICBAK_RIGHT_UNSTATED, 0};
        CHECK_HR(emit_now(&license, emit_now_context), LICBAK_E_ILLEGAL_METHOD_CALL);
        emissions_refused++;
    }
    return LICBAK_S_OK;
}

static licbak_hresult give_denied_and_show(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    emit_now = emit;
    emit_now_context = emit_context;
    return give_denied(h, name, emit, emit_context);
}

static void emitting_inside_emit(void)
{
    host h = {.give = give_denied_and_show, .inside = while_waiting};
    recorder rec = {.react = emit_when_told, .other = &h};
    licbak_hresult outcome;
    licbak_restorer *r = restorer_of(&h, "denied");
    begin_in_wait(licbak_backup_licenses, r, 0, &rec);
    CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
    CHECK_HR(outcome, LICBAK_HRESULT_ERROR_EMPTY);
    CHECK(emissions_refused > 0);
    CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), DENIED);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static licbak_hresult fail_inside(host *h, const char *function, const char *name)
{
    (void)name;
    CHECK(waits);
    return strcmp(function, h->other) == 0 ? OWN_FAILURE : LICBAK_S_OK;
}

static licbak_hresult fail_when_told(recorder *rec, const event *e)
{
    return e->status == *(const licbak_status *)rec->other ? OWN_FAILURE : LICBAK_S_OK;
}

/* The first failure of a function of the host is the outcome, wherever it was called. */
static void failing(void)
{
    static const struct {
        const char *function;
        operation op;
    } stores[] = {{"enumerate", licbak_backup_licenses}, {"get", licbak_restore_licenses},
                  {"put", licbak_restore_licenses}};
    for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++) {
        host h = {.inside = fail_inside, .other = (void *)stores[i].function};
        recorder rec = {0};
        size_t rounds;
        licbak_restorer *r = restorer_of(&h, i == 0 ? "denied" : "looped");
        CHECK_HR(loop(stores[i].op, r, 0, &rec, &rounds), OWN_FAILURE);
        CHECK_INT(count_of(&rec, LICBAK_WMT_ERROR), 1);
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        host_forget(&h);
    }
    const licbak_status statuses[] = {LICBAK_WMT_BACKUPRESTORE_BEGIN, LICBAK_WMT_RESTRICTED_LICENSE};
    for (int i = 0; i < 2; i++) {
        host h = {.give = give_denied, .inside = while_waiting};
        recorder rec = {.react = fail_when_told, .other = (void *)&statuses[i]};
        size_t rounds;
        licbak_restorer *r = restorer_of(&h, "denied");
        CHECK_HR(loop(licbak_backup_licenses, r, 0, &rec, &rounds), OWN_FAILURE);
        CHECK_INT(rec.events[rec.count - 2].status == statuses[i], true); /* only END came after it */
        CHECK_INT(h.enumerations, i);
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
    host h = {.inside = while_waiting};
    fill(&h);
    make_dir("deaf");
    make_store("deaf-files", 30);
    for (int of_files = 0; of_files < 2; of_files++) {
        licbak_hresult outcome = LICBAK_E_UNEXPECTED;
        licbak_restorer *r = of_files ? restorer_for("deaf-files", "deaf") : restorer_of(&h, "deaf");
        const int descriptor = descriptor_of(r);
        CHECK_HR(licbak_backup_licenses(r, LICBAK_WM_BACKUP_OVERWRITE, NULL, NULL), LICBAK_E_INVALIDARG);
        for (int polls = 0; polls < 2; polls++) {
            CHECK_HR(licbak_backup_licenses(r, LICBAK_WM_BACKUP_OVERWRITE | IN_WAIT, NULL, NULL), LICBAK_S_OK);
            sleep_ms(20); /* time for the library to call the store itself, which it must not */
            if (polls) {
                CHECK_HR(end_by_polling(r, descriptor), LICBAK_S_OK);
            } else {
                CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
                CHECK_HR(outcome, LICBAK_S_OK);
            }
            CHECK(!is_readable(descriptor, 0));
        }
        licbak_progress progress = {.struct_size = sizeof progress};
        CHECK_HR(licbak_get_progress(r, &progress), LICBAK_S_OK);
        CHECK_INT(progress.licenses_done, of_files ? 30 : h.count);
        /* By itself, waited for or not. */
        CHECK_HR(licbak_set_prop_string(r, "RestorePath", "nowhere"), LICBAK_S_OK);
        CHECK_HR(licbak_verify_backup(r, IN_WAIT, NULL, NULL), LICBAK_S_OK);
        until_due(descriptor);
        CHECK(is_readable(descriptor, 0));
        CHECK_HR(licbak_wait(r, 0, &outcome), LICBAK_S_OK);
        CHECK_HR(outcome, LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
        CHECK(!is_readable(descriptor, 0));
        CHECK(strstr(error_message(r), "nowhere") != NULL);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    host_forget(&h);
}

/* -- time ------------------------------------------------------------------------------------------------- */

static licbak_hresult be_slow(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    usleep(200);
    return LICBAK_S_OK;
}

/* A wait that has a limit comes back, even if there is always something more to call. */
static void with_a_limit(void)
{
    recorder rec = {.react = be_slow};
    licbak_restorer *r = restorer_for(STALLING, "looped");
    const int descriptor = descriptor_of(r);
    begin_in_wait(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec);
    until_due(descriptor);
    CHECK_HR(licbak_wait(r, 0, NULL), LICBAK_S_FALSE);
    sleep_ms(300); /* time for as much to be due as may be */
    CHECK_HR(licbak_wait(r, 1, NULL), LICBAK_S_FALSE);
    CHECK(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT) < STALLING_LINKS);
    rec.react = NULL;
    CHECK_HR(end_by_polling(r, descriptor), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), STALLING_LINKS);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* A wait that has a limit also calls what becomes due within it. */
static void within_a_limit(void)
{
    recorder rec = {0};
    licbak_hresult outcome = LICBAK_E_UNEXPECTED;
    licbak_restorer *r = restorer_for("files", "looped");
    begin_in_wait(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec);
    CHECK_HR(licbak_wait(r, 30000, &outcome), LICBAK_S_OK);
    CHECK_HR(outcome, LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static licbak_hresult cancel_and_linger(recorder *rec, const event *e)
{
    if (e->status == LICBAK_STATUS_LICENSE_LEFT_OUT) {
        CHECK_HR(licbak_cancel(rec->restorer), LICBAK_S_OK);
        sleep_ms(100); /* time for END to be due */
    }
    return LICBAK_S_OK;
}

/* A wait without time calls what was due at the call, and not what becomes due meanwhile. */
static void without_time(void)
{
    recorder rec = {.react = cancel_and_linger};
    licbak_restorer *r = restorer_for("slow", "looped");
    const int descriptor = descriptor_of(r);
    begin_in_wait(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec);
    do {
        until_due(descriptor);
        CHECK_HR(licbak_wait(r, 0, NULL), LICBAK_S_FALSE);
    } while (count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT) == 0);
    CHECK(!atomic_load(&rec.ended));
    CHECK_HR(end_by_polling(r, descriptor), CANCELED);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
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
    recorder rec = {.react = hold_at_begin, .gate = &g, .on_any_thread = true};
    pthread_t threads[4];
    licbak_restorer *r = restorer_for("files", "looped");
    const int descriptor = descriptor_of(r);
    begin_in_wait(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec);
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
    CHECK(!is_readable(descriptor, 0));
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static licbak_hresult give_for_ever(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    licbak_hresult hr = LICBAK_S_OK;
    (void)name;
    for (int i = 0; hr >= 0; i++) {
        char each[32];
        snprintf(each, sizeof each, "%d", i);
        licbak_license license = {sizeof license, each, NULL, NULL, 0, 1, 0, 0};
        hr = emit(&license, emit_context);
        if (i == 100) {
            sem_post(&h->gate->reached);
        }
    }
    CHECK_HR(hr, CANCELED);
    return LICBAK_S_OK;
}

static void *cancel_when_reached(void *argument)
{
    host *h = argument;
    wait_for(&h->gate->reached);
    CHECK_HR(licbak_cancel(h->restorer), LICBAK_S_OK);
    return NULL;
}

/* Another thread cancels what a thread waits for, which is inside a function of the host. */
static void canceled_while_it_waits(void)
{
    gate g;
    gate_init(&g);
    pthread_t thread;
    licbak_hresult outcome;
    host h = {.give = give_for_ever, .inside = while_waiting, .gate = &g};
    recorder rec = {0};
    licbak_restorer *r = restorer_of(&h, "denied");
    CHECK(pthread_create(&thread, NULL, cancel_when_reached, &h) == 0);
    begin_in_wait(licbak_backup_licenses, r, 0, &rec);
    CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
    CHECK_HR(outcome, CANCELED);
    CHECK_INT(count_of(&rec, LICBAK_WMT_ERROR), 0);
    CHECK(pthread_join(thread, NULL) == 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    begin("in_wait");
    make_store("files", 300);
    make_stalling_store();
    in_a_loop();
    slow_in_a_loop();
    more_than_may_wait();
    in_child(no_descriptor_left, NULL);
    denied_on_one_thread();
    authorized();
    told_by_emit();
    emitting_inside_emit();
    failing();
    deaf();
    with_a_limit();
    within_a_limit();
    without_time();
    one_at_a_time();
    canceled_while_it_waits();
    return finish();
}
