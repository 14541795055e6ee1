/* A backup that is made on one system and restored on another.
 *
 *     portable_exchange make DIR    makes a store below DIR, and its backup
 *     portable_exchange check DIR   verifies the backup, restores it, and compares
 *     portable_exchange             both, in a folder of its own
 */
#include "../support/recorder.h"

static licbak_hresult LICBAK_CALL count_license(const licbak_license *license, void *context)
{
    CHECK(license->key_id != NULL && license->modified != 0);
    ++*(int *)context;
    return LICBAK_S_OK;
}

/* Times are of whole 100 ns, as Windows keeps them. */
static void make(void)
{
    static const char *const names[] = {"plain.lic", "\xC3\x89t\xC3\xA9 \xF0\x9F\x94\x91.lic", "a b/c d.lic",
                                        "deep/deep/deep/deep/deep/deep.lic", "empty.lic", "no extension"};
    enum { NAMES = sizeof names / sizeof names[0] };
    char path[PATH_MAX];
    for (int i = 0; i < NAMES; i++) {
        snprintf(path, sizeof path, "store/%s", names[i]);
        write_noise(path, i == 4 ? 0 : (size_t)i * 400000 + 10, (uint64_t)i);
        set_modified(path, 1500000000 + i, i * 12300);
    }
    for (int i = 0; i < 200; i++) {
        snprintf(path, sizeof path, "store/many/%d/key-%04d.lic", i % 7, i);
        write_text(path, path);
        set_modified(path, 1600000000 + i, i * 100);
    }
    make_dir("backups");
    licbak_restorer *r = restorer_for("store", "backups");
    recorder rec = {0};
    CHECK_HR(licbak_set_prop_string(r, "MachineId", "the machine"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    write_text("store/later.lic", "later"); /* so that it is a backup over a backup */
    set_modified("store/later.lic", 1700000000, 0);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void check(void)
{
    licbak_backup_info info = {.struct_size = sizeof info};
    recorder rec = {0};
    int listed = 0;
    licbak_restorer *r = restorer_for("restored", "backups");
    CHECK_HR(licbak_set_prop_string(r, "MachineId", "the machine"), LICBAK_S_OK);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_get_backup_info(r, &info), LICBAK_S_OK);
    CHECK_INT(info.licenses, 207);
    CHECK_INT(info.generation, 2);
    CHECK_INT(info.machine, LICBAK_MACHINE_SAME);
    CHECK_HR(licbak_list_backup(r, count_license, &listed), LICBAK_S_OK);
    CHECK_INT(listed, 207);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_SAME_TREE("restored", "store");

    /* Another backup over it, on this system, takes over what the other one wrote, or reads it anew. */
    write_text("restored/here.lic", "here");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "again"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_SAME_TREE("again", "restored");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(int argc, char **argv)
{
    if (argc == 1) {
        begin("portable_exchange");
        make();
        check();
        return finish();
    }
    check_program = "portable_exchange";
    die_after(280);
    CHECK(argc == 3);
    make_dir(argv[2]);
    CHECK(enter_folder(argv[2]));
    if (strcmp(argv[1], "make") == 0) {
        make();
    } else {
        CHECK_TEXT(argv[1], "check");
        check();
    }
    return finish();
}
