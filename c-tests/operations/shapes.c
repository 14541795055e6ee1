/* Stores of every shape: a few large licences are the work of all workers, whatever that number a backup is the same;
 * a restore waits for the disk only where it has to, and for what others write only where it has written much; what
 * was read of a backup does not stay in the system's cache; and no thread is made that would have nothing to do.
 */
#include "../support/disk.h"
#include "../support/frames.h"
#include "../support/process.h"
#include "../support/tracer.h"

#include <sys/vfs.h>

#define BACKUP "backups/licenses.tar.zst"
#define OVER LICBAK_WM_BACKUP_OVERWRITE

enum { LARGE = 24, LARGE_SIZE = 3 << 20, MANY = 40 };

static void set_threads(licbak_restorer *r, uint32_t count)
{
    CHECK_HR(licbak_set_prop(r, "Threads", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&count, sizeof count),
             LICBAK_S_OK);
}

/* -- what workers do -------------------------------------------------------------------------------------- */

/* Licences of every size, in one batch of names: of few bytes, of more than a frame, of about a third. */
static void make_mixed_store(void)
{
    char path[64];
    for (int i = 0; i < 300; i++) {
        static const size_t sizes[] = {0, 700, 4000, 31 << 10, 40 << 10, 700 << 10, 700 << 10, 2 << 20, 5 << 20};
        int kind = i % 25 == 0 ? i / 25 % 9 : i % 5;
        snprintf(path, sizeof path, "mixed/f%d/%03d.lic", i / 150, i);
        write_noise(path, sizes[kind], (uint64_t)i);
    }
}

/* The frames of licences, and those of the lists up to the index; behind it are states under a key of the backup. */
static bool same_frames(const char *left, const char *right)
{
    frames l = read_frames(left), r = read_frames(right);
    size_t end = l.all[l.count - 3].start;
    bool same = l.count == r.count && end == r.all[r.count - 3].start && memcmp(l.bytes, r.bytes, end) == 0;
    free_frames(&l);
    free_frames(&r);
    return same;
}

static void are_equal_whatever_threads(void)
{
    static const uint32_t threads[] = {1, 2, 7, 64};
    make_dir("equal");
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        char folder[64], path[96];
        recorder rec = {0};
        snprintf(folder, sizeof folder, "equal/%u", threads[i]);
        snprintf(path, sizeof path, "%s/licenses.tar.zst", folder);
        make_dir(folder);
        licbak_restorer *r = restorer_for("mixed", folder);
        set_threads(r, threads[i]);
        CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
        CHECK_INT(final_figures(&rec).licenses_done, 300);
        CHECK(i == 0 || same_frames("equal/1/licenses.tar.zst", path));
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
}

/* The threads that have opened a licence of the store. */
typedef struct openers {
    pid_t threads[16];
    int count;
} openers;

static void see_opener(const call *c, long result, void *seer)
{
    openers *o = seer;
    if (!opens(c) || result < 0 || strncmp(c->path, "large/", 6) != 0) {
        return;
    }
    for (int i = 0; i < o->count; i++) {
        if (o->threads[i] == c->thread) {
            return;
        }
    }
    CHECK(o->count < 16);
    o->threads[o->count++] = c->thread;
}

static void back_up_large(void *unused)
{
    (void)unused;
    recorder rec = {0};
    licbak_restorer *r = restorer_for("large", "backups");
    set_threads(r, 2);
    CHECK_HR(run(licbak_backup_licenses, r, OVER | LICBAK_BACKUP_FULL, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* All of them are in one batch of names, which one worker begins. */
static void workers_share_large_licences(void)
{
    openers o = {0};
    plan p = {.see = see_opener, .seer = &o};
    CHECK_INT(trace(back_up_large, NULL, &p).exit_code, 0);
    CHECK_INT(o.count, 2);
}

static int threads_seen;

static licbak_hresult count_threads(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    int now = threads();
    threads_seen = now > threads_seen ? now : threads_seen;
    return LICBAK_S_OK;
}

/* Of 256 threads most would only need memory. */
static void threads_are_few(void)
{
    recorder rec = {.react = count_threads};
    licbak_restorer *r = restorer_for("large", "backups");
    set_threads(r, 256);
    CHECK_HR(run(licbak_backup_licenses, r, OVER | LICBAK_BACKUP_FULL, &rec), LICBAK_S_OK);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    CHECK(threads_seen > 1 && (threads_seen < 256 || cores >= 64));
    CHECK(threads_seen <= 4 * cores + 5); /* the host's, those that conduct, tell and list, and one that waits */
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- what a restore waits for ----------------------------------------------------------------------------- */

typedef struct syncs {
    int of_all, of_one;
} syncs;

static void see_sync(const call *c, long result, void *seer)
{
    syncs *s = seer;
    (void)result;
    s->of_all += is_call(c, "syncfs");
    s->of_one += is_sync(c) && !is_call(c, "syncfs");
}

static void restore_once(void *backups)
{
    CHECK_HR(restore("target", backups, LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
}

static syncs syncs_of(const char *backups)
{
    syncs s = {0};
    plan p = {.see = see_sync, .seer = &s};
    CHECK_INT(trace(restore_once, (void *)(uintptr_t)backups, &p).exit_code, 0);
    return s;
}

static void make_backup_of(const char *name, int count)
{
    char path[64], backups[64];
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof path, "%s/a/b/%d.lic", name, i);
        write_text(path, "a licence");
    }
    snprintf(backups, sizeof backups, "%s-backups", name);
    make_dir(backups);
    CHECK_HR(backup(name, backups, 0), LICBAK_S_OK);
}

static void restores_wait_for_few(void)
{
    make_backup_of("few", 2);
    make_backup_of("many", MANY);
    syncs s = syncs_of("few-backups");
    CHECK_INT(s.of_all, 0);
    CHECK(s.of_one >= 2 /* files */ + 2 /* folders before they move */ + 4 /* and all above them */);
    s = syncs_of("few-backups"); /* they are there, but who has brought them to the disk? */
    CHECK_INT(s.of_all, 0);
    CHECK(s.of_one >= 2);
    remove_tree("target");
    s = syncs_of("many-backups");
    CHECK_INT(s.of_all, 2);
    CHECK_INT(s.of_one, 0);
    s = syncs_of("many-backups"); /* as fresh as those of a restore that was killed */
    CHECK_INT(s.of_all, 1);
    CHECK_INT(s.of_one, 0);
    remove_tree("target");
}

/* -- what stays in the system's cache --------------------------------------------------------------------- */

static long long cached_bytes(const char *path)
{
    size_t size = (size_t)size_of(path), pages = (size + 4095) / 4096;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(fd >= 0);
    void *memory = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    unsigned char *states = malloc(pages);
    CHECK(memory != MAP_FAILED && states != NULL);
    CHECK(mincore(memory, size, states) == 0);
    long long cached = 0;
    for (size_t i = 0; i < pages; i++) {
        cached += states[i] & 1 ? 4096 : 0;
    }
    free(states);
    munmap(memory, size);
    close(fd);
    return cached;
}

static void read_all(const char *path)
{
    size_t size;
    free(read_file(path, &size));
}

static void cache_is_given_back(void)
{
    enum { IN_MEMORY = 0x01021994 };
    struct statfs kind;
    CHECK(statfs("backups", &kind) == 0);
    if (kind.f_type == IN_MEMORY || sysconf(_SC_PAGESIZE) != 4096) {
        skip("the cache", "it is where all files are here, or of larger pages");
        return;
    }
    long long most = size_of(BACKUP) / 8;
    read_all(BACKUP);
    if (cached_bytes(BACKUP) < 4 * most) {
        skip("the cache", "this file system has none that shows");
        return;
    }
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK(cached_bytes(BACKUP) < most);
    read_all(BACKUP);
    CHECK_HR(restore("target", "backups", 0), LICBAK_S_OK);
    CHECK(cached_bytes(BACKUP) < most);
    remove_tree("target");
    sleep_ms(3100); /* what was written less than three seconds ago is not relied on */
    CHECK_HR(backup("large", "backups", OVER | LICBAK_BACKUP_FULL), LICBAK_S_OK);
    uint64_t before = digest(BACKUP); /* reads it */
    CHECK_HR(backup("large", "backups", OVER), LICBAK_S_OK); /* nothing has changed: it is checked, and stays */
    CHECK(cached_bytes(BACKUP) < most);
    CHECK(digest(BACKUP) == before);
}

int main(void)
{
    begin("shapes");
    make_dir("backups");
    for (int i = 0; i < LARGE; i++) {
        char path[64];
        snprintf(path, sizeof path, "large/%02d.lic", i);
        write_noise(path, LARGE_SIZE, (uint64_t)i);
    }
    make_mixed_store();
    are_equal_whatever_threads();
    threads_are_few();
    cache_is_given_back();
    if (!can_trace()) {
        skip("system calls", "this machine does not let a program trace its children");
        return finish();
    }
    workers_share_large_licences();
    restores_wait_for_few();
    return finish();
}
