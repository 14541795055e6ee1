/* A sandbox denies system calls, each with every error that sandboxes give: what there is another way to is done that
 * way, and what has no other way fails with its code and a sentence; the files are whole, and nothing is left behind.
 */
#include "../support/jobs.h"
#include "../support/process.h"
#include "../support/sandbox.h"

static const int errors[] = {EPERM, EACCES, ENOSYS};
enum { ERRORS = sizeof errors / sizeof errors[0] };

enum { ALL_BEFORE = -1 };

/* Who needs a call: nobody, since there is another way; some jobs; those that clean up. */
typedef enum needed { NEVER, BY_SOME, BY_CLEANERS } needed;

static const struct denied {
    const char *name;
    int number;
    int argument; /* whose bits say that it is this call; 0 bits: always */
    unsigned bits;
    needed needed;
} denials[] = {
    {"openat with O_TMPFILE", SYS_openat, 2, O_TMPFILE, NEVER},
    {"linkat", SYS_linkat, 0, 0, NEVER},
    {"linkat by way of /proc", SYS_linkat, 4, AT_SYMLINK_FOLLOW, NEVER},
    {"renameat2", SYS_renameat2, 0, 0, NEVER},
    {"statx", SYS_statx, 0, 0, NEVER},
    {"openat2", SYS_openat2, 0, 0, NEVER},
    {"getrandom", SYS_getrandom, 0, 0, NEVER},
    {"all of these at once", ALL_BEFORE, 0, 0, NEVER},
#ifdef SYS_renameat
    {"renameat", SYS_renameat, 0, 0, NEVER},
#endif
    {"madvise", SYS_madvise, 0, 0, NEVER},
    {"fallocate", SYS_fallocate, 0, 0, NEVER},
    {"ioctl", SYS_ioctl, 0, 0, NEVER},
    {"fstatfs", SYS_fstatfs, 0, 0, NEVER},
    {"faccessat", SYS_faccessat, 0, 0, NEVER},
    {"fchmodat", SYS_fchmodat, 0, 0, NEVER},
    {"prctl", SYS_prctl, 0, 0, NEVER},
    {"sched_getaffinity", SYS_sched_getaffinity, 0, 0, NEVER},
    {"flock", SYS_flock, 0, 0, BY_SOME},
    {"fcntl", SYS_fcntl, 0, 0, BY_SOME},
    {"fsync", SYS_fsync, 0, 0, BY_SOME},
    {"fdatasync", SYS_fdatasync, 0, 0, BY_SOME},
    {"syncfs", SYS_syncfs, 0, 0, BY_SOME},
    {"fchmod", SYS_fchmod, 0, 0, BY_SOME},
    {"fchown", SYS_fchown, 0, 0, BY_SOME},
    {"ftruncate", SYS_ftruncate, 0, 0, BY_SOME},
    {"utimensat", SYS_utimensat, 0, 0, BY_SOME},
    {"mkdirat", SYS_mkdirat, 0, 0, BY_SOME},
    {"getcwd", SYS_getcwd, 0, 0, BY_SOME},
    {"pread64", SYS_pread64, 0, 0, BY_SOME},
    {"getdents64", SYS_getdents64, 0, 0, BY_CLEANERS},
    {"unlinkat", SYS_unlinkat, 0, 0, BY_CLEANERS},
};
enum { DENIALS = sizeof denials / sizeof denials[0] };

typedef struct boxed {
    const struct denied *denied;
    int error;
    doing doing;
} boxed;

static void do_boxed(void *argument)
{
    const boxed *b = argument;
    const struct denied *first = b->denied->number == ALL_BEFORE ? denials : b->denied;
    for (const struct denied *d = first; d <= b->denied; d++) {
        CHECK(d->number == ALL_BEFORE || deny(d->number, d->argument, d->bits, b->error));
    }
    char *before = descriptors();
    do_job((void *)&b->doing);
    char *after = descriptors();
    CHECK_TEXT(after, before);
}

/* Without any rename that does not replace, and without links, only who may replace can go on. */
static bool is_possible(const job *j, const struct denied *denied)
{
    return denied->number != ALL_BEFORE || j->changes == NOTHING ||
           (j->flags & (OVER | LICBAK_RESTORE_OVERWRITE)) != 0;
}

/* Whether a job that could not be done has told why. */
static bool is_code(const struct denied *denied, int error, licbak_hresult hr, bool of_database)
{
    return hr == (error == ENOSYS ? LICBAK_E_FAIL : LICBAK_E_ACCESSDENIED) ||
           (denied->needed == BY_CLEANERS && hr == LICBAK_HRESULT_ERROR_NOT_SUPPORTED) ||
           (of_database && hr == LICBAK_HRESULT_ERROR_LOCK_VIOLATION);
}

static int wrong;

static void run_boxed(const job *j, const expected *e, const struct denied *denied, int error, outcome *o)
{
    boxed b = {denied, error, {j, 0, o}};
    *o = (outcome){.hr = LICBAK_E_UNEXPECTED};
    prepare(j);
    in_child(do_boxed, &b);
    state found = state_now(j, e);
    const char *left = left_behind(j);
    bool of_database = strstr(j->name, "database") != NULL, is_right;
    if (!is_possible(j, denied)) {
        is_right = o->hr == LICBAK_HRESULT_ERROR_NOT_SUPPORTED && found == OLD && strstr(o->sentence, "sandbox") != NULL;
    } else if (o->hr == LICBAK_S_OK) {
        is_right = found == NEW;
    } else {
        is_right = denied->needed != NEVER && is_code(denied, error, o->hr, of_database) && o->sentence[0] != '\0';
    }
    is_right = is_right && found != TORN && found != LOST && (left == NULL || denied->needed == BY_CLEANERS);
    if (!is_right) {
        wrong++;
        dprintf(check_stderr, "%s: %s denied with %s: %s, %s, %s left behind: %s\n", j->name, denied->name,
                strerrorname_np(error), hresult_name(o->hr), state_names[found], left != NULL ? left : "nothing",
                o->sentence);
    }
}

static void can_deny(void *possible)
{
    *(bool *)possible = deny(SYS_getppid, 0, 0, EPERM) && syscall(SYS_getppid) == -1;
}

/* With a word only the calls that have it in their name. */
int main(int argc, char **argv)
{
    begin("sandbox");
    outcome *o = shared_memory(sizeof *o);
    bool *possible = shared_memory(sizeof *possible);
    in_child(can_deny, possible);
    if (!*possible || !can_trace()) {
        skip("denied system calls", "no seccomp, or this machine does not let a program trace its children");
        return finish();
    }
    make_world();
    int runs = 0;
    for (int i = 0; i < JOBS; i++) {
        const job *j = &all_jobs[i];
        if (j->no_unnamed) {
            continue; /* that is what is denied here */
        }
        expected e = expect_of(j);
        for (int k = 0; k < DENIALS * ERRORS; k++) {
            const struct denied *denied = &denials[k / ERRORS];
            bool is_sampled = denied->needed == NEVER || torture() || (i + k / ERRORS + k % ERRORS) % ERRORS == 0;
            if (is_sampled && (argc < 2 || strstr(denied->name, argv[1]) != NULL)) {
                run_boxed(j, &e, denied, errors[k % ERRORS], o);
                runs++;
            }
        }
        free_expected(&e);
    }
    figure("denied system calls: %d jobs%s, wrong %d", runs, torture() ? "" : ", a sample", wrong);
    CHECK_INT(wrong, 0);
    return finish();
}
