/* The process is killed before every system call that changes something, also while it tidies up
 * after another that was killed. What stands there then is what stood there before or what should
 * afterwards, and the next run succeeds and leaves nothing behind.
 */
#include "../support/jobs.h"

static struct figures {
    int kills, old, some, new, torn, next_failed, left;
} all;

/* One file or folder may be left; and for a moment a second file, where it must have a name to be
 * made. */
static bool leaves_too_much(const job *j)
{
    const char *names = left_behind(j);
    int count = 0;
    while (names != NULL && *names == '.') {
        count++;
        names += strcspn(names, " ");
        names += *names == ' ';
    }
    return count > 1 + j->no_unnamed;
}

static void complain(const job *j, int nth, const call *hit, const char *what)
{
    dprintf(check_stderr, "%s: %s, killed before change %d, %s(%s): %s\n", check_program, j->name, nth,
            call_name(hit), hit->path, what);
}

/* Kills the job before its N-th change; gives whether it has so many. */
static bool kill_at(const job *j, const expected *e, uint32_t more_flags, int nth)
{
    plan p = {KILL, .nth = nth, .counts = torture() ? NULL : changes_disk};
    traced t;
    run_job(j, more_flags, &p, &t);
    if (!t.killed) {
        CHECK_INT(t.exit_code, 0);
        return false;
    }
    state found = state_now(j, e);
    all.kills++;
    all.old += found == OLD;
    all.some += found == SOME;
    all.new += found == NEW;
    if (found == TORN || found == LOST) {
        all.torn++;
        complain(j, nth, &t.hit, state_names[found]);
    }
    if (leaves_too_much(j)) {
        all.left++;
        complain(j, nth, &t.hit, left_behind(j));
    }
    return true;
}

static void complete(const job *j, const expected *e, uint32_t more_flags, int nth)
{
    plan none = {0};
    traced t;
    const outcome *o = run_job(j, more_flags, &none, &t);
    if (o->hr != LICBAK_S_OK || state_now(j, e) != NEW) {
        all.next_failed++;
        complain(j, nth, &t.hit, o->sentence);
    }
    if (left_behind(j) != NULL) {
        all.left++;
        complain(j, nth, &t.hit, left_behind(j));
    }
}

int main(int argc, char **argv)
{
    uint64_t random = 30;
    begin("kills");
    if (!can_trace()) {
        skip("kills at system calls", "this machine does not let a program trace its children");
        return finish();
    }
    make_world();
    for (int i = 0; i < JOBS; i++) {
        const job *j = &all_jobs[i];
        if (j->changes == NOTHING || (argc > 1 && strstr(j->name, argv[1]) == NULL)) {
            continue;
        }
        expected e = expect_of(j);
        uint32_t more_flags = j->changes == A_BACKUP ? OVER : 0; /* there may be one now */
        prepare(j);
        for (int nth = 0; kill_at(j, &e, 0, nth); nth++) {
            complete(j, &e, more_flags, nth);
            /* The same again, and a kill of the one that follows, at some of its calls; at each
             * would take hours. */
            int second = (int)(next_random(&random) % 10);
            bool killed = torture() || nth % 4 == 0;
            while (killed) {
                prepare(j);
                CHECK(kill_at(j, &e, 0, nth));
                killed = kill_at(j, &e, more_flags, second);
                complete(j, &e, more_flags, nth);
                second += torture() ? 1 + (int)(next_random(&random) % 15) : 1000;
            }
            prepare(j);
        }
        free_expected(&e);
    }
    figure("kills: %d%s: old %d, some licences new %d, new %d; torn %d, next failed %d, left behind %d", all.kills,
           torture() ? "" : ", a sample", all.old, all.some, all.new, all.torn, all.next_failed, all.left);
    CHECK_INT(all.torn + all.next_failed + all.left, 0);
    return finish();
}
