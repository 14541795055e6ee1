/* What a backup does beside the main job: refuses, replaces, dry runs, leaves out, and what it never does. */
#include "recorder.h"

#define BACKUP "backups/licenses.tar.zst"

enum { MIB = 1024 * 1024 };

static void exists_and_overwrite(void)
{
    make_store("store", 12);
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    uint64_t first = digest(BACKUP);
    write_text("store/added.lic", "added later");
    CHECK_HR(backup("store", "backups", 0), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK(digest(BACKUP) == first);
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK(digest(BACKUP) != first);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK_HR(restore("with-added", "backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("with-added", "store");

    /* What is gone from the store, or has changed in it, is so in the next backup. */
    CHECK(unlink("store/added.lic") == 0);
    write_text("store/key-0000.lic", "changed");
    CHECK(rename("store/music/key-0001.lic", "store/video/moved.lic") == 0);
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(restore("with-changes", "backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("with-changes", "store");
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
}

/* Same size, same time, other bytes: no trick with times may hide a change made between two backups. */
static void changed_under_an_old_time(void)
{
    write_text("store/key-0003.lic", "AAAA");
    set_modified("store/key-0003.lic", 1234567890, 0);
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    write_text("store/key-0003.lic", "BBBB");
    set_modified("store/key-0003.lic", 1234567890, 0);
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(restore("old-time", "backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("old-time", "store");
}

/* The old file is never written into: a hard link keeps yesterday's backup. */
static void old_file_untouched(void)
{
    make_dir("yesterday");
    CHECK(link(BACKUP, "yesterday/licenses.tar.zst") == 0);
    uint64_t before = digest("yesterday/licenses.tar.zst");
    write_text("store/today.lic", "new today");
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK(digest("yesterday/licenses.tar.zst") == before);
    CHECK(digest(BACKUP) != before);
    CHECK_HR(verify("yesterday"), LICBAK_S_OK);
}

static void dry_run(void)
{
    recorder rec = {0};
    CHECK(mkfifo("store/pipe", 0600) == 0);
    char *before = tree(".");
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_total, 13);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "pipe: "), 1);

    /* It tells a failure too, with and without a place to write. */
    write_text("store/bad\\name.lic", "x");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_HRESULT_ERROR_INVALID_NAME);
    CHECK_HAS(error_message(r), "bad");
    CHECK(unlink("store/bad\\name.lic") == 0);
    CHECK_HR(licbak_remove_prop(r, "BackupPath"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);

    uint32_t leave_out = 1;
    CHECK_HR(licbak_set_prop(r, "UnstatedRight", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&leave_out, 4), LICBAK_S_OK);
    run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec);
    CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), 13);

    char *after = tree(".");
    CHECK_TEXT(after, before);
    free(before);
    free(after);
    CHECK(unlink("store/pipe") == 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* An empty store is more often a disk not mounted than a wish. */
static void empty_store(void)
{
    uint64_t before = digest(BACKUP);
    make_dir("nothing/but/folders");
    write_text("nothing/.hidden", "x");
    CHECK(symlink("../store/key-0000.lic", "nothing/link") == 0);
    make_dir("fresh");
    CHECK_HR(backup("nothing", "fresh", 0), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK_TEXT(entries("fresh"), "");
    CHECK_HR(backup("nothing", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK_HR(backup("nothing", "backups", LICBAK_DRY_RUN), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK(digest(BACKUP) == before);
}

static licbak_hresult LICBAK_CALL count_license(const licbak_license *license, void *context)
{
    (void)license;
    ++*(int *)context;
    return LICBAK_S_OK;
}

/* UnstatedRight 1: every licence is left out, and each told twice over: key ID, then name and reason. */
static void all_left_out(void)
{
    recorder rec = {0};
    uint32_t leave_out = 1;
    int listed = 0;
    make_store("denied", 9);
    make_dir("denied-backups");
    licbak_restorer *r = restorer_for("denied", "denied-backups");
    CHECK_HR(licbak_set_prop(r, "UnstatedRight", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&leave_out, 4), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK_TEXT(entries("denied-backups"), "");
    /* Each once, though a store that was written just now is listed twice. */
    CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), 9);
    CHECK_INT(final_figures(&rec).licenses_restricted, 9);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK_TEXT(entries("denied-backups"), "");

    CHECK_HR(backup("store", "denied-backups", 0), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_restricted, 9);
    CHECK_INT(final_figures(&rec).licenses_done, 0);
    CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), 9);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), 9);
    for (size_t i = 0; i < rec.count; i++) {
        if (rec.events[i].status == LICBAK_WMT_RESTRICTED_LICENSE) {
            size_t next = i + 1;
            while (rec.events[next].status == LICBAK_STATUS_PROGRESS) {
                next++;
            }
            CHECK_INT(rec.events[next].status, LICBAK_STATUS_LICENSE_LEFT_OUT);
            CHECK_HAS(rec.events[next].text, rec.events[i].text); /* of one and the same licence */
            CHECK_HAS(rec.events[next].text, ".lic: ");
        }
    }
    CHECK_INT(told(&rec, LICBAK_WMT_RESTRICTED_LICENSE, "key-0004"), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "music/key-0004.lic: "), 1);

    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_list_backup(r, count_license, &listed), LICBAK_S_OK);
    CHECK_INT(listed, 0);
    make_dir("denied-restored");
    CHECK_HR(restore("denied-restored", "denied-backups", 0), LICBAK_S_OK);
    CHECK_TEXT(entries("denied-restored"), "");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* 16 MiB is the largest licence; one byte more fails the backup and says which. */
static void too_large(void)
{
    recorder rec = {0};
    make_store("large", 3);
    write_text("large/sub/giant.lic", "");
    CHECK(truncate("large/sub/giant.lic", 16 * MIB + 1) == 0);
    make_dir("large-backups");
    licbak_restorer *r = restorer_for("large", "large-backups");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_HRESULT_ERROR_FILE_TOO_LARGE);
    CHECK_HAS(error_message(r), "sub/giant.lic");
    CHECK_TEXT(entries("large-backups"), "");
    CHECK(truncate("large/sub/giant.lic", 16 * MIB) == 0);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    remove_tree("large");
}

/* A backup that stands in the store is known by device and inode and not taken for a licence; another file
 * of its name is one. */
static void inside_the_store(void)
{
    recorder rec = {0};
    make_store("self", 6);
    write_text("self/sub/licenses.tar.zst", "a licence of that name");
    licbak_restorer *r = restorer_for("self", "self");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 7);
    CHECK(link("self/licenses.tar.zst", "self/music/linked") == 0); /* the same inode */
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 7);
    CHECK_INT(final_figures(&rec).licenses_total, 7);
    CHECK(unlink("self/music/linked") == 0);

    /* Below the store, and that of RestorePath likewise. */
    make_dir("self/backups");
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "self/backups"), LICBAK_S_OK);
    for (int i = 0; i < 2; i++) {
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
        CHECK_INT(final_figures(&rec).licenses_done, 7);
    }
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Another process's backup, which comes to its place while the store, which has that place, is being read: it is no
 * licence, and it is kept. */
static licbak_hresult replace_backup(recorder *rec, const event *e)
{
    if (e->status == LICBAK_STATUS_LICENSE_LEFT_OUT && exists("another")) {
        CHECK(rename("another", (const char *)rec->other) == 0);
    }
    return LICBAK_S_OK;
}

static void replaced_meanwhile(void)
{
    /* More links than may wait to be told, so that the end of the store is not read yet. */
    recorder rec = {.react = replace_backup, .other = "moved/z/licenses.tar.zst"};
    for (int i = 0; i < 12000; i++) {
        char path[64];
        snprintf(path, sizeof path, "moved/a-link-%05d", i);
        make_dir("moved/z");
        CHECK(symlink("nowhere", path) == 0);
    }
    write_text("moved/z/key.lic", "a licence");
    CHECK_HR(backup("moved", "moved/z", 0), LICBAK_S_OK);
    write_text("newer/key.lic", "a newer licence");
    make_dir("newer-backups");
    CHECK_HR(backup("newer", "newer-backups", 0), LICBAK_S_OK);
    CHECK(rename("newer-backups/licenses.tar.zst", "another") == 0);
    uint64_t newer = digest("another");
    licbak_restorer *r = restorer_for("moved", "moved/z");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK(!exists("another"));
    CHECK_INT(final_figures(&rec).licenses_done, 1);
    CHECK(digest("moved/z/licenses.tar.zst") == newer);
    CHECK_TEXT(entries("moved/z"), "key.lic licenses.tar.zst");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- equal bytes ----------------------------------------------------------------------------------------- */

/* All that the promise of equal bytes covers: everything but state.jsonl and what holds its digest. */
#define PROMISED "tar -xO --wildcards 'licenses/*' SHA256SUMS licenses.jsonl restricted.jsonl index"

static bool same_promised(const char *left, const char *right)
{
    char command[1024];
    snprintf(command, sizeof command,
             "zstd -dcq %s/licenses.tar.zst | " PROMISED " >left && zstd -dcq %s/licenses.tar.zst | " PROMISED
             " >right && test -s left && cmp -s left right", left, right);
    return system(command) == 0;
}

static void equal_bytes(void)
{
    static const struct {
        const char *store, *backups;
        uint32_t threads;
    } runs[] = {
        {"equal", "equal-1", 1}, {"equal", "equal-4", 4}, {"equal", "equal-16", 16}, {"equal-copy", "equal-copied", 3},
    };
    if (!has_zstd()) {
        skip("equal bytes", "zstd is not installed");
        return;
    }
    setenv("SOURCE_DATE_EPOCH", "1700000000", 1);
    for (int i = 0; i < 300; i++) {
        char path[64];
        snprintf(path, sizeof path, "equal/%d/%d.lic", i % 5, i);
        write_noise(path, (size_t)(i * 101 % 30000), (uint64_t)i);
    }
    CHECK(system("cp -a equal equal-copy") == 0);
    for (size_t i = 0; i < sizeof runs / sizeof runs[0]; i++) {
        recorder rec = {0};
        make_dir(runs[i].backups);
        licbak_restorer *r = restorer_for(runs[i].store, runs[i].backups);
        CHECK_HR(licbak_set_prop(r, "Threads", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&runs[i].threads, 4),
                 LICBAK_S_OK);
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_BACKUP_FULL, &rec), LICBAK_S_OK);
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        CHECK(i == 0 || same_promised("equal-1", runs[i].backups));
    }
    /* A full backup over an older one of other licences takes nothing over from it. */
    make_dir("equal-full");
    CHECK_HR(backup("store", "equal-full", 0), LICBAK_S_OK);
    CHECK_HR(backup("equal", "equal-full", LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK);
    CHECK(same_promised("equal-1", "equal-full"));
    unsetenv("SOURCE_DATE_EPOCH");
}

int main(void)
{
    begin("backup");
    exists_and_overwrite();
    changed_under_an_old_time();
    old_file_untouched();
    dry_run();
    empty_store();
    all_left_out();
    too_large();
    inside_the_store();
    replaced_meanwhile();
    equal_bytes();
    return finish();
}
