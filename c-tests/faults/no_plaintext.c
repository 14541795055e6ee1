/* Nothing of an encrypted backup is on its disk as it is: neither after a backup, a repeat or a kill, nor
 * in what those have left behind in free blocks. Nor is anything of a database on the disk of temporary
 * files. The raw image of the file system is searched. Takes root.
 */
#include "../support/disk.h"
#include "../support/recorder.h"

/* Content that no compressor changes; each licence begins with the same bytes, for which the disk is
 * searched, and is else like no other. */
enum { LICENSES = 60, SIZE = 300000, MARKER = 48 };
static uint8_t marker[MARKER];

static void write_license(int number, uint64_t seed)
{
    char path[64];
    snprintf(path, sizeof path, "store/noise-%02d.lic", number);
    write_noise(path, SIZE, seed);
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL && fwrite(marker, 1, MARKER, file) == MARKER && fclose(file) == 0);
}

static size_t places_in_image(void)
{
    enum { PART = 1 << 20 };
    static uint8_t part[MARKER + PART];
    FILE *image = fopen("image", "rb");
    CHECK(image != NULL);
    size_t count = 0, kept = 0, got;
    while ((got = fread(part + kept, 1, PART, image)) > 0) {
        const uint8_t *at = part, *end = part + kept + got;
        while ((at = memchr(at, marker[0], (size_t)(end - at))) != NULL) {
            count += end - at >= MARKER && memcmp(at, marker, MARKER) == 0;
            at++;
        }
        kept = kept + got < MARKER - 1 ? kept + got : MARKER - 1;
        memmove(part, end - kept, kept);
    }
    fclose(image);
    return count;
}

static licbak_hresult kill_late(recorder *rec, const event *e)
{
    if (e->status == LICBAK_STATUS_PROGRESS && e->progress.licenses_done >= *(const uint64_t *)rec->other) {
        kill(getpid(), SIGKILL);
    }
    return LICBAK_S_OK;
}

/* Backs up, to the recipient or not, and is killed when so many licences are done, if that is not 0. */
static void back_up(bool encrypts, uint32_t flags, uint64_t killed_at)
{
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        licbak_restorer *r = restorer_for("store", "disk");
        recorder rec = {.react = killed_at > 0 ? kill_late : NULL, .other = &killed_at};
        if (encrypts) {
            CHECK_HR(licbak_set_prop_string(r, "Recipients", RECIPIENT), LICBAK_S_OK);
            CHECK_HR(licbak_set_prop_string(r, "Identities", IDENTITY), LICBAK_S_OK);
        }
        CHECK_HR(run(licbak_backup_licenses, r, flags, &rec), LICBAK_S_OK);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        _exit(0);
    }
    int status;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK_INT(WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status), 0 == killed_at ? 0 : SIGKILL);
}

static void mount_new(void)
{
    CHECK(make_image("mkfs.ext4 -q"));
    CHECK(mount_image("image", "disk", "ext4", ""));
}

/* What the kernel still has of the disk goes there. */
static size_t search(void)
{
    CHECK(umount("disk") == 0);
    size_t found = places_in_image();
    CHECK(mount_image("image", "disk", "ext4", ""));
    return found;
}

static void search_disks(void *unused)
{
    (void)unused;
    if (!own_mounts() || !make_image("mkfs.ext4 -q") || !mount_image("image", "disk", "ext4", "")) {
        skip("an ext4 of its own", strerror(errno));
        return;
    }
    back_up(false, 0, 0);
    size_t plain = search();
    CHECK(plain > 0); /* so the search finds what is there */
    CHECK(umount("disk") == 0);

    mount_new();
    back_up(true, 0, 0);
    CHECK_INT(search(), 0);
    for (int i = 0; i < LICENSES * 3 / 4; i++) {
        write_license(i, (uint64_t)i + 1000); /* more than waits in memory */
    }
    back_up(true, LICBAK_WM_BACKUP_OVERWRITE, 0);
    CHECK_INT(search(), 0);
    for (int i = 0; i < LICENSES * 3 / 4; i++) {
        write_license(i, (uint64_t)i + 2000);
    }
    back_up(true, LICBAK_WM_BACKUP_OVERWRITE, LICENSES / 2);
    CHECK_INT(search(), 0);
    back_up(true, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL, LICENSES / 2);
    CHECK_INT(search(), 0);
    CHECK(umount("disk") == 0);
    figure("places with a licence's bytes: %zu of a plain backup, 0 of encrypted ones", plain);
}

/* -- databases, and the temporary files that they need ----------------------------------------------------- */

/* More than is sorted in memory. */
enum { SMALL_LICENSES = 12000, SMALL_SIZE = 380 };

typedef struct database {
    const char *folder, *path, *store;
    bool is_read_only; /* then it is copied with its log */
} database;

static const database databases[] = {
    {"copied", "copied/licences.db", "store", false},
    {"unlocked", "unlocked/licences.db", "store", true},
    {"sorted", "sorted/licences.db", "small", false},
};

static void make_database(void *of)
{
    const database *d = of;
    CHECK_HR(backup(d->store, "made", 0), LICBAK_S_OK);
    CHECK_HR(restore(d->path, "made", 0), LICBAK_S_OK);
}

/* A database is copied then, so that its writers need not wait. */
static void leave_wal_mode(const char *database)
{
    static const uint8_t rollback[2] = {1, 1};
    FILE *file = fopen(database, "r+b");
    CHECK(file != NULL && fseek(file, 18, SEEK_SET) == 0 && fwrite(rollback, 1, 2, file) == 2 && fclose(file) == 0);
}

/* Backs the database up, and restores what is in the backup. */
static void back_up_and_restore(const database *d, bool encrypts)
{
    setenv("TMPDIR", "disk", 1);
    licbak_restorer *r = restorer_for(d->path, "backups");
    recorder rec = {0};
    if (encrypts) {
        CHECK_HR(licbak_set_prop_string(r, "Recipients", RECIPIENT), LICBAK_S_OK);
        CHECK_HR(licbak_set_prop_string(r, "Identities", IDENTITY), LICBAK_S_OK);
    }
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "again"), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "backups"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void back_up_plain(void *of)
{
    back_up_and_restore(of, false);
}

static void back_up_encrypted(void *of)
{
    back_up_and_restore(of, true);
}

/* Gives the places after a backup of the database, which is made of the store. */
static size_t search_after(void (*work)(void *), const database *d)
{
    CHECK(umount("disk") == 0);
    mount_new();
    /* What is written goes to the disk at once, and does not wait in the kernel until its file has gone. */
    CHECK(mount(NULL, "disk", NULL, MS_REMOUNT | MS_SYNCHRONOUS, NULL) == 0);
    make_dir("backups");
    in_child(work, (void *)d);
    CHECK_SAME_CONTENTS("again", d->store);
    remove_tree("again");
    remove_tree("backups");
    return search();
}

static void make_databases(void)
{
    for (int i = 0; i < SMALL_LICENSES; i++) {
        char path[64];
        uint8_t content[SMALL_SIZE];
        uint64_t random = (uint64_t)i + 1;
        memcpy(content, marker, MARKER);
        for (size_t at = MARKER; at < SMALL_SIZE; at++) {
            content[at] = (uint8_t)next_random(&random);
        }
        snprintf(path, sizeof path, "small/%03d/%05d", i / 100, i);
        write_file(path, content, SMALL_SIZE);
    }
    for (size_t i = 0; i < sizeof databases / sizeof databases[0]; i++) {
        make_dir(databases[i].folder);
        make_dir("made");
        in_child(make_database, (void *)&databases[i]);
        remove_tree("made");
    }
    leave_wal_mode("copied/licences.db");
}

static void search_temporary_files(void *of)
{
    const database *d = of;
    if (!own_mounts() || !make_image("mkfs.ext4 -q") || !mount_image("image", "disk", "ext4", "")) {
        return; /* said before */
    }
    if (d->is_read_only) {
        CHECK(mount(d->folder, d->folder, NULL, MS_BIND, NULL) == 0);
        CHECK(mount(NULL, d->folder, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL) == 0);
    }
    size_t plain = search_after(back_up_plain, d);
    CHECK(plain > 0); /* so the search finds what is there */
    CHECK_INT(search_after(back_up_encrypted, d), 0);
    figure("places with a licence's bytes: %zu of the database '%s' for a plain backup, 0 for an encrypted one", plain,
           d->folder);
}

int main(void)
{
    begin("no_plaintext");
    make_dir("disk");
    uint64_t state = 77;
    for (size_t i = 0; i < MARKER; i++) {
        marker[i] = (uint8_t)next_random(&state);
    }
    for (int i = 0; i < LICENSES; i++) {
        write_license(i, (uint64_t)i + 1);
    }
    in_child(search_disks, NULL);
    make_databases();
    for (size_t i = 0; i < sizeof databases / sizeof databases[0]; i++) {
        in_child(search_temporary_files, (void *)&databases[i]);
    }
    return finish();
}
