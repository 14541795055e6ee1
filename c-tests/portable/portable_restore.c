/* Restores into a folder: what is kept, replaced and left alone; one licence; another machine. */
#include "../support/recorder.h"

static licbak_restorer *r;
static recorder rec;
static const char *key_id;

static licbak_hresult LICBAK_CALL restore_key(licbak_restorer *of, uint32_t flags, licbak_status_callback callback,
                                              void *context)
{
    return licbak_restore_license(of, key_id, flags, callback, context);
}

/* A new folder; its parent must exist. */
static void into_nothing(void)
{
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 9);
    CHECK(!exists("restored"));
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 9);
    CHECK_SAME_TREE("restored", "store"); /* times too, and nothing hidden */
    CHECK(is_private("restored/key-0000.lic") && is_private("restored/music/key-0001.lic"));
    CHECK_HR(restore("missing/below", "backups", 0), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK(!exists("missing"));
}

/* What the store lacks comes, what it has stays. */
static void completes(void)
{
    CHECK(remove_file("restored/key-0000.lic"));
    remove_tree("restored/video");
    write_text("restored/key-0003.lic", "in use");
    write_text("restored/another.lic", "not of the backup");
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_kept, 1);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_KEPT, "key-0003.lic"), 1);
    CHECK(same_file("restored/key-0000.lic", "store/key-0000.lic"));
    CHECK_INT(size_of("restored/key-0003.lic"), 6);
    CHECK_SAME_TREE("restored/video", "store/video");

    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_OVERWRITE | LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(size_of("restored/key-0003.lic"), 6);
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_kept, 0);
    CHECK(exists("restored/another.lic")); /* nothing is removed */
    CHECK(remove_file("restored/another.lic"));
    CHECK_SAME_TREE("restored", "store");
}

/* Something else is in a licence's place: nothing is changed. */
static void in_the_way(void)
{
    make_dir("crooked/key-0000.lic");
    CHECK_HR(restore("crooked", "backups", 0), LICBAK_HRESULT_ERROR_INVALID_NAME);
    CHECK_TEXT(entries("crooked"), "key-0000.lic");
    make_dir("crooked-too");
    write_text("crooked-too/music", "a file");
    CHECK_HR(restore("crooked-too", "backups", 0), LICBAK_HRESULT_ERROR_INVALID_NAME);
    CHECK_TEXT(entries("crooked-too"), "music");
}

static void one_license(void)
{
    licbak_restorer *one = restorer_for("one", "backups");
    key_id = "key-0004";
    CHECK_HR(run(restore_key, one, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK(!exists("one"));
    CHECK_HR(run(restore_key, one, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 1);
    CHECK_TEXT(entries("one"), "music");
    CHECK(same_file("one/music/key-0004.lic", "store/music/key-0004.lic"));
    write_text("one/music/key-0004.lic", "in use");
    CHECK_HR(run(restore_key, one, 0, &rec), LICBAK_S_OK);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_KEPT, "music/key-0004.lic"), 1);
    CHECK_HR(run(restore_key, one, LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK(same_file("one/music/key-0004.lic", "store/music/key-0004.lic"));
    key_id = "Key-0004";
    CHECK_HR(run(restore_key, one, 0, &rec), LICBAK_HRESULT_ERROR_NOT_FOUND);
    CHECK_HR(licbak_restore_license(one, "", 0, record, &rec), LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_restore_license(one, NULL, 0, record, &rec), LICBAK_E_POINTER);
    CHECK_HR(licbak_destroy(one), LICBAK_S_OK);
}

/* -- another machine ------------------------------------------------------------------------------------- */

static licbak_hresult LICBAK_CALL refuse(const licbak_backup_info *info, char *url, size_t url_size, void *context)
{
    CHECK_INT(info->machine, LICBAK_MACHINE_OTHER);
    snprintf(url, url_size, "https://example.com/too-many");
    ++*(int *)context;
    return LICBAK_NS_E_DRM_RESTORE_FRAUD;
}

static void another_machine(void)
{
    licbak_backup_info info = {.struct_size = sizeof info};
    int asked = 0;
    make_dir("named");
    licbak_restorer *moved = restorer_for("store", "named");
    CHECK_HR(licbak_set_prop_string(moved, "MachineId", "the old one"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, moved, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_get_backup_info(moved, &info), LICBAK_S_OK);
    CHECK_INT(info.machine, LICBAK_MACHINE_SAME);

    CHECK_HR(licbak_set_prop_string(moved, "MachineId", "the new one"), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(moved, "StorePath", "moved"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, moved, 0, &rec), LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION);
    CHECK_INT(count_of(&rec, LICBAK_WMT_NEEDS_INDIVIDUALIZATION), 1);
    CHECK(!exists("moved"));
    CHECK_HR(licbak_set_authorizer(moved, refuse, &asked), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, moved, LICBAK_WM_RESTORE_INDIVIDUALIZE, &rec),
             LICBAK_NS_E_DRM_RESTORE_FRAUD);
    CHECK_INT(asked, 1);
    CHECK_INT(told(&rec, LICBAK_WMT_ERROR_WITHURL, "https://example.com/too-many"), 1);
    CHECK(!exists("moved"));
    CHECK_HR(licbak_set_authorizer(moved, NULL, NULL), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, moved, LICBAK_WM_RESTORE_INDIVIDUALIZE, &rec), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_WMT_INDIVIDUALIZE), 1);
    CHECK_SAME_TREE("moved", "store");
    CHECK_HR(licbak_destroy(moved), LICBAK_S_OK);
}

int main(void)
{
    begin("portable_restore");
    make_store("store", 9);
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    r = restorer_for("restored", "backups");
    into_nothing();
    completes();
    in_the_way();
    one_license();
    another_machine();
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);
    return finish();
}
