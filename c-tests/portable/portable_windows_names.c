/* Names that a backup may have and Windows can't keep in a folder: a restore of them is refused
 * there, before anything is written. Elsewhere they are names like others, and a database or a
 * host takes them everywhere.
 */
#include "../support/host.h"

#ifdef _WIN32
#define AS_A_FILE LICBAK_HRESULT_ERROR_INVALID_NAME
#else
#define AS_A_FILE LICBAK_S_OK
#endif

static recorder rec = {.may_roll_back = true};

/* Makes a backup of a good licence and two others; NULL: one. */
static void make_backup(const char *name, const char *twin)
{
    host h = {0};
    host_add(&h, "0/good.lic", "good", "good", 1600000000000000000, LICBAK_RIGHT_ALLOWED);
    host_add(&h, name, "the name", "content", 1600000000000000000, LICBAK_RIGHT_ALLOWED);
    if (twin != NULL) {
        host_add(&h, twin, "the twin", "another content", 1600000000000000000, LICBAK_RIGHT_ALLOWED);
    }
    remove_tree("backups");
    make_dir("backups");
    CHECK_HR(run_host(licbak_backup_licenses, &h, "backups", 0, &rec), LICBAK_S_OK);
    host_forget(&h);
}

static licbak_hresult LICBAK_CALL restore_good(licbak_restorer *r, uint32_t flags, licbak_status_callback callback,
                                               void *context)
{
    return licbak_restore_license(r, "good", flags, callback, context);
}

/* Restores into a store that has a licence already, where a refusal changes nothing; and into a new
 * one. */
static void restore_into_folders(const char *name, licbak_hresult expected)
{
    remove_tree("restored");
    write_text("restored/in-use.lic", "in use");
    licbak_restorer *r = restorer_for("restored", "backups");
    const uint32_t flags[] = {0, LICBAK_RESTORE_OVERWRITE};
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_DRY_RUN, &rec), expected);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        licbak_hresult hr = run(licbak_restore_licenses, r, flags[i], &rec);
        if (hr != expected) {
            check_fail(__FILE__, __LINE__, "restore of '%s' with flags 0x%X: expected %s, got %s", name,
                       (unsigned)flags[i], licbak_hresult_name(expected), hresult_name(hr));
        }
        if (expected != LICBAK_S_OK) {
            CHECK_TEXT(entries("restored"), "in-use.lic");
            CHECK_INT(size_of("restored/in-use.lic"), 6);
        }
    }
    CHECK_HR(run(restore_good, r, 0, &rec), LICBAK_S_OK); /* it can be had all the same */
    CHECK_TEXT(entries("restored/0"), "good.lic");
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "new"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), expected);
    CHECK(expected == LICBAK_S_OK || !exists("new") || entries("new")[0] == '\0');
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    remove_tree("new");
}

static void restore_elsewhere(size_t count)
{
    host h = {0};
    CHECK_HR(run_host(licbak_restore_licenses, &h, "backups", 0, &rec), LICBAK_S_OK);
    CHECK_INT(h.count, count);
    host_forget(&h);
    CHECK_HR(restore("x.db", "backups", 0), LICBAK_S_OK);
    make_dir("of-database");
    CHECK_HR(backup("x.db", "of-database", 0), LICBAK_S_OK);
    CHECK_HR(run_host(licbak_restore_licenses, &h, "of-database", 0, &rec), LICBAK_S_OK);
    CHECK_INT(h.count, count);
    host_forget(&h);
    remove_tree("of-database");
    CHECK(remove_file("x.db"));
}

/* -- the names ------------------------------------------------------------------------------------------- */

static void unkeepable(void)
{
    static const char *const names[] = {
        "CON", "con", "nul.txt", "PRN.lic", "AUX", "COM1", "com9.tar.lic", "LPT1", "lpt9.lic", "folder/NUL",
        "CON/below.lic", "COM\xC2\xB9", "CONIN$", "CONOUT$", "NUL .txt",
        "dot.", "dots...", "folder./below.lic", "blank ", "folder /below.lic", "blank.lic ",
        "a:b", "a.lic:stream", "C:a", "a*b", "a?b", "a\"b", "a<b", "a>b", "a|b", "folder|/below.lic",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        make_backup(names[i], NULL);
        restore_into_folders(names[i], AS_A_FILE);
        if (i % 10 == 0) {
            restore_elsewhere(2);
        }
    }
}

static void keepable(void)
{
    static const char *const names[] = {"CONSOLE", "com", "COM10", "COM0x", "nullable.lic", "xCON", "lpt.lic",
                                        " blank before", "a.b..c", "semi;colon", "per%cent", "(a)[b]{c}", "~$a", "LPT"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        make_backup(names[i], NULL);
        restore_into_folders(names[i], LICBAK_S_OK);
    }
}

/* Two names that differ in case alone are one file for Windows. */
static void twins(void)
{
    static const char *const pairs[][2] = {
        {"Key", "key"},
        {"folder/a.lic", "folder/A.lic"},
        {"\xC3\x89t\xC3\xA9", "\xC3\xA9t\xC3\xA9"},
        {"\xD0\x9A.lic", "\xD0\xBA.lic"},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        make_backup(pairs[i][0], pairs[i][1]);
        restore_into_folders(pairs[i][0], AS_A_FILE);
        restore_elsewhere(3);
    }
    /* One is there already, and would be taken for the other. */
    make_backup("KEY", "key");
    remove_tree("twin");
    write_text("twin/KEY", "content");
    CHECK_HR(restore("twin", "backups", LICBAK_RESTORE_OVERWRITE), AS_A_FILE);
    CHECK_INT(size_of("twin/KEY"), 7);
}

/* A folder that can't have its name can't be there, nor be made. */
static void unkeepable_paths(void)
{
    make_backup("a.lic", NULL);
    remove_tree("restored");
    make_store("restored", 1);
    CHECK_HR(backup("restored", "no|where", 0), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HR(backup("no|where", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HR(restore("restored", "no|where", 0), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HR(restore("no|where", "backups", 0), AS_A_FILE);
    CHECK_HR(restore("no|where.db", "backups", 0), AS_A_FILE);
    if (AS_A_FILE == LICBAK_S_OK) {
        remove_tree("no|where");
        CHECK(remove_file("no|where.db"));
    }
}

#ifdef _WIN32
/* What a store has in another case is the same: it is kept, or replaced. Folders of a backup that
 * differ in case alone are told, as twins are. */
static void another_case(void)
{
    make_backup("key.lic", NULL);
    remove_tree("cased");
    write_text("cased/KEY.lic", "in use");
    CHECK_HR(restore("cased", "backups", 0), LICBAK_S_OK);
    CHECK_TEXT(entries("cased"), "0 KEY.lic");
    CHECK_INT(size_of("cased/key.lic"), 6);
    CHECK_HR(restore("cased", "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
    CHECK_INT(size_of("cased/KEY.lic"), 7);

    make_backup("Folder/a.lic", "folder/b.lic");
    remove_tree("cased");
    write_text("cased/FOLDER/c.lic", "in use");
    CHECK_HR(restore("cased", "backups", 0), LICBAK_HRESULT_ERROR_INVALID_NAME);
    CHECK_TEXT(entries("cased"), "FOLDER");
    CHECK_TEXT(entries("cased/FOLDER"), "c.lic");
}

/* A licence that is called as the short name of another is not that other, and does not replace it. */
static void short_names(void)
{
    char file[64], folder[64], below[80];
    remove_tree("cased");
    write_text("cased/licence of a long name.lic", "in use");
    write_text("cased/folder of a long name/a.lic", "in use");
    if (!short_name("cased/licence of a long name.lic", file, sizeof file) ||
        !short_name("cased/folder of a long name", folder, sizeof folder)) {
        printf("portable_windows_names: skipped: short names (there are none)\n");
        return;
    }
    snprintf(below, sizeof below, "%s/b.lic", folder);
    const char *const names[] = {file, folder, below};
    const uint32_t flags[] = {LICBAK_DRY_RUN, 0, LICBAK_RESTORE_OVERWRITE};
    for (size_t i = 0; i < 9; i++) {
        make_backup(names[i / 3], NULL);
        CHECK_HR(restore("cased", "backups", flags[i % 3]), LICBAK_HRESULT_ERROR_INVALID_NAME);
        CHECK_TEXT(entries("cased"), "folder of a long name licence of a long name.lic");
        CHECK_TEXT(entries("cased/folder of a long name"), "a.lic");
        CHECK_INT(size_of("cased/licence of a long name.lic"), 6);
    }
    /* A name that only looks like one is as good as any. */
    make_backup("LONG~1.LIC", NULL);
    write_text("cased/long~1.lic", "in use");
    CHECK_HR(restore("cased", "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
    CHECK_INT(size_of("cased/long~1.lic"), 7);
}
#endif

int main(void)
{
    begin("portable_windows_names");
    unkeepable();
    keepable();
    twins();
    unkeepable_paths();
#ifdef _WIN32
    another_case();
    short_names();
#endif
    forget(&rec);
    return finish();
}
