/* Outcomes: each failure that a directory store can meet has its code, its sentence, and changes
 * nothing. */
#include "../support/disk.h"
#include "../support/process.h"
#include "../support/recorder.h"

#include <grp.h>
#include <sys/resource.h>

#define BACKUP "backups/licenses.tar.zst"

/* Runs, and demands that the failure comes by END, with a sentence that names `part`. */
static void check_outcome(operation op, const char *store, const char *backups, uint32_t flags,
                          licbak_hresult expected, const char *part)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for(store, backups);
    start(op, r, flags, &rec);
    CHECK_HR(end(r, &rec), expected);
    CHECK_HAS(error_message(r), part);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void check_backup(const char *store, const char *backups, licbak_hresult expected, const char *part)
{
    check_outcome(licbak_backup_licenses, store, backups, LICBAK_WM_BACKUP_OVERWRITE, expected, part);
}

static void check_restore(const char *store, const char *backups, licbak_hresult expected, const char *part)
{
    check_outcome(licbak_restore_licenses, store, backups, 0, expected, part);
}

static void check_verify(const char *backups, licbak_hresult expected, const char *part)
{
    check_outcome(licbak_verify_backup, "store", backups, 0, expected, part);
}

static void directories(void)
{
    licbak_hresult missing = LICBAK_HRESULT_ERROR_PATH_NOT_FOUND, none = LICBAK_HRESULT_ERROR_DIRECTORY;
    write_text("file", "no directory");
    make_dir("empty");
    check_backup("absent-store", "backups", missing, "absent-store");
    check_backup("store", "absent-place", missing, "absent-place");
    check_backup("store", "file", none, "file");
    check_restore("target", "absent-place", missing, "absent-place");
    check_restore("target", "file", LICBAK_NS_E_DRM_BACKUP_CORRUPT, "file"); /* a backup by its own path, and none */
    check_restore("absent-parent/store", "backups", missing, "absent-parent");
    check_restore("target", "empty", LICBAK_HRESULT_ERROR_FILE_NOT_FOUND, "empty");
    check_verify("absent-place", missing, "absent-place");
    check_verify("file", LICBAK_NS_E_DRM_BACKUP_CORRUPT, "file");
    check_verify("file/", none, "file/");
    check_verify("file/inside", none, "file/inside");
    check_verify("empty", LICBAK_HRESULT_ERROR_FILE_NOT_FOUND, "empty");
    CHECK(!exists("target") && !exists("absent-place") && !exists("absent-parent"));

    CHECK(mkfifo("pipe", 0600) == 0); /* opened without care it blocks for ever */
    check_backup("pipe", "backups", none, "pipe");
    check_backup("store", "pipe", none, "pipe");
    check_verify("pipe", none, "pipe");
    check_verify("/dev/null", none, "/dev/null");
}

static void foreign_backups(void)
{
    static const struct {
        const char *make, *what;
    } cases[] = {
        {"true", "empty"},
        {"echo a text", "text"},
        {"head -c 100000 /dev/zero", "zeros"},
        {"tar -c store", "tar"},
        {"tar -c store | gzip", "gzip"},
        {"tar -c store | zstd -q", "one frame, no seek table"},
        {"zstd -dcq " BACKUP " | zstd -q", "ours packed again"},
        {"cat " BACKUP "; cat " BACKUP, "two in one"},
        {"cat " BACKUP "; printf x", "a byte behind"},
        {"printf x; cat " BACKUP, "a byte in front"},
        {"head -c -1 " BACKUP, "a byte short"},
        {"head -c 100 " BACKUP, "the front alone"},
        {"tail -c 100 " BACKUP, "the end alone"},
    };
    make_dir("foreign");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (strstr(cases[i].make, "zstd -") != NULL && !has_zstd()) {
            skip(cases[i].what, "zstd is not installed");
            continue;
        }
        char command[256];
        snprintf(command, sizeof command, "{ %s; } >foreign/licenses.tar.zst", cases[i].make);
        CHECK(system(command) == 0);
        check_verify("foreign", LICBAK_NS_E_DRM_BACKUP_CORRUPT, "foreign");
        check_restore("target", "foreign", LICBAK_NS_E_DRM_BACKUP_CORRUPT, "foreign");
        CHECK(!exists("target"));
    }
    CHECK(unlink("foreign/licenses.tar.zst") == 0);
    CHECK(mkfifo("foreign/licenses.tar.zst", 0600) == 0); /* must not block */
    CHECK(verify("foreign") < 0);
}

/* Later versions are told apart from damage: see versions.py. */

/* -- permission ------------------------------------------------------------------------------------------ */

static void without_permission(void *unused)
{
    (void)unused;
    if (geteuid() == 0) {
        CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    }
    make_store("own/store", 6);
    make_dir("own/backups");
    make_dir("own/target");
    CHECK_HR(backup("own/store", "own/backups", 0), LICBAK_S_OK); /* nothing else is in the way */
    CHECK_HR(restore("own/new", "own/backups", 0), LICBAK_S_OK);
    uint64_t before = digest("own/backups/licenses.tar.zst");

    CHECK(chmod("own/store/music/key-0001.lic", 0) == 0);
    check_backup("own/store", "own/backups", LICBAK_E_ACCESSDENIED, "music/key-0001.lic");
    CHECK(chmod("own/store/music/key-0001.lic", 0600) == 0);
    CHECK(chmod("own/store/video", 0) == 0);
    check_backup("own/store", "own/backups", LICBAK_E_ACCESSDENIED, "video");
    CHECK(chmod("own/store/video", 0700) == 0);
    CHECK(chmod("own/store", 0) == 0);
    check_backup("own/store", "own/backups", LICBAK_E_ACCESSDENIED, "own/store");
    CHECK(chmod("own/store", 0700) == 0);
    write_text("own/store/new.lic", "a change: without one nothing is written");
    CHECK(chmod("own/backups", 0500) == 0);
    check_backup("own/store", "own/backups", LICBAK_E_ACCESSDENIED, "own/backups");
    CHECK(chmod("own/backups", 0700) == 0);
    CHECK_TEXT(entries("own/backups"), "licenses.tar.zst");
    CHECK(digest("own/backups/licenses.tar.zst") == before);

    CHECK(chmod("own/target", 0500) == 0);
    check_restore("own/target", "own/backups", LICBAK_E_ACCESSDENIED, "own/target");
    CHECK_TEXT(entries("own/target"), "");
    CHECK(chmod("own/target", 0700) == 0);
    CHECK(chmod("own/backups/licenses.tar.zst", 0) == 0);
    check_verify("own/backups", LICBAK_E_ACCESSDENIED, "own/backups");
    check_restore("own/target", "own/backups", LICBAK_E_ACCESSDENIED, "own/backups");
    CHECK_TEXT(entries("own/target"), "");
}

/* No thread to be had, or not all of them: told at the call, nobody is left behind, and the
 * restorer works again when there are. */
static void without_threads(void *unused)
{
    (void)unused;
    enum { NEEDED = 6 }; /* three workers, one that lists, one that conducts, one that tells */
    recorder rec = {0};
    uint32_t workers = 3;
    bool alone = geteuid() == 0; /* then as a user who has no other process: they are counted together */
    make_dir("own/limited");
    if (alone) {
        uid_t user = (uid_t)(61184 + getpid() % 4096);
        CHECK(chown("own/limited", user, user) == 0);
        CHECK(setgroups(0, NULL) == 0 && setgid(user) == 0 && setuid(user) == 0);
    } else {
        skip("some threads refused", "not root");
    }
    licbak_restorer *r = restorer_for("store", "own/limited");
    CHECK_HR(licbak_set_prop(r, "Threads", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&workers, 4), LICBAK_S_OK);
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NPROC, &limit) == 0);
    for (rlim_t to_be_had = 0; to_be_had <= NEEDED; to_be_had++) {
        rlim_t all = alone ? 1 + to_be_had : to_be_had < NEEDED ? 0 : limit.rlim_cur;
        struct rlimit few = {all, limit.rlim_max};
        CHECK(setrlimit(RLIMIT_NPROC, &few) == 0);
        forget(&rec);
        rec.restorer = r;
        licbak_hresult hr = start_by(licbak_backup_licenses, r, 0, record, &rec);
        CHECK_HR(hr, to_be_had < NEEDED ? LICBAK_E_OUTOFMEMORY : LICBAK_S_OK);
        if (hr != LICBAK_S_OK) {
            CHECK(error_message(r)[0] != '\0');
            CHECK_INT(threads_settled(1), 1);
            CHECK_INT(rec.count, 0);
            CHECK_TEXT(entries("own/limited"), "");
        }
    }
    CHECK_HR(end(r, &rec), LICBAK_S_OK);
    CHECK_INT(threads_settled(1), 1);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- limits ---------------------------------------------------------------------------------------------- */

/* The host has not asked for SIGXFSZ, and lives. */
static void file_size_limit(void *unused)
{
    (void)unused;
    uint64_t before = digest(BACKUP);
    struct rlimit limit = {64 * 1024, 64 * 1024};
    for (int i = 0; i < 8; i++) {
        char path[64];
        snprintf(path, sizeof path, "bulky/%d.lic", i);
        write_noise(path, 60 * 1024, (uint64_t)i);
    }
    make_dir("unlimited");
    CHECK_HR(backup("bulky", "unlimited", 0), LICBAK_S_OK);
    write_noise("bulky-large/large.lic", 100 * 1024, 99);
    make_dir("unlimited-large");
    CHECK_HR(backup("bulky-large", "unlimited-large", 0), LICBAK_S_OK);

    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    check_backup("bulky", "backups", LICBAK_HRESULT_ERROR_FILE_TOO_LARGE, "backups");
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK(digest(BACKUP) == before);
    make_dir("limited-target");
    check_restore("limited-target", "unlimited-large", LICBAK_HRESULT_ERROR_FILE_TOO_LARGE, "limited-target");
    CHECK_TEXT(entries("limited-target"), "");
    CHECK_HR(restore("limited-target", "unlimited", 0), LICBAK_S_OK);
}

static int lowest_free(void)
{
    int fd = dup(0);
    CHECK(fd >= 0);
    close(fd);
    return fd;
}

/* From no descriptor to be had up to enough: each run says so or succeeds, and nothing is left
 * behind. */
static void open_file_limit(void *unused)
{
    (void)unused;
    int succeeded = 0, refused = 0;
    uint32_t one = 1;
    make_dir("few");
    struct rlimit limit;
    CHECK(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    for (int spare = 0; spare < 64; spare++) {
        recorder rec = {0};
        licbak_restorer *r = restorer_for("store", "few");
        CHECK_HR(licbak_set_prop(r, "Threads", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&one, 4), LICBAK_S_OK);
        struct rlimit few = {(rlim_t)(lowest_free() + spare), limit.rlim_max};
        CHECK(setrlimit(RLIMIT_NOFILE, &few) == 0);
        start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
        licbak_hresult hr = end(r, &rec);
        CHECK(setrlimit(RLIMIT_NOFILE, &limit) == 0);
        if (hr == LICBAK_S_OK) {
            succeeded++;
            CHECK_TEXT(entries("few"), "licenses.tar.zst");
        } else {
            CHECK_HR(hr, LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES);
            CHECK_TEXT(entries("few"), succeeded > 0 ? "licenses.tar.zst" : "");
            refused++;
        }
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    CHECK(succeeded > 0 && refused > 0);
    CHECK_HR(verify("few"), LICBAK_S_OK);
}

/* -- disks ----------------------------------------------------------------------------------------------- */

static void full_disk(void *unused)
{
    (void)unused;
    if (!mount_tmpfs("disk", "size=512k")) {
        skip("full disk", strerror(errno));
        return;
    }
    for (int i = 0; i < 40; i++) {
        char path[64];
        snprintf(path, sizeof path, "big/%02d.lic", i);
        write_noise(path, 50 * 1024, (uint64_t)i);
    }
    make_dir("disk/backups");
    make_dir("disk/target");
    make_dir("big-backups");
    CHECK_HR(backup("big", "big-backups", 0), LICBAK_S_OK);

    check_backup("big", "disk/backups", LICBAK_HRESULT_ERROR_DISK_FULL, "disk/backups");
    CHECK_TEXT(entries("disk/backups"), "");
    CHECK_HR(backup("store", "disk/backups", 0), LICBAK_S_OK); /* room again at once */
    uint64_t before = digest("disk/backups/licenses.tar.zst");
    check_backup("big", "disk/backups", LICBAK_HRESULT_ERROR_DISK_FULL, "disk/backups");
    CHECK_TEXT(entries("disk/backups"), "licenses.tar.zst");
    CHECK(digest("disk/backups/licenses.tar.zst") == before);

    check_restore("disk/target", "big-backups", LICBAK_HRESULT_ERROR_DISK_FULL, "disk/target");
    char *left = tree("disk/target"); /* it keeps what it got, each whole, and nothing hidden */
    for (char *line = strtok(left, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        CHECK(line[0] != '.');
        CHECK_HAS(line, ".lic: 51200 bytes");
    }
    free(left);
}

static void read_only_disk(void *unused)
{
    (void)unused;
    if (!mount_tmpfs("disk", "size=4m")) {
        skip("read-only file system", strerror(errno));
        return;
    }
    make_dir("disk/backups");
    make_dir("disk/target");
    make_store("disk/store", 5);
    CHECK_HR(backup("disk/store", "disk/backups", 0), LICBAK_S_OK);
    CHECK(mount(NULL, "disk", NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0);
    check_backup("store", "disk/backups", LICBAK_HRESULT_ERROR_WRITE_PROTECT, "disk/backups");
    check_restore("disk/target", "backups", LICBAK_HRESULT_ERROR_WRITE_PROTECT, "disk/target");
    check_restore("disk/new", "backups", LICBAK_HRESULT_ERROR_WRITE_PROTECT, "disk/new");
    CHECK_HR(verify("disk/backups"), LICBAK_S_OK); /* reading is not writing */
    make_dir("from-read-only");
    CHECK_HR(backup("disk/store", "from-read-only", 0), LICBAK_S_OK);
    CHECK_HR(restore("restored-from-read-only", "disk/backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("restored-from-read-only", "disk/store");
}

/* A folder of the store on another file system: backed up like any other, but nothing can be moved
 * there, and that is said before anything else has been. */
static void mounted_in_the_store(void *unused)
{
    (void)unused;
    make_dir("mounted");
    if (!mount_tmpfs("mounted/music", "size=1m")) {
        skip("a mount in the store", strerror(errno));
        return;
    }
    CHECK_HR(restore("mounted", "backups", LICBAK_DRY_RUN), LICBAK_HRESULT_ERROR_NOT_SUPPORTED);
    check_restore("mounted", "backups", LICBAK_HRESULT_ERROR_NOT_SUPPORTED, "mounted/music");
    CHECK_TEXT(entries("mounted"), "music");
    CHECK_TEXT(entries("mounted/music"), "");
    write_text("mounted/music/key.lic", "a licence on another file system");
    make_dir("mounted-backups");
    CHECK_HR(backup("mounted", "mounted-backups", 0), LICBAK_S_OK);
    CHECK_HR(restore("from-mounted", "mounted-backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("from-mounted", "mounted");

    /* Nor can it be where the folder is shown twice. */
    if (emulated()) {
        skip("a folder that is shown twice", "the emulator tells no mount");
        return;
    }
    make_dir("bound/music");
    make_dir("elsewhere");
    CHECK(mount("elsewhere", "bound/music", NULL, MS_BIND, NULL) == 0);
    CHECK_HR(restore("bound", "backups", LICBAK_DRY_RUN), LICBAK_HRESULT_ERROR_NOT_SUPPORTED);
    check_restore("bound", "backups", LICBAK_HRESULT_ERROR_NOT_SUPPORTED, "bound/music");
    CHECK_TEXT(entries("bound"), "music");
}

int main(void)
{
    begin("outcomes");
    make_store("store", 20);
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    directories();
    foreign_backups();
    if (geteuid() == 0) {
        make_dir("own");
        CHECK(chown("own", 65534, 65534) == 0 && chmod(".", 0755) == 0);
    }
    in_child(without_permission, NULL);
    in_child(without_threads, NULL);
    in_child(file_size_limit, NULL);
    in_child(open_file_limit, NULL);
    in_child(full_disk, NULL);
    in_child(read_only_disk, NULL);
    in_child(mounted_in_the_store, NULL);
    return finish();
}
