/* A licence whose issuer comes to deny backup: with the next backup it is gone from the file in
 * every version that there ever was, and told once; and it comes back when it is allowed again.
 */
#include "../support/repeat.h"

#define XML(key_id, what, action) \
    "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>" key_id "</KID><META>" what "</META>" action \
    "</DATA></LICENSORINFO></LICENSE>"
#define ALLOWED "<ONACTION type=\"backup\"/>"
#define DENIED "<ONACTION type=\"Play\"/>"

/* Some of licences that are in the way of nothing, in frames of their own. */
static void make_others(int version)
{
    for (int i = 0; i < MANY; i += version == 0 ? 1 : 2) {
        write_license("store", i, LARGE, version);
    }
}

static licbak_hresult repeat(uint32_t unstated_right, recorder *rec)
{
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(licbak_set_prop(r, "UnstatedRight", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&unstated_right, 4),
             LICBAK_S_OK);
    licbak_hresult hr = run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return hr;
}

/* The backup is right, and has all of the store but these. */
static void check_without(const char *const without[], size_t count)
{
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    for (size_t i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof path, "store/%s", without[i]);
        CHECK(rename(path, "aside") == 0);
        snprintf(path, sizeof path, "aside-%zu", i);
        CHECK(rename("aside", path) == 0);
    }
    check_backup("backups", "store");
    for (size_t i = 0; i < count; i++) {
        char path[64], from[64];
        snprintf(path, sizeof path, "store/%s", without[i]);
        snprintf(from, sizeof from, "aside-%zu", i);
        CHECK(rename(from, path) == 0);
    }
}

static void check_told(const recorder *rec, const char *key_id, const char *name, size_t restricted)
{
    CHECK_INT(told(rec, LICBAK_WMT_RESTRICTED_LICENSE, key_id), 1);
    CHECK_INT(told(rec, LICBAK_STATUS_LICENSE_LEFT_OUT, name), 1);
    CHECK_INT(count_of(rec, LICBAK_WMT_RESTRICTED_LICENSE), restricted);
    CHECK_INT(count_of(rec, LICBAK_STATUS_LICENSE_LEFT_OUT), restricted);
    CHECK_INT(final_figures(rec).licenses_restricted, restricted);
    check_names_follow(rec);
}

static const char *const first[] = {"f0/first.xml"}, *const both[] = {"f0/first.xml", "f3/second.xml"};

/* Its versions are in two frames, and a third one is what denies it. */
static void denied(void)
{
    recorder rec = {0};
    CHECK_HR(repeat(0, &rec), LICBAK_S_OK);
    check_backup("backups", "store");
    write_text("store/f0/first.xml", XML("Zmlyc3Q=", "version-two", ALLOWED));
    CHECK_HR(repeat(0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_restricted, 0);
    check_in_file("version-one", true); /* carried along, and superseded */
    check_in_file("version-two", true);
    check_backup("backups", "store");

    write_text("store/f0/first.xml", XML("Zmlyc3Q=", "version-three", DENIED));
    CHECK_HR(repeat(0, &rec), LICBAK_S_OK);
    check_told(&rec, "Zmlyc3Q=", "f0/first.xml: ", 1);
    check_in_file("version-", false);
    check_in_file("second-license", true);
    check_without(first, 1);
    CHECK_HR(repeat(0, &rec), LICBAK_S_OK); /* it is told each time */
    check_told(&rec, "Zmlyc3Q=", "f0/first.xml: ", 1);
    check_without(first, 1);
    forget(&rec);
}

static void allowed_again(void)
{
    recorder rec = {0};
    write_text("store/f0/first.xml", XML("Zmlyc3Q=", "version-four", ALLOWED));
    CHECK_HR(repeat(0, &rec), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), 0);
    check_in_file("version-four", true);
    check_backup("backups", "store");
    CHECK_HR(restore_one("single", "backups", "Zmlyc3Q="), LICBAK_S_OK);
    CHECK(same_file("single/f0/first.xml", "store/f0/first.xml"));
    forget(&rec);
}

/* So much has changed that the store is read twice: the licence is told once all the same, and so
 * is a link. */
static void denied_where_much_has_changed(void)
{
    recorder rec = {0};
    make_others(1);
    write_text("store/f0/first.xml", XML("Zmlyc3Q=", "version-five", DENIED));
    CHECK(symlink("nowhere", "store/link") == 0);
    CHECK_HR(repeat(0, &rec), LICBAK_S_OK);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "link: "), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "f0/first.xml: "), 1);
    CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), 1);
    CHECK_INT(final_figures(&rec).licenses_total, MANY + 2);
    CHECK_INT(final_figures(&rec).licenses_done, MANY + 1);
    check_in_file("version-", false);
    CHECK(unlink("store/link") == 0);
    check_without(first, 1);
    forget(&rec);
}

/* Nothing in the store changes, but licences that state nothing are to stay out from now on; and
 * then not. */
static void unstated(void)
{
    recorder rec = {0};
    write_text("store/f0/first.xml", XML("Zmlyc3Q=", "version-six", ALLOWED));
    write_text("store/f2/unstated.lic", "states-nothing");
    settle();
    for (int i = 0; i < 2; i++) {
        CHECK_HR(repeat(0, &rec), LICBAK_S_OK);
        check_backup("backups", "store");
        check_in_file("states-nothing", true);
        for (int j = 0; j < 2; j++) {
            CHECK_HR(repeat(1, &rec), LICBAK_S_OK);
            check_told(&rec, "unstated", "f2/unstated.lic: ", MANY + 1);
            CHECK_INT(final_figures(&rec).licenses_done, 2);
            CHECK_HR(verify("backups"), LICBAK_S_OK);
            check_in_file("states-nothing", false);
            check_in_file("version-six", true);
            char *text = list_text("backups");
            CHECK_INT(strncmp(text, "f0/first.xml: ", 14), 0);
            CHECK_HAS(text, "\nf3/second.xml: ");
            free(text);
        }
        CHECK_HR(repeat(0, &rec), LICBAK_S_OK); /* what is in no file is read */
        CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), 0);
        check_backup("backups", "store");
    }
    forget(&rec);
}

/* Every licence is denied, also the ones that have not changed. */
static void all_denied(void)
{
    recorder rec = {0};
    write_text("store/f0/first.xml", XML("Zmlyc3Q=", "version-seven", DENIED));
    write_text("store/f3/second.xml", XML("c2Vjb25k", "second-license", DENIED));
    CHECK_HR(repeat(0, &rec), LICBAK_S_OK);
    check_in_file("second-license", false);
    check_without(both, 2);
    CHECK_HR(repeat(1, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 0);
    CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), MANY + 3);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK_HR(repeat(0, &rec), LICBAK_S_OK);
    check_without(both, 2);
    forget(&rec);
}

int main(void)
{
    begin("repeat_rights");
    bool memory = enter_memory();
    if (!has_zstd()) {
        skip("the bytes of the backup", "zstd is not installed");
    }
    make_others(0);
    write_text("store/f0/first.xml", XML("Zmlyc3Q=", "version-one", ALLOWED));
    write_text("store/f3/second.xml", XML("c2Vjb25k", "second-license", ALLOWED));
    make_dir("backups");
    settle();
    denied();
    allowed_again();
    denied_where_much_has_changed();
    unstated();
    all_denied();
    leave_memory(memory);
    return finish();
}
