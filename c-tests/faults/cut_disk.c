/* The power goes under a real file system: the operation is killed before one of its changes, and
 * with it the file system, which forgets all that was not brought to the disk. Mounted again, it
 * has the old or the new, the new where the end was told, and the next run succeeds. Takes root,
 * and a second for each, so only torture.sh does it.
 */
#include "../support/jobs.h"

#define SHUT_DOWN _IOR('X', 125, uint32_t) /* of ext4, XFS and others */
enum { WITHOUT_FLUSHING = 2 };

static struct figures {
    int cuts, old, some, new, lost;
} *all; /* in shared memory */

typedef struct disk_kind {
    const char *type, *make;
} disk_kind;

static void mount_disk(const disk_kind *kind)
{
    CHECK(mount_image("image", "disk", kind->type, ""));
    CHECK(chdir("disk") == 0);
}

static void cut_power(void)
{
    uint32_t how = WITHOUT_FLUSHING;
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0 && ioctl(fd, SHUT_DOWN, &how) == 0);
    close(fd);
    CHECK(chdir("..") == 0 && umount("disk") == 0);
}

static void bring_to_disk(void)
{
    int fd = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(fd >= 0 && syncfs(fd) == 0);
    close(fd);
}

/* Cuts before the N-th change, or after the end; gives whether there was an N-th. */
static bool cut_at(const disk_kind *kind, const job *j, const expected *e, int nth)
{
    plan p = {KILL, .nth = nth, .counts = changes_disk, .syncs = true}, none = {0};
    traced t, next;
    prepare(j);
    bring_to_disk();
    licbak_hresult hr = run_job(j, 0, &p, &t)->hr;
    cut_power();
    mount_disk(kind);
    state found = state_now(j, e);
    all->cuts++;
    all->old += found == OLD;
    all->some += found == SOME;
    all->new += found == NEW;
    bool is_right = t.killed ? found != LOST && found != TORN : hr == LICBAK_S_OK && found == NEW;
    const outcome *o = run_job(j, j->changes == A_BACKUP ? OVER : 0, &none, &next);
    is_right = is_right && o->hr == LICBAK_S_OK && state_now(j, e) == NEW && left_behind(j) == NULL;
    if (!is_right) {
        all->lost++;
        dprintf(check_stderr, "%s: %s, %s, cut before change %d, %s(%s): %s; the next %s\n", check_program, kind->type,
                j->name, nth, call_name(&t.hit), t.hit.path, state_names[found], hresult_name(o->hr));
    }
    return t.killed;
}

static void on_disk(void *kind)
{
    const disk_kind *k = kind;
    alarm(3600);
    make_dir("disk");
    if (!make_image(k->make) || !own_mounts()) {
        skip(k->type, "it takes root, and the program that makes such a file system");
        return;
    }
    mount_disk(k);
    make_world();
    for (int i = 0; i < JOBS; i++) {
        const job *j = &all_jobs[i];
        if (j->changes == NOTHING || (j->changes == A_BACKUP && strstr(j->store, ".db") != NULL)) {
            continue;
        }
        expected e = expect_of(j);
        for (int nth = 0; cut_at(k, j, &e, nth); nth += j->changes == A_DATABASE ? 3 : 1) {
        }
        free_expected(&e);
    }
    CHECK(chdir("..") == 0 && umount("disk") == 0);
}

int main(void)
{
    static disk_kind kinds[] = {{"ext4", "mkfs.ext4 -q -F"}, {"xfs", "mkfs.xfs -q -f"}};
    begin("cut_disk");
    if (!torture()) {
        skip("file systems that are shut down", "it takes minutes: torture.sh does it");
    } else if (!can_trace()) {
        skip("file systems that are shut down", "this machine does not let a program trace its children");
    } else {
        all = shared_memory(sizeof *all);
        in_child(on_disk, &kinds[0]);
        in_child(on_disk, &kinds[1]);
        figure("file systems shut down: %d: old %d, some licences new %d, new %d; lost or torn %d", all->cuts, all->old,
               all->some, all->new, all->lost);
        CHECK_INT(all->lost, 0);
    }
    return finish();
}
