/* A backup over a backup takes over what has not changed, and nothing else: whatever was changed in
 * the store, the new backup is what a full one would be. */
#include "../support/repeat.h"

/* -- nothing has changed ---------------------------------------------------------------------------------- */

static void check_figures_of_all(uint32_t flags)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | flags, &rec), LICBAK_S_OK);
    const licbak_progress figures = final_figures(&rec);
    long long content = 0;
    for (int i = 0; i < MANY; i++) {
        content += size_of(path_of("store", i));
    }
    CHECK_INT(figures.licenses_total, MANY);
    CHECK_INT(figures.licenses_done, MANY);
    CHECK_INT(figures.content_bytes, content);
    CHECK_INT(figures.backup_bytes, size_of(BACKUP));
    CHECK_INT(figures.licenses_restricted, 0);
    CHECK_INT(figures.phase_total, figures.phase_done);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void nothing_changed(void)
{
    CHECK_INT(repeat_read("store", "backups", 0), MANY); /* there is none to take over from */
    check_backup("backups", "store");
    long long size = size_of(BACKUP);
    for (int i = 0; i < 3; i++) {
        CHECK_INT(repeat_read("store", "backups", 0), 0);
        CHECK_INT(size_of(BACKUP), size);
    }
    check_backup("backups", "store");
    check_figures_of_all(0);
    check_figures_of_all(LICBAK_BACKUP_FULL);
    CHECK_INT(repeat_read("store", "backups", LICBAK_BACKUP_FULL), MANY);
    CHECK_INT(repeat_read("store", "backups", 0), 0);
    check_whole("backups", "store");
}

/* Where too much has changed, all is read again. */
static void much_changed(void)
{
    for (int i = 0; i < MANY; i += 2) {
        write_license("store", i, LARGE, 1);
    }
    size_t read = repeat_read("store", "backups", 0);
    check_backup("backups", "store");
    CHECK_INT(repeat_read("store", "backups", LICBAK_BACKUP_FULL), read);
}

/* -- each kind of change ---------------------------------------------------------------------------------- */

static void content(void)
{
    write_noise(path_of("store", 1), (size_t)size_of(path_of("store", 1)), 4711);
}

/* No trick with times hides a change. */
static void content_of_an_old_time(void)
{
    struct stat st;
    CHECK(stat(path_of("store", 2), &st) == 0);
    write_noise(path_of("store", 2), (size_t)st.st_size, 4712);
    set_modified(path_of("store", 2), st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static void size(void)
{
    write_license("store", 3, LARGE / 2, 0);
}

static void time_of_modification(void)
{
    set_modified(path_of("store", 4), 1500000000, 1);
}

static void mode(void)
{
    CHECK(chmod(path_of("store", 5), 0640) == 0);
}

/* As a good host replaces a licence; the new file has the old one's time and size. */
static void replaced(void)
{
    struct stat st;
    CHECK(stat(path_of("store", 6), &st) == 0);
    write_noise("store/.new", (size_t)st.st_size, 4713);
    set_modified("store/.new", st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
    CHECK(rename("store/.new", path_of("store", 6)) == 0);
}

static void renamed(void)
{
    CHECK(rename(path_of("store", 7), "store/f0/renamed.lic") == 0);
}

static void moved(void)
{
    CHECK(rename(path_of("store", 8), "store/f4/moved.lic") == 0);
}

/* Each has what the other had. */
static void swapped(void)
{
    CHECK(rename(path_of("store", 9), "store/.other") == 0);
    CHECK(rename(path_of("store", 10), path_of("store", 9)) == 0);
    CHECK(rename("store/.other", path_of("store", 10)) == 0);
}

static void added(void)
{
    write_noise("store/added.lic", 100, 4714);
    write_noise("store/f0/empty.lic", 0, 0);
}

static void gone(void)
{
    CHECK(unlink(path_of("store", 11)) == 0);
}

static void folder_added(void)
{
    for (int i = 0; i < 9; i++) {
        char path[64];
        snprintf(path, sizeof path, "store/n/e/w/%d.lic", i);
        write_noise(path, 1000, (uint64_t)(5000 + i));
    }
}

static void folder_gone(void)
{
    remove_tree("store/n");
}

static void folder_renamed(void)
{
    CHECK(rename("store/f1", "store/g") == 0);
}

static void folder_renamed_back(void)
{
    CHECK(rename("store/g", "store/f1") == 0);
}

static void file_to_folder(void)
{
    char path[PATH_MAX];
    CHECK(unlink(path_of("store", 12)) == 0);
    snprintf(path, sizeof path, "%s/inner.lic", path_of("store", 12));
    write_text(path, "a licence in a folder");
}

static void folder_to_file(void)
{
    remove_tree(path_of("store", 12));
    write_license("store", 12, LARGE, 0);
}

static void link_added(void)
{
    CHECK(link(path_of("store", 13), "store/f0/linked.lic") == 0);
}

static void file_to_link(void)
{
    CHECK(unlink("store/f0/linked.lic") == 0);
    CHECK(symlink("renamed.lic", "store/f0/linked.lic") == 0);
}

static void link_gone(void)
{
    CHECK(unlink("store/f0/linked.lic") == 0);
}

/* The licence of the first change, as it was at first, with its time. */
static void as_it_was(void)
{
    write_license("store", 1, LARGE, 0);
}

static const struct {
    const char *what;
    void (*change)(void);
    const char *read[3]; /* that are read because of it */
    bool again;          /* a frame is made anew, so that others are read too */
} changes[] = {
    {"content", content, {"f0/key-00001.lic"}, false},
    {"content with an old time", content_of_an_old_time, {"f0/key-00002.lic"}, false},
    {"size", size, {"f0/key-00003.lic"}, false},
    {"time", time_of_modification, {"f0/key-00004.lic"}, false},
    {"mode", mode, {"f0/key-00005.lic"}, false},
    {"replaced", replaced, {"f0/key-00006.lic"}, false},
    {"added", added, {"added.lic", "f0/empty.lic"}, false},
    {"as it was", as_it_was, {"f0/key-00001.lic"}, false},
    {"a folder more", folder_added, {"n/e/w/0.lic", "n/e/w/8.lic"}, false},
    {"hard link", link_added, {"f0/key-00013.lic", "f0/linked.lic"}, false},
    {"swapped", swapped, {"f0/key-00009.lic", "f0/key-00010.lic"}, false},
    {"renamed", renamed, {"f0/renamed.lic"}, true},
    {"moved", moved, {"f4/moved.lic"}, true},
    {"gone", gone, {NULL}, true},
    {"a folder less", folder_gone, {NULL}, true},
    {"a folder renamed", folder_renamed, {"g/key-00064.lic", "g/key-00127.lic"}, true},
    {"and back", folder_renamed_back, {"f1/key-00064.lic", "f1/key-00127.lic"}, true},
    {"a file to a folder", file_to_folder, {"f0/key-00012.lic/inner.lic"}, true},
    {"a folder to a file", folder_to_file, {"f0/key-00012.lic"}, true},
    {"a file to a link", file_to_link, {NULL}, true},
    {"the link gone", link_gone, {NULL}, false},
};

/* What changed less than three seconds ago is read each time, so the figures are bounds; that no
 * more is read is seen for each change at least where what was taken over is older. */
static void each_change(void)
{
    size_t few = 0;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        changes[i].change();
        watch w = watch_below("store");
        CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
        watched(&w);
        snprintf(check_said, sizeof check_said, "(the change: %s)", changes[i].what);
        for (size_t n = 0; n < 3 && changes[i].read[n] != NULL; n++) {
            CHECK(was_opened(&w, changes[i].read[n]));
        }
        few += w.count < 40;
        CHECK(changes[i].again ? w.count < MANY : w.count < 40); /* never all again */
        free_watch(&w);
        check_backup("backups", "store");
    }
    CHECK(few >= 11);
    remove_tree("restored");
    CHECK_HR(restore("restored", "backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("restored", "store");
}

/* The first and the newest licence, by their key IDs; of those that went none. */
static void one_license(void)
{
    static const char *const there[] = {"renamed", "moved", "added", "key-00001", "key-00319"};
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++) {
        CHECK_HR(restore_one("single", "backups", there[i]), LICBAK_S_OK);
    }
    CHECK(same_file("single/f0/key-00001.lic", path_of("store", 1)));
    CHECK(same_file("single/f4/key-00319.lic", path_of("store", 319)));
    CHECK(same_file("single/f4/moved.lic", "store/f4/moved.lic"));
    static const char *const not_there[] = {"key-00007", "key-00008", "key-00011", "inner", "linked"};
    for (size_t i = 0; i < sizeof not_there / sizeof not_there[0]; i++) {
        CHECK_HR(restore_one("single", "backups", not_there[i]), LICBAK_HRESULT_ERROR_NOT_FOUND);
    }
}

/* -- what was written just now ---------------------------------------------------------------------------- */

/* It may be written to again and look the same, so it is read again. */
static void fresh(void)
{
    for (int version = 0; version < 5; version++) {
        write_noise("store/fresh.lic", 1000, (uint64_t)(6000 + version));
        set_modified("store/fresh.lic", 1234567890, 1);
        watch w = watch_below("store");
        CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
        watched(&w);
        CHECK(was_opened(&w, "fresh.lic"));
        free_watch(&w);
        check_whole("backups", "store");
    }
    /* A time to come is no reason to rely on a file either. */
    write_text("store/from the future.lic", "a licence");
    set_modified("store/from the future.lic", time(NULL) + 3600, 0);
    CHECK(repeat_read("store", "backups", 0) > 1);
    settle();
    CHECK(repeat_read("store", "backups", 0) > 1); /* what the last backup has of them may not be what is there */
    CHECK_INT(repeat_read("store", "backups", 0), 1);
    CHECK_INT(repeat_read("store", "backups", 0), 1);
    check_whole("backups", "store");
    CHECK(unlink("store/from the future.lic") == 0); /* tar would warn of it */
}

int main(void)
{
    begin("repeat");
    make_many("store", LARGE);
    make_dir("backups");
    settle();
    nothing_changed();
    each_change();
    one_license();
    fresh();
    much_changed();
    return finish();
}
