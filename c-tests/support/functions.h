/* Every function that takes a restorer, in one table: for tests that hold of all of them.
 *
 * A test of run.rs compares the table with the header, so that a new function is not forgotten
 * here.
 */
#ifndef FUNCTIONS_H
#define FUNCTIONS_H

#include "recorder.h"

/* What the functions get beside the restorer. All zero it is what a careless host gives: NULL
 * everywhere. */
typedef struct arguments {
    const char *property, *text, *key_id;
    uint8_t *value;
    char *name;
    size_t *count, *name_size, *size;
    licbak_datatype *type;
    uint32_t backup_flags;
    licbak_status_callback status;
    licbak_license_callback license;
    void *context;
    licbak_hresult *outcome;
    intptr_t *descriptor;
    licbak_progress *progress;
    licbak_backup_info *info;
    const licbak_store *store;
    licbak_authorize_callback authorize;
} arguments;

#define FUNCTIONS(X) \
    X(licbak_destroy, (r)) \
    X(licbak_cancel, (r)) \
    X(licbak_cancel_license_backup, (r)) \
    X(licbak_cancel_license_restore, (r)) \
    X(licbak_wait, (r, LICBAK_WAIT_FOREVER, a->outcome)) \
    X(licbak_get_wait_descriptor, (r, a->descriptor)) \
    X(licbak_get_progress, (r, a->progress)) \
    X(licbak_get_error_message, (r, a->name, a->name_size)) \
    X(licbak_set_prop, (r, a->property, LICBAK_WMT_TYPE_STRING, (const uint8_t *)a->text, a->text != NULL)) \
    X(licbak_set_prop_string, (r, a->property, a->text)) \
    X(licbak_get_prop_count, (r, a->count)) \
    X(licbak_get_prop_by_index, (r, 0, a->name, a->name_size, a->type, a->value, a->size)) \
    X(licbak_get_prop_by_name, (r, a->property, a->type, a->value, a->size)) \
    X(licbak_remove_prop, (r, a->property)) \
    X(licbak_remove_all_props, (r)) \
    X(licbak_backup_licenses, (r, a->backup_flags, a->status, a->context)) \
    X(licbak_restore_licenses, (r, 0, a->status, a->context)) \
    X(licbak_restore_license, (r, a->key_id, 0, a->status, a->context)) \
    X(licbak_verify_backup, (r, 0, a->status, a->context)) \
    X(licbak_list_backup, (r, a->license, a->context)) \
    X(licbak_get_backup_info, (r, a->info)) \
    X(licbak_set_store, (r, a->store)) \
    X(licbak_set_authorizer, (r, a->authorize, a->context))

#define DEFINE_CALL(function, list) \
    static licbak_hresult call_##function(licbak_restorer *r, const arguments *a) \
    { \
        (void)a; \
        return function list; \
    }
FUNCTIONS(DEFINE_CALL)

#define NUMBER(function, list) N_##function,
enum { FUNCTIONS(NUMBER) FUNCTION_COUNT };

#define ENTRY(function, list) {#function, call_##function},
static const struct {
    const char *name;
    licbak_hresult (*call)(licbak_restorer *, const arguments *);
} functions[] = {FUNCTIONS(ENTRY)};

#endif
