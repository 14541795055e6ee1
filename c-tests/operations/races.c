/* Processes against each other, and processes that are killed: what stands in the directory is the
 * old backup or the new one, what stands in the store is one whole version or the other, and the
 * next run cleans up. */
#include "../support/race.h"

static void first_wins(void)
{
    for (int round = 0; round < 15; round++) {
        make_dir("race");
        CHECK_INT(race(licbak_backup_licenses, "store", "race", 0, LICBAK_S_OK, LICBAK_NS_E_DRM_BACKUP_EXISTS), 1);
        CHECK_TEXT(entries("race"), "licenses.tar.zst");
        CHECK_HR(verify("race"), LICBAK_S_OK);
        remove_tree("race");
    }
}

static void all_overwrite(void)
{
    make_dir("race");
    for (int round = 0; round < 15; round++) { /* the first without a backup there */
        /* Each replaces the backup that was there when it began, and none that has come
         * meanwhile. */
        CHECK(race(licbak_backup_licenses, "store", "race", LICBAK_WM_BACKUP_OVERWRITE, LICBAK_S_OK,
                   LICBAK_NS_E_DRM_BACKUP_EXISTS) >= 1);
        CHECK_TEXT(entries("race"), "licenses.tar.zst");
        CHECK_HR(verify("race"), LICBAK_S_OK);
    }
}

static void restored_at_once(void)
{
    for (int round = 0; round < 40; round++) { /* every other time into a store that is not there yet */
        if (round % 2) {
            make_dir("raced");
        }
        CHECK_INT(race(licbak_restore_licenses, "raced", "race", 0, LICBAK_S_OK, LICBAK_S_OK), RACERS);
        CHECK_SAME_TREE("raced", "store");
        remove_tree("raced");
    }
}

/* -- killed ---------------------------------------------------------------------------------------------- */

/* Kills a child that runs `body` again and again; the moments are spread over 60 ms. */
static void kill_at(int round, void (*body)(void))
{
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(60);
        for (;;) {
            body();
        }
    }
    usleep((unsigned)(2000 + round * 7919 % 60000));
    CHECK(kill(child, SIGKILL) == 0);
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* and not by a failed check */
}

static void overwrite(void)
{
    CHECK_HR(backup("store", "killed", LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK);
}

static void overwrite_with_other(void)
{
    CHECK_HR(backup("other", "killed", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    overwrite();
}

static void backup_killed(void)
{
    make_dir("killed");
    for (int round = 0; round < 40; round++) {
        kill_at(round, round % 2 ? overwrite : overwrite_with_other);
        CHECK(!exists("killed/licenses.tar.zst") || verify("killed") == LICBAK_S_OK);
        if (round % 4 == 3) { /* leftovers pile up before the next run */
            CHECK_HR(backup("store", "killed", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
            CHECK_TEXT(entries("killed"), "licenses.tar.zst");
            CHECK_HR(verify("killed"), LICBAK_S_OK);
        }
    }
    CHECK(restore("from-killed", "killed", 0) == LICBAK_S_OK);
    CHECK_SAME_TREE("from-killed", "store");
}

static void restore_both(void)
{
    CHECK_HR(restore("torn", "race", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(restore("torn", "other-backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
}

/* Each licence is one version or the other, never a part of one. */
static int check_whole(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st, (void)ftw;
    const char *name = path + strlen("torn");
    if (type == FTW_F && strstr(name, "/.") == NULL) {
        char left[PATH_MAX], right[PATH_MAX];
        snprintf(left, sizeof left, "store%s", name);
        snprintf(right, sizeof right, "other%s", name);
        CHECK(same_file(path, left) || same_file(path, right));
    }
    return 0;
}

static void restore_killed(void)
{
    for (int round = 0; round < 40; round++) {
        kill_at(round, restore_both);
        if (exists("torn")) {
            CHECK(nftw("torn", check_whole, 16, FTW_PHYS) == 0);
        }
        if (round % 4 == 3) {
            CHECK_HR(restore("torn", "race", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
            CHECK_SAME_TREE("torn", "store"); /* no hidden folder either */
        }
        if (round % 8 == 7) {
            remove_tree("torn");
        }
    }
}

/* What looks like a leftover but is held by a running backup, or is not ours to remove, stays. */
static void leftovers(void)
{
    static const char *const strange[] = {
        ".licenses.tar.zst.", ".licenses.tar.zst.0123456789abcde", ".licenses.tar.zst.0123456789abcdefg",
        ".licenses.tar.zst.0123456789abcdeg", "licenses.tar.zst.0123456789abcdef", ".other.0123456789abcdef",
    };
    enum { STRANGE = sizeof strange / sizeof strange[0] };
    make_dir("leftovers");
    for (int i = 0; i < STRANGE; i++) {
        char path[64];
        snprintf(path, sizeof path, "leftovers/%s", strange[i]);
        write_text(path, "somebody's");
    }
    write_text("leftovers/.licenses.tar.zst.0123456789abcdef", "left by a kill");
    CHECK_HR(backup("store", "leftovers", 0), LICBAK_S_OK);
    for (int i = 0; i < STRANGE; i++) {
        char path[64];
        snprintf(path, sizeof path, "leftovers/%s", strange[i]);
        CHECK(exists(path));
    }
    CHECK(!exists("leftovers/.licenses.tar.zst.0123456789abcdef"));
    if (geteuid() == 0) {
        write_text("leftovers/.licenses.tar.zst.fedcba9876543210", "another user's");
        CHECK(chown("leftovers/.licenses.tar.zst.fedcba9876543210", 1234, 1234) == 0);
        CHECK_HR(backup("store", "leftovers", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
        CHECK(exists("leftovers/.licenses.tar.zst.fedcba9876543210"));
    } else {
        skip("another user's leftover", "not root");
    }
}

int main(void)
{
    begin("races");
    make_store("store", 60);
    make_store("other", 60);
    for (int i = 0; i < 60; i += 3) { /* another version of some, longer than one block */
        char path[64];
        snprintf(path, sizeof path, "other/key-%04d.lic", i);
        write_noise(path, 20000, (uint64_t)i);
    }
    make_dir("other-backups");
    CHECK_HR(backup("other", "other-backups", 0), LICBAK_S_OK);
    first_wins();
    all_overwrite();
    restored_at_once();
    backup_killed();
    restore_killed();
    leftovers();
    return finish();
}
