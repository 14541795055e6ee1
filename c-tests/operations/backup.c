/* What a backup does beside the main job: refuses, replaces, dry runs, leaves out, and what it never does. */
#include "../support/recorder.h"

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

    /* Below the store, and so that of RestorePath. */
    make_dir("self/backups");
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "self/backups"), LICBAK_S_OK);
    for (int i = 0; i < 2; i++) {
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
        CHECK_INT(final_figures(&rec).licenses_done, 7);
    }
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Any backup is known by what it holds, whatever its name, and is no licence; what only has the name of one, or is a
 * part of one, is. */
static void other_backups(void)
{
    static const char *const left_out[] = {"keep/yesterday.bin: ", "music/copy.lic: ", "large.lic: "};
    recorder rec = {0};
    size_t size;
    make_store("others", 6);
    make_store("others-of", 3);
    make_dir("others-backups");
    make_dir("others/keep");
    licbak_restorer *r = restorer_for("others", "others-backups");
    CHECK_HR(backup("others-of", "others-backups", 0), LICBAK_S_OK);
    CHECK(link("others-backups/licenses.tar.zst", "others/keep/yesterday.bin") == 0);
    uint8_t *bytes = read_file("others-backups/licenses.tar.zst", &size);
    CHECK(unlink("others-backups/licenses.tar.zst") == 0);
    write_file("others/music/copy.lic", bytes, size);
    write_file("others/music/half.lic", bytes, size / 2);
    write_file("others/video/licenses.tar.zst", "a licence of that name", 22);
    free(bytes);
    write_noise("others-of/1.lic", 9 * MIB, 1);
    write_noise("others-of/2.lic", 9 * MIB, 2);
    CHECK_HR(backup("others-of", "others-backups", 0), LICBAK_S_OK);
    CHECK(size_of("others-backups/licenses.tar.zst") > 16 * MIB);
    CHECK(rename("others-backups/licenses.tar.zst", "others/large.lic") == 0);

    for (int i = 0; i < 3; i++) {
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | (i == 1 ? LICBAK_BACKUP_FULL : 0), &rec),
                 LICBAK_S_OK);
        CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), 3);
        for (size_t n = 0; n < 3; n++) {
            CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, left_out[n]), 1);
        }
        for (size_t n = 0; n < rec.count; n++) {
            if (rec.events[n].status == LICBAK_STATUS_LICENSE_LEFT_OUT) {
                CHECK_HAS(strchr(rec.events[n].text, ':'), "backup");
            }
        }
        CHECK_INT(final_figures(&rec).licenses_done, 8);
        CHECK_INT(final_figures(&rec).licenses_total, 8);
        CHECK_INT(final_figures(&rec).licenses_restricted, 0);
        CHECK_HR(verify("others-backups"), LICBAK_S_OK);
    }
    CHECK_HR(restore("others-restored", "others-backups", 0), LICBAK_S_OK);
    CHECK(unlink("others/keep/yesterday.bin") == 0 && rmdir("others/keep") == 0);
    CHECK(unlink("others/music/copy.lic") == 0 && unlink("others/large.lic") == 0);
    CHECK_SAME_TREE("others-restored", "others");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    remove_tree("others-of");
}

/* What another process does to the backup while the store, which has its place, is being read. */
static licbak_hresult change_backup(recorder *rec, const event *e)
{
    void (**change)(void) = rec->other;
    if (e->status == LICBAK_STATUS_LICENSE_LEFT_OUT && *change != NULL) {
        (*change)();
        *change = NULL;
    }
    return LICBAK_S_OK;
}

static licbak_hresult overwrite_while(void (*change)(void))
{
    recorder rec = {.react = change_backup, .other = &change};
    licbak_restorer *r = restorer_for("moved", "moved/z");
    licbak_hresult hr = run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
    CHECK(change == NULL);
    CHECK_INT(final_figures(&rec).licenses_done, 1); /* a backup is no licence, whenever it came */
    CHECK_TEXT(entries("moved/z"), "key.lic licenses.tar.zst");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return hr;
}

static void put_another(void)
{
    CHECK(rename("another", "moved/z/licenses.tar.zst") == 0);
}

static void remove_backup(void)
{
    CHECK(unlink("moved/z/licenses.tar.zst") == 0);
}

/* What is replaced is the backup that was there at the start; none is one, too. */
static void replaced_meanwhile(void)
{
    /* More links than may wait to be told, so that the end of the store is not read yet. */
    make_dir("moved/z");
    for (int i = 0; i < 12000; i++) {
        char path[64];
        snprintf(path, sizeof path, "moved/a-link-%05d", i);
        CHECK(symlink("nowhere", path) == 0);
    }
    write_text("moved/z/key.lic", "a licence");
    write_text("newer/key.lic", "a newer licence");
    make_dir("newer-backups");
    for (int i = 0; i < 2; i++) {
        CHECK_HR(backup("newer", "newer-backups", 0), LICBAK_S_OK);
        CHECK(rename("newer-backups/licenses.tar.zst", "another") == 0);
        uint64_t newer = digest("another");
        CHECK(exists("moved/z/licenses.tar.zst") == (i == 1));
        CHECK_HR(overwrite_while(put_another), LICBAK_NS_E_DRM_BACKUP_EXISTS);
        CHECK(digest("moved/z/licenses.tar.zst") == newer);
    }
    CHECK_HR(overwrite_while(remove_backup), LICBAK_S_OK);
    CHECK_HR(verify("moved/z"), LICBAK_S_OK);
    CHECK_HR(restore("moved-restored", "moved/z", 0), LICBAK_S_OK);
    CHECK_TEXT(entries("moved-restored/z"), "key.lic");
    CHECK(same_file("moved-restored/z/key.lic", "moved/z/key.lic"));
}

/* -- files of the kernel ----------------------------------------------------------------------------------- */

/* Reads to the end, whatever size the file says it has; false where it can't be read. */
static bool read_to_end(const char *path, char content[8192])
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t size = file < 0 ? -1 : read(file, content, 8191);
    CHECK(file < 0 || close(file) == 0);
    content[size < 0 ? 0 : size] = '\0';
    return size >= 0;
}

/* Backs the folder up and restores it, and compares those of the files that hold the same before and after; gives
 * how many these are. */
static int saved_as_read(const char *folder, const char *const names[], size_t count)
{
    static char before[16][8192], now[8192], restored[8192];
    bool same[16] = {false};
    int compared = 0;
    CHECK(count <= 16);
    for (size_t i = 0; i < count; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        same[i] = read_to_end(path, before[i]);
    }
    make_dir("kernel-backups");
    CHECK_HR(backup(folder, "kernel-backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(verify("kernel-backups"), LICBAK_S_OK);
    CHECK_HR(restore("kernel-restored", "kernel-backups", 0), LICBAK_S_OK);
    for (size_t i = 0; i < count; i++) {
        char path[256];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        if (same[i] && read_to_end(path, now) && strcmp(now, before[i]) == 0) {
            snprintf(path, sizeof path, "kernel-restored/%s", names[i]);
            CHECK(read_to_end(path, restored));
            CHECK_TEXT(restored, now);
            compared++;
        }
    }
    remove_tree("kernel-restored");
    return compared;
}

/* A file's size may read 0, or a page, whatever it holds. */
static void sizes_that_tell_nothing(void)
{
    static const char random[] = "/proc/sys/kernel/random", pages[] = "/sys/kernel/mm/transparent_hugepage";
    static const char *const of_random[] = {"boot_id", "poolsize"};
    static const char *const of_pages[] = {"enabled", "defrag", "hpage_pmd_size", "khugepaged/pages_to_scan"};
    if (access("/proc/sys/kernel/random/boot_id", R_OK) == 0 && size_of("/proc/sys/kernel/random/boot_id") == 0) {
        CHECK(saved_as_read(random, of_random, 2) >= 1);
    } else {
        skip("files of no size", random);
    }
    if (access("/sys/kernel/mm/transparent_hugepage/enabled", R_OK) == 0 &&
        size_of("/sys/kernel/mm/transparent_hugepage/enabled") == 4096) {
        CHECK(saved_as_read(pages, of_pages, 4) >= 1);
    } else {
        skip("files of a page's size", pages);
    }
}

/* -- equal bytes ----------------------------------------------------------------------------------------- */

/* All that the promise of equal bytes covers: everything but the state and what holds its digest. */
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
    /* Licences that are older are read in another way. */
    sleep_ms(3100);
    make_dir("equal-settled");
    CHECK_HR(backup("equal", "equal-settled", 0), LICBAK_S_OK);
    CHECK(same_promised("equal-1", "equal-settled"));
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
    other_backups();
    replaced_meanwhile();
    sizes_that_tell_nothing();
    equal_bytes();
    return finish();
}
