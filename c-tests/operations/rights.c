/* What licences say of themselves: their formats, key IDs and rights, and what comes of a denied
 * backup. */
#include "../support/recorder.h"

#define WMDRM(key_id, actions) \
    "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>" key_id "</KID>" actions \
    "</DATA></LICENSORINFO></LICENSE>"
#define OMA(key_id, constraint) \
    "<o:rights xmlns:o=\"http://odrl.net/1.1/ODRL-EX\" xmlns:d=\"http://odrl.net/1.1/ODRL-DD\"><o:agreement>" \
    "<o:asset><o:context><d:uid>" key_id "</d:uid></o:context></o:asset><o:permission><d:play>" \
    "<o:constraint>" constraint "</o:constraint></d:play></o:permission></o:agreement></o:rights>"

static const struct {
    const char *name, *key_id;
    uint32_t format, right;
    const char *content;
} licenses[] = { /* in the order of a backup */
    {"allowed.xml", "YWxsb3dlZA==", LICBAK_FORMAT_WMDRM, LICBAK_RIGHT_ALLOWED,
     WMDRM("YWxsb3dlZA==", "<ONACTION type=\"backup\"/>")},
    {"broken.xml", "broken", LICBAK_FORMAT_OPAQUE, LICBAK_RIGHT_UNSTATED, "<LICENSE version=\"2.0.0.0\">"},
    {"counted.drc", "cid:binary", LICBAK_FORMAT_OMA, LICBAK_RIGHT_DENIED,
     "\x03\x0E\x6A\x01x\x45\x49\x4A\x46\x48\xC3\x0A" "cid:binary\x01\x01\x01\x4D\x4E\x52\x13\x01\x01\x01\x01\x01"},
    {"counted.ro", "cid:counted", LICBAK_FORMAT_OMA, LICBAK_RIGHT_DENIED,
     OMA("cid:counted", "<d:count>count-me-down</d:count>")},
    {"dated.ro", "cid:dated", LICBAK_FORMAT_OMA, LICBAK_RIGHT_UNSTATED, OMA("cid:dated", "<d:datetime/>")},
    {"denied.xml", "ZGVuaWVk", LICBAK_FORMAT_WMDRM, LICBAK_RIGHT_DENIED,
     WMDRM("ZGVuaWVk", "<META>deny-me-a-backup</META><ONACTION type=\"Play\"/>")},
    {"keygen.lic", "seat-7", LICBAK_FORMAT_KEYGEN, LICBAK_RIGHT_UNSTATED,
     "-----BEGIN LICENSE FILE-----\n"
     "eyJlbmMiOiAiZXlKa1lYUmhJanA3SW1sa0lqb2ljMlZoZEMwM0lpd2lkSGx3WlNJNklteHBZMlZ1YzJWekluMTkiLCAic2ln"
     "IjogImMybG4iLCAiYWxnIjogImJhc2U2NCtlZDI1NTE5In0="
     "\n-----END LICENSE FILE-----\n"},
    {"loan.lcpl", "urn:loan", LICBAK_FORMAT_LCP, LICBAK_RIGHT_UNSTATED,
     "{\"id\":\"urn:loan\",\"issued\":\"2020-01-01T00:00:00Z\",\"provider\":\"p\",\"encryption\":{}}"},
    {"version-1.lic", "dmVyc2lvbiAx", LICBAK_FORMAT_WMDRM1, LICBAK_RIGHT_DENIED,
     "AAEAAXUAAAAHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHZG1WeWMybHZiaUF4AAAAAAAAAAAAAAAA"
     "AAkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJ"
     "CQkJCQkJCQkJBQAAAOgDAAAUYwwfAAEAADgAAAAFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF"
     "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUAAQAAOAAAAAUFBQUFBQUFBQUF"
     "BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF"
     "BQUFBQUFBQUFBQUFBQ=="},
};
enum { LICENSES = sizeof licenses / sizeof licenses[0] };

static bool stays_out(size_t i, bool unstated_too)
{
    return licenses[i].right == LICBAK_RIGHT_DENIED ||
           (unstated_too && licenses[i].right == LICBAK_RIGHT_UNSTATED);
}

static void check_report(const recorder *rec, bool unstated_too)
{
    size_t out = 0;
    for (size_t i = 0; i < LICENSES; i++) {
        char start[64];
        snprintf(start, sizeof start, "%s: ", licenses[i].name);
        out += stays_out(i, unstated_too);
        CHECK_INT(told(rec, LICBAK_WMT_RESTRICTED_LICENSE, licenses[i].key_id), stays_out(i, unstated_too));
        CHECK_INT(told(rec, LICBAK_STATUS_LICENSE_LEFT_OUT, start), stays_out(i, unstated_too));
    }
    check_names_follow(rec);
    CHECK_INT(final_figures(rec).licenses_restricted, out);
    CHECK_INT(final_figures(rec).licenses_done, LICENSES - out);
    CHECK_INT(final_figures(rec).licenses_total, LICENSES);
}

struct listing {
    bool unstated_too;
    size_t at;
};

static licbak_hresult LICBAK_CALL check_license(const licbak_license *license, void *context)
{
    struct listing *l = context;
    while (l->at < LICENSES && stays_out(l->at, l->unstated_too)) {
        l->at++;
    }
    CHECK(l->at < LICENSES);
    CHECK_TEXT(license->name, licenses[l->at].name);
    CHECK_TEXT(license->key_id, licenses[l->at].key_id);
    CHECK_INT(license->format, licenses[l->at].format);
    CHECK_INT(license->backup_right, licenses[l->at].right);
    l->at++;
    return LICBAK_S_OK;
}

/* A dry run reports what the backup then reports, and writes nothing. */
static void reported_and_left_out(uint32_t unstated_right)
{
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(licbak_set_prop(r, "UnstatedRight", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&unstated_right, 4),
             LICBAK_S_OK);
    const bool unstated_too = unstated_right == 1;
    recorder rec = {0};
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    check_report(&rec, unstated_too);
    CHECK(access("backups/licenses.tar.zst", F_OK) != 0);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    check_report(&rec, unstated_too);
    struct listing l = {.unstated_too = unstated_too};
    CHECK_HR(licbak_list_backup(r, check_license, &l), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static size_t occurrences(const char *text, size_t size, const char *part)
{
    size_t count = 0;
    for (const char *at = text; (at = memmem(at, size - (size_t)(at - text), part, strlen(part))) != NULL; at++) {
        count++;
    }
    return count;
}

/* Not a byte of a denied licence is in the file: only that it was left out. */
static void in_no_byte(void)
{
    if (system("zstd --version >zstd-version 2>&1") != 0) {
        skip("the bytes of the backup", "zstd is not installed");
        return;
    }
    char text[1 << 20];
    FILE *file = popen("zstd -dcq backups/licenses.tar.zst", "r");
    CHECK(file != NULL);
    size_t size = fread(text, 1, sizeof text, file);
    CHECK(pclose(file) == 0 && size > 0 && size < sizeof text);
    CHECK(occurrences(text, size, "urn:loan") > 1); /* one that is there */
    CHECK_INT(occurrences(text, size, "count-me-down") + occurrences(text, size, "deny-me-a-backup"), 0);
    CHECK_INT(occurrences(text, size, "\"key_id\":\"cid:counted\""), 1);
    CHECK_INT(occurrences(text, size, "cid:counted"), 1);
    CHECK_INT(occurrences(text, size, "denied.xml"), 1);
}

/* Where all are denied there is nothing to save; but an old backup must not keep them. */
static void all_denied(void)
{
    make_dir("all-backups");
    write_text("all/denied.xml", licenses[0].content); /* allowed at first */
    CHECK_HR(backup("all", "all-backups", 0), LICBAK_S_OK);
    write_text("all/denied.xml", licenses[5].content);
    make_dir("no-backups");
    CHECK_HR(backup("all", "no-backups", 0), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK_HR(backup("all", "no-backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_HRESULT_ERROR_EMPTY);
    CHECK_HR(backup("all", "all-backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(verify("all-backups"), LICBAK_S_OK);
    licbak_restorer *r = restorer_for("restored", "all-backups");
    recorder rec = {0};
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    begin("rights");
    for (size_t i = 0; i < LICENSES; i++) {
        char path[64];
        snprintf(path, sizeof path, "store/%s", licenses[i].name);
        write_text(path, licenses[i].content);
    }
    make_dir("backups");
    reported_and_left_out(0);
    in_no_byte();
    CHECK(unlink("backups/licenses.tar.zst") == 0);
    reported_and_left_out(1);
    all_denied();
    return finish();
}
