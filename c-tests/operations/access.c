/* Who may read what a restore has made: the owners, access lists and attributes of files that are
 * replaced, and of new ones, below folders with default lists and of other owners.
 */
#include "../support/recorder.h"
#include "../support/sandbox.h"

#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/xattr.h>

#define ACCESS_LIST "system.posix_acl_access"
#define DEFAULT_LIST "system.posix_acl_default"
#define OVER LICBAK_RESTORE_OVERWRITE

enum { OWNER = 1000, FRIEND = 2000, STRANGER = 3000 };

/* -- access lists, as the kernel keeps them ---------------------------------------------------------------- */

typedef struct entry {
    uint16_t tag, rights;
    uint32_t id;
} entry;

typedef struct list {
    uint32_t version;
    entry entries[5];
} list;

/* The rights of the owner, of one user, of the group, of all of the group's kind, and of others. */
static list make_list(uint16_t owner, uint32_t user, uint16_t his, uint16_t group, uint16_t mask, uint16_t others)
{
    const uint32_t nobody = 0xFFFFFFFF;
    return (list){
        2, {{1, owner, nobody}, {2, his, user}, {4, group, nobody}, {16, mask, nobody}, {32, others, nobody}}};
}

static void set_list(const char *path, const char *name, list l)
{
    CHECK(setxattr(path, name, &l, sizeof l, 0) == 0);
}

static bool has_list(const char *path, const char *name)
{
    return getxattr(path, name, NULL, 0) > 0;
}

/* -- who can read ------------------------------------------------------------------------------------------ */

static void become(uid_t user, gid_t group)
{
    CHECK(setgroups(0, NULL) == 0 && setresgid(group, group, group) == 0 && setresuid(user, user, user) == 0);
}

static bool can_read(uid_t user, gid_t group, const char *path)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        become(user, group);
        _exit(open(path, O_RDONLY) >= 0);
    }
    CHECK(pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status) == 1;
}

static void check_owner_of(const char *path, uid_t user, gid_t group)
{
    struct stat st;
    CHECK(lstat(path, &st) == 0);
    CHECK_INT(st.st_uid, user);
    CHECK_INT(st.st_gid, group);
}

/* -- files that are replaced ------------------------------------------------------------------------------- */

static void begin_with_old(mode_t mode)
{
    if (exists("target")) {
        remove_tree("target");
    }
    make_dir("target");
    CHECK(chmod("target", 0755) == 0);
    write_text("target/lic", "old");
    CHECK(chown("target/lic", OWNER, OWNER) == 0 && chmod("target/lic", mode) == 0);
}

static void check_replaced(void)
{
    CHECK_HR(restore("target", "backups", OVER), LICBAK_S_OK);
    CHECK_SAME_TREE("target", "store");
    CHECK_TEXT(entries("target"), "folder lic");
    check_owner_of("target/lic", OWNER, OWNER);
}

/* The list lets in one user, and keeps the group out, of which the mode seems to say the contrary. */
static void list_and_attributes_stay(void *unused)
{
    (void)unused;
    list l = make_list(6, FRIEND, 6, 0, 6, 0), found;
    begin_with_old(0600);
    set_list("target/lic", ACCESS_LIST, l);
    CHECK(setxattr("target/lic", "user.licence", "mine", 4, 0) == 0);
    CHECK(setxattr("target/lic", "trusted.licence", "root's", 6, 0) == 0);
    CHECK(setxattr("target/lic", "security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0) == 0);
    check_replaced();
    CHECK_INT(getxattr("target/lic", ACCESS_LIST, &found, sizeof found), sizeof l);
    CHECK(memcmp(&found, &l, sizeof l) == 0);
    CHECK_INT(mode_of("target/lic"), 0660);
    CHECK(can_read(OWNER, OWNER, "target/lic") && can_read(FRIEND, FRIEND, "target/lic"));
    CHECK(!can_read(STRANGER, OWNER, "target/lic") && !can_read(STRANGER, STRANGER, "target/lic"));
    char value[8] = "";
    CHECK_INT(getxattr("target/lic", "user.licence", value, sizeof value), 4);
    CHECK_TEXT(value, "mine");
    CHECK_INT(getxattr("target/lic", "trusted.licence", value, sizeof value), 6);
    CHECK(getxattr("target/lic", "security.capability", NULL, 0) < 0); /* it was the old content's */
}

/* The list keeps out one user whom the mode would let in. */
static void one_stays_out(void *unused)
{
    (void)unused;
    begin_with_old(0644);
    set_list("target/lic", ACCESS_LIST, make_list(6, FRIEND, 0, 4, 4, 4));
    CHECK(!can_read(FRIEND, FRIEND, "target/lic"));
    check_replaced();
    CHECK(!can_read(FRIEND, FRIEND, "target/lic") && can_read(STRANGER, STRANGER, "target/lic"));
}

/* A file without a list gets none, whatever its folder gives to new ones. */
static void default_lists_open_nothing(void *unused)
{
    (void)unused;
    begin_with_old(0640);
    set_list("target", DEFAULT_LIST, make_list(7, FRIEND, 7, 7, 7, 0));
    check_replaced();
    CHECK_INT(mode_of("target/lic"), 0640);
    CHECK(!has_list("target/lic", ACCESS_LIST));
    CHECK(!can_read(FRIEND, FRIEND, "target/lic") && can_read(STRANGER, OWNER, "target/lic"));
    CHECK_INT(mode_of("target/folder"), 0700);
    CHECK_INT(mode_of("target/folder/new"), 0600);
    CHECK(!can_read(FRIEND, FRIEND, "target/folder/new"));

    make_dir("given");
    set_list("given", DEFAULT_LIST, make_list(7, FRIEND, 7, 7, 7, 0));
    CHECK(chmod("given", 0755) == 0);
    CHECK_HR(backup("store", "given", 0), LICBAK_S_OK);
    CHECK_INT(mode_of("given/licenses.tar.zst"), 0600);
    CHECK(!can_read(FRIEND, FRIEND, "given/licenses.tar.zst"));
    CHECK_HR(backup("store", "given", LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK);
    CHECK(!can_read(FRIEND, FRIEND, "given/licenses.tar.zst"));
    CHECK_HR(restore("given/new.db", "backups", 0), LICBAK_S_OK);
    CHECK_INT(mode_of("given/new.db"), 0600);
    CHECK(!can_read(FRIEND, FRIEND, "given/new.db"));
    remove_tree("given");
}

/* Where a list can't be read or set, the file is its owner's alone: no one comes in by the mode. */
static void without_the_list(void *call)
{
    const int *number = call;
    begin_with_old(0644);
    set_list("target/lic", ACCESS_LIST, make_list(6, FRIEND, 0, 0, 4, 4));
    if (!deny(*number, 0, 0, EPERM)) {
        skip("a list that can't be kept", "no seccomp");
        return;
    }
    check_replaced();
    CHECK_INT(mode_of("target/lic"), 0600);
    CHECK(!can_read(FRIEND, FRIEND, "target/lic") && !can_read(STRANGER, OWNER, "target/lic"));
    CHECK(can_read(OWNER, OWNER, "target/lic"));
}

/* -- new files and folders --------------------------------------------------------------------------------- */

static void begin_with_owners(void)
{
    if (exists("target")) {
        remove_tree("target");
    }
    make_dir("target/folder");
    CHECK(chmod("target", 0755) == 0 && chown("target", OWNER, OWNER) == 0);
    CHECK(chown("target/folder", FRIEND, STRANGER) == 0 && chmod("target/folder", 02750) == 0);
}

/* What is new belongs to the owner of the folder that it comes into. */
static void given_to_owners(void *unused)
{
    (void)unused;
    begin_with_owners();
    make_dir("many/folder/below/it");
    write_text("many/lic", "a");
    write_text("many/folder/new", "b");
    write_text("many/folder/below/it/new", "c");
    write_text("many/other/new", "d");
    make_dir("many-backups");
    CHECK_HR(backup("many", "many-backups", 0), LICBAK_S_OK);
    CHECK_HR(restore("target", "many-backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("target", "many");
    check_owner_of("target/lic", OWNER, OWNER);
    check_owner_of("target/other", OWNER, OWNER);
    check_owner_of("target/other/new", OWNER, OWNER);
    check_owner_of("target/folder/new", FRIEND, STRANGER);
    check_owner_of("target/folder/below", FRIEND, STRANGER);
    check_owner_of("target/folder/below/it", FRIEND, STRANGER);
    check_owner_of("target/folder/below/it/new", FRIEND, STRANGER);
    CHECK_INT(mode_of("target/lic"), 0600);
    CHECK_INT(mode_of("target/other"), 0700);
    CHECK_INT(mode_of("target/folder/below/it"), 02700); /* passes its group on, as its parent */
    CHECK(can_read(OWNER, OWNER, "target/other/new"));

    CHECK_HR(restore("target/whole", "many-backups", 0), LICBAK_S_OK);
    check_owner_of("target/whole", OWNER, OWNER);
    check_owner_of("target/whole/folder/below/it/new", OWNER, OWNER);
    CHECK(can_read(OWNER, OWNER, "target/whole/folder/new"));
    CHECK_HR(restore("target/whole.db", "many-backups", 0), LICBAK_S_OK);
    check_owner_of("target/whole.db", OWNER, OWNER);
    CHECK_TEXT(entries("target"), "folder lic other whole whole.db");
}

/* Who may not give files away keeps them; no failure. */
static void kept_by_their_maker(void *unused)
{
    (void)unused;
    begin_with_owners();
    CHECK(chmod("target", 0777) == 0 && chmod("target/folder", 0777) == 0);
    CHECK(chmod("backups", 0755) == 0 && chown("backups/licenses.tar.zst", STRANGER, STRANGER) == 0);
    become(STRANGER, STRANGER);
    CHECK_HR(restore("target", "backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("target", "store");
    check_owner_of("target/lic", STRANGER, STRANGER);
    check_owner_of("target/folder/new", STRANGER, STRANGER);
    CHECK_HR(restore("target/whole", "backups", 0), LICBAK_S_OK);
    check_owner_of("target/whole/folder", STRANGER, STRANGER);
}

/* Nor does who may give them away, and could not read them any more. */
static void kept_to_be_read(void *unused)
{
    (void)unused;
    const uint32_t chown_alone = 1u << CAP_CHOWN;
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct rights[2] = {{.effective = chown_alone, .permitted = chown_alone}};
    begin_with_owners();
    CHECK(chmod("target", 0777) == 0 && chmod("target/folder", 0777) == 0);
    CHECK(chmod("backups", 0755) == 0 && chown("backups/licenses.tar.zst", STRANGER, STRANGER) == 0);
    CHECK(prctl(PR_SET_KEEPCAPS, 1) == 0);
    become(STRANGER, STRANGER);
    CHECK(syscall(SYS_capset, &header, rights) == 0);
    for (int i = 0; i < 2; i++) {
        CHECK_HR(restore("target", "backups", 0), LICBAK_S_OK);
        CHECK_SAME_TREE("target", "store");
    }
    check_owner_of("target/lic", STRANGER, STRANGER);
    check_owner_of("target/folder/new", STRANGER, STRANGER);
}

static void giving_denied(void *unused)
{
    (void)unused;
    begin_with_owners();
    if (!deny(SYS_fchown, 0, 0, EPERM)) {
        skip("files that can't be given away", "no seccomp");
        return;
    }
    CHECK_HR(restore("target", "backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("target", "store");
    check_owner_of("target/lic", 0, 0);
    CHECK_INT(mode_of("target/lic"), 0600);
}

/* -- owners without a number ------------------------------------------------------------------------------- */

enum { NOBODY = 65534, SOMEBODY = 4242 };

static void write_map(pid_t pid, const char *map)
{
    char path[64], text[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, map);
    int length = snprintf(text, sizeof text, "0 0 1\n%d %d 1\n", NOBODY, SOMEBODY);
    int file = open(path, O_WRONLY);
    CHECK(file >= 0 && write(file, text, (size_t)length) == length && close(file) == 0);
}

/* In a namespace the folder's owner may have no number: the one that is shown is somebody else's. */
static void never_given_to_another(void *unused)
{
    (void)unused;
    int ready[2], mapped[2], status = 0;
    char byte = 0;
    begin_with_owners();
    CHECK(chmod("target", 0777) == 0 && chmod("target/folder", 0777) == 0);
    CHECK(chown("backups/licenses.tar.zst", 0, 0) == 0 && pipe(ready) == 0 && pipe(mapped) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        byte = unshare(CLONE_NEWUSER) == 0;
        CHECK(write(ready[1], &byte, 1) == 1 && read(mapped[0], &byte, 1) == 1);
        if (byte) {
            CHECK_HR(restore("target", "backups", 0), LICBAK_S_OK);
        }
        _exit(0);
    }
    CHECK(pid > 0 && read(ready[0], &byte, 1) == 1);
    if (byte) {
        write_map(pid, "uid_map");
        write_map(pid, "gid_map");
    } else {
        skip("owners without a number", "no user namespaces");
    }
    CHECK(write(mapped[1], &byte, 1) == 1 && waitpid(pid, &status, 0) == pid);
    CHECK_INT(status, 0);
    if (byte) {
        check_owner_of("target/lic", 0, 0);
        check_owner_of("target/folder/new", 0, 0);
    }
}

int main(void)
{
    begin("access");
    if (geteuid() != 0) {
        skip("owners and access lists", "not root");
        return finish();
    }
    CHECK(chmod(".", 0755) == 0);
    write_text("store/lic", "from the backup");
    write_text("store/folder/new", "new");
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    list l = make_list(6, FRIEND, 0, 0, 0, 0);
    write_text("probe", "");
    if (setxattr("probe", ACCESS_LIST, &l, sizeof l, 0) == 0) {
        in_child(list_and_attributes_stay, NULL);
        in_child(one_stays_out, NULL);
        in_child(default_lists_open_nothing, NULL);
        in_child(without_the_list, &(int){SYS_fgetxattr});
        in_child(without_the_list, &(int){SYS_fsetxattr});
    } else {
        skip("access lists", "the file system has none");
    }
    in_child(given_to_owners, NULL);
    in_child(kept_by_their_maker, NULL);
    in_child(kept_to_be_read, NULL);
    in_child(giving_denied, NULL);
    in_child(never_given_to_another, NULL);
    return finish();
}
