/* Others come between: to the path of a new database comes something else before each of the system
 * calls that ask for it or make something, also when the restore can't be stopped any more; and a
 * database is moved away while what was restored into it is committed.
 */
#include "../support/jobs.h"

static const job new_one = {"restore", RESTORE(A_DATABASE), "db/target.db", "source", 0, false, NULL, false};
static const job into_some = {"restore", RESTORE(A_DATABASE), "db/target.db", "source", 0, false, "some.db", false};

/* What comes, and before which call. */
static struct coming {
    void (*come)(void);
    bool (*is_moment)(const call *);
    int nth, seen;
    bool has_come;
} coming;

static bool come(const call *c, int unused)
{
    (void)unused;
    if (coming.is_moment(c) && coming.seen++ == coming.nth) {
        coming.has_come = true;
        coming.come();
    }
    return false;
}

/* Runs the job while something comes; what it came to lasts until the next. */
static const outcome *run_while(const job *j, void (*what)(void), bool (*is_moment)(const call *), int nth)
{
    plan p = {.counts = come};
    traced t;
    coming = (struct coming){what, is_moment, nth, 0, false};
    prepare(j);
    const outcome *o = run_job(j, 0, &p, &t);
    CHECK_INT(t.exit_code, 0);
    if (left_behind(j) != NULL) {
        check_fail(__FILE__, __LINE__, "before call %d: left behind %s", nth, left_behind(j));
    }
    return o;
}

/* -- to the path of a new one ------------------------------------------------------------------------------ */

static bool puts_or_asks(const call *c)
{
    return strncmp(c->path, "db", 2) == 0 && (asks(c) || makes(c));
}

static bool had_come_before; /* the new one itself */

static void database_comes(void)
{
    had_come_before = exists("db/target.db");
    if (!had_come_before) {
        copy_file("some.db", "db/target.db");
    }
}

static void empty_file_comes(void)
{
    had_come_before = exists("db/target.db");
    if (!had_come_before) {
        write_file("db/target.db", (const uint8_t *)"", 0);
    }
}

static void log_comes(void)
{
    had_come_before = exists("db/target.db");
    if (!had_come_before) {
        write_text("db/target.db-wal", "of another database");
    }
}

static void link_comes(void)
{
    had_come_before = exists("db/target.db");
    if (!had_come_before) {
        CHECK(symlink("nowhere", "db/target.db") == 0);
    }
}

/* All that comes is restored into, or stays as it is. */
static void to_the_path(void)
{
    int restored = 0, refused = 0, links = 0;
    expected new = expect_of(&new_one), both = expect_of(&into_some);
    CHECK(strcmp(new.after, both.after) != 0);
    for (int nth = 0;; nth++) {
        const outcome *o = run_while(&new_one, database_comes, puts_or_asks, nth);
        if (!coming.has_come || had_come_before) {
            CHECK_HR(o->hr, LICBAK_S_OK);
            break;
        }
        CHECK_HR(o->hr, LICBAK_S_OK);
        CHECK_INT(state_now(&new_one, &both), NEW);
        restored++;
        o = run_while(&new_one, empty_file_comes, puts_or_asks, nth);
        CHECK_HR(o->hr, LICBAK_S_OK);
        CHECK_INT(state_now(&new_one, &new), NEW);
        o = run_while(&new_one, link_comes, puts_or_asks, nth);
        CHECK(o->hr == LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
        CHECK_TEXT(entries("db"), "target.db");
        links++;
        o = run_while(&new_one, log_comes, puts_or_asks, nth);
        if (o->hr == LICBAK_S_OK) { /* after the last look */
            CHECK(exists("db/target.db"));
            continue;
        }
        CHECK_HR(o->hr, LICBAK_NS_E_DRM_LICENSE_STORE_ERROR);
        CHECK_HAS(o->sentence, "target.db-wal");
        CHECK_TEXT(entries("db"), "target.db-wal");
        refused++;
    }
    CHECK(refused > 10 && restored - refused <= 3); /* but for the last calls, after it was looked for */
    figure("to a new path came: databases %d, links %d; logs refused %d", restored, links, refused);
    free_expected(&new);
    free_expected(&both);
}

/* -- what a file system can't ------------------------------------------------------------------------------ */

static bool is_the_move(const call *c, int unused)
{
    (void)unused;
    return is_call(c, "renameat2") && strcmp(c->path, "db/target.db") == 0;
}

static bool renames_new(const call *c, int unused)
{
    (void)unused;
    return is_call(c, "renameat2");
}

static bool names(const call *c, int unused)
{
    (void)unused;
    return is_one_of(c, " renameat2 linkat ");
}

/* Fails calls of a restore into a new database; gives how many, and what it came to. */
static int failing(bool (*which)(const call *, int), int error, bool again, licbak_hresult hr)
{
    plan p = {FAIL, .error = error, .again = again, .counts = which};
    traced t;
    prepare(&new_one);
    CHECK_HR(run_job(&new_one, 0, &p, &t)->hr, hr);
    CHECK(t.fired && left_behind(&new_one) == NULL);
    return t.calls;
}

static void names_are_given(void)
{
    expected new = expect_of(&new_one);
    CHECK_INT(failing(is_the_move, EEXIST, false, LICBAK_S_OK), 2); /* what had come is gone again */
    CHECK_INT(state_now(&new_one, &new), NEW);
    CHECK_INT(failing(renames_new, EINVAL, true, LICBAK_S_OK), 2); /* links do */
    CHECK_INT(state_now(&new_one, &new), NEW);
    CHECK_INT(failing(names, ENOSYS, true, LICBAK_HRESULT_ERROR_NOT_SUPPORTED), 2);
    CHECK_TEXT(entries("db"), "");
    free_expected(&new);
}

/* -- a database in use ------------------------------------------------------------------------------------- */

static bool commits_by_log(const call *c)
{
    return is_sync(c) && strcmp(c->path, "db/target.db-wal") == 0;
}

static bool commits_by_journal(const call *c)
{
    return is_call(c, "unlink") && strcmp(c->path, "db/target.db-journal") == 0;
}

static void move_away(void)
{
    CHECK(rename("db/target.db", "db/moved.db") == 0);
}

static void replace(void)
{
    copy_file("some.db", "db/other.db");
    CHECK(rename("db/other.db", "db/target.db") == 0);
}

static void moved_away(void)
{
    const job in_rollback = {"restore", RESTORE(A_DATABASE), "db/target.db", "source", 0, false, "some.db", true};
    for (int i = 0; i < 4; i++) {
        bool by_journal = i % 2;
        const outcome *o = run_while(by_journal ? &in_rollback : &into_some, i < 2 ? move_away : replace,
                                     by_journal ? commits_by_journal : commits_by_log, 0);
        CHECK(coming.has_come);
        CHECK_HR(o->hr, LICBAK_NS_E_DRM_LICENSE_STORE_ERROR);
        CHECK_HAS(o->sentence, "moved away or replaced");
        CHECK_HAS(o->sentence, "db/target.db");
        CHECK_INT(exists("db/target.db"), i >= 2);
    }
}

int main(void)
{
    begin("overtaken");
    if (!can_trace()) {
        skip("what comes between system calls", "this machine does not let a program trace its children");
        return finish();
    }
    make_world();
    others_come = true;
    to_the_path();
    names_are_given();
    moved_away();
    return finish();
}
