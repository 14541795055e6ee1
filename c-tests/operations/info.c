/* What a backup says about itself: its ID and generation through all that replaces it, its machine,
 * its figures; and that the call is right whatever goes on beside it.
 */
#include "../support/frames.h"
#include "../support/process.h"
#include "../support/recorder.h"

#include <grp.h>
#include <sys/resource.h>

#define BACKUP "backups/licenses.tar.zst"
#define OVERWRITE LICBAK_WM_BACKUP_OVERWRITE
#define DENIED \
    "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>k</KID></DATA></LICENSORINFO></LICENSE>"

static licbak_backup_info info_by(licbak_restorer *r)
{
    licbak_backup_info info;
    memset(&info, 0x5A, sizeof info);
    info.struct_size = sizeof info;
    CHECK_HR(licbak_get_backup_info(r, &info), LICBAK_S_OK);
    CHECK_TEXT(error_message(r), "");
    CHECK_INT(info.struct_size, sizeof info);
    CHECK_INT(strlen(info.id), 32);
    CHECK_INT(strspn(info.id, "0123456789abcdef"), 32);
    CHECK(memcmp(info.reserved, "\0\0\0\0\0\0", sizeof info.reserved) == 0);
    CHECK_INT(info.encrypted, 0);
    CHECK_INT(info.version_major, 1);
    CHECK_INT(info.version_minor, 2);
    return info;
}

static licbak_restorer *bare(void)
{
    licbak_restorer *r = NULL;
    CHECK_HR(licbak_create(&r), LICBAK_S_OK);
    return r;
}

/* A restorer that has only what the call needs; no machine: NULL. */
static licbak_restorer *reader_of(const char *backups, const char *machine)
{
    licbak_restorer *r = bare();
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", backups), LICBAK_S_OK);
    if (machine != NULL) {
        CHECK_HR(licbak_set_prop_string(r, "MachineId", machine), LICBAK_S_OK);
    }
    return r;
}

static licbak_backup_info info_of(const char *backups, const char *machine)
{
    licbak_restorer *r = reader_of(backups, machine);
    licbak_backup_info info = info_by(r);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return info;
}

static void check_successor(const licbak_backup_info *before, uint64_t later)
{
    licbak_backup_info after = info_of("backups", NULL);
    CHECK_TEXT(after.id, before->id);
    CHECK_INT(after.generation, before->generation + later);
}

/* -- figures --------------------------------------------------------------------------------------------- */

static void every_figure(void)
{
    enum { SECOND = 1000000000 };
    make_store("store", 20);
    write_text("store/denied.xml", DENIED);
    write_text("store/music/denied.xml", DENIED);
    make_dir("backups");
    recorder rec = {0};
    licbak_restorer *r = restorer_for("store", "backups");
    int64_t earliest = time(NULL);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    licbak_progress told = final_figures(&rec);
    licbak_backup_info info = info_by(r);
    CHECK_INT(info.generation, 1);
    CHECK_INT(info.licenses, 20);
    CHECK_INT(info.restricted, 2);
    CHECK_INT(info.content_bytes, told.content_bytes);
    CHECK_INT(info.backup_bytes, told.backup_bytes);
    CHECK_INT(info.backup_bytes, size_of(BACKUP));
    CHECK_INT(info.machine, LICBAK_MACHINE_UNKNOWN);
    CHECK(info.created / SECOND >= earliest && info.created / SECOND <= time(NULL));

    CHECK(setenv("SOURCE_DATE_EPOCH", "1700000001", 1) == 0);
    CHECK_HR(run(licbak_backup_licenses, r, OVERWRITE | LICBAK_BACKUP_FULL, &rec), LICBAK_S_OK);
    CHECK_INT(info_by(r).created, INT64_C(1700000001) * SECOND);
    CHECK(unsetenv("SOURCE_DATE_EPOCH") == 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- ID and generation ----------------------------------------------------------------------------------- */

static void generations(void)
{
    make_dir("elsewhere");
    CHECK_HR(backup("store", "elsewhere", 0), LICBAK_S_OK);
    licbak_backup_info first = info_of("backups", NULL), other = info_of("elsewhere", NULL);
    CHECK_INT(other.generation, 1);
    CHECK(strcmp(other.id, first.id) != 0);

    write_text("store/new.lic", "a change");
    CHECK_HR(backup("store", "backups", OVERWRITE), LICBAK_S_OK);
    check_successor(&first, 1);
    CHECK_HR(backup("store", "backups", OVERWRITE), LICBAK_S_OK); /* which writes nothing */
    check_successor(&first, 1);
    CHECK_HR(backup("store", "backups", OVERWRITE | LICBAK_DRY_RUN), LICBAK_S_OK);
    CHECK_HR(backup("store", "backups", 0), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    check_successor(&first, 1);
    CHECK_HR(backup("store", "backups", OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK);
    check_successor(&first, 2);
    CHECK_HR(restore("restored", "backups", 0), LICBAK_S_OK);
    CHECK_HR(backup("restored", "backups", OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK); /* of another store */
    check_successor(&first, 3);
    CHECK_INT(info_of("elsewhere", NULL).generation, 1);

    /* Over what is no backup, or none any more. */
    size_t size;
    uint8_t *bytes = read_file(BACKUP, &size);
    for (int i = 0; i < 3; i++) {
        static const char *const kinds[] = {"cut", "altered at its end", "foreign"};
        licbak_backup_info before = info_of("backups", NULL);
        write_file(BACKUP, bytes, i == 0 ? size - 1 : size);
        if (i == 1) {
            bytes[size - 100] ^= 1;
            write_file(BACKUP, bytes, size);
        } else if (i == 2) {
            write_text(BACKUP, kinds[i]);
        }
        CHECK_HR(backup("store", "backups", OVERWRITE), LICBAK_S_OK);
        licbak_backup_info after = info_of("backups", NULL);
        CHECK_INT(after.generation, 1);
        CHECK(strcmp(after.id, before.id) != 0);
    }
    free(bytes);
}

/* -- machines -------------------------------------------------------------------------------------------- */

/* The hash of the machine in a backup.json, which is stored as it is; the caller frees it. */
static char *machine_in(const char *backup)
{
    static const char key[] = "\"machine\":\"";
    size_t size;
    uint8_t *bytes = read_file(backup, &size);
    const char *found = memmem(bytes, size, key, sizeof key - 1);
    char *hash = found != NULL ? strndup(found + sizeof key - 1, 64) : NULL;
    free(bytes);
    return hash;
}

static void back_up_as(const char *machine, const char *backups, uint32_t flags)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for("store", backups);
    make_dir(backups);
    if (machine != NULL) {
        CHECK_HR(licbak_set_prop_string(r, "MachineId", machine), LICBAK_S_OK);
    }
    CHECK_HR(run(licbak_backup_licenses, r, flags, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void machines(void)
{
    static const char *const ids[] = {NULL, "", "seat 7", "seat 8", "S\xC3\xADtio 7", "seat 7 "};
    enum { IDS = sizeof ids / sizeof ids[0], NAMED = 2 };
    char *hashes[2 * IDS];
    for (int i = 0; i < IDS; i++) {
        for (int twin = 0; twin < 2; twin++) {
            char backups[32], file[64];
            snprintf(backups, sizeof backups, "machine-%d-%d", i, twin);
            snprintf(file, sizeof file, "%s/licenses.tar.zst", backups);
            back_up_as(ids[i], backups, 0);
            for (int j = 0; j < IDS; j++) {
                CHECK_INT(info_of(backups, ids[j]).machine, i < NAMED || j < NAMED ? LICBAK_MACHINE_UNKNOWN
                                                            : i == j               ? LICBAK_MACHINE_SAME
                                                                                   : LICBAK_MACHINE_OTHER);
            }
            hashes[2 * i + twin] = machine_in(file);
            CHECK((hashes[2 * i + twin] != NULL) == (i >= NAMED));
        }
    }
    /* Who has two backups does not see whether they are of one machine, nor its name. */
    for (int i = 2 * NAMED; i < 2 * IDS; i++) {
        CHECK_INT(strspn(hashes[i], "0123456789abcdef"), 64);
        for (int j = 2 * NAMED; j < i; j++) {
            CHECK(strcmp(hashes[i], hashes[j]) != 0);
        }
    }
    for (int i = 0; i < 2 * IDS; i++) {
        free(hashes[i]);
    }

    /* The machine is that of the latest backup, and of the property as it is now. */
    licbak_restorer *r = reader_of("machine-2-0", "seat 7");
    back_up_as("seat 8", "machine-2-0", OVERWRITE); /* nothing else has changed */
    CHECK_INT(info_by(r).machine, LICBAK_MACHINE_OTHER);
    CHECK_HR(licbak_set_prop_string(r, "MachineId", "seat 8"), LICBAK_S_OK);
    CHECK_INT(info_by(r).machine, LICBAK_MACHINE_SAME);
    CHECK_HR(licbak_remove_prop(r, "MachineId"), LICBAK_S_OK);
    CHECK_INT(info_by(r).machine, LICBAK_MACHINE_UNKNOWN);
    back_up_as(NULL, "machine-2-0", OVERWRITE);
    CHECK_HR(licbak_set_prop_string(r, "MachineId", "seat 8"), LICBAK_S_OK);
    CHECK_INT(info_by(r).machine, LICBAK_MACHINE_UNKNOWN);
    CHECK_INT(info_by(r).generation, 3);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- sizes of the struct --------------------------------------------------------------------------------- */

static void sizes(void)
{
    enum { LARGEST = 4096 };
    union {
        licbak_backup_info info;
        uint8_t bytes[LARGEST + 64];
    } u;
    licbak_restorer *r = reader_of("backups", NULL), *none = bare();
    licbak_backup_info expected = info_by(r);
    for (size_t size = 0; size <= LARGEST + 2; size++) {
        const size_t asked = size == LARGEST + 2 ? SIZE_MAX : size;
        const bool fits = asked >= sizeof expected && asked <= LARGEST;
        memset(&u, 0x5A, sizeof u);
        u.info.struct_size = asked;
        /* The struct is looked at before any property. */
        CHECK_HR(licbak_get_backup_info(none, &u.info),
                 fits ? LICBAK_NS_E_DRM_INVALID_PROPERTY : LICBAK_E_INVALIDARG);
        for (size_t i = sizeof asked; i < sizeof u.bytes; i++) {
            CHECK(u.bytes[i] == 0x5A);
        }
        CHECK_HR(licbak_get_backup_info(r, &u.info), fits ? LICBAK_S_OK : LICBAK_E_INVALIDARG);
        CHECK(u.info.struct_size == asked);
        expected.struct_size = asked;
        CHECK(!fits || memcmp(&u.info, &expected, sizeof expected) == 0);
        for (size_t i = sizeof asked; i < sizeof u.bytes; i++) {
            if (!fits || i >= sizeof expected) {
                CHECK(u.bytes[i] == (fits && i < asked ? 0 : 0x5A));
            }
        }
    }
    CHECK_HR(licbak_destroy(none), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- outcomes -------------------------------------------------------------------------------------------- */

static licbak_hresult LICBAK_CALL take(const licbak_license *license, void *context)
{
    (void)license, (void)context;
    return LICBAK_S_OK;
}

/* A failure as that of a list, with a sentence that names `part`; nothing is written. */
static void check_failure(licbak_restorer *r, licbak_hresult expected, const char *part)
{
    licbak_backup_info info, untouched;
    memset(&info, 0x5A, sizeof info);
    info.struct_size = sizeof info;
    untouched = info;
    CHECK_HR(licbak_list_backup(r, take, NULL), expected);
    CHECK_HR(licbak_get_backup_info(r, &info), expected);
    CHECK_HAS(error_message(r), part);
    CHECK(memcmp(&info, &untouched, sizeof info) == 0);
}

static void check_path(const char *path, licbak_hresult expected)
{
    licbak_restorer *r = reader_of(path, "seat 7");
    check_failure(r, expected, path);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void without_permission(void *unused)
{
    (void)unused;
    if (geteuid() == 0) {
        CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    }
    make_store("own/store", 3);
    make_dir("own/backups");
    CHECK_HR(backup("own/store", "own/backups", 0), LICBAK_S_OK);
    CHECK(chmod("own/backups/licenses.tar.zst", 0) == 0);
    check_path("own/backups", LICBAK_E_ACCESSDENIED);
    CHECK(chmod("own/backups", 0) == 0);
    check_path("own/backups", LICBAK_E_ACCESSDENIED);
    CHECK(chmod("own/backups", 0700) == 0);
}

static void without_descriptors(void *unused)
{
    (void)unused;
    licbak_restorer *r = reader_of("backups", NULL);
    int free = dup(0);
    struct rlimit few = {(rlim_t)free, (rlim_t)free};
    CHECK(free >= 0 && close(free) == 0 && setrlimit(RLIMIT_NOFILE, &few) == 0);
    check_failure(r, LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES, "backups");
}

static void outcomes(void)
{
    licbak_restorer *r = bare();
    check_failure(r, LICBAK_NS_E_DRM_INVALID_PROPERTY, "RestorePath");
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "backups"), LICBAK_S_OK); /* which stands in for nothing */
    check_failure(r, LICBAK_NS_E_DRM_INVALID_PROPERTY, "RestorePath");
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", ""), LICBAK_S_OK);
    check_failure(r, LICBAK_NS_E_DRM_INVALID_PROPERTY, "RestorePath");
    CHECK_HR(licbak_get_backup_info(r, NULL), LICBAK_E_POINTER);
    CHECK_HAS(error_message(r), "NULL");
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "backups"), LICBAK_S_OK);
    info_by(r); /* which clears the sentence */
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_HR(licbak_get_backup_info(r, NULL), LICBAK_E_HANDLE);

    make_dir("empty");
    check_path("empty", LICBAK_HRESULT_ERROR_FILE_NOT_FOUND);
    check_path("missing", LICBAK_HRESULT_ERROR_PATH_NOT_FOUND);
    CHECK(mkfifo("pipe", 0600) == 0); /* opened without care it blocks for ever */
    check_path("pipe", LICBAK_HRESULT_ERROR_DIRECTORY);
    CHECK_TEXT(info_of(BACKUP, NULL).id, info_of("backups", NULL).id); /* the file by its own path */
    write_text("text", "no backup");
    check_path("text", LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    make_dir("special");
    CHECK(mkfifo("special/licenses.tar.zst", 0600) == 0);
    check_path("special", LICBAK_NS_E_DRM_BACKUP_CORRUPT);

    size_t size;
    uint8_t *bytes = read_file(BACKUP, &size);
    write_text("damaged/licenses.tar.zst", "no backup");
    check_path("damaged", LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    write_file("damaged/licenses.tar.zst", bytes, 0);
    check_path("damaged", LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    write_file("damaged/licenses.tar.zst", bytes, size - 1);
    check_path("damaged", LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    frames f = read_frames(BACKUP);
    bytes[f.all[f.count - 1].start + 600] ^= 1; /* in backup.json */
    write_file("damaged/licenses.tar.zst", bytes, size);
    check_path("damaged", LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    bytes[f.all[f.count - 1].start + 600] ^= 1;
    bytes[f.all[0].start + 20] ^= 1; /* in a licence, which is not looked at */
    write_file("damaged/licenses.tar.zst", bytes, size);
    CHECK_TEXT(info_of("damaged", NULL).id, info_of("backups", NULL).id);
    free_frames(&f);
    free(bytes);

    if (geteuid() == 0) {
        make_dir("own");
        CHECK(chown("own", 65534, 65534) == 0 && chmod(".", 0755) == 0);
    }
    in_child(without_permission, NULL);
    in_child(without_descriptors, NULL);
}

/* -- beside other things --------------------------------------------------------------------------------- */

/* Asks in each event, of the restorer that runs: until the end the old backup is there. */
static licbak_hresult ask(recorder *rec, const event *e)
{
    licbak_backup_info *before = rec->other, now = {.struct_size = sizeof now};
    licbak_hresult hr = licbak_get_backup_info(rec->restorer, &now);
    if (e->status == LICBAK_WMT_BACKUPRESTORE_END) {
        CHECK_HR(hr, LICBAK_S_OK);
        CHECK_INT(now.generation, before->generation + 1);
    } else if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        CHECK_HR(hr, before->generation == 0 ? LICBAK_HRESULT_ERROR_FILE_NOT_FOUND : LICBAK_S_OK);
        CHECK(before->generation == 0 || now.generation == before->generation);
    }
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL ask_in_list(const licbak_license *license, void *context)
{
    (void)license;
    CHECK_INT(info_by(context).generation, 2);
    return LICBAK_S_OK;
}

static void inside_callbacks(void)
{
    make_dir("inside");
    licbak_restorer *r = restorer_for("store", "inside");
    licbak_backup_info before = {0};
    recorder rec = {.react = ask, .other = &before};
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    before = info_by(r);
    CHECK_HR(run(licbak_backup_licenses, r, OVERWRITE | LICBAK_BACKUP_FULL, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_list_backup(r, ask_in_list, r), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

enum { READERS = 8, ROUNDS = 200 };

static struct {
    licbak_restorer *r;
    char id[33];
    atomic_bool over;
    atomic_ulong answers, generations_seen;
} shared;

/* The backups of odd generations are of one store, the others of another. */
static void *read_on(void *unused)
{
    uint64_t last = 0, seen = 0;
    (void)unused;
    while (!atomic_load(&shared.over)) {
        licbak_backup_info info = {.struct_size = sizeof info};
        CHECK_HR(licbak_get_backup_info(shared.r, &info), LICBAK_S_OK);
        CHECK_TEXT(info.id, shared.id);
        CHECK(info.generation >= last);
        CHECK_INT(info.licenses, info.generation % 2 ? 3 : 5);
        CHECK_INT(info.content_bytes, info.generation % 2 ? 3 * 7 : 5 * 11);
        CHECK_INT(info.restricted, info.generation % 2 ? 1 : 0);
        seen += info.generation != last;
        last = info.generation;
        atomic_fetch_add(&shared.answers, 1);
    }
    atomic_fetch_add(&shared.generations_seen, seen);
    return NULL;
}

/* Many threads ask one restorer, which replaces the backup meanwhile. */
static void replaced_meanwhile(void)
{
    char path[32];
    for (int i = 0; i < 5; i++) {
        snprintf(path, sizeof path, "even/%d.lic", i);
        write_text(path, "eleven byte");
        snprintf(path, sizeof path, "odd/%d.lic", i);
        if (i < 3) {
            write_text(path, "seven b");
        }
    }
    write_text("odd/denied.xml", DENIED);
    make_dir("replaced");
    pthread_t readers[READERS];
    recorder rec = {0};
    shared.r = restorer_for("odd", "replaced");
    CHECK_HR(run(licbak_backup_licenses, shared.r, 0, &rec), LICBAK_S_OK);
    snprintf(shared.id, sizeof shared.id, "%s", info_by(shared.r).id);
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_create(&readers[i], NULL, read_on, NULL) == 0);
    }
    for (int round = 1; round <= ROUNDS; round++) {
        CHECK_HR(licbak_set_prop_string(shared.r, "StorePath", round % 2 ? "even" : "odd"), LICBAK_S_OK);
        CHECK_HR(run(licbak_backup_licenses, shared.r, OVERWRITE, &rec), LICBAK_S_OK);
    }
    atomic_store(&shared.over, true);
    for (int i = 0; i < READERS; i++) {
        CHECK(pthread_join(readers[i], NULL) == 0);
    }
    CHECK_INT(info_by(shared.r).generation, ROUNDS + 1);
    CHECK(atomic_load(&shared.generations_seen) > READERS);
    figure("%d threads asked while a backup was replaced %d times: answers %lu", READERS, ROUNDS,
           atomic_load(&shared.answers));
    forget(&rec);
    CHECK_HR(licbak_destroy(shared.r), LICBAK_S_OK);
}

int main(void)
{
    begin("info");
    every_figure();
    generations();
    machines();
    sizes();
    char *had = descriptors();
    outcomes();
    inside_callbacks();
    replaced_meanwhile();
    char *has = descriptors();
    CHECK_TEXT(has, had);
    free(has);
    free(had);
    return finish();
}
