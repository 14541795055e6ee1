/* A good guest in any process: a host's crash handler works in its callbacks, nobody is cancelled in the middle of a
 * call, and a callback has a stack to work on.
 */
#define _GNU_SOURCE
#include "recorder.h"

#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGSYS, SIGABRT};
enum { FAULTS = sizeof faults / sizeof faults[0] };

/* Runs a backup with this reaction in its callbacks, END's too. */
static void back_up_with(licbak_hresult (*react)(recorder *, const event *))
{
    recorder rec = {.react = react};
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- signals ------------------------------------------------------------------------------------------------- */

static licbak_hresult look_at_mask(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    for (int i = 0; i < FAULTS; i++) {
        CHECK(sigismember(&mask, faults[i]) == 0);
    }
    static const int others[] = {SIGTERM, SIGINT, SIGALRM, SIGCHLD, SIGPIPE, SIGXFSZ, SIGUSR1, SIGPROF};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        CHECK(sigismember(&mask, others[i]) == 1);
    }
    return LICBAK_S_OK;
}

static char *page;
static atomic_int repaired;

static void repair(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)context;
    if (info->si_addr != page || mprotect(page, 4096, PROT_READ | PROT_WRITE) != 0) {
        _exit(99);
    }
    atomic_fetch_add(&repaired, 1);
}

/* As a garbage collector with write barriers does, or a crash reporter. */
static licbak_hresult fault(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    CHECK(mprotect(page, 4096, PROT_NONE) == 0);
    *(volatile char *)page = 1;
    return LICBAK_S_OK;
}

static void signals(void)
{
    back_up_with(look_at_mask);
    struct sigaction action = {.sa_sigaction = repair, .sa_flags = SA_SIGINFO}, before;
    page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(page != MAP_FAILED && sigaction(SIGSEGV, &action, &before) == 0);
    back_up_with(fault);
    CHECK(atomic_load(&repaired) >= 2);
    CHECK(sigaction(SIGSEGV, &before, NULL) == 0 && munmap(page, 4096) == 0);
}

/* -- cancelling threads ---------------------------------------------------------------------------------------- */

static licbak_hresult cancel_self(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    CHECK(pthread_cancel(pthread_self()) == 0);
    pthread_testcancel();
    sleep_ms(1);
    return LICBAK_S_OK;
}

typedef struct waiter {
    licbak_restorer *r;
    licbak_hresult (*call)(licbak_restorer *);
    sem_t calling;
    atomic_bool returned;
} waiter;

static licbak_hresult wait_for_end(licbak_restorer *r)
{
    return licbak_wait(r, FOREVER, NULL);
}

static void *call(void *argument)
{
    waiter *w = argument;
    sem_post(&w->calling);
    CHECK_HR(w->call(w->r), LICBAK_S_OK);
    atomic_store(&w->returned, true);
    pthread_testcancel(); /* here it is cancelled, and not in the call */
    return NULL;
}

static void cancel_during(licbak_hresult (*what)(licbak_restorer *))
{
    gate g;
    gate_init(&g);
    recorder rec = {.react = hold_at_begin, .gate = &g};
    waiter w = {.r = restorer_for("store", "backups"), .call = what};
    CHECK(sem_init(&w.calling, 0, 0) == 0);
    start(licbak_backup_licenses, w.r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
    wait_for(&g.reached);
    pthread_t thread;
    void *result;
    CHECK(pthread_create(&thread, NULL, call, &w) == 0);
    wait_for(&w.calling);
    sleep_ms(50); /* it waits now */
    CHECK(pthread_cancel(thread) == 0);
    sleep_ms(50);
    CHECK(!atomic_load(&w.returned));
    sem_post(&g.open);
    CHECK(pthread_join(thread, &result) == 0);
    CHECK(atomic_load(&w.returned) && result == PTHREAD_CANCELED);
    if (what != licbak_destroy) {
        CHECK_HR(licbak_destroy(w.r), LICBAK_S_OK);
    }
    forget(&rec);
}

/* -- stacks and names ------------------------------------------------------------------------------------------ */

static licbak_hresult use_stack(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    enum { SIZE = 900 * 1024 };
    volatile char used[SIZE];
    for (int i = SIZE - 1; i >= 0; i -= 1024) { /* downwards, as stacks grow */
        used[i] = (char)i;
    }
    (void)used[0];
    return LICBAK_S_OK;
}

static licbak_hresult look_at_name(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    char name[16] = "";
    CHECK(prctl(PR_GET_NAME, name) == 0);
    CHECK_TEXT(name, "licbak");
    return LICBAK_S_OK;
}

/* In a process whose threads have a small stack unless they ask for more. */
static void small_stacks(void *unused)
{
    (void)unused;
    pthread_attr_t small;
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, 64 * 1024) == 0);
    CHECK(pthread_setattr_default_np(&small) == 0);
    back_up_with(use_stack);
}

int main(void)
{
    begin("guest");
    make_store("store", 12);
    make_dir("backups");
    signals();
    back_up_with(cancel_self);
    cancel_during(wait_for_end);
    cancel_during(licbak_destroy);
    back_up_with(look_at_name);
    in_child(small_stacks, NULL);
    return finish();
}
