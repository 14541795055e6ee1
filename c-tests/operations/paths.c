/* Relative paths: they mean the directory that was current in the call that started the operation,
 * wherever the process goes after it. And a backup by the path of its file.
 */
#include "../support/recorder.h"

/* Goes to the other host's directory before anything has been done. */
static licbak_hresult go_elsewhere(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        CHECK(chdir(rec->other) == 0);
    }
    return LICBAK_S_OK;
}

/* Runs an operation of the host in `here`, which goes to `there` as soon as it has begun; with a
 * key ID it restores its licence. */
static licbak_hresult run_from(const char *here, operation op, const char *key_id, const char *store, uint32_t flags)
{
    recorder rec = {.react = go_elsewhere, .other = "../there", .may_roll_back = strstr(store, ".db") != NULL};
    CHECK(chdir(here) == 0);
    licbak_restorer *r = restorer_for(store, "backups");
    rec.restorer = r;
    CHECK_HR(key_id != NULL ? licbak_restore_license(r, key_id, flags, record, &rec) : op(r, flags, record, &rec),
             LICBAK_S_OK);
    licbak_hresult hr = end(r, &rec);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK(chdir("..") == 0);
    return hr;
}

static void make_host(const char *name, const char *text)
{
    char path[64];
    snprintf(path, sizeof path, "%s/store/key.lic", name);
    write_text(path, text);
    snprintf(path, sizeof path, "%s/backups", name);
    make_dir(path);
}

static void elsewhere(void)
{
    make_host("here", "a licence of this host");
    make_host("there", "a licence of another host");
    char *there = tree("there");

    for (int i = 0; i < 3; i++) { /* new, repeated, full */
        static const uint32_t flags[] = {0, LICBAK_WM_BACKUP_OVERWRITE, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL};
        CHECK_HR(run_from("here", licbak_backup_licenses, NULL, "store", flags[i]), LICBAK_S_OK);
        CHECK_HR(verify("here/backups"), LICBAK_S_OK);
    }
    CHECK_HR(run_from("here", licbak_backup_licenses, NULL, "store", LICBAK_DRY_RUN), LICBAK_S_OK);
    CHECK_HR(run_from("here", licbak_verify_backup, NULL, "store", 0), LICBAK_S_OK);
    CHECK_HR(run_from("here", licbak_restore_licenses, NULL, "new", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("here/new", "here/store");
    CHECK(unlink("here/new/key.lic") == 0);
    CHECK_HR(run_from("here", NULL, "key", "new", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("here/new", "here/store");
    for (int i = 0; i < 2; i++) { /* a database that is new, and one that is there */
        CHECK_HR(run_from("here", licbak_restore_licenses, NULL, "new.db", 0), LICBAK_S_OK);
        CHECK_TEXT(entries("here"), "backups new new.db store");
    }
    CHECK_HR(run_from("here", licbak_backup_licenses, NULL, "new.db", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(restore("from-database", "here/backups", 0), LICBAK_S_OK);
    CHECK(same_file("from-database/key.lic", "here/store/key.lic"));

    /* Nothing was looked for there, nor made. */
    char *after = tree("there");
    CHECK_TEXT(after, there);
    free(after);
    free(there);
}

/* Puts another directory in the place of the one that the operation began in, as who installs a new
 * version does. */
static licbak_hresult swap(recorder *rec, const event *e)
{
    (void)rec;
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        CHECK(rename("../here", "../old") == 0 && rename("../there", "../here") == 0);
    }
    return LICBAK_S_OK;
}

/* SQLite goes by a path from the root, which leads to another database then: that one is not taken
 * for it. */
static void swapped_database(void)
{
    CHECK_HR(restore("here/swapped.db", "here/backups", 0), LICBAK_S_OK);
    CHECK_HR(restore("there/swapped.db", "here/backups", 0), LICBAK_S_OK);
    uint64_t before = digest("there/swapped.db");
    for (int restores = 0; restores < 2; restores++) {
        recorder rec = {.react = swap, .may_roll_back = true};
        CHECK(chdir("here") == 0);
        licbak_restorer *r = restorer_for("swapped.db", "backups");
        operation op = restores ? licbak_restore_licenses : licbak_backup_licenses;
        CHECK_HR(run(op, r, restores ? 0 : LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_NS_E_DRM_LICENSE_STORE_ERROR);
        CHECK_HAS(error_message(r), "swapped.db");
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        CHECK(chdir("..") == 0 && rename("here", "there") == 0 && rename("old", "here") == 0);
        CHECK(digest("there/swapped.db") == before);
    }
}

static licbak_hresult LICBAK_CALL count_license(const licbak_license *license, void *context)
{
    (void)license;
    ++*(int *)context;
    return LICBAK_S_OK;
}

/* All that reads a backup takes the file itself, whatever its name, as it takes the directory. */
static void the_file_itself(void)
{
    static const char copy[] = "mail/backup of monday.bin";
    size_t size;
    make_store("many", 10);
    make_dir("many-backups");
    CHECK_HR(backup("many", "many-backups", 0), LICBAK_S_OK);
    uint8_t *bytes = read_file("many-backups/licenses.tar.zst", &size);
    write_file(copy, bytes, size);
    CHECK(symlink(copy, "link to it") == 0);
    static const char *const files[] = {"many-backups/licenses.tar.zst", copy, "link to it"};
    for (int i = 0; i < 3; i++) {
        char restored[32], one[32];
        int listed = 0;
        snprintf(restored, sizeof restored, "from-file-%d", i);
        snprintf(one, sizeof one, "one-from-file-%d", i);
        CHECK_HR(verify(files[i]), LICBAK_S_OK);
        CHECK_HR(restore(restored, files[i], 0), LICBAK_S_OK);
        CHECK_SAME_TREE(restored, "many");
        recorder rec = {0};
        licbak_restorer *r = restorer_for(one, files[i]);
        rec.restorer = r;
        CHECK_HR(licbak_restore_license(r, "key-0007", 0, record, &rec), LICBAK_S_OK);
        CHECK_HR(end(r, &rec), LICBAK_S_OK);
        CHECK_TEXT(entries(one), "music");
        CHECK_HR(licbak_list_backup(r, count_license, &listed), LICBAK_S_OK);
        CHECK_INT(listed, 10);
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    /* It is a place to read from, and none to write to. */
    CHECK_HR(backup("many", copy, LICBAK_WM_BACKUP_OVERWRITE), LICBAK_HRESULT_ERROR_DIRECTORY);
    /* From another directory than the one that the process goes to. */
    make_dir("here/mail");
    write_file("here/mail/licenses", bytes, size);
    CHECK(chdir("here") == 0);
    recorder rec = {.react = go_elsewhere, .other = "../there"};
    licbak_restorer *r = restorer_for("from-mail", "mail/licenses");
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK(chdir("..") == 0);
    CHECK_SAME_TREE("here/from-mail", "many");

    /* In the store it is no licence. */
    write_file("many/copy", bytes, size);
    r = restorer_for("many", "many/copy");
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "many-backups"), LICBAK_S_OK);
    rec.react = NULL;
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 10);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "copy: "), 1);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK(unlink("many/copy") == 0);

    /* Damaged: what is intact comes back. */
    write_file(copy, bytes, size - 1);
    CHECK_HR(verify(copy), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    r = restorer_for("salvaged", copy);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_HAS(error_message(r), "'mail/backup of monday.bin'");
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_SALVAGE, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(final_figures(&rec).licenses_done, 10);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    free(bytes);
}

/* A directory whose own path this user may not walk: what is in it is reached from it all the
 * same. */
static void in_private(void *unused)
{
    (void)unused;
    make_dir("private/inner/backups");
    write_text("private/inner/store/key.lic", "a licence");
    CHECK(chown("private/inner", 65534, 65534) == 0 && chown("private/inner/backups", 65534, 65534) == 0);
    CHECK(chmod("private", 0700) == 0 && chmod("private/inner/store", 0755) == 0);
    CHECK(chmod("private/inner/store/key.lic", 0644) == 0);
    CHECK(chdir("private/inner") == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK_HR(restore("new", "backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("new", "store");
}

int main(void)
{
    begin("paths");
    elsewhere();
    swapped_database();
    the_file_itself();
    if (geteuid() == 0) {
        in_child(in_private, NULL);
    } else {
        skip("a directory that its user may not walk to", "it takes root");
    }
    return finish();
}
