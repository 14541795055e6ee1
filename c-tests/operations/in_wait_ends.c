/* How operations end whose host is called inside licbak_wait: told or not, by whom, and where a
 * child comes back that was forked meanwhile. */
#include "../support/in_wait.h"
#include "../support/process.h"
#include "../support/stall.h"

static void check_gone(licbak_restorer *r)
{
    size_t count;
    CHECK_HR(licbak_wait(r, 0, NULL), LICBAK_E_HANDLE);
    CHECK_HR(licbak_get_prop_count(r, &count), LICBAK_E_HANDLE);
    CHECK_HR(licbak_destroy(r), LICBAK_E_HANDLE);
}

/* -- told ------------------------------------------------------------------------------------------------- */

static licbak_hresult start_at_end(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_BACKUPRESTORE_END) {
        begin_in_wait(licbak_backup_licenses, rec->restorer, LICBAK_DRY_RUN, rec->other);
        CHECK_HR(licbak_backup_licenses(rec->restorer, IN_WAIT, hear, rec), LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY);
    }
    return LICBAK_S_OK;
}

/* Whoever is told the end may start again; what it starts is the next wait's, and no poll misses it. */
static void started_inside_the_end(void)
{
    for (int i = 0; i < 100; i++) {
        recorder next = {0}, rec = {.react = start_at_end, .other = &next};
        licbak_hresult outcome;
        licbak_restorer *r = restorer_for("files", "backups");
        const int descriptor = descriptor_of(r);
        begin_in_wait(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec);
        CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
        CHECK_HR(outcome, LICBAK_S_OK);
        CHECK(atomic_load(&rec.ended));
        CHECK_INT(next.count, 0);
        CHECK_HR(end_by_polling(r, descriptor), LICBAK_S_OK);
        CHECK(!is_readable(descriptor, 0));
        forget(&next);
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
}

/* -- destroyed by a thread that is in no function of the host ----------------------------------------------- */

/* Without a wait nothing is called: not by the start, not by a destroy, and not the end. */
static void destroyed_without_a_wait(void)
{
    for (int cancels = 1; cancels >= 0; cancels--) {
        recorder rec = {0};
        host h = {.inside = while_waiting};
        fill(&h);
        licbak_restorer *r = cancels ? restorer_of(&h, "unfinished") : restorer_for("files", "unfinished");
        const int descriptor = descriptor_of(r);
        begin_in_wait(licbak_backup_licenses, r, 0, &rec);
        until_due(descriptor);
        sleep_ms(20);
        CHECK_HR(licbak_backup_licenses(r, IN_WAIT, hear, &rec), LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY);
        if (cancels) {
            CHECK_HR(licbak_cancel(r), LICBAK_S_OK);
            CHECK_INT(rec.count, 0);
            CHECK_HR(end_by_polling(r, descriptor), CANCELED);
            CHECK_INT(rec.count, 2); /* BEGIN, which a cancel does not take back, and END */
            begin_in_wait(licbak_backup_licenses, r, 0, &rec);
        }
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        CHECK_INT(rec.count, 0);
        CHECK_INT(h.enumerations, 0);
        CHECK(fcntl(descriptor, F_GETFD) == -1 && errno == EBADF);
        CHECK_INT(threads_settled(THREADS_AT_REST), THREADS_AT_REST);
        CHECK_TEXT(entries("unfinished"), "");
        forget(&rec);
        host_forget(&h);
    }
}

struct waiter {
    licbak_restorer *r;
    pthread_t thread;
};

static void *wait_until_gone(void *argument)
{
    struct waiter *w = argument;
    CHECK_HR(licbak_wait(w->r, FOREVER, NULL), LICBAK_E_HANDLE);
    return NULL;
}

static void wait_beside_us(struct waiter *w, licbak_restorer *r)
{
    w->r = r;
    CHECK(pthread_create(&w->thread, NULL, wait_until_gone, w) == 0);
}

static licbak_hresult hold_at(recorder *rec, const event *e)
{
    if (e->status == *(const licbak_status *)rec->other) {
        sem_post(&rec->gate->reached);
        wait_for(&rec->gate->open);
    }
    return LICBAK_S_OK;
}

static void *open_late(void *gate_of)
{
    struct gate *g = gate_of;
    sleep_ms(50);
    sem_post(&g->open);
    return NULL;
}

/* While another thread calls the host: the destroy lasts until that function has returned, and no
 * other is called any more, not even the end. */
static void destroyed_while_another_calls(void)
{
    const licbak_status statuses[] = {LICBAK_WMT_BACKUPRESTORE_BEGIN, LICBAK_STATUS_LICENSE_LEFT_OUT,
                                      LICBAK_WMT_BACKUPRESTORE_END};
    for (int i = 0; i < 3; i++) {
        gate g;
        gate_init(&g);
        pthread_t opener;
        struct waiter waiters[2];
        recorder rec = {.react = hold_at, .gate = &g, .other = (void *)&statuses[i], .on_any_thread = true};
        licbak_restorer *r = restorer_for("linked", "unfinished");
        begin_in_wait(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec);
        wait_beside_us(&waiters[0], r);
        wait_beside_us(&waiters[1], r);
        wait_for(&g.reached);
        size_t had = rec.count;
        CHECK(pthread_create(&opener, NULL, open_late, &g) == 0);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        CHECK(!atomic_load(&rec.inside));
        CHECK_INT(rec.count, had);
        CHECK_INT(atomic_load(&rec.ended), i == 2);
        check_gone(r);
        for (int k = 0; k < 2; k++) {
            CHECK(pthread_join(waiters[k].thread, NULL) == 0);
        }
        CHECK(pthread_join(opener, NULL) == 0);
        CHECK_INT(rec.count, had);
        CHECK_INT(threads_settled(THREADS_AT_REST), THREADS_AT_REST);
        forget(&rec);
    }
}

static licbak_hresult hold_inside(host *h, const char *function, const char *name)
{
    (void)function, (void)name;
    CHECK(waits);
    sem_post(&h->gate->reached);
    wait_for(&h->gate->open);
    return LICBAK_S_OK;
}

/* The same with the host's store: what it emits then is refused. */
static licbak_hresult give_one(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    (void)name;
    licbak_license license = {sizeof license, "one", NULL, NULL, 0, 1, LICBAK_RIGHT_DENIED, 0};
    CHECK_HR(emit(&license, emit_context), CANCELED);
    atomic_store(&h->left, true);
    return LICBAK_S_OK;
}

static void destroyed_in_a_store(void)
{
    gate g;
    gate_init(&g);
    for (int is_deaf = 0; is_deaf < 2; is_deaf++) {
        pthread_t opener;
        struct waiter w;
        host h = {.inside = hold_inside, .give = give_one, .gate = &g};
        recorder rec = {0};
        licbak_restorer *r = restorer_of(&h, "unfinished");
        CHECK_HR(licbak_backup_licenses(r, IN_WAIT, is_deaf ? NULL : hear, &rec), LICBAK_S_OK);
        wait_beside_us(&w, r);
        wait_for(&g.reached);
        CHECK(pthread_create(&opener, NULL, open_late, &g) == 0);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        CHECK(atomic_load(&h.left) && h.running == 0);
        atomic_store(&h.gone, true);
        CHECK(pthread_join(w.thread, NULL) == 0 && pthread_join(opener, NULL) == 0);
        CHECK_INT(rec.count - count_of(&rec, LICBAK_STATUS_PROGRESS), is_deaf ? 0 : 1); /* BEGIN */
        forget(&rec);
    }
}

/* -- destroyed inside a function of the host ------------------------------------------------------------------ */

static licbak_hresult destroy_at(recorder *rec, const event *e)
{
    if (e->status == *(const licbak_status *)rec->other) {
        CHECK_HR(licbak_wait(rec->restorer, 0, NULL), LICBAK_E_ILLEGAL_METHOD_CALL);
        CHECK_HR(licbak_destroy(rec->restorer), LICBAK_S_OK);
        check_gone(rec->restorer);
    }
    return LICBAK_S_OK;
}

/* A wait whose function destroys its restorer lasts until the end has been told. */
static void destroyed_inside(void)
{
    const licbak_status statuses[] = {LICBAK_WMT_BACKUPRESTORE_BEGIN, LICBAK_STATUS_LICENSE_LEFT_OUT,
                                      LICBAK_WMT_BACKUPRESTORE_END};
    for (int i = 0; i < 3; i++) {
        for (int patient = 0; patient < 2; patient++) {
            recorder rec = {.react = destroy_at, .other = (void *)&statuses[i]};
            licbak_restorer *r = restorer_for("linked", "unfinished");
            const int descriptor = descriptor_of(r);
            begin_in_wait(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec);
            licbak_hresult hr;
            do {
                hr = licbak_wait(r, patient ? FOREVER : 0, NULL);
            } while (hr == LICBAK_S_FALSE);
            CHECK_HR(hr, LICBAK_E_HANDLE);
            CHECK(atomic_load(&rec.ended));
            licbak_hresult outcome = rec.events[rec.count - 1].hr;
            CHECK(outcome == CANCELED || (outcome == LICBAK_S_OK && i > 0));
            CHECK_INT(threads_settled(THREADS_AT_REST), THREADS_AT_REST);
            CHECK(fcntl(descriptor, F_GETFD) == -1 && errno == EBADF);
            forget(&rec);
        }
    }
}

struct limited {
    licbak_restorer *r;
    gate gate;
    pthread_t thread;
};

static void *wait_a_little(void *argument)
{
    struct limited *l = argument;
    sem_post(&l->gate.reached);
    CHECK_HR(licbak_wait(l->r, 200, NULL), LICBAK_E_HANDLE);
    sem_post(&l->gate.open);
    return NULL;
}

/* Destroys, and returns when the wait of another thread has come back. */
static licbak_hresult destroy_and_hold(recorder *rec, const event *e)
{
    struct limited *l = rec->other;
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        CHECK(pthread_create(&l->thread, NULL, wait_a_little, l) == 0);
        wait_for(&l->gate.reached);
        sleep_ms(50); /* time for it to be in its wait */
        CHECK_HR(licbak_destroy(l->r), LICBAK_S_OK);
        wait_for(&l->gate.open);
    }
    return LICBAK_S_OK;
}

/* A wait with a limit keeps it, whatever happens in the one beside it. */
static void limited_beside_one_that_lasts(void)
{
    struct limited l;
    gate_init(&l.gate);
    recorder rec = {.react = destroy_and_hold, .other = &l};
    l.r = restorer_for("files", "unfinished");
    begin_in_wait(licbak_backup_licenses, l.r, LICBAK_DRY_RUN, &rec);
    CHECK_HR(licbak_wait(l.r, FOREVER, NULL), LICBAK_E_HANDLE);
    CHECK(pthread_join(l.thread, NULL) == 0);
    CHECK(atomic_load(&rec.ended));
    forget(&rec);
}

static licbak_hresult destroy_others(recorder *rec, const event *e)
{
    licbak_restorer **others = rec->other;
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        for (int i = 0; i < 3; i++) {
            CHECK_HR(licbak_destroy(others[i]), LICBAK_S_OK); /* at once: nobody opens the gate before */
        }
    }
    return LICBAK_S_OK;
}

/* In a function of another restorer: a wait that calls the host tells the end; where none does, it
 * is not told. */
static void destroyed_inside_another(void)
{
    gate g;
    gate_init(&g);
    const licbak_status begins = LICBAK_WMT_BACKUPRESTORE_BEGIN;
    struct waiter w;
    recorder recs[3] = {{.react = hold_at, .gate = &g, .other = (void *)&begins}};
    licbak_restorer *others[3];
    for (int i = 0; i < 3; i++) {
        others[i] = restorer_for(i == 2 ? STALLING : "files", "unfinished");
        begin_in_wait(licbak_backup_licenses, others[i], LICBAK_DRY_RUN, &recs[i]);
    }
    wait_beside_us(&w, others[0]);
    wait_for(&g.reached);
    while (recs[2].count == 0) {
        CHECK_HR(licbak_wait(others[2], 0, NULL), LICBAK_S_FALSE); /* it is told something, and then no more */
    }
    size_t had = recs[2].count;

    recorder rec = {.react = destroy_others, .other = others};
    licbak_hresult outcome;
    licbak_restorer *r = restorer_for("files", "unfinished");
    begin_in_wait(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec);
    CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
    CHECK_HR(outcome, LICBAK_S_OK);
    CHECK(!atomic_load(&recs[0].ended));
    sem_post(&g.open);
    CHECK(pthread_join(w.thread, NULL) == 0);
    CHECK(atomic_load(&recs[0].ended));
    CHECK_INT(recs[0].count, 2);
    CHECK_HR(recs[0].events[1].hr, CANCELED);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_INT(threads_settled(THREADS_AT_REST), THREADS_AT_REST);
    CHECK_INT(recs[1].count, 0);
    CHECK_INT(recs[2].count, had);
    for (int i = 0; i < 3; i++) {
        forget(&recs[i]);
    }
    forget(&rec);
}

/* -- children that are forked in a function of the host, and come back ---------------------------------------- */

enum { BACK = 42, GOES_ON = 43, HANGS_AFTER = 10 };

#ifdef __SANITIZE_ADDRESS__ /* whose allocator, in GCC 12, another thread may have locked when we fork: for ever */
enum { CHILD_MAY_ALLOCATE = 0 };
#else
enum { CHILD_MAY_ALLOCATE = 1 };
#endif

static bool is_child; /* that was forked in a function of the host */
static int forks;     /* so far */

/* Forks; the child goes back into the library, and must come out of it by the call that led there. */
static void fork_here(void)
{
    if (is_child) {
        _exit(GOES_ON); /* the library has called it again */
    }
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        is_child = true;
        alarm(HANGS_AFTER);
        return;
    }
    int status;
    forks++;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
    CHECK_INT(WEXITSTATUS(status), BACK);
}

static licbak_hresult fork_when_told(recorder *rec, const event *e)
{
    const host *h = rec->other;
    /* Of the events that a store's emit tells, one. */
    if (h == NULL || (e->status == LICBAK_WMT_RESTRICTED_LICENSE && h->running > 0 && forks == 0)) {
        fork_here();
    }
    return LICBAK_S_OK;
}

static licbak_hresult fork_inside(host *h, const char *function, const char *name)
{
    (void)h, (void)function, (void)name;
    fork_here();
    return LICBAK_S_OK;
}

static licbak_hresult give_denied(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    licbak_hresult hr = LICBAK_S_OK;
    (void)h, (void)name;
    for (int i = 0; i < 10000 && hr >= 0; i++) {
        char each[32];
        snprintf(each, sizeof each, "%d", i);
        licbak_license license = {sizeof license, each, NULL, NULL, 0, 1, LICBAK_RIGHT_DENIED, 0};
        hr = emit(&license, emit_context);
        CHECK_HR(hr, is_child ? LICBAK_E_HANDLE : LICBAK_S_OK);
    }
    return hr;
}

static licbak_hresult fork_and_emit(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    fork_here();
    return give_denied(h, name, emit, emit_context);
}

static void with_forks(operation op, licbak_restorer *r, recorder *rec, licbak_hresult expected, int count)
{
    licbak_hresult hr, outcome;
    forks = 0;
    const int descriptor = descriptor_of(r);
    begin_in_wait(op, r, op == licbak_backup_licenses ? LICBAK_WM_BACKUP_OVERWRITE : 0, rec);
    do {
        until_due(descriptor);
        hr = licbak_wait(r, 0, &outcome);
        if (is_child) {
            CHECK_HR(hr, LICBAK_E_HANDLE);
            check_gone(r);
#ifndef THREAD_SANITIZER /* which lets a child of several threads make none */
            CHECK_HR(verify("backups"), LICBAK_S_OK); /* a new restorer works there */
#endif
            _exit(BACK);
        }
    } while (hr == LICBAK_S_FALSE);
    CHECK_HR(hr, LICBAK_S_OK);
    CHECK_HR(outcome, expected);
    CHECK(forks >= count);
    CHECK(!is_readable(descriptor, 0));
    forget(rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void forked(void)
{
    recorder rec = {.react = fork_when_told};
    with_forks(licbak_backup_licenses, restorer_for("linked", "out"), &rec, LICBAK_S_OK, 3);
    with_forks(licbak_verify_backup, restorer_for("unused", "nowhere"), &rec, LICBAK_HRESULT_ERROR_PATH_NOT_FOUND, 3);

    recorder calm = {0};
    host h = {.inside = fork_inside};
    host_add(&h, "one", NULL, "1", 1, 0);
    with_forks(licbak_backup_licenses, restorer_of(&h, "out"), &calm, LICBAK_S_OK, 1);
    host_forget(&h);
    with_forks(licbak_restore_licenses, restorer_of(&h, "out"), &calm, LICBAK_S_OK, 2); /* get and put */
    host_forget(&h);

    host emits = {.give = fork_and_emit};
    with_forks(licbak_backup_licenses, restorer_of(&emits, "empty"), &calm, LICBAK_HRESULT_ERROR_EMPTY, 1);
    host tells = {.give = give_denied};
    recorder inside = {.react = fork_when_told, .other = &tells};
    with_forks(licbak_backup_licenses, restorer_of(&tells, "empty"), &inside, LICBAK_HRESULT_ERROR_EMPTY, 1);
}

int main(void)
{
    begin("in_wait_ends");
    make_store("files", 30);
    make_store("linked", 30);
    CHECK(symlink("nowhere", "linked/link") == 0);
    make_stalling_store();
    make_dir("backups");
    make_dir("out");
    make_dir("empty");
    make_dir("unfinished");
    CHECK_HR(backup("files", "backups", 0), LICBAK_S_OK);
    started_inside_the_end();
    destroyed_without_a_wait();
    destroyed_while_another_calls();
    destroyed_in_a_store();
    destroyed_inside();
    limited_beside_one_that_lasts();
    destroyed_inside_another();
    if (CHILD_MAY_ALLOCATE) {
        forked();
    }
    return finish();
}
