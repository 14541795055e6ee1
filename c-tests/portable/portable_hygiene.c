/* While no operation runs, a restorer holds nothing: no file, no folder, no thread. */
#include "../support/host.h"

enum { ROUNDS = 20 };

static licbak_hresult LICBAK_CALL ignore(const licbak_license *license, void *context)
{
    (void)license, (void)context;
    return LICBAK_S_OK;
}

/* Every kind of operation once, some of which fail; the restorers stay. */
static void use(licbak_restorer *r, licbak_restorer *of_database, licbak_restorer *of_host)
{
    recorder rec = {.may_roll_back = true};
    licbak_backup_info info = {.struct_size = sizeof info};
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL, &rec), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_list_backup(r, ignore, NULL), LICBAK_S_OK);
    CHECK_HR(licbak_get_backup_info(r, &info), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, of_database, 0, &rec), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, of_host, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(of_host, "RestorePath", "missing"), LICBAK_S_OK);
    CHECK_HR(run(licbak_verify_backup, of_host, 0, &rec), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HR(licbak_set_prop_string(of_host, "RestorePath", "backups"), LICBAK_S_OK);
    forget(&rec);
}

static void nothing_is_held(void)
{
    host h = {0};
    licbak_restorer *r = restorer_for("store", "backups"), *of_database = restorer_for("x.db", "backups");
    licbak_restorer *of_host = restorer_of(&h, "backups");
    make_store("store", 12);
    make_dir("backups");
    for (int i = 0; i < 3; i++) { /* what is made once in a process */
        use(r, of_database, of_host);
    }
    const long handles = open_handles(), threads = running_threads();
    for (int i = 0; i < ROUNDS; i++) {
        use(r, of_database, of_host);
    }
    CHECK(open_handles() < handles + ROUNDS);
    CHECK(running_threads() < threads + ROUNDS);

    /* All of it can be taken away, while the restorers live. */
    remove_tree("store");
    remove_tree("backups");
    CHECK(remove_file("x.db"));
    CHECK_TEXT(entries("."), "");
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(of_database), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(of_host), LICBAK_S_OK);
    host_forget(&h);
}

/* Restorers themselves, with their descriptors. */
static void made_and_destroyed(void)
{
    const long handles = open_handles();
    for (int i = 0; i < 200; i++) {
        ptrdiff_t descriptor;
        licbak_restorer *r = restorer_for("store", "backups");
        CHECK_HR(licbak_get_wait_descriptor(r, &descriptor), LICBAK_S_OK);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    CHECK(open_handles() < handles + 200);
}

int main(void)
{
    begin("portable_hygiene");
    nothing_is_held();
    made_and_destroyed();
    return finish();
}
