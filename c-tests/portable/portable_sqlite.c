/* SQLite databases as stores: the library makes them itself, so no other SQLite is needed. */
#include "../support/recorder.h"

#define SUMMER "\xC3\x89t\xC3\xA9 \xF0\x9F\x94\x91.lic"

static recorder rec = {.may_roll_back = true};

static licbak_hresult LICBAK_CALL restore_one(licbak_restorer *r, uint32_t flags, licbak_status_callback callback,
                                              void *context)
{
    return licbak_restore_license(r, "key-0002", flags, callback, context);
}

/* What a database holds, as a folder: by a backup of it and a restore of that. */
static void check_holds(const char *database, const char *expected)
{
    make_dir("of-database");
    CHECK_HR(backup(database, "of-database", 0), LICBAK_S_OK);
    CHECK_HR(verify("of-database"), LICBAK_S_OK);
    CHECK_HR(restore("out-of-database", "of-database", 0), LICBAK_S_OK);
    folder_names names = {0}; /* times are not kept in a database: contents are compared */
    CHECK(read_folder(expected, &names));
    for (size_t i = 0; i < names.count; i++) {
        char left[PATH_MAX], right[PATH_MAX];
        snprintf(left, sizeof left, "out-of-database/%s", names.all[i]);
        snprintf(right, sizeof right, "%s/%s", expected, names.all[i]);
        CHECK(same_file(left, right));
    }
    free_names(&names);
    char there[4096], wanted[4096];
    snprintf(there, sizeof there, "%s", entries("out-of-database"));
    snprintf(wanted, sizeof wanted, "%s", entries(expected));
    CHECK_TEXT(there, wanted);
    remove_tree("of-database");
    remove_tree("out-of-database");
}

static void make_flat_store(const char *folder, const char *version)
{
    for (int i = 0; i < 5; i++) {
        char path[64], text[64];
        snprintf(path, sizeof path, "%s/key-%04d.lic", folder, i);
        snprintf(text, sizeof text, "licence %d, %s", i, i == 3 ? version : "of all versions");
        write_text(path, text);
    }
}

static void made_by_a_restore(void)
{
    static const char *const names[] = {"made/x.db", "made/x.sqlite", "made/x.sqlite3", "made/\xC3\xA9.db"};
    make_dir("made");
    CHECK_HR(restore("made/x.db", "backups", LICBAK_DRY_RUN), LICBAK_S_OK);
    CHECK_TEXT(entries("made"), "");
    for (size_t i = 0; i < 4; i++) {
        CHECK_HR(restore(names[i], "backups", 0), LICBAK_S_OK);
        file_facts facts;
        CHECK(facts_of(names[i], &facts) && facts.kind == A_FILE);
        CHECK(is_private(names[i]));
        check_holds(names[i], "store");
    }
    CHECK_TEXT(entries("made"), "x.db x.sqlite x.sqlite3 \xC3\xA9.db"); /* no log, and nothing hidden */
    CHECK_HR(restore("missing/x.db", "backups", 0), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
}

static void versions(void)
{
    licbak_restorer *r = restorer_for("made/x.db", "other-backups");
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_KEPT, "key-0003.lic"), 1);
    check_holds("made/x.db", "store");
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_OVERWRITE | LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    check_holds("made/x.db", "store");
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), 0);
    write_text("other/" SUMMER, "summer"); /* which it had before */
    check_holds("made/x.db", "other");

    CHECK_HR(licbak_set_prop_string(r, "StorePath", "made/one.db"), LICBAK_S_OK);
    CHECK_HR(run(restore_one, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 1);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    make_dir("single");
    write_text("single/key-0002.lic", "licence 2, of all versions");
    check_holds("made/one.db", "single");
}

/* A repeated backup of a database that has not changed stays; a change replaces it. */
static void repeated(void)
{
    licbak_backup_info info = {.struct_size = sizeof info};
    make_dir("repeated");
    licbak_restorer *r = restorer_for("made/x.sqlite", "repeated");
    for (int i = 0; i < 3; i++) {
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
        CHECK_HR(licbak_get_backup_info(r, &info), LICBAK_S_OK);
        CHECK_INT(info.generation, i < 2 ? 1 : 2);
        if (i == 1) {
            CHECK_HR(restore("made/x.sqlite", "other-backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
        }
    }
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void no_database(void)
{
    write_text("made/broken.db", "this is no database, and long enough to look at: 0123456789");
    CHECK_HR(backup("made/broken.db", "repeated", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_NS_E_DRM_LICENSE_STORE_ERROR);
    CHECK_HR(restore("made/broken.db", "backups", 0), LICBAK_NS_E_DRM_LICENSE_STORE_ERROR);
    CHECK_INT(size_of("made/broken.db"), 59);
    CHECK_HR(backup("made/missing.db", "repeated", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK(!exists("made/missing.db"));
    CHECK_HR(verify("repeated"), LICBAK_S_OK);
    CHECK_TEXT(entries("repeated"), "licenses.tar.zst");
}

int main(void)
{
    begin("portable_sqlite");
    make_flat_store("store", "the first");
    make_flat_store("other", "the second");
    write_text("store/" SUMMER, "summer");
    make_dir("backups");
    make_dir("other-backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    CHECK_HR(backup("other", "other-backups", 0), LICBAK_S_OK);
    made_by_a_restore();
    versions();
    repeated();
    no_database();
    forget(&rec);
    return finish();
}
