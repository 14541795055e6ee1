/* Every function once: with what it takes, with no restorer, and with one that is destroyed. */
#include "../support/functions.h"

static licbak_hresult LICBAK_CALL count_license(const licbak_license *license, void *context)
{
    CHECK(license->struct_size >= sizeof *license && license->name != NULL && license->content == NULL);
    ++*(int *)context;
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL allow(const licbak_backup_info *info, char *url, size_t url_size, void *context)
{
    CHECK_INT(info->licenses, 6);
    CHECK(url_size >= 2084 && url[0] == '\0');
    ++*(int *)context;
    return LICBAK_S_OK;
}

/* -- no restorer ----------------------------------------------------------------------------------------- */

static void without_a_restorer(void)
{
    licbak_restorer *destroyed = NULL;
    const arguments careless = {0};
    CHECK_HR(licbak_create(NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_create(&destroyed), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(destroyed), LICBAK_S_OK);
    for (int i = 0; i < FUNCTION_COUNT; i++) {
        CHECK_HR(functions[i].call(NULL, &careless), LICBAK_E_HANDLE);
        CHECK_HR(functions[i].call(destroyed, &careless), LICBAK_E_HANDLE);
        CHECK_HR(functions[i].call((licbak_restorer *)&destroyed, &careless), LICBAK_E_HANDLE);
    }
}

/* -- texts about the library ----------------------------------------------------------------------------- */

static void texts(void)
{
    CHECK_TEXT(licbak_version(), LICBAK_VERSION);
    CHECK_INT(licbak_abi_version(), LICBAK_ABI_VERSION);
    CHECK_TEXT(licbak_hresult_name(LICBAK_S_OK), "LICBAK_S_OK");
    CHECK_TEXT(licbak_hresult_name(LICBAK_NS_E_DRM_BACKUP_EXISTS), "LICBAK_NS_E_DRM_BACKUP_EXISTS");
    CHECK_TEXT(licbak_hresult_name(12345), "");
    CHECK(strlen(licbak_hresult_message(LICBAK_HRESULT_ERROR_SHARING_VIOLATION)) > 10);
    CHECK_TEXT(licbak_hresult_message(12345), "");
}

/* -- properties ------------------------------------------------------------------------------------------ */

static void properties(void)
{
    licbak_restorer *r = restorer_for("store", "backups");
    size_t count = 0, name_size = 0, size = 0;
    licbak_datatype type = 99;
    char name[64];
    uint8_t value[64];
    const uint32_t threads = 3;
    CHECK_HR(licbak_set_prop(r, "Threads", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&threads, 4), LICBAK_S_OK);
    CHECK_HR(licbak_get_prop_count(r, &count), LICBAK_S_OK);
    CHECK_INT(count, 4);

    CHECK_HR(licbak_get_prop_by_name(r, "StorePath", &type, NULL, &size), LICBAK_S_OK);
    CHECK_INT(size, 6);
    size = 5;
    CHECK_HR(licbak_get_prop_by_name(r, "StorePath", &type, value, &size), LICBAK_NS_E_DRM_BUFFER_TOO_SMALL);
    CHECK_INT(size, 6);
    CHECK_HR(licbak_get_prop_by_name(r, "StorePath", &type, value, &size), LICBAK_S_OK);
    CHECK_INT(type, LICBAK_WMT_TYPE_STRING);
    CHECK_TEXT((const char *)value, "store");
    CHECK_HR(licbak_get_prop_by_name(r, "MachineId", &type, value, &size), LICBAK_NS_E_DRM_INVALID_PROPERTY);
    CHECK_HR(licbak_get_prop_by_name(r, "Nonsense", &type, value, &size), LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY);

    bool has_threads = false;
    for (size_t i = 0; i < count; i++) {
        CHECK_HR(licbak_get_prop_by_index(r, i, NULL, &name_size, &type, NULL, &size), LICBAK_S_OK);
        CHECK(name_size <= sizeof name && size <= sizeof value);
        CHECK_HR(licbak_get_prop_by_index(r, i, name, &name_size, &type, value, &size), LICBAK_S_OK);
        CHECK_INT(name_size, strlen(name) + 1);
        if (strcmp(name, "Threads") == 0) {
            has_threads = type == LICBAK_WMT_TYPE_DWORD && size == 4 && memcmp(value, &threads, 4) == 0;
        }
    }
    CHECK(has_threads);
    CHECK_HR(licbak_get_prop_by_index(r, count, name, &name_size, &type, value, &size), LICBAK_E_INVALIDARG);

    CHECK_HR(licbak_set_prop(r, "Threads", LICBAK_WMT_TYPE_STRING, value, 1), LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "\xFF"), LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "http://somewhere"), LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_set_prop_string(r, "Nonsense", "x"), LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY);
    CHECK_HR(licbak_remove_prop(r, "Threads"), LICBAK_S_OK);
    CHECK_HR(licbak_remove_prop(r, "Nonsense"), LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY);
    CHECK_HR(licbak_get_prop_count(r, &count), LICBAK_S_OK);
    CHECK_INT(count, 3);
    CHECK_HR(licbak_remove_all_props(r), LICBAK_S_OK);
    CHECK_HR(licbak_get_prop_count(r, &count), LICBAK_S_OK);
    CHECK_INT(count, 0);
    CHECK_HR(licbak_backup_licenses(r, 0, record, NULL), LICBAK_NS_E_DRM_INVALID_PROPERTY);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- every operation ------------------------------------------------------------------------------------- */

static licbak_hresult LICBAK_CALL restore_one(licbak_restorer *r, uint32_t flags, licbak_status_callback callback,
                                              void *context)
{
    return licbak_restore_license(r, "key-0001", flags, callback, context);
}

static void operations(void)
{
    licbak_restorer *r = restorer_for("store", "backups");
    recorder rec = {0};
    licbak_backup_info info = {.struct_size = sizeof info};
    licbak_progress figures = {.struct_size = sizeof figures};
    int listed = 0, authorized = 0;
    make_store("store", 6);
    make_dir("backups");

    licbak_hresult outcome = 99;
    CHECK_HR(licbak_wait(r, 0, &outcome), LICBAK_S_OK); /* nothing ran yet */
    CHECK_HR(outcome, LICBAK_S_OK);
    CHECK_HR(licbak_cancel(r), LICBAK_S_FALSE);
    CHECK_HR(licbak_cancel_license_backup(r), LICBAK_S_FALSE);
    CHECK_HR(licbak_cancel_license_restore(r), LICBAK_S_FALSE);
    CHECK_TEXT(error_message(r), "");

    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 6);
    CHECK_HR(licbak_get_progress(r, &figures), LICBAK_S_OK);
    CHECK_INT(figures.licenses_done, 6);
    CHECK_INT(figures.backup_bytes, size_of("backups/licenses.tar.zst"));
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");

    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_list_backup(r, count_license, &listed), LICBAK_S_OK);
    CHECK_INT(listed, 6);
    CHECK_HR(licbak_get_backup_info(r, &info), LICBAK_S_OK);
    CHECK_INT(info.licenses, 6);
    CHECK_INT(info.generation, 1);
    CHECK_INT(strlen(info.id), 32);
    CHECK_INT(info.machine, LICBAK_MACHINE_UNKNOWN);
    CHECK(info.created > 1600000000LL * 1000000000);

    CHECK_HR(licbak_set_prop_string(r, "StorePath", "restored"), LICBAK_S_OK);
    CHECK_HR(licbak_set_authorizer(r, allow, &authorized), LICBAK_S_OK);
    CHECK_HR(run(restore_one, r, 0, &rec), LICBAK_S_OK);
    CHECK_TEXT(entries("restored"), "music");
    CHECK_TEXT(entries("restored/music"), "key-0001.lic");
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(authorized, 2);
    CHECK_SAME_TREE("restored", "store");
    CHECK_HR(licbak_set_authorizer(r, NULL, NULL), LICBAK_S_OK);
    CHECK_HR(licbak_set_store(r, NULL), LICBAK_S_OK);

    ptrdiff_t descriptor = -1, again = -2;
    CHECK_HR(licbak_get_wait_descriptor(r, &descriptor), LICBAK_S_OK);
    CHECK_HR(licbak_get_wait_descriptor(r, &again), LICBAK_S_OK);
    CHECK_INT(again, descriptor);

    /* A failure has a sentence, which may be asked for in parts. */
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    char whole[4096], small[8];
    size_t size = 0;
    CHECK_HR(licbak_get_error_message(r, NULL, &size), LICBAK_S_OK);
    CHECK(size > sizeof small && size <= sizeof whole);
    CHECK_HR(licbak_get_error_message(r, whole, &size), LICBAK_S_OK);
    CHECK_HAS(whole, "backups");
    size = sizeof small;
    CHECK_HR(licbak_get_error_message(r, small, &size), LICBAK_NS_E_DRM_BUFFER_TOO_SMALL);
    CHECK_INT(size, strlen(whole) + 1);
    CHECK(strncmp(small, whole, strlen(small)) == 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    begin("portable_calls");
    without_a_restorer();
    texts();
    properties();
    operations();
    return finish();
}
