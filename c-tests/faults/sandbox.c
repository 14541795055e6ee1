/* A sandbox denies system calls, each with every error that sandboxes give: what there is another
 * way to is done that way, and what has no other way fails with its code and a sentence; the files
 * are whole, and nothing is left behind. Landlock denies what calls do to files: what can't be done
 * then is refused before the work.
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
                strerror(error), hresult_name(o->hr), state_names[found], left != NULL ? left : "nothing",
                o->sentence);
    }
}

/* -- Landlock ---------------------------------------------------------------------------------------------- */

/* The kernel's numbers, since not every machine has its header. */
#define CREATE_RULESET 444
#define ADD_RULE 445
#define RESTRICT_SELF 446
#define MAKE_SOCKETS (UINT64_C(1) << 9)
#define REFER (UINT64_C(1) << 13)

static const struct right {
    const char *name;
    uint64_t bit;
    int version; /* of Landlock, from which on it can be missing alone */
} rights[] = {
    {"REFER", REFER, 1},
    {"MAKE_REG", UINT64_C(1) << 8, 2},
    {"REMOVE_FILE", UINT64_C(1) << 5, 2},
    {"MAKE_DIR", UINT64_C(1) << 7, 2},
    {"REMOVE_DIR", UINT64_C(1) << 4, 2},
    {"WRITE_FILE", UINT64_C(1) << 1, 2},
    {"TRUNCATE", UINT64_C(1) << 14, 3},
};
enum { RIGHTS = sizeof rights / sizeof rights[0] };

/* Takes one right from this process, everywhere. Rules of the first version deny moves between
 * folders, whatever else they are about, and those of later ones unless they allow them. */
static bool take_right(const struct right *right)
{
    uint64_t handled = right->bit == REFER ? MAKE_SOCKETS : right->bit | REFER;
    int rules = (int)syscall(CREATE_RULESET, &handled, sizeof handled, 0);
    struct {
        uint64_t allowed;
        int parent;
    } __attribute__((packed)) rule = {handled & ~right->bit, open("/", O_PATH | O_CLOEXEC)};
    bool taken = rules >= 0 && rule.parent >= 0 && syscall(ADD_RULE, rules, 1, &rule, 0) == 0 &&
                 prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
                 syscall(RESTRICT_SELF, rules, 0) == 0;
    close(rule.parent);
    close(rules);
    return taken;
}

typedef struct locked {
    const struct right *right;
    doing doing;
} locked;

static void do_locked(void *argument)
{
    const locked *l = argument;
    CHECK(take_right(l->right));
    CHECK(!l->doing.job->no_unnamed || deny(SYS_openat, 2, O_TMPFILE, EPERM));
    do_job((void *)&l->doing);
}

static const char *full; /* what stands there with a hidden name and is not empty */

static int find_full(const char *path, const struct stat *st, int kind, struct FTW *walk)
{
    (void)kind;
    (void)walk;
    full = strstr(path, "/.") != NULL && S_ISREG(st->st_mode) && st->st_size > 0 ? strdup(path) : full;
    return 0;
}

static void run_locked(const job *j, const expected *e, const struct right *right, outcome *o)
{
    locked l = {right, {j, 0, o}};
    *o = (outcome){.hr = LICBAK_E_UNEXPECTED};
    prepare(j);
    in_child(do_locked, &l);
    state found = state_now(j, e);
    full = NULL;
    nftw(where(j), find_full, 16, FTW_PHYS);
    bool is_told = (o->hr == LICBAK_E_ACCESSDENIED || o->hr == LICBAK_HRESULT_ERROR_NOT_SUPPORTED) &&
                   strstr(o->sentence, "sandbox") != NULL;
    bool is_sqlites = j->changes == A_DATABASE && j->before != NULL && o->hr == LICBAK_NS_E_DRM_LICENSE_STORE_ERROR;
    bool is_refused = (is_told || is_sqlites) && found == OLD && o->done == 0;
    if (!(o->hr == LICBAK_S_OK ? found == NEW : is_refused) || full != NULL) {
        wrong++;
        dprintf(check_stderr, "%s: without the right %s: %s, %s, %d done, left behind: %s\n%s\n", j->name,
                right->name, hresult_name(o->hr), state_names[found], (int)o->done, full != NULL ? full : "nothing",
                o->sentence);
    }
    plan p = {0};
    traced t;
    if (j->changes != NOTHING) {
        CHECK_HR(run_job(j, j->changes == A_BACKUP ? OVER : 0, &p, &t)->hr, LICBAK_S_OK);
        CHECK(left_behind(j) == NULL);
    }
}

static const job new_over = {"restore to a new folder, over all",
                             RESTORE(A_DIRECTORY),
                             "target",
                             "source",
                             LICBAK_RESTORE_OVERWRITE,
                             false,
                             NULL,
                             false};

static void without_rights(outcome *o)
{
    long version = syscall(CREATE_RULESET, NULL, 0, 1);
    if (version < 1) {
        skip("Landlock", "the kernel does not have it");
        return;
    }
    int runs = 0;
    for (int i = 0; i <= JOBS; i++) {
        const job *j = i < JOBS ? &all_jobs[i] : &new_over;
        expected e = expect_of(j);
        for (int k = 0; k < RIGHTS; k++) {
            if (version >= rights[k].version) {
                run_locked(j, &e, &rights[k], o);
                runs++;
            }
        }
        free_expected(&e);
    }
    figure("denied rights of Landlock: %d jobs, wrong %d", runs, wrong);
    CHECK_INT(wrong, 0);
}

/* -- what can be denied ------------------------------------------------------------------------------------ */

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
    without_rights(o);
    int runs = 0;
    for (int i = 0; i < JOBS; i++) {
        const job *j = &all_jobs[i];
        if (j->no_unnamed) {
            continue; /* that is what is denied here */
        }
        expected e = expect_of(j);
        for (int k = 0; k < DENIALS * ERRORS; k++) {
            const struct denied *denied = &denials[k / ERRORS];
            if (is_sealed(j->backups) && (denied->number == SYS_getrandom || denied->number == ALL_BEFORE)) {
                continue; /* what is encrypted can't do without getrandom, and may keep /dev/urandom open */
            }
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
