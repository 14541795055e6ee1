/* A host that loads the library when it needs it: dlopen, a backup, dlclose, two hundred times. Nothing stays
 * behind: no thread, no descriptor, no memory that grows. LICBAK_SO names the library; it is not linked. */
#include "tree.h"

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

static int entries_of(const char *directory)
{
    struct dirent **names;
    int count = scandir(directory, &names, not_dot, by_bytes);
    CHECK(count >= 0);
    for (int i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
    return count;
}

static int threads(void)
{
    int count = 0;
    for (int i = 0; i < 1000 && (count = entries_of("/proc/self/task")) > 1; i++) {
        sleep_ms(1); /* the kernel lists a thread that has ended for a moment still */
    }
    return count;
}

static long resident_pages(void)
{
    long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%*d %ld", &resident) == 1);
    fclose(file);
    return resident;
}

int main(void)
{
    const char *path = getenv("LICBAK_SO");
    begin("unload");
    CHECK(path != NULL);
    make_store("store", 20);
    make_dir("backups");
    int before_descriptors = entries_of("/proc/self/fd");
    long settled = 0;
    for (int i = 0; i < 200; i++) {
        load_and_back_up(path);
        if (i == 49) {
            settled = resident_pages();
        }
    }
    CHECK_INT(threads(), 1);
    CHECK_INT(entries_of("/proc/self/fd"), before_descriptors);
    CHECK((resident_pages() - settled) * sysconf(_SC_PAGESIZE) < 4 * 1024 * 1024);
    return finish();
}
