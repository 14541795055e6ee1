/* Relative paths: they mean the directory that was current in the call that started the operation,
 * wherever the process goes after it.
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
    if (geteuid() == 0) {
        in_child(in_private, NULL);
    } else {
        skip("a directory that its user may not walk to", "it takes root");
    }
    return finish();
}
