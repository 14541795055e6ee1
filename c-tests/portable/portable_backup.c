/* Backups of a folder: what each flag asks for, what stays, and what is told. */
#include "../support/frames.h"
#include "../support/host.h"

static licbak_restorer *r;
static recorder rec;

static licbak_backup_info info_now(void)
{
    licbak_backup_info info = {.struct_size = sizeof info};
    CHECK_HR(licbak_get_backup_info(r, &info), LICBAK_S_OK);
    return info;
}

/* Without the flag a backup stays; with it, it is replaced if something has changed. */
static void overwrite(void)
{
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK(is_private("backups/licenses.tar.zst"));
    const licbak_backup_info first = info_now();
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_EXISTS);

    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(info_now().generation, 1); /* nothing has changed */
    CHECK_INT(final_figures(&rec).licenses_gone, 0);

    write_text("store/new.lic", "new");
    CHECK(remove_file("store/music/key-0001.lic"));
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(info_now().generation, 2);
    CHECK_INT(info_now().licenses, 9);
    CHECK_TEXT(info_now().id, first.id);
    CHECK_INT(final_figures(&rec).licenses_gone, 1);

    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL, &rec), LICBAK_S_OK);
    CHECK(is_private("backups/licenses.tar.zst"));
    CHECK_INT(info_now().generation, 3); /* a full one is always made */
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
}

/* Changed contents of the same size, and times, are found. */
static void changes(void)
{
    write_text("store/new.lic", "NEW");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    set_modified("store/new.lic", 1500000000, 700);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(info_now().generation, 5);
    CHECK_HR(restore("changed", "backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("changed", "store");
}

static void dry_run(void)
{
    CHECK_HR(licbak_remove_prop(r, "BackupPath"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 9);
    make_dir("dry");
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "dry"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_TEXT(entries("dry"), "");
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "backups"), LICBAK_S_OK);
}

/* Hidden files are no licences, other backups are told, and so is what its issuer denies. */
static void left_out(void)
{
    size_t size;
    uint8_t *bytes = read_file("backups/licenses.tar.zst", &size);
    write_file("mixed/old.bin", bytes, size);
    free(bytes);
    write_text("mixed/.hidden", "hidden");
    write_text("mixed/a.lic", "a");
    write_text("mixed/denied.lic", "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>denied-key</KID>"
                                   "<ONSELECT><CONDITION>1</CONDITION></ONSELECT></DATA></LICENSORINFO></LICENSE>");
    make_dir("mixed-backups");
    licbak_restorer *mixed = restorer_for("mixed", "mixed-backups");
    CHECK_HR(run(licbak_backup_licenses, mixed, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 1);
    CHECK_INT(final_figures(&rec).licenses_restricted, 1);
    CHECK_INT(told(&rec, LICBAK_WMT_RESTRICTED_LICENSE, "denied-key"), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "denied.lic: "), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "old.bin: "), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, ".hidden: "), 1);

    const uint32_t deny = 1;
    CHECK_HR(licbak_set_prop(mixed, "UnstatedRight", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&deny, 4), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, mixed, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 0);
    CHECK_INT(final_figures(&rec).licenses_restricted, 2);
    CHECK_HR(verify("mixed-backups"), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(mixed), LICBAK_S_OK);
}

static void failures(void)
{
    make_dir("empty");
    write_text("a file", "neither a folder nor a database");
    CHECK_HR(backup("empty", "dry", 0), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK_HR(backup("missing", "dry", 0), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HR(backup("store", "missing", 0), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HR(backup("store", "missing/below", 0), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HR(backup("store", "a file", 0), LICBAK_HRESULT_ERROR_DIRECTORY);
    licbak_hresult below = backup("store", "a file/below", 0); /* Windows does not tell why it is not there */
    CHECK(below == LICBAK_HRESULT_ERROR_DIRECTORY || below == LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HR(backup("a file", "dry", 0), LICBAK_HRESULT_ERROR_DIRECTORY);
    write_noise("large/licence", MIB * 16 + 1, 1);
    CHECK_HR(backup("large", "dry", 0), LICBAK_HRESULT_ERROR_FILE_TOO_LARGE);
    write_noise("large/licence", MIB * 16, 1);
    CHECK_HR(backup("large", "dry", LICBAK_DRY_RUN), LICBAK_S_OK);
    remove_tree("large");
    CHECK_HR(verify("empty"), LICBAK_HRESULT_ERROR_FILE_NOT_FOUND);
    CHECK_HR(verify("missing"), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HR(verify("a file"), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_TEXT(entries("dry"), "");
}

/* What can't be kept, and what can't be put back, is passed over on request. */
static void kept_going(void)
{
    write_noise("some/large.lic", MIB * 16 + 1, 1);
    write_text("some/a.lic", "a");
    write_text("some/below/b.lic", "b");
    make_dir("some-backups");
    make_dir("some-restored/a.lic");
    licbak_restorer *some = restorer_for("some", "some-backups");
    CHECK_HR(run(licbak_backup_licenses, some, 0, &rec), LICBAK_HRESULT_ERROR_FILE_TOO_LARGE);
    CHECK_HR(run(licbak_backup_licenses, some, LICBAK_KEEP_GOING, &rec), LICBAK_S_FALSE);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "large.lic: "), 1);
    CHECK_INT(final_figures(&rec).licenses_skipped, 1);
    CHECK_INT(final_figures(&rec).licenses_done, 2);
    CHECK_HR(licbak_set_prop_string(some, "StorePath", "some-restored"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, some, 0, &rec), LICBAK_HRESULT_ERROR_INVALID_NAME);
    CHECK_HR(run(licbak_restore_licenses, some, LICBAK_KEEP_GOING, &rec), LICBAK_S_FALSE);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "a.lic: "), 1);
    CHECK_INT(size_of("some-restored/below/b.lic"), 1);
    CHECK_HR(licbak_destroy(some), LICBAK_S_OK);
}

/* Some megabytes, in many frames, by one worker and by several: the same bytes. */
static void larger(void)
{
    for (int i = 0; i < 12; i++) {
        char path[64];
        snprintf(path, sizeof path, "large/%d/noise-%d.lic", i % 3, i);
        write_noise(path, 700000, (uint64_t)i);
    }
    make_dir("by-one");
    make_dir("by-eight");
    for (uint32_t threads = 1; threads <= 8; threads += 7) {
        licbak_restorer *large = restorer_for("large", threads == 1 ? "by-one" : "by-eight");
        CHECK_HR(licbak_set_prop(large, "Threads", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&threads, 4), LICBAK_S_OK);
        CHECK_HR(run(licbak_backup_licenses, large, 0, &rec), LICBAK_S_OK);
        CHECK_INT(final_figures(&rec).content_bytes, 12 * 700000);
        CHECK_HR(run(licbak_verify_backup, large, 0, &rec), LICBAK_S_OK);
        CHECK_HR(licbak_destroy(large), LICBAK_S_OK);
    }
    frames f = read_frames("by-one/licenses.tar.zst");
    CHECK(f.count > 4);
    free_frames(&f);
    write_text("large/0/noise-0.lic", "changed"); /* the other frames are taken over */
    CHECK_HR(backup("large", "by-one", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(restore("large-restored", "by-one", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("large-restored", "large");
}

int main(void)
{
    begin("portable_backup");
    make_store("store", 9);
    make_dir("backups");
    r = restorer_for("store", "backups");
    overwrite();
    changes();
    dry_run();
    left_out();
    failures();
    kept_going();
    larger();
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);
    return finish();
}
