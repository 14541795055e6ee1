/* Places where a backup or restore can't be done, which is found out before the work: folders and
 * files with attributes that bind every user, file systems without links, and something else with
 * the backup's name. Nothing is left behind.
 */
#include "../support/recorder.h"
#include "../support/sandbox.h"

#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

#define BACKUP "backups/licenses.tar.zst"
#define OVER LICBAK_WM_BACKUP_OVERWRITE
#define DENIED LICBAK_E_ACCESSDENIED

/* Ends with this outcome, before a licence is read or written, and says why. */
static void check_refused(operation op, const char *store, const char *backups, uint32_t flags,
                          licbak_hresult expected, const char *part)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for(store, backups);
    CHECK_HR(run(op, r, flags, &rec), expected);
    CHECK_INT(final_figures(&rec).licenses_done, 0);
    CHECK_HAS(error_message(r), part);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* So does a dry run. */
static void check_restore_refused(const char *store, uint32_t flags, licbak_hresult expected, const char *part)
{
    check_refused(licbak_restore_licenses, store, "backups", flags | LICBAK_DRY_RUN, expected, part);
    check_refused(licbak_restore_licenses, store, "backups", flags, expected, part);
}

/* -- attributes -------------------------------------------------------------------------------------------- */

static bool set_attributes(const char *path, int attributes)
{
    int now = 0, file = open(path, O_RDONLY);
    bool done = file >= 0 && ioctl(file, FS_IOC_GETFLAGS, &now) == 0;
    now = (now & ~(FS_APPEND_FL | FS_IMMUTABLE_FL)) | attributes;
    done = done && ioctl(file, FS_IOC_SETFLAGS, &now) == 0;
    close(file);
    return done;
}

static void begin_anew(void)
{
    if (exists("backups")) {
        remove_tree("backups");
    }
    if (exists("target")) {
        remove_tree("target");
    }
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    CHECK_HR(restore("target", "backups", 0), LICBAK_S_OK);
    CHECK(unlink("target/lic") == 0);
    write_text("target/folder/lic", "another version");
}

static void protected_places(int attribute, const char *told)
{
    begin_anew();
    char *before = tree("target");
    uint64_t backup_before = digest(BACKUP);
    CHECK(set_attributes("backups", attribute));
    for (int i = 0; i < 3; i++) {
        check_refused(licbak_backup_licenses, "store", "backups", OVER | LICBAK_BACKUP_FULL, DENIED, told);
        CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    }
    CHECK_HR(backup("store", "backups", OVER), LICBAK_S_OK); /* nothing is to be written */
    check_refused(licbak_restore_licenses, "backups/new.db", "backups", 0, DENIED, told);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK(set_attributes("backups", 0));

    CHECK(set_attributes(BACKUP, attribute));
    check_refused(licbak_backup_licenses, "store", "backups", OVER | LICBAK_BACKUP_FULL, DENIED, told);
    CHECK(set_attributes(BACKUP, 0));
    CHECK(digest(BACKUP) == backup_before);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");

    CHECK(set_attributes("target", attribute));
    check_restore_refused("target", 0, DENIED, told);
    CHECK(set_attributes("target", 0));
    const char *inner[] = {"target/folder", "target/folder/lic"};
    for (int i = 0; i < 2; i++) {
        CHECK(set_attributes(inner[i], attribute));
        check_restore_refused("target", LICBAK_RESTORE_OVERWRITE, DENIED, told);
        CHECK(set_attributes(inner[i], 0));
    }
    CHECK_TEXT(entries("target"), "folder");
    if (attribute == FS_APPEND_FL) { /* it takes what is new */
        CHECK(rename("target/folder/lic", "kept") == 0 && set_attributes("target/folder", attribute));
        CHECK_HR(restore("target", "backups", 0), LICBAK_S_OK);
        CHECK_SAME_TREE("target", "store");
        CHECK(set_attributes("target/folder", 0));
        CHECK(unlink("target/lic") == 0 && rename("kept", "target/folder/lic") == 0);
    }
    char *after = tree("target");
    CHECK_TEXT(after, before);
    free(after);
    free(before);
    CHECK_HR(restore("target", "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
    CHECK_SAME_TREE("target", "store");
}

/* -- file systems without links ---------------------------------------------------------------------------- */

static const int no_links[] = {EIO, ENOSYS, EPERM, EOPNOTSUPP, EMLINK};
enum { NO_LINKS = sizeof no_links / sizeof no_links[0] };

typedef struct answers {
    int of_link, of_rename, of_unnamed; /* 0: it works */
} answers;

/* As rclone, sshfs and others answer. */
static void without_links(void *argument)
{
    const answers *a = argument;
    if (!deny(SYS_linkat, 0, 0, a->of_link) || (a->of_unnamed && !deny(SYS_openat, 2, O_TMPFILE, a->of_unnamed)) ||
        (a->of_rename && !deny(SYS_renameat2, 4, 1, a->of_rename))) {
        skip("file systems without links", "no seccomp");
        return;
    }
    make_dir("new");
    if (a->of_rename) {
        check_refused(licbak_backup_licenses, "store", "new", 0, LICBAK_HRESULT_ERROR_NOT_SUPPORTED, "replac");
        check_refused(licbak_restore_licenses, "new/target", "backups", 0, LICBAK_HRESULT_ERROR_NOT_SUPPORTED,
                      "replac");
        check_refused(licbak_restore_licenses, "new/t.db", "backups", 0, LICBAK_HRESULT_ERROR_NOT_SUPPORTED,
                      "replac");
        CHECK_TEXT(entries("new"), "");
        CHECK_HR(restore("new/target", "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
    } else {
        CHECK_HR(backup("store", "new", 0), LICBAK_S_OK);
        CHECK_HR(backup("store", "new", 0), LICBAK_NS_E_DRM_BACKUP_EXISTS);
        CHECK_HR(restore("new/target", "backups", 0), LICBAK_S_OK);
    }
    CHECK_SAME_TREE("new/target", "store");
    remove_tree("new/target");
    CHECK_HR(backup("store", "new", OVER | LICBAK_BACKUP_FULL), LICBAK_S_OK);
    CHECK_TEXT(entries("new"), "licenses.tar.zst");
    CHECK_HR(verify("new"), LICBAK_S_OK);
    remove_tree("new");
}

/* -- what is no backup ------------------------------------------------------------------------------------- */

static void make_socket(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    int socket_file = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(socket_file >= 0 && bind(socket_file, (struct sockaddr *)&address, sizeof address) == 0);
    close(socket_file);
}

static void check_in_the_way(const char *what)
{
    struct stat before, after;
    CHECK(lstat(BACKUP, &before) == 0);
    CHECK_HR(backup("store", "backups", 0), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    check_refused(licbak_backup_licenses, "store", "backups", OVER, LICBAK_NS_E_DRM_BACKUP_EXISTS, what);
    CHECK(lstat(BACKUP, &after) == 0 && after.st_ino == before.st_ino && after.st_mode == before.st_mode);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
}

static void something_else(void)
{
    remove_tree("backups");
    make_dir(BACKUP);
    check_in_the_way("a folder");
    remove_tree(BACKUP);
    CHECK(mkfifo(BACKUP, 0600) == 0);
    check_in_the_way("a FIFO");
    CHECK(unlink(BACKUP) == 0);
    make_socket(BACKUP);
    check_in_the_way("a socket");
    CHECK(unlink(BACKUP) == 0);
    if (mknod(BACKUP, S_IFCHR | 0600, makedev(1, 3)) == 0) {
        check_in_the_way("a device");
        CHECK(unlink(BACKUP) == 0);
    } else {
        skip("a device with the backup's name", "making one takes root");
    }
    const char *const links[] = {"nowhere", "../store", "../pipe"}; /* a link is replaced, not followed */
    CHECK(mkfifo("pipe", 0600) == 0);
    for (int i = 0; i < 3; i++) {
        CHECK(symlink(links[i], BACKUP) == 0);
        CHECK_HR(backup("store", "backups", 0), LICBAK_NS_E_DRM_BACKUP_EXISTS);
        CHECK_HR(backup("store", "backups", OVER), LICBAK_S_OK);
        CHECK_HR(verify("backups"), LICBAK_S_OK);
        CHECK(unlink(BACKUP) == 0);
    }
    CHECK(!exists("nowhere"));
}

int main(void)
{
    begin("odd_places");
    write_text("store/lic", "a licence");
    write_text("store/folder/lic", "another");
    begin_anew();
    for (int i = 0; i < NO_LINKS; i++) {
        in_child(without_links, &(answers){no_links[i], 0, EOPNOTSUPP});
        in_child(without_links, &(answers){no_links[i], EINVAL, EOPNOTSUPP});
        in_child(without_links, &(answers){no_links[i], EINVAL, 0});
    }
    if (geteuid() == 0 && set_attributes("backups", FS_APPEND_FL)) {
        CHECK(set_attributes("backups", 0));
        protected_places(FS_APPEND_FL, "chattr -a");
        protected_places(FS_IMMUTABLE_FL, "chattr -i");
    } else {
        skip("attributes that bind every user", "not root, or the file system has none");
    }
    something_else();
    return finish();
}
