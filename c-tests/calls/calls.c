/* What a call refuses at once, in the contract's order, and what needs no operation at all. */
#include "../support/recorder.h"

static const struct {
    const char *name;
    operation start;
    uint32_t flags; /* that it takes; RESTORE_SALVAGE is not looked at here */
} operations[] = {
    {"backup", licbak_backup_licenses,
     LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL | LICBAK_DRY_RUN | LICBAK_KEEP_GOING},
    {"restore", licbak_restore_licenses,
     LICBAK_WM_RESTORE_INDIVIDUALIZE | LICBAK_DRY_RUN | LICBAK_RESTORE_OVERWRITE | LICBAK_KEEP_GOING},
    {"verify", licbak_verify_backup, 0},
};
enum { OPERATIONS = sizeof operations / sizeof operations[0] };

static licbak_hresult LICBAK_CALL never(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                        const uint8_t *value, size_t size, void *context)
{
    (void)hr, (void)type, (void)value, (void)size, (void)context;
    check_fail(__FILE__, __LINE__, "callback: expected none after a refused call, got status %u", status);
}

static licbak_hresult LICBAK_CALL never_listed(const licbak_license *license, void *context)
{
    (void)context;
    check_fail(__FILE__, __LINE__, "callback: expected none after a refused call, got %s", license->name);
}

static licbak_restorer *bare(void)
{
    licbak_restorer *r = NULL;
    CHECK_HR(licbak_create(&r), LICBAK_S_OK);
    CHECK(r != NULL);
    return r;
}

/* The handle is looked at before anything else that is wrong. */
static void handle_first(void)
{
    for (int i = 0; i < OPERATIONS; i++) {
        CHECK_HR(operations[i].start(NULL, 0xFFFFFFFF, NULL, NULL), LICBAK_E_HANDLE);
    }
    CHECK_HR(licbak_list_backup(NULL, NULL, NULL), LICBAK_E_HANDLE);
    CHECK_HR(licbak_get_backup_info(NULL, NULL), LICBAK_E_HANDLE);
    CHECK_HR(licbak_set_prop(NULL, NULL, 99, NULL, 0), LICBAK_E_HANDLE);
    CHECK_HR(licbak_wait(NULL, 0, NULL), LICBAK_E_HANDLE);
    CHECK_HR(licbak_get_progress(NULL, NULL), LICBAK_E_HANDLE);
}

static void null_pointers(void)
{
    licbak_restorer *r = bare();
    size_t size = 0, name_size = 0;
    licbak_datatype type = 0;
    CHECK_HR(licbak_create(NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_wait(r, 0, NULL), LICBAK_S_OK); /* the outcome need not be of interest */
    CHECK_HR(licbak_get_progress(r, NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_get_backup_info(r, NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_get_error_message(r, NULL, NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_get_prop_count(r, NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_set_prop(r, NULL, LICBAK_WMT_TYPE_STRING, (const uint8_t *)"x", 1), LICBAK_E_POINTER);
    CHECK_HR(licbak_set_prop(r, "StorePath", LICBAK_WMT_TYPE_STRING, NULL, 1), LICBAK_E_POINTER);
    CHECK_HR(licbak_set_prop_string(r, NULL, "x"), LICBAK_E_POINTER);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_remove_prop(r, NULL), LICBAK_E_POINTER);

    CHECK_HR(licbak_set_prop_string(r, "StorePath", "store"), LICBAK_S_OK);
    CHECK_HR(licbak_get_prop_by_name(r, NULL, &type, NULL, &size), LICBAK_E_POINTER);
    CHECK_HR(licbak_get_prop_by_name(r, "StorePath", NULL, NULL, &size), LICBAK_E_POINTER);
    CHECK_HR(licbak_get_prop_by_name(r, "StorePath", &type, NULL, NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_get_prop_by_index(r, 0, NULL, NULL, &type, NULL, &size), LICBAK_E_POINTER);
    CHECK_HR(licbak_get_prop_by_index(r, 0, NULL, &name_size, NULL, NULL, &size), LICBAK_E_POINTER);
    CHECK_HR(licbak_get_prop_by_index(r, 0, NULL, &name_size, &type, NULL, NULL), LICBAK_E_POINTER);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Flags and callbacks are looked at before properties: this restorer has none set. */
static void arguments_before_properties(void)
{
    licbak_restorer *r = bare();
    for (int i = 0; i < OPERATIONS; i++) {
        CHECK_HR(operations[i].start(r, 0, NULL, NULL), LICBAK_E_INVALIDARG);
        CHECK_HR(operations[i].start(r, LICBAK_CALL_IN_WAIT, NULL, NULL), LICBAK_NS_E_DRM_INVALID_PROPERTY);
        for (int bit = 0; bit < 32; bit++) {
            uint32_t flag = 1u << bit;
            if (flag == LICBAK_RESTORE_SALVAGE && operations[i].start == licbak_restore_licenses) {
                continue;
            }
            bool is_known = ((operations[i].flags | LICBAK_CALL_IN_WAIT) & flag) != 0;
            licbak_hresult expected = is_known ? LICBAK_NS_E_DRM_INVALID_PROPERTY : LICBAK_E_INVALIDARG;
            licbak_hresult hr = operations[i].start(r, flag, never, NULL);
            if (hr != expected) {
                check_fail(__FILE__, __LINE__, "%s with flag 0x%X: expected %s, got %s", operations[i].name,
                           flag, licbak_hresult_name(expected), hresult_name(hr));
            }
        }
    }
    CHECK_HR(licbak_backup_licenses(r, LICBAK_KEEP_GOING | LICBAK_WM_BACKUP_OVERWRITE, never, NULL),
             LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_backup_licenses(r, LICBAK_KEEP_GOING | LICBAK_WM_BACKUP_OVERWRITE | LICBAK_DRY_RUN, never, NULL),
             LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_list_backup(r, NULL, NULL), LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* While an operation runs every start is BUSY, but an argument that is wrong is still told first,
 * and a property that is missing comes after. */
static void busy(void)
{
    gate g;
    gate_init(&g);
    recorder rec = {.react = hold_at_begin, .gate = &g};
    make_store("busy/store", 3);
    make_dir("busy/backups");
    licbak_restorer *r = restorer_for("busy/store", "busy/backups");
    start(licbak_backup_licenses, r, 0, &rec);
    wait_for(&g.reached);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < OPERATIONS; i++) {
            CHECK_HR(operations[i].start(r, 0, never, NULL), LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY);
            CHECK_HR(operations[i].start(r, 0x80000000, never, NULL), LICBAK_E_INVALIDARG);
            char sentence[256];
            size_t size = sizeof sentence;
            CHECK_HR(licbak_get_error_message(r, sentence, &size), LICBAK_S_OK);
            CHECK(strncmp(sentence, "Unknown flag 0x80000000 for a ", 30) == 0);
            CHECK_HR(operations[i].start(r, 0, NULL, NULL), LICBAK_E_INVALIDARG);
        }
        CHECK_HR(licbak_remove_all_props(r), LICBAK_S_OK);
    }
    sem_post(&g.open);
    licbak_hresult outcome;
    CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
    CHECK_HR(outcome, LICBAK_S_OK); /* properties were read at the start */
    CHECK(exists("busy/backups/licenses.tar.zst"));
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);
}

/* Sets the properties named by bits: 1 StorePath, 2 BackupPath, 4 RestorePath. */
static void set_some(licbak_restorer *r, int which, const char *other)
{
    static const char *const names[] = {"StorePath", "BackupPath", "RestorePath"};
    CHECK_HR(licbak_remove_all_props(r), LICBAK_S_OK);
    for (int i = 0; i < 3; i++) {
        const char *value = which & 1 << i ? i == 0 ? "busy/store" : "busy/backups" : other;
        if (value != NULL) {
            CHECK_HR(licbak_set_prop_string(r, names[i], value), LICBAK_S_OK);
        }
    }
}

/* Each property that an operation needs, absent or empty, and that nothing stands in for it. A
 * backup is there: a missing property is told before that. */
static void missing_properties(void)
{
    licbak_restorer *r = bare();
    recorder rec = {0};
    for (int empty = 0; empty < 2; empty++) {
        for (int which = 0; which < 8; which++) {
            set_some(r, which, empty ? "" : NULL);
            bool store = which & 1, to = which & 2, from = which & 4;
            licbak_hresult missing = LICBAK_NS_E_DRM_INVALID_PROPERTY;
            CHECK_HR(run(licbak_backup_licenses, r, 0, &rec),
                     store && to ? LICBAK_NS_E_DRM_BACKUP_EXISTS : missing);
            CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec),
                     store && to ? LICBAK_S_OK : missing);
            CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), store ? LICBAK_S_OK : missing);
            CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), store && from ? LICBAK_S_OK : missing);
            CHECK_HR(run(licbak_restore_licenses, r, LICBAK_DRY_RUN, &rec),
                     store && from ? LICBAK_S_OK : missing);
            CHECK_HR(run(licbak_verify_backup, r, 0, &rec), from ? LICBAK_S_OK : missing);
            licbak_backup_info info = {.struct_size = sizeof info};
            CHECK_HR(licbak_get_backup_info(r, &info), from ? LICBAK_S_OK : missing);
            CHECK((error_message(r)[0] != '\0') == !from);
            if (!from) {
                CHECK_HR(licbak_list_backup(r, never_listed, NULL), missing);
                CHECK(error_message(r)[0] != '\0');
            }
        }
    }
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* A backup that is there is never replaced unasked, and whatever has its name counts as one. */
static void backup_exists(void)
{
    recorder rec = {0};
    make_dir("taken");
    write_text("taken/licenses.tar.zst", "");
    licbak_restorer *r = restorer_for("busy/store", "taken");
    CHECK_HR(licbak_backup_licenses(r, 0, never, NULL), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK_HR(licbak_backup_licenses(r, LICBAK_BACKUP_FULL, never, NULL), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK_INT(size_of("taken/licenses.tar.zst"), 0);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(size_of("taken/licenses.tar.zst"), 0);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_BACKUP_FULL | LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* A refused start leaves its sentence, which the next start clears. */
static void error_messages(void)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for("busy/store", "busy/backups");
    CHECK_TEXT(error_message(r), "");
    CHECK_HR(licbak_backup_licenses(r, 0, never, NULL), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    char *exists_message = strdup(error_message(r));
    CHECK_HR(licbak_backup_licenses(r, 0x80000000u, never, NULL), LICBAK_E_INVALIDARG);
    CHECK(strcmp(error_message(r), exists_message) != 0); /* that of the last start */
    CHECK_HR(licbak_list_backup(r, NULL, NULL), LICBAK_E_INVALIDARG);
    CHECK_HAS(error_message(r), "callback");
    free(exists_message);
    CHECK_HR(licbak_backup_licenses(r, 0, never, NULL), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK(error_message(r)[0] != '\0');
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "B\xC3\xBC" "cher \xF0\x9F\x94\x91"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "busy/backups"), LICBAK_S_OK);
    const char *message = error_message(r);
    CHECK_HAS(message, "\xF0\x9F\x94\x91");

    size_t needed = 0, size;
    CHECK_HR(licbak_get_error_message(r, NULL, &needed), LICBAK_S_OK);
    CHECK_INT(needed, strlen(message) + 1);
    char *buffer = malloc(needed);
    CHECK(buffer != NULL);
    memset(buffer, 'x', needed);
    for (size_t room = 0; room < needed; room++) { /* as many whole characters as fit, and their NUL */
        memset(buffer, 'x', needed);
        size = room;
        CHECK_HR(licbak_get_error_message(r, buffer, &size), LICBAK_NS_E_DRM_BUFFER_TOO_SMALL);
        CHECK_INT(size, needed);
        size_t kept = room > 0 ? strlen(buffer) : 0;
        CHECK(strncmp(buffer, message, kept) == 0 && (room == 0 || room - kept <= 4));
        CHECK((message[kept] & 0xC0) != 0x80);
        for (size_t i = room > 0 ? kept + 1 : 0; i < needed; i++) {
            CHECK(buffer[i] == 'x');
        }
    }
    size = needed;
    CHECK_HR(licbak_get_error_message(r, buffer, &size), LICBAK_S_OK);
    CHECK_TEXT(buffer, message);
    free(buffer);

    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_TEXT(error_message(r), "");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Each code has its own name and a sentence; what is no code has neither. */
static void names_of_codes(void)
{
#define CODE(name) {name, #name}
    static const struct {
        licbak_hresult hr;
        const char *name;
    } codes[] = {
        CODE(LICBAK_S_OK), CODE(LICBAK_S_FALSE), CODE(LICBAK_E_NOTIMPL), CODE(LICBAK_E_POINTER),
        CODE(LICBAK_E_ABORT), CODE(LICBAK_E_FAIL), CODE(LICBAK_E_ILLEGAL_METHOD_CALL),
        CODE(LICBAK_E_UNEXPECTED), CODE(LICBAK_E_ACCESSDENIED), CODE(LICBAK_E_HANDLE),
        CODE(LICBAK_E_OUTOFMEMORY), CODE(LICBAK_E_INVALIDARG), CODE(LICBAK_NS_E_DRM_LICENSE_STORE_ERROR),
        CODE(LICBAK_NS_E_DRM_BACKUP_EXISTS), CODE(LICBAK_NS_E_DRM_BACKUP_CORRUPT),
        CODE(LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY), CODE(LICBAK_NS_E_DRM_INVALID_PROPERTY),
        CODE(LICBAK_NS_E_DRM_BUFFER_TOO_SMALL), CODE(LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY),
        CODE(LICBAK_NS_E_DRM_OPERATION_CANCELED), CODE(LICBAK_HRESULT_ERROR_FILE_NOT_FOUND),
        CODE(LICBAK_HRESULT_ERROR_PATH_NOT_FOUND), CODE(LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES),
        CODE(LICBAK_HRESULT_ERROR_WRITE_PROTECT), CODE(LICBAK_HRESULT_ERROR_WRITE_FAULT),
        CODE(LICBAK_HRESULT_ERROR_READ_FAULT), CODE(LICBAK_HRESULT_ERROR_SHARING_VIOLATION),
        CODE(LICBAK_HRESULT_ERROR_LOCK_VIOLATION), CODE(LICBAK_HRESULT_ERROR_NOT_SUPPORTED),
        CODE(LICBAK_HRESULT_ERROR_DISK_FULL), CODE(LICBAK_HRESULT_ERROR_INVALID_NAME),
        CODE(LICBAK_HRESULT_ERROR_ALREADY_EXISTS), CODE(LICBAK_HRESULT_ERROR_FILE_TOO_LARGE),
        CODE(LICBAK_HRESULT_ERROR_DIRECTORY), CODE(LICBAK_HRESULT_ERROR_NOT_FOUND),
        CODE(LICBAK_HRESULT_ERROR_REVISION_MISMATCH), CODE(LICBAK_HRESULT_ERROR_EMPTY),
        CODE(LICBAK_HRESULT_ERROR_DECRYPTION_FAILED), CODE(LICBAK_HRESULT_ERROR_HOST_UNREACHABLE),
        CODE(LICBAK_HRESULT_ERROR_TIMEOUT),
    };
#undef CODE
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        CHECK_TEXT(licbak_hresult_name(codes[i].hr), codes[i].name);
        CHECK(licbak_hresult_message(codes[i].hr)[0] != '\0');
        CHECK(licbak_hresult_name(codes[i].hr) == licbak_hresult_name(codes[i].hr)); /* static */
    }
    CHECK_TEXT(licbak_hresult_name((licbak_hresult)0x8123ABCD), "");
    CHECK_TEXT(licbak_hresult_message((licbak_hresult)0x8123ABCD), "");

    unsigned major, minor, patch;
    CHECK_INT(sscanf(licbak_version(), "%u.%u.%u", &major, &minor, &patch), 3);
}

int main(void)
{
    begin("calls");
    handle_first();
    null_pointers();
    arguments_before_properties();
    busy();
    missing_properties();
    backup_exists();
    error_messages();
    names_of_codes();
    return finish();
}
