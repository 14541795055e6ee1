/* 05: licences that lie among other files.
 *
 * The idea: licbak_set_store sets three functions of the host in place of StorePath. A backup
 * asks `enumerate` for every licence. A restore asks `get` for the licence that the host has
 * under a name, and gives `put` the licences to keep. Here the licences are the *.lic files below
 * a folder that has other files, too. No other file is ever read or written.
 *
 * `put` writes a file beside the old one and renames it. It returns LICBAK_S_OK only when the
 * licence is on the disk: with a store of the host's own, the host must keep this promise.
 *
 *     cc 05_host_files.c -o 05_host_files $(pkg-config --cflags --libs licbak)
 *     ./05_host_files FOLDER BACKUP_DIR [--restore]
 */
#define _XOPEN_SOURCE 700 /* scandir and its like */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <licbak.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_SIZE 8192 /* a name has 4,000 bytes at most */
#define LARGEST (16u << 20)

static int is_license(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL && strcmp(dot, ".lic") == 0;
}

static licbak_hresult failure_of(int error)
{
    switch (error) {
    case ENOENT: return LICBAK_HRESULT_ERROR_PATH_NOT_FOUND;
    case ENOTDIR: return LICBAK_HRESULT_ERROR_DIRECTORY;
    case EACCES: return LICBAK_E_ACCESSDENIED;
    case ENOSPC: return LICBAK_HRESULT_ERROR_DISK_FULL;
    case ENOMEM: return LICBAK_E_OUTOFMEMORY;
    default: return LICBAK_E_FAIL;
    }
}

/* Joins the folder and a name below it. */
static licbak_hresult path_of(char *path, const char *folder, const char *name)
{
    int length = snprintf(path, PATH_SIZE, "%s/%s", folder, name);

    return length < PATH_SIZE ? LICBAK_S_OK : LICBAK_HRESULT_ERROR_INVALID_NAME;
}

/* Reads an open file and gives it to the library, which copies it. The library reads key_id and
 * backup_right, which the file system does not tell, from the content. */
static licbak_hresult emit_open_file(int file, const char *name, licbak_license_callback emit,
                                     void *emit_context)
{
    licbak_license license = {sizeof license, name, NULL, NULL, 0, 0, 0, 0};
    licbak_hresult hr;
    struct stat st;
    uint8_t *content;

    if (fstat(file, &st) != 0)
        return failure_of(errno);
    if (st.st_size > LARGEST)
        return LICBAK_HRESULT_ERROR_FILE_TOO_LARGE;
    if ((content = malloc((size_t)st.st_size + 1)) == NULL)
        return LICBAK_E_OUTOFMEMORY;

    hr = LICBAK_HRESULT_ERROR_READ_FAULT; /* also for a file that changes as it is read */
    if (read(file, content, (size_t)st.st_size + 1) == st.st_size) {
        license.content = content;
        license.content_size = (size_t)st.st_size;
        license.modified = st.st_mtim.tv_sec * INT64_C(1000000000) + st.st_mtim.tv_nsec;
        hr = emit(&license, emit_context);
    }
    free(content);
    return hr;
}

/* Emits a licence. A licence that does not exist is not emitted, and is no failure. */
static licbak_hresult emit_file(const char *folder, const char *name,
                                licbak_license_callback emit, void *emit_context)
{
    char path[PATH_SIZE];
    licbak_hresult hr = path_of(path, folder, name);
    int file;

    if (hr < 0)
        return hr;
    if ((file = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) < 0)
        return errno == ENOENT ? LICBAK_S_OK : failure_of(errno);
    hr = emit_open_file(file, name, emit, emit_context);
    close(file);
    return hr;
}

static licbak_hresult emit_below(const char *folder, const char *below,
                                 licbak_license_callback emit, void *emit_context);

/* `below` is "" or ends with a slash. A licence that can't be read makes the backup fail, because
 * a backup must never silently lack a licence. */
static licbak_hresult emit_entry(const char *folder, const char *below, const char *entry,
                                 licbak_license_callback emit, void *emit_context)
{
    char name[PATH_SIZE], path[PATH_SIZE];
    licbak_hresult hr;
    struct stat st;

    if (entry[0] == '.') /* no part of a licence's name begins with a dot */
        return LICBAK_S_OK;
    if (snprintf(name, sizeof name, "%s%s", below, entry) >= PATH_SIZE - 1)
        return LICBAK_HRESULT_ERROR_INVALID_NAME;
    if ((hr = path_of(path, folder, name)) < 0)
        return hr;
    if (lstat(path, &st) != 0)
        return failure_of(errno);
    if (S_ISDIR(st.st_mode))
        return emit_below(folder, strcat(name, "/"), emit, emit_context);
    if (S_ISREG(st.st_mode) && is_license(name))
        return emit_file(folder, name, emit, emit_context);
    return LICBAK_S_OK;
}

static licbak_hresult emit_below(const char *folder, const char *below,
                                 licbak_license_callback emit, void *emit_context)
{
    char path[PATH_SIZE];
    struct dirent **entries;
    licbak_hresult hr = path_of(path, folder, below);
    int count;

    if (hr < 0)
        return hr;
    /* Sorted, because equal licences in the same order make equal backups. */
    if ((count = scandir(path, &entries, NULL, alphasort)) < 0)
        return failure_of(errno);
    for (int i = 0; i < count; i++) {
        if (hr >= 0) /* a failure of emit also ends the enumeration at once */
            hr = emit_entry(folder, below, entries[i]->d_name, emit, emit_context);
        free(entries[i]);
    }
    free(entries);
    return hr;
}

/* -- the store's functions: the context is the folder */

static licbak_hresult LICBAK_CALL enumerate(void *context, licbak_license_callback emit,
                                            void *emit_context)
{
    return emit_below(context, "", emit, emit_context);
}

static licbak_hresult LICBAK_CALL get(void *context, const char *name,
                                      licbak_license_callback emit, void *emit_context)
{
    if (!is_license(name)) /* a backup of something else: leave the other files alone */
        return LICBAK_HRESULT_ERROR_INVALID_NAME;
    return emit_file(context, name, emit, emit_context);
}

static licbak_hresult write_file(const char *path, const licbak_license *license)
{
    const struct timespec times[2] = {{0, UTIME_OMIT},
                                      {(time_t)(license->modified / 1000000000),
                                       (long)(license->modified % 1000000000)}};
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);
    int done;

    if (file < 0)
        return failure_of(errno);
    done = write(file, license->content, license->content_size) ==
               (ssize_t)license->content_size &&
           (license->modified <= 0 || futimens(file, times) == 0) && fsync(file) == 0;
    if (close(file) != 0 || !done)
        return LICBAK_HRESULT_ERROR_WRITE_FAULT;
    return LICBAK_S_OK;
}

/* Brings the names in a folder to the disk. */
static licbak_hresult sync_folder(const char *path)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int done = folder >= 0 && fsync(folder) == 0;

    if (folder >= 0)
        close(folder);
    return done ? LICBAK_S_OK : LICBAK_HRESULT_ERROR_WRITE_FAULT;
}

/* The library has checked the name: it is relative, and none of its parts begins with a dot. */
static licbak_hresult LICBAK_CALL put(void *context, const licbak_license *license)
{
    char path[PATH_SIZE], beside[PATH_SIZE + 8];
    licbak_hresult hr = path_of(path, context, license->name);
    char *slash = path + strlen(context);

    if (hr < 0)
        return hr;
    for (char *next; (next = strchr(slash + 1, '/')) != NULL; slash = next) {
        *next = '\0'; /* each folder on the way to the licence */
        if (mkdir(path, 0700) == 0) {
            *slash = '\0';
            hr = sync_folder(path);
            *slash = '/';
        } else if (errno != EEXIST) {
            hr = failure_of(errno);
        }
        *next = '/';
        if (hr < 0)
            return hr;
    }
    snprintf(beside, sizeof beside, "%s.new", path); /* not a *.lic file, so not a licence */
    hr = write_file(beside, license);
    if (hr >= 0 && rename(beside, path) != 0)
        hr = failure_of(errno);
    if (hr < 0) {
        unlink(beside);
        return hr;
    }
    *slash = '\0';
    return sync_folder(path);
}

/* -- the job */

static licbak_hresult LICBAK_CALL tell(licbak_status status, licbak_hresult hr,
                                       licbak_datatype type, const uint8_t *value, size_t size,
                                       void *context)
{
    (void)hr, (void)type, (void)size, (void)context;
    if (status == LICBAK_STATUS_LICENSE_LEFT_OUT)
        printf("left out: %s\n", (const char *)value);
    if (status == LICBAK_STATUS_LICENSE_KEPT)
        printf("kept: %s\n", (const char *)value);
    return LICBAK_S_OK;
}

static licbak_hresult run(licbak_restorer *restorer, char *folder, const char *directory,
                          int restoring)
{
    const licbak_store store = {sizeof store, folder, enumerate, get, put, NULL};
    licbak_hresult hr, outcome;

    /* The struct is copied. The context, here the folder's name, must outlive the restorer. */
    if ((hr = licbak_set_store(restorer, &store)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "BackupPath", directory)) < 0)
        return hr;
    if ((hr = licbak_set_prop_string(restorer, "RestorePath", directory)) < 0)
        return hr;
    hr = restoring ? licbak_restore_licenses(restorer, 0, tell, NULL)
                   : licbak_backup_licenses(restorer, 0, tell, NULL);
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
    const int restoring = argc == 4 && strcmp(argv[3], "--restore") == 0;
    licbak_restorer *restorer;
    licbak_hresult hr;

    if (argc != 3 && !restoring) {
        fprintf(stderr, "usage: 05_host_files FOLDER BACKUP_DIR [--restore]\n");
        return 2;
    }
    hr = licbak_create(&restorer);
    if (hr >= 0)
        hr = run(restorer, argv[1], argv[2], restoring);

    if (hr >= 0)
        printf(restoring ? "restored below %s\n" : "backed up what is below %s\n", argv[1]);
    else
        tell_failure(restorer, hr);

    licbak_destroy(restorer);
    return hr >= 0 ? 0 : 1;
}
