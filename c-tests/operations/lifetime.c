/* Waiting for an operation, and destroying a restorer: from outside, from inside callbacks, while
 * others wait. */
#include "../support/stall.h"

#include <sys/syscall.h>

#define CANCELED LICBAK_NS_E_DRM_OPERATION_CANCELED

/* -- wait ------------------------------------------------------------------------------------------------ */

static void waiting(void)
{
    gate g;
    gate_init(&g);
    recorder rec = {0};
    licbak_hresult outcome = LICBAK_E_FAIL;
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK); /* before the first */
    CHECK_HR(outcome, LICBAK_S_OK);

    rec.react = hold_at_begin;
    rec.gate = &g;
    start(licbak_backup_licenses, r, 0, &rec);
    wait_for(&g.reached);
    CHECK_HR(licbak_wait(r, 0, &outcome), LICBAK_S_FALSE);
    struct timespec before, after;
    clock_gettime(CLOCK_MONOTONIC, &before);
    CHECK_HR(licbak_wait(r, 100, &outcome), LICBAK_S_FALSE);
    clock_gettime(CLOCK_MONOTONIC, &after);
    long waited = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    CHECK(waited >= 99); /* 100 on a clock that is cut to whole milliseconds */
    sem_post(&g.open);
    CHECK_HR(end(r, &rec), LICBAK_S_OK);
    for (int i = 0; i < 3; i++) { /* as often as one likes */
        outcome = LICBAK_E_FAIL;
        CHECK_HR(licbak_wait(r, i == 0 ? 0 : FOREVER, &outcome), LICBAK_S_OK);
        CHECK_HR(outcome, LICBAK_S_OK);
    }

    rec.react = NULL; /* the last one's, a failure too; a start that was refused is none */
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "nowhere"), LICBAK_S_OK);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HR(licbak_backup_licenses(r, 0, record, &rec), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK_HR(licbak_wait(r, 0, &outcome), LICBAK_S_OK);
    CHECK_HR(outcome, LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- the next one ------------------------------------------------------------------------------------------ */

typedef struct turn {
    recorder rec;
    struct turn *before;
    atomic_bool is_telling;
    sem_t ended, next;
} turn;

static licbak_hresult LICBAK_CALL take_turn(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                            const uint8_t *value, size_t size, void *context)
{
    turn *t = context;
    CHECK(t->before == NULL || !atomic_load(&t->before->is_telling));
    atomic_store(&t->is_telling, true);
    licbak_hresult answer = record(status, hr, type, value, size, &t->rec);
    if (status == LICBAK_WMT_BACKUPRESTORE_END) {
        sem_post(&t->ended);
        wait_for(&t->next);
    }
    atomic_store(&t->is_telling, false);
    return answer;
}

/* Whoever was told the end may start again, while the end is still being told. */
static void one_after_the_other(void)
{
    enum { TURNS = 50 };
    static turn turns[TURNS];
    licbak_restorer *r = restorer_for("store", "backups");
    for (int i = 0; i < TURNS; i++) {
        turns[i].before = i > 0 ? &turns[i - 1] : NULL;
        CHECK(sem_init(&turns[i].ended, 0, 0) == 0 && sem_init(&turns[i].next, 0, 0) == 0);
        CHECK_HR(licbak_set_store(r, NULL), LICBAK_S_OK);
        CHECK_HR(licbak_verify_backup(r, 0, take_turn, &turns[i]), LICBAK_S_OK);
        if (i % 10 == 9) { /* what waits for its turn can be canceled, too */
            CHECK_HR(licbak_cancel(r), LICBAK_S_OK);
        }
        if (i > 0) {
            sem_post(&turns[i - 1].next);
        }
        wait_for(&turns[i].ended);
    }
    sem_post(&turns[TURNS - 1].next);
    licbak_hresult outcome;
    CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
    CHECK(!atomic_load(&turns[TURNS - 1].is_telling));
    CHECK_HR(outcome, CANCELED);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    for (int i = 0; i < TURNS; i++) {
        CHECK_INT(count_of(&turns[i].rec, LICBAK_WMT_BACKUPRESTORE_END), 1);
        forget(&turns[i].rec);
    }
}

/* -- a thread that waits --------------------------------------------------------------------------------- */

struct waiter {
    pthread_t thread;
    licbak_restorer *r;
    recorder *rec;
    atomic_int id; /* of the thread, just before it waits */
    licbak_hresult expected, outcome;
};

static void *wait_forever(void *argument)
{
    struct waiter *w = argument;
    atomic_store(&w->id, (int)syscall(SYS_gettid));
    CHECK_HR(licbak_wait(w->r, FOREVER, &w->outcome), w->expected);
    CHECK(atomic_load(&w->rec->ended)); /* not before END's callback has returned */
    return NULL;
}

/* Until the thread sleeps, which it can only do inside the call. */
static void until_asleep(struct waiter *w)
{
    char state = '?';
    while (state != 'S') {
        int id = atomic_load(&w->id);
        if (id != 0) {
            char path[64];
            snprintf(path, sizeof path, "/proc/self/task/%d/stat", id);
            FILE *file = fopen(path, "r");
            CHECK(file != NULL && fscanf(file, "%*d (%*[^)]) %c", &state) == 1);
            fclose(file);
        }
        sleep_ms(1);
    }
}

static void many_waiters(void)
{
    enum { WAITERS = 4 };
    gate g;
    gate_init(&g);
    recorder rec = {.react = hold_at_begin, .gate = &g};
    licbak_restorer *r = restorer_for("store", "backups");
    start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
    wait_for(&g.reached);
    struct waiter waiters[WAITERS];
    for (int i = 0; i < WAITERS; i++) {
        waiters[i] = (struct waiter){.r = r, .rec = &rec, .expected = LICBAK_S_OK, .outcome = LICBAK_E_FAIL};
        CHECK(pthread_create(&waiters[i].thread, NULL, wait_forever, &waiters[i]) == 0);
        until_asleep(&waiters[i]);
    }
    sem_post(&g.open);
    for (int i = 0; i < WAITERS; i++) {
        CHECK(pthread_join(waiters[i].thread, NULL) == 0);
        CHECK_HR(waiters[i].outcome, LICBAK_S_OK);
    }
    CHECK_HR(end(r, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- destroy from outside -------------------------------------------------------------------------------- */

static void *open_late(void *argument)
{
    struct waiter *w = argument;
    until_asleep(w); /* the one that destroys sleeps: it waits for the callback */
    size_t count;
    CHECK_HR(licbak_get_prop_count(w->r, &count), LICBAK_E_HANDLE); /* from destroy's first moment */
    CHECK_HR(licbak_cancel(w->r), LICBAK_E_HANDLE);
    CHECK_HR(licbak_destroy(w->r), LICBAK_E_HANDLE);
    CHECK(!atomic_load(&w->rec->ended));
    sem_post(&w->rec->gate->open);
    return NULL;
}

/* Destroy cancels, waits for the last callback, and wakes who waits with E_HANDLE. */
static void destroyed_while_it_runs(void)
{
    gate g;
    gate_init(&g);
    recorder rec = {.react = hold_at_begin, .gate = &g};
    make_dir("unfinished");
    licbak_restorer *r = restorer_for(STALLING, "unfinished");
    start(licbak_backup_licenses, r, 0, &rec);
    wait_for(&g.reached);
    struct waiter waiter = {.r = r, .rec = &rec, .expected = LICBAK_E_HANDLE};
    CHECK(pthread_create(&waiter.thread, NULL, wait_forever, &waiter) == 0);
    until_asleep(&waiter);

    struct waiter destroyer = {.r = r, .rec = &rec}; /* this thread, watched by another */
    CHECK(pthread_create(&destroyer.thread, NULL, open_late, &destroyer) == 0);
    atomic_store(&destroyer.id, (int)syscall(SYS_gettid));
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK(atomic_load(&rec.ended) && !atomic_load(&rec.inside));
    CHECK_HR(rec.events[rec.count - 1].hr, CANCELED);
    CHECK_TEXT(entries("unfinished"), "");
    CHECK(pthread_join(destroyer.thread, NULL) == 0);
    CHECK(pthread_join(waiter.thread, NULL) == 0);
    forget(&rec);
}

static void destroyed_at_any_moment(void)
{
    for (int i = 0; i < 100; i++) {
        recorder rec = {0};
        licbak_restorer *r = restorer_for("store", "backups");
        start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
        usleep((unsigned)(i * 61));
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        CHECK(atomic_load(&rec.ended) && !atomic_load(&rec.inside));
        licbak_hresult hr = rec.events[rec.count - 1].hr;
        CHECK(hr == CANCELED || hr == LICBAK_S_OK);
        forget(&rec);
    }
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK_HR(verify("backups"), LICBAK_S_OK);
}

/* -- destroy from inside: of the own restorer see reentry.c ----------------------------------------------- */

struct pair {
    pthread_barrier_t both;
    licbak_restorer *restorers[2];
    gate gates[2];
};

static licbak_hresult destroy_the_other(recorder *rec, const event *e)
{
    struct pair *p = rec->other;
    int self = rec->gate == &p->gates[1];
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        pthread_barrier_wait(&p->both); /* both are inside their callbacks now */
        CHECK_HR(licbak_destroy(p->restorers[!self]), LICBAK_S_OK);
        pthread_barrier_wait(&p->both); /* and neither has left before both have destroyed */
    }
    if (e->status == LICBAK_WMT_BACKUPRESTORE_END) {
        sem_post(&rec->gate->reached);
    }
    return LICBAK_S_OK;
}

/* Two callbacks that destroy each other's restorer: would each wait for the other, it would be for
 * ever. */
static void destroying_each_other(void)
{
    struct pair p;
    CHECK(pthread_barrier_init(&p.both, NULL, 2) == 0);
    recorder recs[2] = {{.react = destroy_the_other, .other = &p}, {.react = destroy_the_other, .other = &p}};
    for (int round = 0; round < 20; round++) {
        for (int i = 0; i < 2; i++) {
            gate_init(&p.gates[i]);
            recs[i].gate = &p.gates[i];
            p.restorers[i] = restorer_for("store", i == 0 ? "backups" : "backups-too");
        }
        for (int i = 0; i < 2; i++) {
            start(licbak_backup_licenses, p.restorers[i], LICBAK_WM_BACKUP_OVERWRITE, &recs[i]);
        }
        for (int i = 0; i < 2; i++) {
            wait_for(&p.gates[i].reached);
            while (!atomic_load(&recs[i].ended) || atomic_load(&recs[i].inside)) {
                sleep_ms(1);
            }
            CHECK_HR(licbak_destroy(p.restorers[i]), LICBAK_E_HANDLE);
        }
    }
    for (int i = 0; i < 2; i++) {
        forget(&recs[i]);
    }
}

/* -- destroy and list ------------------------------------------------------------------------------------ */

struct listing {
    licbak_restorer *r;
    gate *gate;
    atomic_bool returned;
};

static licbak_hresult LICBAK_CALL hold_in_list(const licbak_license *license, void *context)
{
    struct listing *l = context;
    (void)license;
    sem_post(&l->gate->reached);
    wait_for(&l->gate->open);
    sleep_ms(50);
    atomic_store(&l->returned, true);
    return LICBAK_E_ABORT;
}

static void *list_held(void *argument)
{
    struct listing *l = argument;
    licbak_hresult hr = licbak_list_backup(l->r, hold_in_list, l);
    CHECK(hr < 0);
    return NULL;
}

static void destroyed_while_it_lists(void)
{
    gate g;
    gate_init(&g);
    struct listing l = {.r = restorer_for("store", "backups"), .gate = &g};
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, list_held, &l) == 0);
    wait_for(&g.reached);
    sem_post(&g.open);
    CHECK_HR(licbak_destroy(l.r), LICBAK_S_OK);
    CHECK(atomic_load(&l.returned)); /* it has waited for the host's function */
    CHECK(pthread_join(thread, NULL) == 0);
}

int main(void)
{
    begin("lifetime");
    make_store("store", 20);
    make_dir("backups");
    make_dir("backups-too");
    make_stalling_store();
    waiting();
    one_after_the_other();
    many_waiters();
    destroyed_while_it_runs();
    destroyed_at_any_moment();
    destroying_each_other();
    destroyed_while_it_lists();
    return finish();
}
