/* 09: licences that move to a new machine, and how a host stays in control.
 *
 * The idea: licbak_set_authorizer sets a function of the host's own that every restore asks. This
 * host allows four machines for each backup, as the original's License Management Service did, and
 * refuses a backup that is older than one it has seen. It keeps its count in a small file, which
 * stands for its service: a service that can't be reached refuses, too. A restore without SERVICE
 * asks nobody, and is free.
 *
 * A restore that was allowed counts, whatever becomes of it. The same machine counts once.
 *
 *     cc 09_transfer.c -o 09_transfer $(pkg-config --cflags --libs licbak)
 *     ./09_transfer BACKUP_DIR STORE MACHINE [SERVICE]
 */
#define _XOPEN_SOURCE 700
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <licbak.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MACHINES 4
#define WORD_SIZE 64

/* The machines that a backup has come to, and the newest generation among them. */
struct record {
    char id[33];
    uint64_t generation;
    int count;
    char machines[MACHINES][WORD_SIZE];
};

struct service {
    const char *folder; /* one file for each backup's ID */
    const char *machine;
};

static void path_of(char *path, size_t size, const struct service *service, const char *id,
                    const char *ending)
{
    snprintf(path, size, "%s/%s%s", service->folder, id, ending);
}

/* A backup that the service has not seen yet has no file: then the record is empty. */
static int read_record(const struct service *service, struct record *record)
{
    char path[4096];
    FILE *file;
    int is_whole;

    path_of(path, sizeof path, service, record->id, "");
    if ((file = fopen(path, "r")) == NULL)
        return errno == ENOENT && access(service->folder, W_OK) == 0;
    is_whole = fscanf(file, "%" SCNu64 " %d", &record->generation, &record->count) == 2 &&
               record->count >= 0 && record->count <= MACHINES;
    for (int i = 0; is_whole && i < record->count; i++)
        is_whole = fscanf(file, "%63s", record->machines[i]) == 1;
    fclose(file);
    return is_whole;
}

static int sync_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int done = folder >= 0 && fsync(folder) == 0;

    if (folder >= 0)
        close(folder);
    return done;
}

/* Replaces the record in one step: whatever stops the machine, the old or the new one is there. */
static int write_record(const struct service *service, const struct record *record)
{
    char path[4096], beside[4096];
    FILE *file;
    int done;

    path_of(path, sizeof path, service, record->id, "");
    path_of(beside, sizeof beside, service, record->id, ".new");
    if ((file = fopen(beside, "w")) == NULL)
        return 0;
    fprintf(file, "%" PRIu64 " %d\n", record->generation, record->count);
    for (int i = 0; i < record->count; i++)
        fprintf(file, "%s\n", record->machines[i]);
    done = fflush(file) == 0 && !ferror(file) && fsync(fileno(file)) == 0;
    done = fclose(file) == 0 && done;
    return done && rename(beside, path) == 0 && sync_folder(service->folder);
}

static int knows(const struct record *record, const char *machine)
{
    for (int i = 0; i < record->count; i++)
        if (strcmp(record->machines[i], machine) == 0)
            return 1;
    return 0;
}

static licbak_hresult decide(const struct service *service, const licbak_backup_info *info,
                             char *url, size_t url_size)
{
    struct record record = {.generation = 0};

    if (info->id[0] == '\0') /* its end is lost: nobody knows which backup this is */
        return LICBAK_NS_E_DRM_RESTORE_FRAUD;
    memcpy(record.id, info->id, sizeof record.id);
    if (!read_record(service, &record))
        return LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE;

    if (info->generation < record.generation) {
        snprintf(url, url_size, "https://example.com/older-backup");
        return LICBAK_NS_E_DRM_RESTORE_FRAUD;
    }
    record.generation = info->generation;
    if (!knows(&record, service->machine)) {
        if (record.count == MACHINES) {
            snprintf(url, url_size, "https://example.com/too-many-machines");
            return LICBAK_NS_E_DRM_RESTORE_FRAUD;
        }
        strcpy(record.machines[record.count++], service->machine);
    }
    return write_record(service, &record) ? LICBAK_S_OK
                                          : LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE;
}

/* The library has opened the backup, and has done nothing else yet. Only LICBAK_S_OK goes on. The
 * service decides for one machine at a time, or two could be its fourth. */
static licbak_hresult LICBAK_CALL authorize(const licbak_backup_info *info, char *url,
                                            size_t url_size, void *context)
{
    const struct service *service = context;
    licbak_hresult hr = LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE;
    char path[4096];
    int lock;

    path_of(path, sizeof path, service, "lock", "");
    if ((lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600)) < 0)
        return hr;
    if (lockf(lock, F_LOCK, 0) == 0)
        hr = decide(service, info, url, url_size);
    close(lock);
    return hr;
}

static licbak_hresult LICBAK_CALL tell(licbak_status status, licbak_hresult hr,
                                       licbak_datatype type, const uint8_t *value, size_t size,
                                       void *context)
{
    (void)hr, (void)type, (void)size, (void)context;
    if (status == LICBAK_WMT_INDIVIDUALIZE)
        puts("the backup is of another machine");
    if (status == LICBAK_WMT_BACKUPRESTORE_CONNECTING)
        puts("asking the service");
    if (status == LICBAK_WMT_ERROR_WITHURL)
        printf("more about it: %s\n", (const char *)value);
    return LICBAK_S_OK;
}

static licbak_hresult restore(licbak_restorer *restorer, const char *directory,
                              const char *store, struct service *service)
{
    licbak_hresult hr, outcome;

    if ((hr = licbak_set_prop_string(restorer, "RestorePath", directory)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "StorePath", store)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "MachineId", service->machine)) < 0)
        return hr;
    /* Like a store's, the context must outlive the restorer. */
    if (service->folder != NULL)
        if ((hr = licbak_set_authorizer(restorer, authorize, service)) < 0)
            return hr;

    /* Here the user has been asked, and consents to the new machine. */
    hr = licbak_restore_licenses(restorer, LICBAK_WM_RESTORE_INDIVIDUALIZE, tell, NULL);
    if (hr < 0)
        return hr;
    hr = licbak_wait(restorer, LICBAK_WAIT_FOREVER, &outcome);
    return hr < 0 ? hr : outcome;
}

static void tell_failure(licbak_restorer *restorer, licbak_hresult hr)
{
    char sentence[16384];
    size_t size = sizeof sentence;

    if (licbak_get_error_message(restorer, sentence, &size) < 0 || sentence[0] == '\0')
        fprintf(stderr, "%s\n", licbak_hresult_message(hr)); /* no operation had begun */
    else
        fprintf(stderr, "%s\n", sentence);
}

int main(int argc, char **argv)
{
    licbak_restorer *restorer;
    struct service service;
    licbak_hresult hr;

    if (argc < 4 || argc > 5 || strlen(argv[3]) >= WORD_SIZE || strpbrk(argv[3], " \t\r\n") != NULL ||
        argv[3][0] == '\0') {
        fprintf(stderr, "usage: 09_transfer BACKUP_DIR STORE MACHINE [SERVICE]\n"
                        "MACHINE is a word of at most 63 bytes; SERVICE is a folder.\n");
        return 2;
    }
    service.folder = argc == 5 ? argv[4] : NULL;
    service.machine = argv[3];
    hr = licbak_create(&restorer);
    if (hr >= 0)
        hr = restore(restorer, argv[1], argv[2], &service);

    if (hr >= 0)
        printf("restored into %s\n", argv[2]);
    else
        tell_failure(restorer, hr);

    licbak_destroy(restorer);
    return hr >= 0 ? 0 : 1;
}
