/* The list of a backup: what is told of each licence, in which order, and where. */
#include "../support/recorder.h"

struct listing {
    pthread_t caller;
    int count, stop_at;
    licbak_hresult stop_with;
    char last[PATH_MAX];
};

static const struct {
    const char *name, *key_id, *content;
    int64_t modified; /* nanoseconds */
} licenses[] = { /* in the order of a backup */
    {"a-b.lic", "a-b", "one", 1600000000123456789},
    {"a.lic", "a", "", 1},
    {"a/b.lic", "b", "three!", -500000000},
    {"a/b/c.tar.lic", "c.tar", "4", 1700000000000000001},
    {"a0.lic", "a0", "5", 1700000000999999999},
    {"no extension", "no extension", "6", 4102444800000000000},
    {"\xC3\xA9.lic", "\xC3\xA9", "7", 1500000000000000000},
};
enum { LICENSES = sizeof licenses / sizeof licenses[0] };

static licbak_hresult LICBAK_CALL check_license(const licbak_license *license, void *context)
{
    struct listing *l = context;
    CHECK(pthread_equal(l->caller, pthread_self()));
    CHECK(l->count < LICENSES);
    CHECK(license->struct_size >= sizeof *license);
    CHECK_TEXT(license->name, licenses[l->count].name);
    CHECK_TEXT(license->key_id, licenses[l->count].key_id);
    CHECK(license->content == NULL);
    CHECK_INT(license->content_size, strlen(licenses[l->count].content));
    CHECK_INT(license->modified, licenses[l->count].modified);
    CHECK_INT(license->backup_right, LICBAK_RIGHT_UNSTATED);
    CHECK_INT(license->format, LICBAK_FORMAT_OPAQUE);
    return ++l->count == l->stop_at ? l->stop_with : LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL check_order(const licbak_license *license, void *context)
{
    struct listing *l = context;
    CHECK(strcmp(l->last, license->name) < 0);
    snprintf(l->last, sizeof l->last, "%s", license->name);
    l->count++;
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL never(const licbak_license *license, void *context)
{
    (void)context;
    check_fail(__FILE__, __LINE__, "list: expected no licence, got %s", license->name);
}

static void every_field(void)
{
    for (int i = 0; i < LICENSES; i++) {
        char path[64];
        int64_t seconds = licenses[i].modified / 1000000000;
        long nanoseconds = (long)(licenses[i].modified % 1000000000);
        if (nanoseconds < 0) {
            seconds--;
            nanoseconds += 1000000000;
        }
        snprintf(path, sizeof path, "store/%s", licenses[i].name);
        write_text(path, licenses[i].content);
        set_modified(path, seconds, nanoseconds);
    }
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);

    licbak_restorer *r = NULL;
    CHECK_HR(licbak_create(&r), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "backups"), LICBAK_S_OK); /* all that a list needs */
    struct listing l = {.caller = pthread_self()};
    CHECK_HR(licbak_list_backup(r, check_license, &l), LICBAK_S_OK);
    CHECK_INT(l.count, LICENSES);

    /* A callback's failure stops the list and is returned, whatever it is. */
    static const licbak_hresult failures[] = {LICBAK_E_ABORT, LICBAK_E_FAIL, (licbak_hresult)0xA0001234};
    for (int i = 0; i < 3; i++) {
        l = (struct listing){.caller = pthread_self(), .stop_at = i + 1, .stop_with = failures[i]};
        CHECK_HR(licbak_list_backup(r, check_license, &l), failures[i]);
        CHECK_INT(l.count, i + 1);
    }
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void order_of_many(void)
{
    struct listing l = {0};
    make_store("many", 2000);
    make_dir("many-backups");
    CHECK_HR(backup("many", "many-backups", 0), LICBAK_S_OK);
    licbak_restorer *r = restorer_for("many", "many-backups");
    CHECK_HR(licbak_list_backup(r, check_order, &l), LICBAK_S_OK);
    CHECK_INT(l.count, 2000);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* A list that fails says why, until the next list. */
static void failures(void)
{
    struct listing l = {.caller = pthread_self()};
    make_dir("empty");
    write_text("foreign/licenses.tar.zst", "no backup at all");
    licbak_restorer *r = restorer_for("store", "empty");
    CHECK_HR(licbak_list_backup(r, never, NULL), LICBAK_HRESULT_ERROR_FILE_NOT_FOUND);
    CHECK_HAS(error_message(r), "empty");
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "foreign"), LICBAK_S_OK);
    CHECK_HR(licbak_list_backup(r, never, NULL), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_HAS(error_message(r), "foreign");
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "missing"), LICBAK_S_OK);
    CHECK_HR(licbak_list_backup(r, never, NULL), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HAS(error_message(r), "missing");
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "backups"), LICBAK_S_OK);
    CHECK_HR(licbak_list_backup(r, check_license, &l), LICBAK_S_OK);
    CHECK_TEXT(error_message(r), "");
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    begin("list");
    every_field();
    order_of_many();
    failures();
    return finish();
}
