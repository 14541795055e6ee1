/* Paths: long ones, names outside of ASCII, paths in the system's own units, and those that name a
 * backup itself. */
#include "../support/recorder.h"

#define SUMMER "\xC3\x89t\xC3\xA9 \xF0\x9F\x94\x91" /* with a character outside of 16 bits */
#define COMPOSED "\xC3\xA9.lic"
#define DECOMPOSED "e\xCC\x81.lic"

enum { LENGTH = 550 };

/* A path of `whole` bytes, in parts of 50. */
static const char *path_of(int whole, char path[PATH_MAX], const char *first)
{
    snprintf(path, PATH_MAX, "%s", first);
    for (int length; (length = (int)strlen(path)) < whole;) {
        const int rest = whole - length - 1;
        snprintf(path + length, (size_t)(PATH_MAX - length), "/%.*s", rest < 50 ? rest : 50,
                 "long-long-long-long-long-long-long-long-long-long-");
    }
    return path;
}

static const char *long_path(char path[PATH_MAX], const char *first)
{
    return path_of(LENGTH, path, first);
}

static void long_paths(void)
{
    char store[PATH_MAX], backups[PATH_MAX], restored[PATH_MAX];
    make_store(long_path(store, "store"), 9);
    make_dir(long_path(backups, "backups"));
    make_dir(long_path(restored, "restored"));
    CHECK_INT(strlen(store), LENGTH);
    CHECK_HR(backup(store, backups, 0), LICBAK_S_OK);
    CHECK_TEXT(entries(backups), "licenses.tar.zst");
    CHECK_HR(backup(store, backups, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK);
    CHECK_HR(verify(backups), LICBAK_S_OK);
    CHECK_HR(restore(restored, backups, 0), LICBAK_S_OK);
    CHECK_SAME_TREE(restored, store);

    /* The licences' own names are long, too. */
    make_dir("of-all");
    CHECK_HR(backup("store", "of-all", 0), LICBAK_S_OK);
    CHECK_HR(restore("all", "of-all", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("all", "store");
    CHECK_HR(restore("all", "of-all", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
    CHECK_SAME_TREE("all", "store");
}

#ifdef _WIN32
/* SQLite takes no such paths elsewhere. */
static void long_paths_of_databases(void)
{
    static const int lengths[] = {LENGTH, 1200};
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        char folder[PATH_MAX], database[PATH_MAX + 16];
        make_dir(path_of(lengths[i], folder, "databases"));
        snprintf(database, sizeof database, "%s/licenses.db", folder);
        CHECK_HR(restore(database, "of-all", 0), LICBAK_S_OK);
        CHECK_HR(restore(database, "of-all", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
        CHECK_HR(backup(database, folder, 0), LICBAK_S_OK);
        CHECK_HR(restore("from-database", folder, 0), LICBAK_S_OK);
        CHECK_SAME_CONTENTS("from-database", "store");
        remove_tree("databases");
        remove_tree("from-database");
    }
}
#endif

static void outside_of_ascii(void)
{
    static const char *const names[] = {SUMMER ".lic", SUMMER "/" SUMMER ".lic", COMPOSED, DECOMPOSED,
                                        "\xE3\x83\xA9\xE3\x82\xA4\xE3\x82\xBB\xE3\x83\xB3\xE3\x82\xB9",
                                        "\xD0\x9A\xD0\xBB\xD1\x8E\xD1\x87", "blank in it", " blank before"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, SUMMER "/store/%s", names[i]);
        write_text(path, names[i]);
    }
    make_dir(SUMMER "/backups");
    CHECK_HR(backup(SUMMER "/store", SUMMER "/backups", 0), LICBAK_S_OK);
    CHECK_HR(verify(SUMMER "/backups"), LICBAK_S_OK);
    CHECK_HR(restore(SUMMER "/restored", SUMMER "/backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE(SUMMER "/restored", SUMMER "/store");
    CHECK_INT(size_of(SUMMER "/restored/" COMPOSED), strlen(COMPOSED)); /* each is its own */
    CHECK_INT(size_of(SUMMER "/restored/" DECOMPOSED), strlen(DECOMPOSED));
}

/* -- the system's own units ------------------------------------------------------------------------------ */

static void set_binary(licbak_restorer *r, const char *name, const char *path)
{
    uint8_t units[4 * PATH_MAX], back[4 * PATH_MAX];
    size_t size = system_units(path, units, sizeof units), back_size = sizeof back;
    licbak_datatype type = 99;
    CHECK_HR(licbak_set_prop(r, name, LICBAK_WMT_TYPE_BINARY, units, size), LICBAK_S_OK);
    CHECK_HR(licbak_get_prop_by_name(r, name, &type, back, &back_size), LICBAK_S_OK);
    CHECK_INT(type, LICBAK_WMT_TYPE_BINARY);
    CHECK_INT(back_size, size);
    CHECK(memcmp(back, units, size) == 0);
}

static void binary(void)
{
    licbak_restorer *r = NULL;
    recorder rec = {0};
    CHECK_HR(licbak_create(&r), LICBAK_S_OK);
    set_binary(r, "StorePath", SUMMER "/store");
    set_binary(r, "BackupPath", SUMMER "/binary");
    set_binary(r, "RestorePath", SUMMER "/binary");
    make_dir(SUMMER "/binary");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_TEXT(entries(SUMMER "/binary"), "licenses.tar.zst");
    set_binary(r, "StorePath", SUMMER "/from-binary");
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_SAME_TREE(SUMMER "/from-binary", SUMMER "/store");
    set_binary(r, "StorePath", SUMMER "/" SUMMER ".db");
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    file_facts facts;
    CHECK(facts_of(SUMMER "/" SUMMER ".db", &facts) && facts.kind == A_FILE);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);
}

/* -- other paths ----------------------------------------------------------------------------------------- */

/* A backup under another name is read where it is. */
static void of_a_file(void)
{
    size_t size;
    uint8_t *bytes = read_file("of-all/licenses.tar.zst", &size);
    write_file(SUMMER "/a copy.bin", bytes, size);
    free(bytes);
    CHECK_HR(verify(SUMMER "/a copy.bin"), LICBAK_S_OK);
    CHECK_HR(restore("from-copy", SUMMER "/a copy.bin", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("from-copy", "store");
}

/* A relative path means the folder that is current when an operation starts. */
static void relative(void)
{
    char here[PATH_MAX], whole[PATH_MAX + 64];
    CHECK(whole_path(".", here));
    make_dir("elsewhere/backups");
    write_text("elsewhere/store/a.lic", "a");
    licbak_restorer *r = restorer_for("store", "backups");
    recorder rec = {0};
    CHECK(enter_folder("elsewhere"));
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK(enter_folder(here));
    snprintf(whole, sizeof whole, "%s/elsewhere/backups", here);
    CHECK_HR(verify(whole), LICBAK_S_OK);
    CHECK_HR(verify("elsewhere/../elsewhere/./backups/"), LICBAK_S_OK);
#ifdef _WIN32
    snprintf(whole, sizeof whole, "\\\\?\\%s\\elsewhere\\backups", here);
    CHECK_HR(verify(whole), LICBAK_S_OK);
    CHECK_HR(verify("elsewhere\\backups\\"), LICBAK_S_OK);
    CHECK_HR(verify("ELSEWHERE\\Backups"), LICBAK_S_OK);
    snprintf(whole, sizeof whole, "%.2selsewhere\\backups", here); /* from the drive's own folder */
    CHECK_HR(verify(whole), LICBAK_S_OK);
    snprintf(whole, sizeof whole, "%s\\elsewhere\\backups", here + 2); /* from the root of this drive */
    CHECK_HR(verify(whole), LICBAK_S_OK);
#endif
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    begin("portable_paths");
    long_paths();
#ifdef _WIN32
    long_paths_of_databases();
#endif
    outside_of_ascii();
    binary();
    of_a_file();
    relative();
    return finish();
}
