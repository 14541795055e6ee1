/* Files that others have open, and files that may not be written to.
 *
 * Windows lets a program keep others away from a file. What is kept from the library is a failure
 * that changes nothing, and works when the file is let go.
 */
#include "../support/recorder.h"

/* An operation that another program may be in the way of: it does all, or fails and changes
 * nothing. */
static void check_did(licbak_hresult hr, bool is_done, bool is_as_it_was)
{
#ifdef _WIN32
    if (hr != LICBAK_S_OK) {
        CHECK(hr == LICBAK_HRESULT_ERROR_SHARING_VIOLATION || hr == LICBAK_E_ACCESSDENIED);
        CHECK(is_as_it_was);
        return;
    }
#endif
    (void)is_as_it_was;
    CHECK_HR(hr, LICBAK_S_OK);
    CHECK(is_done);
}

static void fill_store(const char *version)
{
    remove_tree("store");
    make_store("store", 6);
    write_text("store/open.lic", version);
}

/* A reader that lets others do everything. */
static void read_meanwhile(void)
{
    char content[16] = "";
    fill_store("old");
    make_dir("backups");
    FILE *reader = open_file("store/open.lic", "rb");
    CHECK(reader != NULL);
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    fclose(reader);

    write_text("store/open.lic", "new!");
    reader = open_file("store/open.lic", "rb");
    CHECK(reader != NULL);
    licbak_hresult hr = restore("store", "backups", LICBAK_RESTORE_OVERWRITE);
    check_did(hr, size_of("store/open.lic") == 3, size_of("store/open.lic") == 4);
    CHECK_INT(fread(content, 1, sizeof content, reader), 4); /* the reader has the file that it opened */
    fclose(reader);
    CHECK_HR(restore("store", "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
    CHECK_INT(size_of("store/open.lic"), 3);
}

/* A program that copies the backup away while it is replaced. */
static void copied_meanwhile(void)
{
    size_t size;
    write_text("store/open.lic", "newer");
    uint8_t *bytes = read_file("backups/licenses.tar.zst", &size), *copied = malloc(size + 1);
    CHECK(copied != NULL);
    FILE *reader = open_file("backups/licenses.tar.zst", "rb");
    CHECK(reader != NULL);
    licbak_hresult hr = backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE);
    size_t length = fread(copied, 1, size + 1, reader);
    CHECK_INT(length, size);
    CHECK(memcmp(copied, bytes, size) == 0); /* the copy is whole */
    fclose(reader);
    uint8_t *now = read_file("backups/licenses.tar.zst", &length);
    bool is_same = length == size && memcmp(now, bytes, size) == 0;
    check_did(hr, !is_same, is_same);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    free(bytes);
    free(copied);
    free(now);
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
}

static void read_only(void)
{
    write_text("store/open.lic", "read-only");
    CHECK(set_read_only("store/open.lic", true));
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(restore("store", "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK); /* it is the same */
    CHECK_HR(restore("restored", "backups", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("restored", "store");
    CHECK(remove_file("restored/open.lic"));
    write_text("restored/open.lic", "other");
    CHECK(set_read_only("restored/open.lic", true));
    CHECK_HR(restore("restored", "backups", 0), LICBAK_S_OK); /* keeps it */
    CHECK_INT(size_of("restored/open.lic"), 5);
    licbak_hresult hr = restore("restored", "backups", LICBAK_RESTORE_OVERWRITE);
    check_did(hr, size_of("restored/open.lic") == 9, size_of("restored/open.lic") == 5);
    CHECK(set_read_only("restored/open.lic", false));
    CHECK_HR(restore("restored", "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
    CHECK_INT(size_of("restored/open.lic"), 9);
    CHECK(set_read_only("store/open.lic", false));

    write_text("store/another.lic", "another");
    CHECK(set_read_only("backups/licenses.tar.zst", true));
    long long before = size_of("backups/licenses.tar.zst");
    hr = backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    check_did(hr, size_of("backups/licenses.tar.zst") != before, size_of("backups/licenses.tar.zst") == before);
    CHECK(set_read_only("backups/licenses.tar.zst", false));
}

#ifdef _WIN32
/* A reader as C's fopen makes it: nobody may remove or replace its file. */
static void read_by_c(void)
{
    write_text("store/open.lic", "old");
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    write_text("store/open.lic", "new!");
    FILE *reader = fopen("store/open.lic", "rb"), *of_backup = fopen("backups/licenses.tar.zst", "rb");
    CHECK(reader != NULL && of_backup != NULL);
    CHECK_HR(backup("store", "backups", LICBAK_DRY_RUN), LICBAK_S_OK);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK_HR(restore("store", "backups", 0), LICBAK_S_OK);
    licbak_hresult hr = restore("store", "backups", LICBAK_RESTORE_OVERWRITE);
    check_did(hr, size_of("store/open.lic") == 3, size_of("store/open.lic") == 4);
    fclose(reader);
    fclose(of_backup);
}

/* A writer that shares its file with nobody. */
static void held_alone(void)
{
    wchar_t wide[WIDE_PATH_MAX];
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK);
    const uint64_t before = digest("backups/licenses.tar.zst");
    HANDLE writer = CreateFileW(wide_path("store/open.lic", wide), GENERIC_READ | GENERIC_WRITE, 0, NULL,
                                OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    CHECK(writer != INVALID_HANDLE_VALUE);
    licbak_restorer *r = restorer_for("store", "backups");
    recorder rec = {0};
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL, &rec),
             LICBAK_HRESULT_ERROR_SHARING_VIOLATION);
    CHECK_HAS(error_message(r), "open.lic");
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK(digest("backups/licenses.tar.zst") == before);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_HRESULT_ERROR_SHARING_VIOLATION);
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_HRESULT_ERROR_SHARING_VIOLATION);
    CloseHandle(writer);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL, &rec), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_OK);

    /* The backup itself: nobody can read it, and nobody replaces it. */
    writer = CreateFileW(wide_path("backups/licenses.tar.zst", wide), GENERIC_READ | GENERIC_WRITE, 0, NULL,
                         OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, NULL);
    CHECK(writer != INVALID_HANDLE_VALUE);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_HRESULT_ERROR_SHARING_VIOLATION);
    licbak_hresult hr = run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL, &rec);
    CHECK(hr == LICBAK_HRESULT_ERROR_SHARING_VIOLATION || hr == LICBAK_E_ACCESSDENIED);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CloseHandle(writer);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);
}

static void *let_go(void *file)
{
    sleep_ms(300);
    CloseHandle(file);
    return NULL;
}

/* One that lets it go soon, as virus scanners do, is waited for. */
static void held_for_a_moment(void)
{
    wchar_t wide[WIDE_PATH_MAX];
    thread holding;
    HANDLE file = CreateFileW(wide_path("store/open.lic", wide), GENERIC_READ, 0, NULL, OPEN_EXISTING,
                              FILE_ATTRIBUTE_NORMAL, NULL);
    CHECK(file != INVALID_HANDLE_VALUE);
    CHECK(start_thread(&holding, let_go, file));
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK);
    CHECK(join_thread(holding));
}
#endif

int main(void)
{
    begin("portable_sharing");
    read_meanwhile();
    copied_meanwhile();
    read_only();
#ifdef _WIN32
    read_by_c();
    held_alone();
    held_for_a_moment();
#endif
    return finish();
}
