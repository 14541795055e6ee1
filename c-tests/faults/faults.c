/* Every system call on the store and the backup fails, one at a time and with each error that it
 * can have; or does less than it was asked to; or from one on all fail. The code is the contract's,
 * the files are whole, and nothing is left behind.
 */
#include "../support/jobs.h"

/* -- which errors a call can have, and what each comes to --------------------------------------------------- */

enum { SHORT = 0 }; /* no error: less is done than was asked */

static const int errors[] = {SHORT,  EINTR, EIO,    ENOSPC, EDQUOT, EROFS, EACCES,
                             EMFILE, EFBIG, ENOMEM, ESTALE, ENOENT, EINVAL, ENODATA};
enum { ERRORS = sizeof errors / sizeof errors[0] };

static bool is_of_database(const call *c)
{
    return strstr(c->path, ".db") != NULL || strcmp(c->path, "db") == 0 || strstr(c->path, "etilqs") != NULL;
}

static bool turns_direct(const call *c)
{
    return is_call(c, "fcntl") && c->args[1] == F_SETFL && (c->args[2] & O_DIRECT) != 0;
}

/* Whether it writes past the cache. */
static bool writes_directly(const call *c)
{
    char path[64], line[64];
    unsigned flags = 0;
    if (!is_call(c, "write")) {
        return false;
    }
    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", c->thread, (int)c->args[0]);
    FILE *facts = fopen(path, "re");
    CHECK(facts != NULL);
    do {
        CHECK(fgets(line, sizeof line, facts) != NULL);
    } while (sscanf(line, "flags: %o", &flags) != 1);
    CHECK(fclose(facts) == 0);
    return (flags & O_DIRECT) != 0;
}

/* Whether only direct writes can have that: few calls, and looked at each by itself. */
static bool is_of_direct_writes(int error)
{
    return error == EINVAL || error == ENODATA;
}

static bool can_have(const call *c, int error)
{
    bool cuts = is_call(c, "ftruncate");
    switch (error) {
    case SHORT:
        return is_one_of(c, " read pread64 write pwrite64 ");
    case EINTR:
        return opens(c) || (reads(c) && !is_call(c, "getdents64")) || writes(c) || cuts ||
               (is_one_of(c, " fsync fdatasync ") && !is_of_database(c)); /* no signal reaches who calls SQLite */
    case EIO:
        return opens(c) || makes(c) || reads(c) || writes(c) || is_sync(c) || changes_facts(c) || asks(c) || cuts ||
               is_one_of(c, " flock fstat fstatfs ") || (is_call(c, "fcntl") && c->args[1] != F_GETLK);
    case ENOSPC:
    case EDQUOT:
        return makes(c) || writes(c) || is_sync(c);
    case EROFS:
        return makes(c) || changes_facts(c);
    case EACCES:
        return opens(c) || makes(c) || changes_facts(c) || asks(c);
    case EMFILE:
        return opens(c) || (is_call(c, "fcntl") && c->args[1] == F_DUPFD_CLOEXEC);
    case EFBIG:
        return writes(c);
    case ENOMEM:
        return opens(c);
    case ESTALE:
        return opens(c) || reads(c) || writes(c) || asks(c);
    case ENOENT: /* of a name that was listed */
        return opens(c) && strncmp(c->path, "store/", 6) == 0;
    case EINVAL: /* of many file systems, or disks with large blocks */
        return turns_direct(c) || writes_directly(c);
    case ENODATA: /* of a disk that can't write a sector */
        return writes_directly(c);
    default:
        return false;
    }
}

/* Whether `hr` is a code for this error of this call. */
static bool is_its_code(const call *c, int error, bool again, licbak_hresult hr)
{
    /* Calls that neither read nor write can be part of both; to look at what one has written is
     * part of writing. */
    bool is_own = strstr(c->path, "#") != NULL || strstr(c->path, "/.") != NULL;
    switch (error) {
    case EIO:
    case ESTALE:
        return (hr == LICBAK_HRESULT_ERROR_READ_FAULT && (again || (!writes(c) && !is_sync(c)))) ||
               (hr == LICBAK_HRESULT_ERROR_WRITE_FAULT && (again || is_own || !reads(c)));
    case ENODATA:
        return hr == LICBAK_HRESULT_ERROR_WRITE_FAULT;
    case ENOSPC:
    case EDQUOT:
        return hr == LICBAK_HRESULT_ERROR_DISK_FULL;
    case EROFS:
        return hr == LICBAK_HRESULT_ERROR_WRITE_PROTECT;
    case EACCES:
        /* Nothing of the file system that a new file needs can be had. */
        return hr == LICBAK_E_ACCESSDENIED || (again && is_own && hr == LICBAK_HRESULT_ERROR_NOT_SUPPORTED);
    case EMFILE:
        return hr == LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES;
    case EFBIG:
        return hr == LICBAK_HRESULT_ERROR_FILE_TOO_LARGE;
    case ENOMEM:
        return hr == LICBAK_E_OUTOFMEMORY;
    case ENOENT:
        return hr == LICBAK_HRESULT_ERROR_SHARING_VIOLATION;
    default:
        return false;
    }
}

/* What SQLite makes of some failures, and does not tell of them. */
static bool is_sqlites_code(const call *c, bool again, licbak_hresult hr)
{
    if (is_call(c, "fcntl")) { /* whatever goes wrong with a lock, another holds it */
        return hr == LICBAK_HRESULT_ERROR_LOCK_VIOLATION;
    }
    /* What can't be opened for writing it opens for reading, and tells why that failed. To look at what was opened is a
     * part of that. */
    return (opens(c) || is_call(c, "fstat") || again) && hr == LICBAK_NS_E_DRM_LICENSE_STORE_ERROR;
}

/* What SQLite can do without. Once a transaction is in the log and on the disk, it brings it to the
 * database some other time, and syncs the log again before; a new database that it can't bring into
 * WAL mode it leaves in rollback mode; and whether a folder was synced it does not ask. To sync it
 * in the end is the library's own. */
static bool can_sqlite_do_without(const job *j, const call *c, bool is_last)
{
    if (j->changes == A_DATABASE && j->before == NULL) {
        return false; /* before a new one gets its place, all of it is on the disk */
    }
    if (strcmp(c->path, "db") == 0) {
        return is_sync(c) && !is_last;
    }
    if (j->changes == A_DATABASE && !j->before_in_rollback) {
        bool is_database = strcmp(c->path, j->store) == 0, is_journal = strstr(c->path, "-journal") != NULL;
        return is_one_of(c, " fchown unlink ") || is_sync(c) ||
               ((is_database || is_journal) && (writes(c) || is_call(c, "ftruncate")));
    }
    return is_one_of(c, " fchown unlink ");
}

/* Whether what it does is done another way then, since a sandbox may deny it, or the file system
 * not know it. */
static bool has_other_way(const call *c, int error)
{
    bool is_in_backups = strncmp(c->path, "backups/.", 9) == 0 || strncmp(c->path, "sealed/.", 8) == 0;
    bool only_asks = is_call(c, "linkat") && is_in_backups; /* whether unnamed files get one */
    bool is_unnamed = (c->flags & O_TMPFILE) == O_TMPFILE;
    return only_asks || (error == EACCES && (is_unnamed || is_one_of(c, " renameat renameat2 openat2 ")));
}

/* Whether the job may succeed although this call failed, if all is there afterwards that should be.
 * What changes something must not have been in vain, and who only reads has no other way to it. */
static bool can_do_without(const job *j, const call *c, int error, bool is_last)
{
    bool is_hidden = c->path[0] == '.' || strstr(c->path, "/.") != NULL;
    if (error == SHORT || error == EINTR || error == EINVAL || has_other_way(c, error)) {
        return true;
    }
    if (is_of_database(c) && can_sqlite_do_without(j, c, is_last)) {
        return true;
    }
    if (makes(c)) { /* one of the ways to find out what the file system can */
        return j->no_unnamed && is_hidden && is_one_of(c, " linkat renameat2 ");
    }
    if (changes_facts(c)) { /* the next job removes it */
        return is_hidden && is_one_of(c, " unlink unlinkat rmdir ");
    }
    return j->changes != NOTHING && !writes(c) && !is_sync(c) && !is_call(c, "ftruncate");
}

/* -- one fault --------------------------------------------------------------------------------------------- */

static struct figures {
    int faults, well, lost, torn, wrong, left, hung;
} all;

static void complain(const job *j, const plan *p, const traced *t, const char *format, ...)
{
    char what[2048];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    dprintf(check_stderr, "%s: %s, %s of call %d%s, %s(%s): %s\n", check_program, j->name,
            p->deed == SHORTEN ? "a half" : strerror(p->error), p->nth, p->again ? " and all after it" : "",
            call_name(&t->hit), t->hit.path, what);
}

/* Whether a call fails from the N-th on; gives whether there was an N-th. */
static bool fault(const job *j, const expected *e, int error, int nth, bool again)
{
    plan p = {error == SHORT ? SHORTEN : FAIL, .nth = nth, .error = error, .again = again, .counts = can_have};
    traced t, next;
    prepare(j);
    outcome o = *run_job(j, 0, &p, &t);
    if (!t.fired) {
        return false;
    }
    all.faults++;
    if (t.hung || t.exit_code != 0) {
        all.hung += t.hung;
        all.wrong += !t.hung;
        complain(j, &p, &t, t.hung ? "hangs" : "ends with %d", t.exit_code);
        return true;
    }
    state found = state_now(j, e);
    all.well += o.hr == LICBAK_S_OK && found == NEW;
    bool is_right;
    if (o.hr == LICBAK_S_OK) {
        is_right = can_do_without(j, &t.hit, error, t.calls == nth + 1) && found == NEW;
    } else {
        is_right = error != SHORT && error != EINTR && is_its_code(&t.hit, error, again, o.hr);
        is_right |= is_of_database(&t.hit) && is_sqlites_code(&t.hit, again, o.hr);
    }
    if (!is_right) {
        all.wrong++;
        complain(j, &p, &t, "ends with %s, %s: %s", hresult_name(o.hr), state_names[found], o.sentence);
    }
    if (found == TORN || found == LOST) {
        all.torn += found == TORN;
        all.lost += found == LOST;
        complain(j, &p, &t, "%s", state_names[found]);
    }
    /* What cleans up may fail too; that is then seen to by the next. */
    const char *left = left_behind(j);
    bool may_leave = again || (strstr(t.hit.path, "/.") != NULL &&
                               (o.hr == LICBAK_S_OK || is_one_of(&t.hit, " unlink unlinkat rmdir ")));
    if (left != NULL && !may_leave) {
        all.left++;
        complain(j, &p, &t, "leaves %s behind, with %s", left, hresult_name(o.hr));
    }
    if (j->changes != NOTHING) {
        plan none = {0};
        o = *run_job(j, j->changes == A_BACKUP ? OVER : 0, &none, &next);
        found = state_now(j, e);
        left = left_behind(j);
        if (o.hr != LICBAK_S_OK || found != NEW || left != NULL) {
            all.left++;
            complain(j, &p, &t, "the next ends with %s, %s, %s: %s", hresult_name(o.hr), state_names[found],
                     left != NULL ? left : "nothing left behind", o.sentence);
        }
    }
    return true;
}

/* With a word only the jobs that have it in their name. */
int main(int argc, char **argv)
{
    enum { ONE_IN = 17 };
    uint64_t random = 20; /* a fixed sample */
    begin("faults");
    if (!can_trace()) {
        skip("faults of system calls", "this machine does not let a program trace its children");
        return finish();
    }
    make_world();
    for (int i = 0; i < JOBS; i++) {
        const job *j = &all_jobs[i];
        if (argc > 1 && strstr(j->name, argv[1]) == NULL) {
            continue;
        }
        expected e = expect_of(j);
        for (int again = 0; again <= 1; again++) {
            for (int k = 0; k < ERRORS; k++) {
                if (again && errors[k] == EINTR) {
                    continue; /* what is tried then is the same call once more */
                }
                /* A new database appears as a whole, so none of its writes may fail unseen. */
                bool is_of_new_database = j->changes == A_DATABASE && j->before == NULL && errors[k] == ENOSPC;
                bool is_thorough = torture() || is_of_direct_writes(errors[k]) || is_of_new_database;
                int step = is_thorough ? 1 : ONE_IN;
                int nth = (int)(next_random(&random) % (uint64_t)step);
                while (fault(j, &e, errors[k], nth, again)) {
                    nth += step;
                }
            }
        }
        free_expected(&e);
    }
    figure("faults: %d%s; ended well %d, lost %d, torn %d, wrong code %d, left behind %d, hung %d", all.faults,
           torture() ? "" : ", a sample", all.well, all.lost, all.torn, all.wrong, all.left, all.hung);
    CHECK_INT(all.lost + all.torn + all.wrong + all.left + all.hung, 0);
    CHECK(all.well > 0);
    return finish();
}
