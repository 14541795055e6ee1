/* A backup on a stick: file systems that know no rights, no links and no unnamed files, and some of
 * them no way to name a file without the risk of replacing another. */
#include "../support/disk.h"
#include "../support/race.h"
#include "../support/stall.h"

#include <grp.h>

#define CANCELED LICBAK_NS_E_DRM_OPERATION_CANCELED

static const struct file_system {
    const char *name;
    const char *type, *options; /* for the kernel */
    const char *server;         /* or the program that serves it */
    const char *make;
    bool foreign;  /* mounted by a desktop for its user, who is not root */
    bool replaces; /* whatever gets a name there may replace another */
} file_systems[] = {
    {"vfat", "vfat", "", NULL, "mkfs.vfat -F 32 -s 1", false, false},
    {"vfat for a user", "vfat", "uid=65534,gid=65534,fmask=0022,dmask=0077,utf8", NULL, "mkfs.vfat -F 32 -s 1", true,
     false},
    {"exfat", "exfat", "", NULL, "mkfs.exfat", false, false},
    {"exfat-fuse", NULL, NULL, "mount.exfat-fuse", "mkfs.exfat", false, true},
};

#define STICK "stick/backups"
#define BACKUP STICK "/licenses.tar.zst"

/* -- the stories ----------------------------------------------------------------------------------------- */

static void check_end(const char *store, uint32_t flags, licbak_hresult expected, const char *part)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for(store, STICK);
    start(licbak_backup_licenses, r, flags, &rec);
    CHECK_HR(end(r, &rec), expected);
    CHECK_HAS(error_message(r), part);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void save_and_restore(const struct file_system *fs)
{
    if (fs->replaces) {
        check_end("store", 0, LICBAK_HRESULT_ERROR_NOT_SUPPORTED, STICK);
        CHECK_TEXT(entries(STICK), "");
        CHECK_HR(backup("store", STICK, LICBAK_DRY_RUN), LICBAK_S_OK);
        CHECK_HR(backup("store", STICK, LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    } else {
        CHECK_HR(backup("store", STICK, 0), LICBAK_S_OK);
    }
    CHECK_TEXT(entries(STICK), "licenses.tar.zst");
    CHECK_HR(verify(STICK), LICBAK_S_OK);
    CHECK_HR(restore("from-stick", STICK, 0), LICBAK_S_OK);
    CHECK_SAME_TREE("from-stick", "store");

    uint64_t before = digest(BACKUP);
    CHECK_HR(backup("other", STICK, 0), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK(digest(BACKUP) == before);
    CHECK_HR(backup("other", STICK, LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_TEXT(entries(STICK), "licenses.tar.zst");
    CHECK_HR(verify(STICK), LICBAK_S_OK);
    CHECK_HR(restore("others", STICK, 0), LICBAK_S_OK);
    CHECK_SAME_TREE("others", "other");
    remove_tree("from-stick");
    remove_tree("others");
}

/* Stores with names that no such file system has, or takes for one. */
static const char *const bad_names[] = {"colon", "cases", "folders"};

static void make_bad_names(void)
{
    write_text("colon/a:b", "a licence");
    write_text("cases/KEY", "a licence");
    write_text("cases/key", "another");
    write_text("folders/KEY", "a licence");
    write_text("folders/key/key", "another");
}

static void check_restored(uint32_t flags, licbak_hresult expected)
{
    CHECK_HR(restore("stick/store", STICK, flags), expected);
    CHECK(exists("stick/store") == (expected == LICBAK_S_OK)); /* and nothing in it, if it was made */
}

/* The store may be there too, as far as the file system can tell times. */
static void store_on_the_stick(const struct file_system *fs)
{
    make_dir("elsewhere");
    make_dir("bad-names");
    for (int i = fs->server != NULL; i < 3; i++) { /* the server says ENOENT to a colon, as if a folder were gone */
        CHECK_HR(backup(bad_names[i], "bad-names", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
        CHECK_HR(restore("stick/store", "bad-names", LICBAK_RESTORE_OVERWRITE), LICBAK_HRESULT_ERROR_INVALID_NAME);
        CHECK(!exists("stick/store"));
    }
    remove_tree("bad-names");
    if (fs->replaces) {
        check_restored(0, LICBAK_HRESULT_ERROR_NOT_SUPPORTED);
        check_restored(LICBAK_RESTORE_OVERWRITE, LICBAK_S_OK);
    } else {
        check_restored(0, LICBAK_S_OK);
    }
    write_text("stick/store/key-0003.lic", "a version in use");
    check_restored(LICBAK_RESTORE_OVERWRITE, LICBAK_S_OK);
    CHECK(same_file("stick/store/key-0003.lic", "other/key-0003.lic"));
    CHECK_HR(backup("stick/store", "elsewhere", 0), LICBAK_S_OK);
    CHECK_HR(restore("from-elsewhere", "elsewhere", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("from-elsewhere", "stick/store");
    remove_tree("from-elsewhere");
    remove_tree("elsewhere");
    remove_tree("stick/store");
}

static void full(void)
{
    static const char zeros[65536];
    enum { ROOM = 4 * sizeof zeros };
    off_t size = 0;
    uint64_t before = digest(BACKUP);
    int filler = creat("stick/filler", 0600);
    CHECK(filler >= 0);
    for (ssize_t written; (written = write(filler, zeros, sizeof zeros)) > 0;) {
        size += written;
    }
    CHECK(errno == ENOSPC && size > ROOM);
    CHECK(ftruncate(filler, size - ROOM) == 0 && fsync(filler) == 0 && close(filler) == 0);
    check_end("big", LICBAK_WM_BACKUP_OVERWRITE, LICBAK_HRESULT_ERROR_DISK_FULL, STICK);
    CHECK_TEXT(entries(STICK), "licenses.tar.zst");
    CHECK(digest(BACKUP) == before);
    CHECK_HR(backup("store", STICK, LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK); /* room again at once */
    CHECK(unlink("stick/filler") == 0);
    CHECK_HR(backup("big", STICK, LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
}

static void raced(const struct file_system *fs)
{
    for (int round = 0; round < 5; round++) {
        CHECK(unlink(BACKUP) == 0);
        if (!fs->replaces) {
            CHECK_INT(race(licbak_backup_licenses, "store", STICK, 0, LICBAK_S_OK, LICBAK_NS_E_DRM_BACKUP_EXISTS), 1);
            CHECK_TEXT(entries(STICK), "licenses.tar.zst");
            CHECK_HR(verify(STICK), LICBAK_S_OK);
        }
        CHECK(race(licbak_backup_licenses, "other", STICK, LICBAK_WM_BACKUP_OVERWRITE, LICBAK_S_OK,
                   LICBAK_NS_E_DRM_BACKUP_EXISTS) >= 1);
        CHECK_TEXT(entries(STICK), "licenses.tar.zst");
        CHECK_HR(verify(STICK), LICBAK_S_OK);
    }
}

/* A backup that takes something over is written only when all of the store has been looked at. */
#define WRITES_AT_ONCE (LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL)

/* What is being written, while it is: beside the backup, under a hidden name. */
static void check_hidden(void)
{
    char *names = strdup(entries(STICK));
    int hidden = 0, others = 0;
    CHECK(names != NULL);
    for (char *name = strtok(names, " "); name != NULL; name = strtok(NULL, " ")) {
        if (strncmp(name, ".licenses.tar.zst.", 18) == 0 && strlen(name) == 18 + 16) {
            hidden++;
        } else if (strncmp(name, ".fuse_hidden", 12) != 0) { /* an open file without a name, as FUSE has it */
            others++;
        }
    }
    free(names);
    CHECK_INT(hidden, 1);
    CHECK_INT(others, 1);
}

static licbak_hresult cancel_when_left_out(recorder *rec, const event *e)
{
    if (e->status == LICBAK_STATUS_LICENSE_LEFT_OUT && rec->other == NULL) {
        rec->other = rec;
        check_hidden();
        CHECK_HR(licbak_cancel(rec->restorer), LICBAK_S_OK);
    }
    return LICBAK_S_OK;
}

static void canceled(void)
{
    uint64_t before = digest(BACKUP);
    recorder rec = {.react = cancel_when_left_out};
    licbak_restorer *r = restorer_for(STALLING, STICK);
    CHECK_HR(run(licbak_backup_licenses, r, WRITES_AT_ONCE, &rec), CANCELED);
    CHECK(rec.other != NULL);
    CHECK_TEXT(entries(STICK), "licenses.tar.zst");
    CHECK(digest(BACKUP) == before);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static licbak_hresult die_when_left_out(recorder *rec, const event *e)
{
    (void)rec;
    return e->status == LICBAK_STATUS_LICENSE_LEFT_OUT ? kill(getpid(), SIGKILL) : LICBAK_S_OK;
}

static void killed(void)
{
    uint64_t before = digest(BACKUP);
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        recorder rec = {.react = die_when_left_out};
        run(licbak_backup_licenses, restorer_for(STALLING, STICK), WRITES_AT_ONCE, &rec);
        _exit(1);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    check_hidden();
    CHECK(digest(BACKUP) == before);
    CHECK_HR(verify(STICK), LICBAK_S_OK);
    CHECK_HR(backup("store", STICK, LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_TEXT(entries(STICK), "licenses.tar.zst");
}

/* -- the sticks ------------------------------------------------------------------------------------------ */

static void all_stories(const struct file_system *fs)
{
    if (fs->foreign) {
        CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    }
    make_dir(STICK);
    save_and_restore(fs);
    store_on_the_stick(fs);
    full();
    raced(fs);
    canceled();
    killed();
}

static bool is_installed(const char *command)
{
    char line[160];
    snprintf(line, sizeof line, "command -v %s >/dev/null", command);
    return system(line) == 0;
}

/* Why the file system can't be had here; NULL: it is mounted, by the program `server` if there is
 * one. */
static const char *mount_stick(const struct file_system *fs, pid_t *server)
{
    static char why[160];
    char command[160];
    if (geteuid() != 0) {
        return "not root";
    }
    if (!is_installed(fs->make) || (fs->server != NULL && !is_installed(fs->server))) {
        const char *missing = is_installed(fs->make) ? fs->server : fs->make;
        snprintf(why, sizeof why, "%.*s is not installed", (int)strcspn(missing, " "), missing);
        return why;
    }
    int image = creat("image", 0600);
    CHECK(image >= 0 && ftruncate(image, 36 * 1024 * 1024) == 0 && close(image) == 0);
    snprintf(command, sizeof command, "%s image >/dev/null 2>&1", fs->make);
    CHECK(system(command) == 0);
    if (!own_mounts()) {
        snprintf(why, sizeof why, "no mounts: %s", strerror(errno));
    } else if (fs->server != NULL) {
        *server = mount_image_by(fs->server, "image", "stick");
        return *server > 0 ? NULL : "no loop device, or no FUSE in the kernel";
    } else if (mount_image("image", "stick", fs->type, fs->options)) {
        return NULL;
    } else if (errno == ENODEV) {
        return "the kernel does not have it";
    } else {
        snprintf(why, sizeof why, "it can't be mounted: %s", strerror(errno));
    }
    return why;
}

static void with_stick(void *file_system)
{
    const struct file_system *fs = file_system;
    pid_t server = -1;
    int status = 0;
    const char *why = mount_stick(fs, &server);
    if (why != NULL) {
        char what[64];
        snprintf(what, sizeof what, "a stick with %s", fs->name);
        skip(what, why);
        return;
    }
    pid_t child = fork(); /* which may fail as it likes: this process unmounts */
    CHECK(child >= 0);
    if (child == 0) {
        alarm(50);
        all_stories(fs);
        _exit(0);
    }
    CHECK(waitpid(child, &status, 0) == child);
    bool unmounted = umount2("stick", MNT_DETACH) == 0;
    if (server > 0) {
        waitpid(server, NULL, 0);
    }
    CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : 0, 0);
    CHECK(unmounted);
    if (status != 0) {
        dprintf(check_stderr, "stick: that was %s\n", fs->name);
        _exit(1); /* the child has said why */
    }
}

int main(void)
{
    begin("stick");
    CHECK(chmod(".", 0777) == 0); /* another user works here too */
    make_store("store", 20);
    make_store("other", 30);
    for (int i = 0; i < 20; i++) {
        char path[64];
        snprintf(path, sizeof path, "big/%02d.lic", i);
        write_noise(path, 50 * 1024, (uint64_t)i);
    }
    make_stalling_store();
    make_bad_names();
    make_dir("stick");
    for (size_t i = 0; i < sizeof file_systems / sizeof file_systems[0]; i++) {
        in_child(with_stick, (void *)&file_systems[i]);
    }
    return finish();
}
