/* A good guest in any process: a host's crash handler works in its callbacks, nobody is cancelled
 * in the middle of a call, a callback has a stack to work on, and a child that is forked in one and
 * comes back touches nothing.
 */
#define _GNU_SOURCE
#include "../support/host.h"
#include "../support/sandbox.h"

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
    const size_t least = 64 * 1024 < PTHREAD_STACK_MIN ? PTHREAD_STACK_MIN : 64 * 1024;
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, least) == 0);
    CHECK(pthread_setattr_default_np(&small) == 0);
    back_up_with(use_stack);
}

/* -- children that are forked in a function of the host, and come back ------------------------------------------- */

enum { BACK = 42, GOES_ON = 43, HANGS_AFTER = 10 };

static bool is_child; /* that was forked in a function of the host */

/* Forks, and tells who is the child; to the parent it tells how the child has ended. */
static bool is_forked_child(int expected)
{
    int status;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        is_child = true;
        sigset_t alarms; /* which a thread of the library blocks */
        sigemptyset(&alarms);
        sigaddset(&alarms, SIGALRM);
        CHECK(pthread_sigmask(SIG_UNBLOCK, &alarms, NULL) == 0);
        alarm(HANGS_AFTER);
        return true;
    }
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
    CHECK_INT(WEXITSTATUS(status), expected);
    return false;
}

static licbak_hresult fork_in_callback(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    if (is_child) {
        _exit(GOES_ON); /* the library has called it again */
    }
    is_forked_child(EXIT_FAILURE);
    return LICBAK_S_OK;
}

static licbak_hresult fork_in_store(host *h, const char *function, const char *name)
{
    (void)h, (void)function, (void)name;
    if (is_child) {
        _exit(GOES_ON);
    }
    is_forked_child(EXIT_FAILURE);
    return LICBAK_S_OK;
}

static licbak_hresult fork_and_emit(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    (void)name;
    if (is_forked_child(BACK)) {
        _exit(emit(&h->licenses[0], emit_context) == LICBAK_E_HANDLE ? BACK : 0);
    }
    for (size_t i = 0; i < h->count; i++) {
        CHECK_HR(emit(&h->licenses[i], emit_context), LICBAK_S_OK);
    }
    return LICBAK_S_OK;
}

/* A child uses the library as it likes. */
static licbak_hresult fork_and_use(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    if (is_forked_child(BACK)) {
        CHECK_HR(verify("source"), LICBAK_S_OK);
        _exit(BACK);
    }
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL fork_in_list(const licbak_license *license, void *in_child)
{
    (void)license;
    *(bool *)in_child = *(bool *)in_child || is_forked_child(BACK);
    return LICBAK_S_OK;
}

static void run_forking(operation op, const char *store, uint32_t flags,
                        licbak_hresult (*react)(recorder *, const event *))
{
    recorder rec = {.react = react, .may_roll_back = strstr(store, ".db") != NULL};
    licbak_restorer *r = restorer_for(store, op == licbak_backup_licenses ? "backups" : "source");
    CHECK_HR(run(op, r, flags, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void with_host(host *h, operation op, uint32_t flags)
{
    recorder rec = {0};
    CHECK_HR(run_host(op, h, op == licbak_backup_licenses ? "backups" : "source", flags, &rec), LICBAK_S_OK);
    forget(&rec);
}

static void children(void)
{
    make_dir("source");
    CHECK_HR(backup("store", "source", 0), LICBAK_S_OK);
    run_forking(licbak_backup_licenses, "store", LICBAK_WM_BACKUP_OVERWRITE, fork_in_callback);
    run_forking(licbak_restore_licenses, "restored", 0, fork_in_callback);
    run_forking(licbak_restore_licenses, "restored.db", 0, fork_in_callback);
    run_forking(licbak_backup_licenses, "restored.db", LICBAK_WM_BACKUP_OVERWRITE, fork_in_callback);
    run_forking(licbak_verify_backup, "unused", 0, fork_and_use);
    CHECK_SAME_TREE("restored", "store");
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK_HR(verify("backups"), LICBAK_S_OK);

    host h = {.inside = fork_in_store};
    with_host(&h, licbak_restore_licenses, 0);
    with_host(&h, licbak_backup_licenses, LICBAK_WM_BACKUP_OVERWRITE);
    CHECK_INT(h.count, 12);
    h.inside = NULL;
    h.give = fork_and_emit;
    with_host(&h, licbak_backup_licenses, LICBAK_WM_BACKUP_OVERWRITE);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    host_forget(&h);

    bool in_child = false;
    licbak_restorer *r = restorer_for("store", "source");
    licbak_hresult hr = licbak_list_backup(r, fork_in_list, &in_child);
    if (in_child) {
        _exit(hr == LICBAK_E_HANDLE ? BACK : 0);
    }
    CHECK_HR(hr, LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* As user-mode qemu does, which heeds no advice: then a child is known by other means. */
static void any_advice_is_taken(void *unused)
{
    (void)unused;
    if (!deny(SYS_madvise, 0, 0, 0)) {
        skip("a kernel that heeds no advice", "no seccomp");
        return;
    }
    licbak_restorer *r = restorer_for("store", "backups");
    size_t count;
    if (is_forked_child(BACK)) {
        _exit(licbak_get_prop_count(r, &count) == LICBAK_E_HANDLE ? BACK : 0);
    }
    CHECK_HR(licbak_get_prop_count(r, &count), LICBAK_S_OK);
}

int main(void)
{
    begin("guest");
    in_child(any_advice_is_taken, NULL); /* before this process uses the library */
    make_store("store", 12);
    make_dir("backups");
    signals();
    back_up_with(cancel_self);
    cancel_during(wait_for_end);
    cancel_during(licbak_destroy);
    back_up_with(look_at_name);
    in_child(small_stacks, NULL);
    children();
    return finish();
}
