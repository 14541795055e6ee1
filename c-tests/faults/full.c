/* Disks that are full at every size, and limits on the size of files, for real: the code says so,
 * what was there stays, and with room again all succeeds.
 */
#include "../support/disk.h"
#include "../support/repeat.h"

#include <sys/mman.h>
#include <sys/resource.h>

#define FULL LICBAK_HRESULT_ERROR_DISK_FULL
#define TOO_LARGE LICBAK_HRESULT_ERROR_FILE_TOO_LARGE

static struct figures {
    int attempts, full;
} *all; /* in shared memory */

/* Backs up to, or restores to, what has so little room; gives whether it was enough. */
static bool attempt(operation op, const char *store, const char *backups, licbak_hresult expected)
{
    licbak_hresult hr = run_once(op, store, backups, LICBAK_WM_BACKUP_OVERWRITE * (op == licbak_backup_licenses));
    all->attempts++;
    if (hr != LICBAK_S_OK) {
        CHECK_HR(hr, expected);
        all->full++;
    }
    return hr == LICBAK_S_OK;
}

/* Each licence there is whole, and nothing else is there. */
static void check_each_whole(const char *target, const char *source)
{
    char *found = exists(target) ? tree(target) : strdup(""), *whole = tree(source);
    for (char *line = strtok(found, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        CHECK_HAS(whole, line);
    }
    free(found);
    free(whole);
}

static void full_disks(void *step)
{
    char options[32];
    if (!mount_tmpfs("disk", "size=4k")) {
        skip("full disks", "mounting takes root");
        return;
    }
    for (int size = 4, done = 0; done < 4; size += *(int *)step) {
        snprintf(options, sizeof options, "size=%dk", size);
        CHECK(mount("tmpfs", "disk", "tmpfs", MS_REMOUNT, options) == 0);
        empty_folder("disk");
        make_dir("disk/backups");
        done = attempt(licbak_backup_licenses, "store", "disk/backups", FULL);
        CHECK_TEXT(entries("disk/backups"), done ? "licenses.tar.zst" : "");
        if (done) { /* the old one stays, whole, where there is no room for two */
            uint64_t before = digest("disk/backups/licenses.tar.zst");
            if (attempt(licbak_backup_licenses, "other", "disk/backups", FULL)) {
                CHECK_SAME_LINES(restored_text("disk/backups", 0, true, LICBAK_S_OK),
                                 store_text("other", true, true));
                done++;
            } else {
                CHECK(digest("disk/backups/licenses.tar.zst") == before);
            }
            CHECK_TEXT(entries("disk/backups"), "licenses.tar.zst");
        }
        empty_folder("disk");
        done += attempt(licbak_restore_licenses, "disk/target", "backups", FULL);
        check_each_whole("disk/target", "store");
        empty_folder("disk");
        bool has_room = attempt(licbak_restore_licenses, "disk/target.db", "backups", FULL);
        CHECK(has_room ? exists("disk/target.db") : entries("disk")[0] == '\0'); /* -wal is SQLite's own */
        done += has_room;
    }
}

/* Too few inodes are a full disk too. */
static void few_inodes(void *unused)
{
    (void)unused;
    char options[32];
    if (!mount_tmpfs("inodes", "nr_inodes=2")) {
        skip("disks with few inodes", "mounting takes root");
        return;
    }
    for (int inodes = 2, done = 0; done < 2; inodes++) {
        snprintf(options, sizeof options, "nr_inodes=%d", inodes);
        CHECK(mount("tmpfs", "inodes", "tmpfs", MS_REMOUNT, options) == 0);
        empty_folder("inodes");
        done = attempt(licbak_backup_licenses, "store", "inodes", FULL);
        empty_folder("inodes");
        done += attempt(licbak_restore_licenses, "inodes/target", "backups", FULL);
        check_each_whole("inodes/target", "store");
    }
}

/* -- room that is known to lack ---------------------------------------------------------------------------- */

enum { HUGE_LICENSE = 4 << 20 };

static recorder ended;

static licbak_hresult restore_ended(const char *store, uint32_t flags)
{
    licbak_restorer *r = restorer_for(store, "large-backups");
    licbak_hresult hr = run(licbak_restore_licenses, r, flags, &ended);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return hr;
}

/* The backup is not even read. */
static void check_refused_at_once(const char *store)
{
    for (int dry = strstr(store, ".db") == NULL; dry >= 0; dry--) {
        CHECK_HR(restore_ended(store, dry ? LICBAK_DRY_RUN : 0), FULL);
        CHECK_INT(final_figures(&ended).backup_bytes, 0);
    }
}

static void remount(const char *options)
{
    CHECK(mount("tmpfs", "disk", "tmpfs", MS_REMOUNT, options) == 0);
}

/* Only what the store lacks has to have room. */
static void no_room(void *unused)
{
    (void)unused;
    if (!mount_tmpfs("disk", "size=9M")) {
        skip("room that is known to lack", "mounting takes root");
        return;
    }
    check_refused_at_once("disk/target");
    check_refused_at_once("disk/target.db");
    CHECK_TEXT(entries("disk"), "");
    make_dir("disk/target");
    write_text("disk/target/0", "another version, which is kept");
    CHECK_HR(restore_ended("disk/target", 0), LICBAK_S_OK);
    CHECK_INT(final_figures(&ended).licenses_kept, 1);
    CHECK(unlink("disk/target/2") == 0);
    CHECK_HR(restore_ended("disk/target", 0), LICBAK_S_OK); /* all of it is more than is free */
    CHECK_INT(size_of("disk/target/2"), HUGE_LICENSE);
    CHECK(unlink("disk/target/2") == 0);
    remount("size=7M");
    check_refused_at_once("disk/target");
    CHECK_TEXT(entries("disk/target"), "0 1");
    empty_folder("disk");
    remount("size=16M,nr_inodes=5");
    check_refused_at_once("disk/target");
    CHECK_TEXT(entries("disk"), "");
}

static void on_image(const char *type, const char *make, const char *options, licbak_hresult expected)
{
    if (geteuid() != 0 || system(make) != 0 || !own_mounts()) {
        skip(type, "it can't be made, or mounting takes root");
        return;
    }
    make_dir("disk");
    if (!mount_image("image", "disk", type, options)) {
        skip(type, "it can't be mounted");
    } else if (expected == FULL) {
        check_refused_at_once("disk/target");
        CHECK(!exists("disk/target"));
    } else {
        CHECK_HR(restore_ended("disk/target", 0), expected);
    }
}

#define IMAGE(size) "rm -f image && truncate -s " size " image && "

static void no_room_on_a_disk(void *unused)
{
    (void)unused;
    on_image("ext4", IMAGE("9M") "mkfs.ext4 -q -m 0 image >/dev/null 2>&1", "", FULL);
}

/* A file system that compresses may have room for more than it has. */
static void room_for_more(void *unused)
{
    (void)unused;
    on_image("btrfs", IMAGE("20M") "mkfs.btrfs -q --mixed image >/dev/null 2>&1", "compress-force", LICBAK_S_OK);
}

static void make_large(const char *kind, bool noise)
{
    char path[64];
    uint8_t *zeros = calloc(1, HUGE_LICENSE);
    for (int i = 0; i < (noise ? 3 : 8); i++) {
        snprintf(path, sizeof path, "%s/%d", kind, i);
        if (noise) {
            write_noise(path, HUGE_LICENSE, (uint64_t)i + 1);
        } else {
            write_file(path, zeros, HUGE_LICENSE);
        }
    }
    free(zeros);
    if (exists("large-backups")) {
        remove_tree("large-backups");
    }
    make_dir("large-backups");
    CHECK_HR(backup(kind, "large-backups", 0), LICBAK_S_OK);
    remove_tree(kind);
}

static void known_beforehand(void)
{
    make_large("noise", true);
    in_child(no_room, NULL);
    in_child(no_room_on_a_disk, NULL);
    make_large("zeros", false);
    in_child(room_for_more, NULL);
}

/* The host has asked for no signal, and gets none. */
static void limits(void *step)
{
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_FSIZE, &limit) == 0);
    make_dir("limited");
    make_dir("db");
    for (rlim_t size = 0, done = 0; done < 3; size += (rlim_t)*(int *)step * 256) {
        struct rlimit small = {size, limit.rlim_max};
        remove_tree("target");
        empty_folder("db");
        CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
        done = attempt(licbak_backup_licenses, "store", "limited", TOO_LARGE);
        done += attempt(licbak_restore_licenses, "target", "backups", TOO_LARGE);
        bool has_room = attempt(licbak_restore_licenses, "db/target.db", "backups", TOO_LARGE);
        done += has_room;
        CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        check_each_whole("target", "store");
        CHECK(has_room ? exists("db/target.db") : entries("db")[0] == '\0');
        CHECK_TEXT(entries("limited"), exists("limited/licenses.tar.zst") ? "licenses.tar.zst" : "");
    }
    CHECK_HR(verify("limited"), LICBAK_S_OK);
}

int main(void)
{
    int step = torture() ? 4 : 24;
    begin("full");
    all = mmap(NULL, sizeof *all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(all != MAP_FAILED);
    make_store("store", 9);
    write_noise("store/large.lic", 40000, 1);
    make_store("other", 12);
    write_noise("other/large.lic", 50000, 2);
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    in_child(full_disks, &step);
    in_child(few_inodes, NULL);
    known_beforehand();
    in_child(limits, &step);
    figure("too little room: %d attempts, of which %d failed as they should", all->attempts, all->full);
    return finish();
}
