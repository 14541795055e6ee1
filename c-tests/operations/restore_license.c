/* Licences by their key ID: one, several, none; and only what that takes is read. */
#include "../support/frames.h"
#include "../support/host.h"

static const char *key_id;

static licbak_hresult LICBAK_CALL restore_license(licbak_restorer *r, uint32_t flags, licbak_status_callback callback,
                                                  void *context)
{
    return licbak_restore_license(r, key_id, flags, callback, context);
}

static licbak_hresult restore_key(licbak_restorer *r, const char *wanted, uint32_t flags, recorder *rec)
{
    key_id = wanted;
    return run(restore_license, r, flags, rec);
}

/* What the call refuses, in the order of its checks. */
static void refused(void)
{
    licbak_restorer *r = NULL;
    char too_long[1026] = {0};
    memset(too_long, 'k', 1025);
    CHECK_HR(licbak_create(&r), LICBAK_S_OK);
    CHECK_HR(licbak_restore_license(NULL, NULL, 0, record, NULL), LICBAK_E_HANDLE);
    CHECK_HR(licbak_restore_license(r, NULL, 0x80000000, NULL, NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_restore_license(r, "k", LICBAK_WM_BACKUP_OVERWRITE, record, NULL), LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_restore_license(r, "k", 0, NULL, NULL), LICBAK_E_INVALIDARG);
    const char *const bad[] = {"", too_long, "\xFF", "a\nb", "\xC2\x85"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_HR(licbak_restore_license(r, bad[i], 0, record, NULL), LICBAK_E_INVALIDARG);
        CHECK(error_message(r)[0] != '\0');
    }
    CHECK_HR(licbak_restore_license(r, "k", 0, record, NULL), LICBAK_NS_E_DRM_INVALID_PROPERTY);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void from_a_directory(void)
{
    recorder rec = {0};
    write_text("store/one/same.lic", "first");
    write_text("store/two/same.lic", "second");
    write_text("store/three/same.txt", "third");
    write_text("store/other.lic", "other");
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    licbak_restorer *r = restorer_for("restored", "backups");

    CHECK_HR(restore_key(r, "other", LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 1);
    CHECK(!exists("restored"));
    CHECK_HR(restore_key(r, "other", 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_total, 1);
    CHECK_INT(final_figures(&rec).licenses_done, 1);
    CHECK_INT(final_figures(&rec).content_bytes, 5);
    CHECK_INT(system("cmp store/other.lic restored/other.lic && ! test -e restored/one"), 0);

    write_text("restored/two/same.lic", "in use");
    CHECK_HR(restore_key(r, "same", 0, &rec), LICBAK_S_OK); /* all of that key ID */
    CHECK_INT(final_figures(&rec).licenses_total, 3);
    CHECK_INT(final_figures(&rec).licenses_done, 2);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_KEPT, "two/same.lic"), 1);
    CHECK_HR(restore_key(r, "same", LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(system("diff -r store restored"), 0);

    CHECK_HR(restore_key(r, "Same", 0, &rec), LICBAK_HRESULT_ERROR_NOT_FOUND);
    CHECK_HAS(error_message(r), "'Same'");
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "store"), LICBAK_S_OK);
    CHECK_HR(restore_key(r, "same", 0, &rec), LICBAK_HRESULT_ERROR_FILE_NOT_FOUND);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

#define LICENSE_OF(key_id) \
    "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>" key_id "</KID><ONACTION type=\"Backup\"/>" \
    "</DATA></LICENSORINFO></LICENSE>"

/* Finds the one licence of the backup by each of its key IDs. */
static void found_by_each(const char *backups)
{
    static const char *const key_ids[] = {"first", "second", "third"};
    recorder rec = {0};
    for (size_t i = 0; i < sizeof key_ids / sizeof key_ids[0]; i++) {
        licbak_restorer *r = restorer_for("keys-restored", backups);
        CHECK_HR(restore_key(r, key_ids[i], 0, &rec), LICBAK_S_OK);
        CHECK_INT(final_figures(&rec).licenses_done, 1);
        CHECK_INT(system("cmp keys/of/three.xml keys-restored/of/three.xml"), 0);
        remove_tree("keys-restored");
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    licbak_restorer *r = restorer_for("keys-restored", backups);
    CHECK_HR(restore_key(r, "fourth", 0, &rec), LICBAK_HRESULT_ERROR_NOT_FOUND);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* In the backup of every kind of store. */
static void by_each_key_id(void)
{
    host h = {0};
    recorder rec = {0};
    write_text("keys/of/three.xml", "<LICENSERESPONSE>" LICENSE_OF("first") LICENSE_OF("second") LICENSE_OF("third")
               "</LICENSERESPONSE>");
    write_text("keys/other.lic", "other");
    make_dir("keys-backups");
    CHECK_HR(backup("keys", "keys-backups", 0), LICBAK_S_OK);
    found_by_each("keys-backups");
    CHECK_HR(verify("keys-backups"), LICBAK_S_OK);
    write_text("keys/another.lic", "another"); /* the licence is taken over */
    CHECK_HR(backup("keys", "keys-backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    found_by_each("keys-backups");

    licbak_restorer *r = restorer_for("keys.db", "keys-backups");
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    make_dir("keys-db-backups");
    CHECK_HR(backup("keys.db", "keys-db-backups", 0), LICBAK_S_OK);
    found_by_each("keys-db-backups");

    /* The host then states the first key ID, as it was told. */
    CHECK_HR(run_host(licbak_restore_licenses, &h, "keys-backups", 0, &rec), LICBAK_S_OK);
    CHECK_TEXT(host_find(&h, "of/three.xml")->key_id, "first");
    make_dir("keys-host-backups");
    CHECK_HR(run_host(licbak_backup_licenses, &h, "keys-host-backups", 0, &rec), LICBAK_S_OK);
    found_by_each("keys-host-backups");

    /* Another one that it states wins over all that the content says. */
    host stated = {0};
    host_add(&stated, "three.xml", "stated", LICENSE_OF("first"), 0, LICBAK_RIGHT_ALLOWED);
    make_dir("keys-stated");
    CHECK_HR(run_host(licbak_backup_licenses, &stated, "keys-stated", 0, &rec), LICBAK_S_OK);
    r = restorer_for("keys-restored", "keys-stated");
    CHECK_HR(restore_key(r, "first", 0, &rec), LICBAK_HRESULT_ERROR_NOT_FOUND);
    CHECK_HR(restore_key(r, "stated", 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    remove_tree("keys-restored");
    forget(&rec);
    host_forget(&h);
    host_forget(&stated);
}

/* What is left of a damaged backup is found by them, too. */
static void by_each_key_id_of_what_is_left(void)
{
    recorder rec = {0};
    frames f = read_frames("keys-backups/licenses.tar.zst");
    write_file("keys-backups/licenses.tar.zst", f.bytes, f.size - 20);
    licbak_restorer *r = restorer_for("keys-left", "keys-backups");
    CHECK_HR(restore_key(r, "second", 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_HR(restore_key(r, "second", LICBAK_RESTORE_SALVAGE, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(final_figures(&rec).licenses_done, 1);
    CHECK_INT(system("cmp keys/of/three.xml keys-left/of/three.xml"), 0);
    forget(&rec);
    free_frames(&f);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void to_a_host(void)
{
    host h = {0}, restored = {0};
    recorder rec = {0};
    fill(&h);
    make_dir("host-backups");
    CHECK_HR(run_host(licbak_backup_licenses, &h, "host-backups", 0, &rec), LICBAK_S_OK);
    key_id = "same";
    CHECK_HR(run_host(restore_license, &restored, "host-backups", 0, &rec), LICBAK_S_OK);
    CHECK_INT(restored.count, 2);
    CHECK(host_find(&restored, "M.lic") != NULL && host_find(&restored, "\xC3\xA9t\xC3\xA9/x") != NULL);
    CHECK_INT(host_find(&restored, "M.lic")->modified, 1700000000000000001);
    forget(&rec);
    host_forget(&h);
    host_forget(&restored);
}

/* Out of many: little is read, and what is not read may be as damaged as it likes. */
static void out_of_many(void)
{
    recorder rec = {0};
    struct stat st;
    for (int i = 0; i < 40; i++) {
        char path[64];
        snprintf(path, sizeof path, "many/%02d/noise-%d.lic", i, i);
        write_noise(path, 1000000, (uint64_t)i);
    }
    make_dir("many-backups");
    CHECK_HR(backup("many", "many-backups", 0), LICBAK_S_OK);
    CHECK(stat("many-backups/licenses.tar.zst", &st) == 0);
    frames f = read_frames("many-backups/licenses.tar.zst");
    memset(f.bytes, 0, f.all[1].start + f.all[1].length); /* not the frame of the twentieth */
    write_file("many-backups/licenses.tar.zst", f.bytes, f.size);
    licbak_restorer *r = restorer_for("many-restored", "many-backups");
    CHECK_HR(restore_key(r, "noise-20", 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 1);
    CHECK(final_figures(&rec).backup_bytes < (uint64_t)st.st_size / 5);
    CHECK_INT(system("cmp many/20/noise-20.lic many-restored/20/noise-20.lic"), 0);
    CHECK_HR(restore_key(r, "noise-0", 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_DAMAGED, "00/noise-0.lic"), 1);
    CHECK(!exists("many-restored/00"));
    forget(&rec);
    free_frames(&f);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* What reads have cost this process so far, as the kernel counts them; false where it doesn't. */
static bool reads_so_far(long long *bytes, long long *calls)
{
    FILE *io = fopen("/proc/self/io", "r");
    int found = io == NULL ? 0 : fscanf(io, "rchar: %lld wchar: %*d syscr: %lld", bytes, calls);
    if (io != NULL) {
        fclose(io);
    }
    return found == 2;
}

/* However many there are, one is found with the end of the file and at most eight frames. */
static void out_of_any_number(void)
{
    recorder rec = {0};
    for (int count = 1000; count <= 1000000; count *= count == 1000 ? 100 : 10) {
        struct series s = {.count = count};
        host h = {.give = give_series, .other = &s}, restored = {0};
        char wanted[32];
        long long bytes[3], calls[3];
        make_dir("series");
        CHECK_HR(run_host(licbak_backup_licenses, &h, "series", 0, &rec), LICBAK_S_OK);
        snprintf(wanted, sizeof wanted, "key %d", count / 3);
        key_id = wanted;
        licbak_restorer *r = restorer_of(&restored, "series");
        set_number(r, "Threads", 2); /* or the processors are counted, in files too */
        bool counted = reads_so_far(&bytes[0], &calls[0]) && reads_so_far(&bytes[1], &calls[1]);
        CHECK_HR(run(restore_license, r, 0, &rec), LICBAK_S_OK);
        counted = reads_so_far(&bytes[2], &calls[2]) && counted;
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        CHECK_INT(restored.count, 1);
        CHECK_HAS(restored.licenses[0].name, wanted);
        if (counted) {
            /* The counting reads a file itself. */
            long long read = bytes[2] - bytes[1] - (bytes[1] - bytes[0]);
            long long times = calls[2] - calls[1] - (calls[1] - calls[0]);
            figure("one of %d licences: %lld reads, %lld KiB", count, times, read / 1024);
            CHECK(times <= 1 + 8);
            CHECK(read < 4 * MIB);
        } else {
            skip("how much is read", "no /proc/self/io");
        }
        host_forget(&restored);
        remove_tree("series");
    }
    forget(&rec);
}

int main(void)
{
    begin("restore_license");
    refused();
    from_a_directory();
    by_each_key_id();
    by_each_key_id_of_what_is_left();
    to_a_host();
    out_of_many();
    out_of_any_number();
    return finish();
}
