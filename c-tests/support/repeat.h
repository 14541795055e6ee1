/* Backups over backups: which licences are read for one, and all that the backup must be whatever
 * was taken over from the one before it.
 */
#ifndef REPEAT_H
#define REPEAT_H

#include "disk.h"
#include "frames.h"
#include "recorder.h"

#include <sys/inotify.h>

#define BACKUP "backups/licenses.tar.zst"

/* What was written less than three seconds ago is not relied on: from here on all that is there may
 * be. */
static inline void settle(void)
{
    sleep_ms(3100);
}

/* Goes where no sync waits for a disk, if this user can; the process that does gets a place of its
 * own. */
static inline bool enter_memory(void)
{
    bool memory = mount_tmpfs("memory", "size=256m");
    CHECK(chdir("memory") == 0);
    return memory;
}

static inline void leave_memory(bool memory)
{
    CHECK(chdir("..") == 0);
    CHECK(!memory || umount("memory") == 0);
}

/* -- which licences are read ------------------------------------------------------------------------------ */

enum { WATCHED = 64 };

/* Sees which files below a directory are opened or read. */
typedef struct watch {
    int fd;
    size_t root; /* of the length of the paths below */
    char *folders[WATCHED];
    char **opened; /* sorted, each once */
    size_t count, opens; /* and how often that was in all */
} watch;

static inline void watch_folder(watch *w, const char *folder)
{
    folder_names names = {0};
    int number = inotify_add_watch(w->fd, folder, IN_OPEN | IN_ACCESS | IN_ONLYDIR);
    CHECK(number > 0 && number < WATCHED);
    w->folders[number] = strdup(folder);
    CHECK(read_folder(folder, &names));
    for (size_t i = 0; i < names.count; i++) {
        char path[PATH_MAX];
        file_facts facts;
        CHECK((size_t)snprintf(path, sizeof path, "%s/%s", folder, names.all[i]) < sizeof path);
        if (facts_of(path, &facts) && facts.kind == A_FOLDER) {
            watch_folder(w, path);
        }
    }
    free_names(&names);
}

static inline watch watch_below(const char *directory)
{
    watch w = {.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), .root = strlen(directory) + 1};
    CHECK(w.fd >= 0);
    watch_folder(&w, directory);
    return w;
}

static inline int by_text(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Ends the watch: from here on it is known what was opened. */
static inline void watched(watch *w)
{
    _Alignas(struct inotify_event) char buffer[65536];
    size_t room = 0;
    ssize_t size;
    while ((size = read(w->fd, buffer, sizeof buffer)) > 0) {
        for (char *at = buffer; at < buffer + size;) {
            const struct inotify_event *event = (const struct inotify_event *)(void *)at;
            CHECK((event->mask & IN_Q_OVERFLOW) == 0);
            at += sizeof *event + event->len;
            w->opens += (event->mask & (IN_OPEN | IN_ISDIR)) == IN_OPEN;
            if (event->len == 0 || (event->mask & (IN_ISDIR | IN_IGNORED)) != 0) {
                continue;
            }
            if (w->count == room) {
                room = room * 2 + 256;
                w->opened = realloc(w->opened, room * sizeof *w->opened);
                CHECK(w->opened != NULL);
            }
            char path[PATH_MAX];
            snprintf(path, sizeof path, "%s/%s", w->folders[event->wd], event->name);
            w->opened[w->count++] = strdup(path + w->root);
        }
    }
    close(w->fd);
    if (w->count > 0) {
        qsort(w->opened, w->count, sizeof *w->opened, by_text);
    }
    size_t kept = 0;
    for (size_t i = 0; i < w->count; i++) {
        if (kept > 0 && strcmp(w->opened[kept - 1], w->opened[i]) == 0) {
            free(w->opened[i]);
        } else {
            w->opened[kept++] = w->opened[i];
        }
    }
    w->count = kept;
}

static inline bool was_opened(const watch *w, const char *name)
{
    return w->count > 0 && bsearch(&name, w->opened, w->count, sizeof *w->opened, by_text) != NULL;
}

static inline void free_watch(watch *w)
{
    for (size_t i = 0; i < w->count; i++) {
        free(w->opened[i]);
    }
    for (size_t i = 0; i < WATCHED; i++) {
        free(w->folders[i]);
    }
    free(w->opened);
}

/* Backs up over what is there, and gives how many licences were read for it. */
static inline size_t repeat_read(const char *store, const char *backups, uint32_t flags)
{
    watch w = watch_below(store);
    CHECK_HR(backup(store, backups, LICBAK_WM_BACKUP_OVERWRITE | flags), LICBAK_S_OK);
    watched(&w);
    size_t count = w.count;
    free_watch(&w);
    return count;
}

/* -- what a backup must be ------------------------------------------------------------------------------- */

/* Licences, a line each; what is not compared is 0. */
typedef struct lines {
    char **all;
    size_t count, room;
    bool times, contents;
} lines;

static inline void add_line(lines *l, const char *name, size_t size, int64_t modified, const uint8_t *content)
{
    char line[PATH_MAX + 128];
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; l->contents && i < size; i++) {
        hash = (hash ^ content[i]) * 0x100000001b3u;
    }
    snprintf(line, sizeof line, "%s: %zu bytes, modified %lld, %016llx\n", name, size,
             l->times ? (long long)modified : 0, (unsigned long long)hash);
    if (l->count == l->room) {
        l->room = l->room * 2 + 256;
        l->all = realloc(l->all, l->room * sizeof *l->all);
        CHECK(l->all != NULL);
    }
    l->all[l->count++] = strdup(line);
}

/* Sorted and as one text, which the caller frees; the lines are gone. */
static inline char *text_of(lines *l)
{
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    CHECK(stream != NULL);
    if (l->count > 0) {
        qsort(l->all, l->count, sizeof *l->all, by_text);
    }
    for (size_t i = 0; i < l->count; i++) {
        fputs(l->all[i], stream);
        free(l->all[i]);
    }
    free(l->all);
    *l = (lines){0};
    CHECK(fclose(stream) == 0);
    return text;
}

static lines *listing_files;
static size_t listing_root;

static inline int list_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)ftw;
    if (type == FTW_F && S_ISREG(st->st_mode)) {
        size_t size = (size_t)st->st_size;
        uint8_t *content = listing_files->contents ? read_file(path, &size) : NULL;
        add_line(listing_files, path + listing_root, size,
                 (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec, content);
        free(content);
    }
    return 0;
}

/* What is in the directory. */
static inline char *store_text(const char *store, bool times, bool contents)
{
    lines l = {.times = times, .contents = contents};
    listing_files = &l;
    listing_root = strlen(store) + 1;
    CHECK(nftw(store, list_file, 16, FTW_PHYS) == 0);
    return text_of(&l);
}

static inline licbak_hresult LICBAK_CALL add_license(const licbak_license *license, void *context)
{
    add_line(context, license->name, license->content_size, license->modified, license->content);
    return LICBAK_S_OK;
}

/* What the backup lists. */
static inline char *list_text(const char *backups)
{
    lines l = {.times = true};
    licbak_restorer *r = restorer_for("unused", backups);
    CHECK_HR(licbak_list_backup(r, add_license, &l), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return text_of(&l);
}

/* A host that has no licence yet, and keeps those that it gets as lines. */
static inline licbak_hresult LICBAK_CALL has_none(void *context, const char *name, licbak_license_callback emit,
                                                  void *emit_context)
{
    (void)context, (void)name, (void)emit, (void)emit_context;
    return LICBAK_S_OK;
}

static inline licbak_hresult LICBAK_CALL put_line(void *context, const licbak_license *license)
{
    return add_license(license, context);
}

/* What comes out of the backup, by a restore that ends with `hr`. */
static inline char *restored_text(const char *backups, uint32_t flags, bool times, licbak_hresult hr)
{
    lines l = {.times = times, .contents = true};
    recorder rec = {0};
    licbak_store host = {sizeof host, &l, NULL, has_none, put_line, NULL};
    licbak_restorer *r = restorer_for("unused", backups);
    CHECK_HR(licbak_set_store(r, &host), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, flags, &rec), hr);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return text_of(&l);
}

#define CHECK_SAME_LINES(value, expected) \
    check_same_lines((value), (expected), __FILE__, __LINE__, #value)

static inline void check_same_lines(char *value, char *expected, const char *file, int line, const char *expression)
{
    check_text(value, expected, file, line, expression);
    free(value);
    free(expected);
}

#define SHELL(...) check_shell(__FILE__, __LINE__, __VA_ARGS__)

/* Runs a command that must succeed. */
static inline void check_shell(const char *file, int line, const char *format, ...)
{
    char command[4096];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(command, sizeof command, format, arguments);
    va_end(arguments);
    CHECK(length > 0 && (size_t)length < sizeof command);
    check_integer(system(command), 0, file, line, command);
}

/* What others make of the file, without a look at the store. */
static inline bool check_extracted_alone(const char *backups)
{
    static bool skipped;
    if (!has_zstd()) {
        if (!skipped) {
            skip("what tar extracts", "zstd is not installed");
        }
        skipped = true;
        return false;
    }
    remove_tree("extracted");
    make_dir("extracted");
    SHELL("tar --zstd -xf %s/licenses.tar.zst -C extracted", backups);
    SHELL("cd extracted && sha256sum --strict --quiet -c SHA256SUMS");
    return true;
}

/* And with one: no licence that is gone comes back, and of two versions the later one wins. */
static inline void check_extracted(const char *backups, const char *store)
{
    if (check_extracted_alone(backups)) {
        CHECK_SAME_LINES(store_text("extracted/licenses", false, true), store_text(store, false, true));
    }
}

/* Without its end the backup still gives the newest version of each licence, and none that is
 * gone. */
static inline void check_salvaged(const char *backups, const char *store)
{
    char path[PATH_MAX];
    snprintf(path, sizeof path, "%s/licenses.tar.zst", backups);
    frames f = read_frames(path);
    write_file("cut/licenses.tar.zst", f.bytes, f.all[f.count - 1].start);
    free_frames(&f);
    CHECK_SAME_LINES(restored_text("cut", 0, false, LICBAK_NS_E_DRM_BACKUP_CORRUPT), strdup(""));
    CHECK_SAME_LINES(restored_text("cut", LICBAK_RESTORE_SALVAGE, false, LICBAK_NS_E_DRM_BACKUP_CORRUPT),
                     store_text(store, false, true));
}

/* That the backup is right and holds what the store has: by its own word, its list and what comes
 * out of it. */
static inline void check_whole(const char *backups, const char *store)
{
    CHECK_HR(verify(backups), LICBAK_S_OK);
    CHECK_SAME_LINES(list_text(backups), store_text(store, true, false));
    CHECK_SAME_LINES(restored_text(backups, 0, true, LICBAK_S_OK), store_text(store, true, true));
    CHECK_TEXT(entries(backups), "licenses.tar.zst");
}

/* And by everyone else's. */
static inline void check_backup(const char *backups, const char *store)
{
    check_whole(backups, store);
    check_extracted(backups, store);
    check_salvaged(backups, store);
}

/* How often a text is in the file, decompressed: in a licence or in any list. */
static inline size_t in_the_file(const char *text)
{
    size_t size, found = 0;
    SHELL("zstd -dcq " BACKUP " >plain");
    char *plain = (char *)read_file("plain", &size);
    for (char *at = plain; (at = memmem(at, size - (size_t)(at - plain), text, strlen(text))) != NULL; at++) {
        found++;
    }
    free(plain);
    return found;
}

static inline void check_in_file(const char *text, bool expected)
{
    if (has_zstd()) {
        CHECK_INT(in_the_file(text) > 0, expected);
    }
}

/* Restores the one licence `key_id`: S_OK, or the code of what is not there. */
static inline licbak_hresult restore_one(const char *target, const char *backups, const char *key_id)
{
    licbak_hresult outcome = LICBAK_E_UNEXPECTED;
    recorder rec = {0};
    licbak_restorer *r = restorer_for(target, backups);
    rec.restorer = r;
    CHECK_HR(licbak_restore_license(r, key_id, calls_in_wait() ? LICBAK_CALL_IN_WAIT : 0, record, &rec), LICBAK_S_OK);
    outcome = end(r, &rec);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return outcome;
}

/* -- a store --------------------------------------------------------------------------------------------- */

enum { MANY = 320, FOLDERS = 5, LARGE = 20000 };

static inline const char *name_of(int number)
{
    static _Thread_local char names[4][64];
    static _Thread_local unsigned next;
    char *name = names[next++ % 4];
    snprintf(name, 64, "f%d/key-%05d.lic", number * FOLDERS / MANY, number);
    return name;
}

static inline const char *path_of(const char *store, int number)
{
    static _Thread_local char paths[4][256];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 4];
    snprintf(path, sizeof paths[0], "%s/%s", store, name_of(number));
    return path;
}

/* Writes the licence of that number, of some size up to `size`, and the same with another
 * `version`. */
static inline void write_license(const char *store, int number, size_t size, int version)
{
    uint64_t seed = (uint64_t)number << 32 | (unsigned)version;
    write_noise(path_of(store, number), size - size * (unsigned)(number % 7) / 16, seed);
    set_modified(path_of(store, number), 1600000000 + number * 1000, number * 1237 + 1);
}

/* Fills a store with MANY licences in FOLDERS folders: three frames where they are LARGE. */
static inline void make_many(const char *store, size_t size)
{
    for (int i = 0; i < MANY; i++) {
        write_license(store, i, size, 0);
    }
}

#endif
