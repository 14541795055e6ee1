/* The main job: a store is backed up, the backup verified, and restored byte for byte into
 * nothing. */
#include "../support/recorder.h"

enum { MIB = 1024 * 1024 };

/* Makes a store of everything that a store may hold, and says how many licences that is. */
static int make_everything(const char *store)
{
    static const char *const names[] = {
        "plain.lic", "no extension", "two.dots.lic", "-dash", "~", "a b  c ", "100%.lic", "tab?*|<>:\".lic",
        "Schlüssel.lic", "\xE9\x8D\xB5/\xF0\x9F\x94\x91.lic", "e\xCC\x81.lic", "\xC3\xA9.lic",
        "deep/er/and/deep/er/still/key.lic", "deep/er.lic", "a-b.lic", "a/b.lic", "a.lic", "a0.lic",
        "licenses/licenses/key.lic", "SHA256SUMS", "licenses.jsonl", "backup.json", "sub/licenses.tar.zst",
    };
    int count = 0;
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++, count++) {
        snprintf(path, sizeof path, "%s/%s", store, names[i]);
        write_noise(path, 37 * i + 1, i);
        set_modified(path, 1700000000 + (int64_t)i, (long)(i * 41152263));
    }

    /* Names about where tar's 100 bytes, and its 155 before a slash, run out. */
    for (int length = 95; length <= 255; length += length < 105 || length > 250 ? 1 : 10, count++) {
        int at = snprintf(path, sizeof path, "%s/", store);
        memset(path + at, 'n', (size_t)length);
        path[at + length] = '\0';
        write_text(path, path);
    }
    for (int folder = 150; folder <= 160; folder++) {
        for (int length = 98; length <= 102; length++, count++) {
            int at = snprintf(path, sizeof path, "%s/", store);
            memset(path + at, 'f', (size_t)folder);
            path[at + folder] = '/';
            memset(path + at + folder + 1, 'n', (size_t)length);
            path[at + folder + 1 + length] = '\0';
            write_text(path, path);
        }
    }
    int at = snprintf(path, sizeof path, "%s", store); /* 4,000 bytes: the longest */
    for (int part = 0; part < 16; part++) {
        path[at++] = '/';
        memset(path + at, 'a' + part, part < 15 ? 249 : 250);
        at += part < 15 ? 249 : 250;
    }
    path[at] = '\0';
    CHECK_INT(strlen(path) - strlen(store) - 1, 4000);
    write_text(path, "the longest name");
    snprintf(path, sizeof path, "%s/empty.lic", store);
    write_text(path, "");
    snprintf(path, sizeof path, "%s/largest.lic", store);
    write_noise(path, 16 * MIB, 7);
    snprintf(path, sizeof path, "%s/zeros.lic", store); /* larger than many buffers, and compresses to nothing */
    write_text(path, "");
    CHECK(truncate(path, 3 * MIB + 1) == 0);
    count += 4;

    /* Times: the first, the odd, the far. */
    static const struct {
        int64_t seconds;
        long nanoseconds;
    } times[] = {{0, 1}, {1, 999999999}, {-1, 500000000}, {2147483648, 5}, {4102444800, 123456789}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++, count++) {
        snprintf(path, sizeof path, "%s/times/%zu.lic", store, i);
        write_text(path, "time");
        set_modified(path, times[i].seconds, times[i].nanoseconds);
    }

    return count;
}

static long long bytes_below(const char *directory)
{
    long long bytes = 0;
    char *text = tree(directory);
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        const char *size = strstr(line, ": ");
        if (line[strlen(line) - 1] != '/') {
            bytes += atoll(size + 2);
        }
    }
    free(text);
    return bytes;
}

/* Demands private modes of everything below a directory, itself excepted. */
static int check_private(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)path;
    if (ftw->level > 0) {
        CHECK_INT(st->st_mode & 07777, type == FTW_D ? 0700 : 0600);
    }
    return 0;
}

static void whole(void)
{
    recorder rec = {0};
    int licenses = make_everything("store");
    make_dir("backups");
    long long bytes = bytes_below("store");
    char *before = tree("store");
    umask(0); /* modes do not rest on it */

    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK_INT(mode_of("backups/licenses.tar.zst"), 0600);
    licbak_progress figures = final_figures(&rec);
    CHECK_INT(figures.licenses_total, licenses);
    CHECK_INT(figures.licenses_done, licenses);
    CHECK_INT(figures.licenses_restricted, 0);
    CHECK_INT(figures.licenses_kept, 0);
    CHECK_INT(figures.licenses_damaged, 0);
    CHECK_INT(figures.licenses_gone, 0);
    CHECK_INT(figures.content_bytes, bytes);
    CHECK_INT(figures.backup_bytes, size_of("backups/licenses.tar.zst"));
    CHECK_INT(rec.count, 2 + count_of(&rec, LICBAK_STATUS_PROGRESS)); /* BEGIN, END, nothing to tell */
    char *after = tree("store");
    CHECK_TEXT(after, before);
    free(before);
    free(after);

    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    figures = final_figures(&rec);
    CHECK_INT(figures.licenses_total, licenses);
    CHECK_INT(figures.licenses_done, licenses);
    CHECK_INT(figures.licenses_damaged, 0);
    CHECK_INT(figures.content_bytes, bytes);

    /* Into a directory that is there and empty, and into one that is not there yet. */
    make_dir("empty");
    static const char *const into[] = {"empty", "new"};
    for (int i = 0; i < 2; i++) {
        CHECK_HR(licbak_set_prop_string(r, "StorePath", into[i]), LICBAK_S_OK);
        CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
        figures = final_figures(&rec);
        CHECK_INT(figures.licenses_total, licenses);
        CHECK_INT(figures.licenses_done, licenses);
        CHECK_INT(figures.licenses_kept, 0);
        CHECK_INT(figures.licenses_gone, 0);
        CHECK_INT(rec.count, 2 + count_of(&rec, LICBAK_STATUS_PROGRESS));
        CHECK_SAME_TREE(into[i], "store");
        CHECK(nftw(into[i], check_private, 16, FTW_PHYS) == 0);
    }
    CHECK_INT(mode_of("new"), 0700);
    CHECK_INT(mode_of("empty"), 0755);
    umask(022);

    /* What was restored makes the same backup again. */
    make_dir("again");
    CHECK_HR(backup("new", "again", 0), LICBAK_S_OK);
    CHECK_HR(restore("third", "again", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("third", "store");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    remove_tree("store");
    remove_tree("empty");
    remove_tree("new");
    remove_tree("third");
}

/* Absolute paths, a path that is a symlink, and one with a slash at its end. */
static void paths(void)
{
    char absolute[PATH_MAX + 32], back[PATH_MAX + 32];
    make_store("real", 9);
    make_dir("elsewhere");
    CHECK(symlink("real", "link") == 0);
    CHECK(symlink("elsewhere", "backup-link") == 0);
    snprintf(absolute, sizeof absolute, "%s/link", check_directory);
    snprintf(back, sizeof back, "%s/backup-link/", check_directory);
    CHECK_HR(backup(absolute, back, 0), LICBAK_S_OK);
    CHECK(exists("elsewhere/licenses.tar.zst"));
    CHECK_HR(verify("backup-link"), LICBAK_S_OK);
    make_dir("target");
    CHECK(symlink("target", "target-link") == 0);
    CHECK_HR(restore("target-link/", back, 0), LICBAK_S_OK);
    CHECK_SAME_TREE("target", "real");
}

/* A store with more in it than one frame, so that all workers have work, and with few or many of
 * them. */
static void workers(void)
{
    static const uint32_t threads[] = {1, 2, 16, 256};
    recorder rec = {0};
    for (int i = 0; i < 400; i++) {
        char path[64];
        snprintf(path, sizeof path, "many/%d/%d.lic", i % 7, i);
        write_noise(path, (size_t)(i * 257 % 50000), (uint64_t)i);
    }
    make_dir("many-backups");
    for (size_t i = 0; i < sizeof threads / sizeof threads[0]; i++) {
        licbak_restorer *r = restorer_for("many", "many-backups");
        CHECK_HR(licbak_set_prop(r, "Threads", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&threads[i], 4), LICBAK_S_OK);
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL, &rec), LICBAK_S_OK);
        CHECK_INT(final_figures(&rec).licenses_done, 400);
        CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
        CHECK_HR(licbak_set_prop_string(r, "StorePath", "many-restored"), LICBAK_S_OK);
        CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
        CHECK_SAME_TREE("many-restored", "many");
        remove_tree("many-restored");
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    forget(&rec);
}

int main(void)
{
    begin("roundtrip");
    whole();
    paths();
    workers();
    return finish();
}
