/* A host whose licences are in memory: what its store gives to a backup, and gets from a
 * restore. */
#include "../support/host.h"

#define OVERWRITE LICBAK_WM_BACKUP_OVERWRITE

static void round_trip(void)
{
    host saved = {0}, restored = {0};
    recorder rec = {0};
    fill(&saved);
    make_dir("backups");
    licbak_restorer *r = restorer_of(&saved, "backups");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK_INT(final_figures(&rec).licenses_total, saved.count);
    CHECK_INT(final_figures(&rec).licenses_done, saved.count);
    CHECK_INT(final_figures(&rec).licenses_restricted, 0);
    CHECK_INT(saved.enumerations, 1);
    CHECK_LISTED(r, &saved); /* in the order of emission */
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(saved.enumerations + saved.gets + saved.puts, 1); /* neither needs the store */
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);

    CHECK_HR(run_host(licbak_restore_licenses, &restored, "backups", 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, saved.count);
    CHECK_INT(restored.gets, saved.count);
    CHECK_INT(restored.puts, saved.count);
    CHECK_SAME_HOST(&restored, &saved);
    for (size_t i = 0; i < restored.count; i++) {
        CHECK_INT(restored.licenses[i].format, LICBAK_FORMAT_OPAQUE);
    }

    /* Into a directory, and from there to a host again: what a file does not have is read from
     * it. */
    CHECK_HR(restore("directory", "backups", 0), LICBAK_S_OK);
    make_dir("of-directory");
    CHECK_HR(backup("directory", "of-directory", 0), LICBAK_S_OK);
    CHECK_HR(run_host(licbak_restore_licenses, &restored, "of-directory", 0, &rec), LICBAK_S_OK);
    CHECK_INT(restored.puts, saved.count); /* the same contents: none is put again */
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), 0);
    host_forget(&saved);
    host_forget(&restored);
    forget(&rec);
}

static void rights(void)
{
    static const char denying[] = "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>x</KID></DATA></LICENSORINFO>"
                                  "</LICENSE>";
    host h = {0}, kept = {0};
    recorder rec = {0};
    make_dir("rights");
    host_add(&h, "denied/one.lic", "secret key", "1", 1, LICBAK_RIGHT_DENIED);
    host_add(&h, "allowed.lic", NULL, "2", 2, LICBAK_RIGHT_ALLOWED);
    host_add(&h, "denied/two.lic", NULL, "3", 3, LICBAK_RIGHT_DENIED);
    host_add(&h, "unstated.lic", NULL, "4", 4, LICBAK_RIGHT_UNSTATED);
    host_add(&h, "stated wins.xml", "y", denying, 5, LICBAK_RIGHT_ALLOWED);
    licbak_restorer *r = restorer_of(&h, "rights");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), 2);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), 2);
    int pairs = 0;
    for (size_t i = 0; i < rec.count; i++) {
        if (rec.events[i].status == LICBAK_WMT_RESTRICTED_LICENSE) {
            bool first = strcmp(rec.events[i].text, "secret key") == 0;
            const char *name = first ? "denied/one.lic: " : "denied/two.lic: ";
            CHECK(first || strcmp(rec.events[i].text, "two") == 0);
            CHECK_INT(rec.events[i + 1].status, LICBAK_STATUS_LICENSE_LEFT_OUT); /* it follows */
            CHECK(strncmp(rec.events[i + 1].text, name, strlen(name)) == 0);
            CHECK(strlen(rec.events[i + 1].text) > strlen(name)); /* a reason */
            pairs++;
        }
    }
    CHECK_INT(pairs, 2);
    CHECK_INT(final_figures(&rec).licenses_restricted, 2);
    CHECK_INT(final_figures(&rec).licenses_done, 3);
    host_add(&kept, "allowed.lic", NULL, "2", 2, LICBAK_RIGHT_ALLOWED);
    host_add(&kept, "unstated.lic", NULL, "4", 4, LICBAK_RIGHT_UNSTATED);
    host_add(&kept, "stated wins.xml", "y", denying, 5, LICBAK_RIGHT_ALLOWED);
    CHECK_LISTED(r, &kept);

    set_number(r, "UnstatedRight", 1); /* of those that are not denied only the allowed stay */
    CHECK_HR(run(licbak_backup_licenses, r, OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 2);
    host_forget(&kept);
    host_add(&kept, "allowed.lic", NULL, "2", 2, LICBAK_RIGHT_ALLOWED);
    host_add(&kept, "stated wins.xml", "y", denying, 5, LICBAK_RIGHT_ALLOWED);
    CHECK_LISTED(r, &kept);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    host_forget(&h);
    host_forget(&kept);
    forget(&rec);
}

/* Absent, the same, different; with and without RESTORE_OVERWRITE and DRY_RUN. */
static void restoring(void)
{
    host saved = {0}, h = {0};
    recorder rec = {0};
    fill(&saved);
    for (int dry = 1; dry >= 0; dry--) {
        for (int overwrite = 0; overwrite <= 1; overwrite++) {
            uint32_t flags = (dry ? LICBAK_DRY_RUN : 0) | (overwrite ? LICBAK_RESTORE_OVERWRITE : 0);
            host_forget(&h);
            fill(&h);
            host_add(&h, "zebra.lic", NULL, "two", 5, LICBAK_RIGHT_DENIED);      /* as long, and different */
            host_add(&h, "films/night.lic", "x", "two", 9, LICBAK_RIGHT_DENIED); /* the same content */
            host_add(&h, "its own.lic", NULL, "stays", 9, LICBAK_RIGHT_UNSTATED);
            free((void *)h.licenses[3].name);
            h.licenses[3].name = strdup("another name"); /* so "no extension" is absent */
            char *before = host_text(&h, true);
            atomic_store(&h.puts, 0);
            licbak_restorer *r = restorer_of(&h, "backups");
            if (dry && overwrite) { /* a dry run needs no put */
                licbak_store store = store_of(&h);
                store.put = NULL;
                CHECK_HR(licbak_set_store(r, &store), LICBAK_S_OK);
            }
            CHECK_HR(run(licbak_restore_licenses, r, flags, &rec), LICBAK_S_OK);
            CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
            CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), !overwrite);
            CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_KEPT, "zebra.lic"), !overwrite);
            CHECK_INT(final_figures(&rec).licenses_kept, !overwrite);
            CHECK_INT(final_figures(&rec).licenses_done, saved.count - !overwrite);
            CHECK_INT(h.puts, dry ? 0 : 1 + overwrite);
            if (!dry) {
                CHECK_TEXT((const char *)host_find(&h, "its own.lic")->key_id == NULL ? "" : "key", "");
                CHECK_INT(memcmp(host_find(&h, "no extension")->content, "four", 4), 0);
                CHECK_INT(memcmp(host_find(&h, "zebra.lic")->content, overwrite ? "one" : "two", 3), 0);
                CHECK_INT(host_find(&h, "zebra.lic")->modified, overwrite ? 1600000000123456789 : 5);
            } else {
                check_and_free(host_text(&h, true), strdup(before), __FILE__, __LINE__, "a dry run's host");
            }
            free(before);
        }
    }
    host_forget(&saved);
    host_forget(&h);
    forget(&rec);
}

/* A dry run tells all and writes nothing; a repeated backup has what the host has now. */
static void backing_up(void)
{
    host h = {0}, other = {0};
    recorder rec = {0};
    fill(&h);
    host_add(&h, "denied.lic", "d", "0", 0, LICBAK_RIGHT_DENIED);
    make_dir("again");
    licbak_restorer *r = restorer_of(&h, "again");
    CHECK_HR(licbak_remove_prop(r, "BackupPath"), LICBAK_S_OK); /* not needed here */
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(told(&rec, LICBAK_WMT_RESTRICTED_LICENSE, "d"), 1);
    CHECK_INT(final_figures(&rec).licenses_done, h.count - 1);
    CHECK_TEXT(entries("again"), "");

    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "again"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    host_forget(&h);
    host_add(&h, "M.lic", "same", "changed", 1700000000000000001, LICBAK_RIGHT_ALLOWED); /* its time is as before */
    host_add(&h, "new", NULL, "new", 3, LICBAK_RIGHT_UNSTATED);
    CHECK_HR(run(licbak_backup_licenses, r, OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_LISTED(r, &h);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_HR(run_host(licbak_restore_licenses, &other, "again", 0, &rec), LICBAK_S_OK);
    CHECK_SAME_HOST(&other, &h);
    host_forget(&h);
    host_forget(&other);
    forget(&rec);
}

/* Nothing to save leaves the backup that is there; all denied replaces it, if asked. */
static void nothing(void)
{
    host h = {0};
    recorder rec = {0};
    make_dir("nothing");
    CHECK_HR(run_host(licbak_backup_licenses, &h, "nothing", 0, &rec), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK_HR(run_host(licbak_backup_licenses, &h, "nothing", LICBAK_DRY_RUN, &rec), LICBAK_HRESULT_ERROR_EMPTY);
    host_add(&h, "denied", NULL, "0", 0, LICBAK_RIGHT_DENIED);
    CHECK_HR(run_host(licbak_backup_licenses, &h, "nothing", 0, &rec), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), 1);
    CHECK_TEXT(entries("nothing"), "");
    host_add(&h, "allowed", NULL, "0", 0, LICBAK_RIGHT_ALLOWED);
    CHECK_HR(run_host(licbak_backup_licenses, &h, "nothing", 0, &rec), LICBAK_S_OK);
    uint64_t old = digest("nothing/licenses.tar.zst");
    host_forget(&h);
    CHECK_HR(run_host(licbak_backup_licenses, &h, "nothing", OVERWRITE, &rec), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK(digest("nothing/licenses.tar.zst") == old);
    host_add(&h, "denied", NULL, "0", 0, LICBAK_RIGHT_DENIED);
    CHECK_HR(run_host(licbak_backup_licenses, &h, "nothing", OVERWRITE, &rec), LICBAK_S_OK);
    host_forget(&h);
    licbak_restorer *r = restorer_of(&h, "nothing");
    CHECK_LISTED(r, &h);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);
}

/* What an operation needs, in the contract's order. */
static void needs(void)
{
    host h = {0};
    recorder rec = {0};
    fill(&h);
    licbak_restorer *r = restorer_of(&h, "backups"); /* there is a backup */
    licbak_store store = store_of(&h);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    store.enumerate = NULL;
    CHECK_HR(licbak_set_store(r, &store), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_E_NOTIMPL);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_E_NOTIMPL);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_remove_prop(r, "BackupPath"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_NS_E_DRM_INVALID_PROPERTY);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK); /* needs no enumerate */

    for (int lacking = 0; lacking < 3; lacking++) { /* get, put, both */
        store = store_of(&h);
        store.get = lacking != 1 ? NULL : host_get;
        store.put = lacking != 0 ? NULL : host_put;
        CHECK_HR(licbak_set_prop_string(r, "RestorePath", "backups"), LICBAK_S_OK);
        CHECK_HR(licbak_set_store(r, &store), LICBAK_S_OK);
        CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_E_NOTIMPL);
        CHECK_HR(run(licbak_restore_licenses, r, LICBAK_DRY_RUN, &rec),
                 lacking == 1 ? LICBAK_S_OK : LICBAK_E_NOTIMPL);
        CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
        CHECK_HR(licbak_remove_prop(r, "RestorePath"), LICBAK_S_OK);
        CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_NS_E_DRM_INVALID_PROPERTY);
    }

    /* Back to StorePath: it is needed again, and the host is asked no more. */
    atomic_store(&h.gone, true);
    CHECK_HR(licbak_set_store(r, NULL), LICBAK_S_OK);
    CHECK_HR(licbak_set_store(r, NULL), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_NS_E_DRM_INVALID_PROPERTY);
    make_store("store", 3);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "store"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 3);
    atomic_store(&h.gone, false);
    store = store_of(&h);
    CHECK_HR(licbak_set_store(r, &store), LICBAK_S_OK); /* a host store goes before StorePath */
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, h.count);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    host_forget(&h);
    forget(&rec);
}

int main(void)
{
    begin("host_store");
    round_trip();
    rights();
    restoring();
    backing_up();
    nothing();
    needs();
    return finish();
}
