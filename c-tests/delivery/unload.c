/* A host that loads the library when it needs it: dlopen, a backup, dlclose, two hundred times.
 * Nothing stays behind: no thread, no descriptor, no mapping, no memory that grows. LICBAK_SO names
 * the library; it is not linked. */
#include "../support/process.h"

#include <dlfcn.h>

static struct {
    licbak_hresult(LICBAK_CALL *create)(licbak_restorer **);
    licbak_hresult(LICBAK_CALL *destroy)(licbak_restorer *);
    licbak_hresult(LICBAK_CALL *set_prop_string)(licbak_restorer *, const char *, const char *);
    licbak_hresult(LICBAK_CALL *backup_licenses)(licbak_restorer *, uint32_t, licbak_status_callback, void *);
    licbak_hresult(LICBAK_CALL *wait)(licbak_restorer *, uint32_t, licbak_hresult *);
} library;

static void find(void *handle, const char *name, void *function)
{
    void *symbol = dlsym(handle, name);
    CHECK(symbol != NULL);
    memcpy(function, &symbol, sizeof symbol); /* as POSIX has it: ISO C has no such conversion */
}

static licbak_hresult LICBAK_CALL count_ends(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                             const uint8_t *value, size_t size, void *context)
{
    (void)hr, (void)type, (void)value, (void)size;
    *(int *)context += status == LICBAK_WMT_BACKUPRESTORE_END;
    return LICBAK_S_OK;
}

static void load_and_back_up(const char *path)
{
    int ends = 0;
    licbak_hresult outcome = LICBAK_E_FAIL;
    licbak_restorer *r = NULL;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle == NULL) {
        check_fail(__FILE__, __LINE__, "dlopen: %s", dlerror());
    }
    find(handle, "licbak_create", &library.create);
    find(handle, "licbak_destroy", &library.destroy);
    find(handle, "licbak_set_prop_string", &library.set_prop_string);
    find(handle, "licbak_backup_licenses", &library.backup_licenses);
    find(handle, "licbak_wait", &library.wait);
    CHECK_INT(library.create(&r), LICBAK_S_OK);
    CHECK_INT(library.set_prop_string(r, "StorePath", "store"), LICBAK_S_OK);
    CHECK_INT(library.set_prop_string(r, "BackupPath", "backups"), LICBAK_S_OK);
    CHECK_INT(library.backup_licenses(r, LICBAK_WM_BACKUP_OVERWRITE, count_ends, &ends), LICBAK_S_OK);
    CHECK_INT(library.wait(r, 0xFFFFFFFF, &outcome), LICBAK_S_OK);
    CHECK_INT(outcome, LICBAK_S_OK);
    CHECK_INT(ends, 1);
    CHECK_INT(library.destroy(r), LICBAK_S_OK);
    CHECK(dlclose(handle) == 0);
}

int main(void)
{
    const char *path = getenv("LICBAK_SO");
    begin("unload");
    CHECK(path != NULL);
    make_store("store", 20);
    make_dir("backups");
    int times = 200, had_descriptors = descriptor_count(), had_mappings = 0;
    long had_bytes = 0;
    for (int i = 0; i < times; i++) {
        load_and_back_up(path);
        if (i == 49) { /* the allocator has its arenas, and the loader what it keeps */
            had_mappings = mappings();
            had_bytes = resident_bytes();
        }
    }
    int more_descriptors = descriptor_count() - had_descriptors, more_threads = threads_settled(1) - 1;
    int more_mappings = mappings() - had_mappings;
    figure("%d times dlopen, a backup, dlclose: descriptors +%d, threads +%d, mappings +%d", times, more_descriptors,
           more_threads, more_mappings);
    CHECK_INT(more_descriptors, 0);
    CHECK_INT(more_threads, 0);
#ifdef __GLIBC__
    CHECK_INT(more_mappings, 0);
#else /* musl's allocator maps what it needs piece by piece */
    CHECK(more_mappings < times / 10);
#endif
    CHECK(resident_bytes() - had_bytes < 4 * 1024 * 1024);
    return finish();
}
