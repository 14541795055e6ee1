/* Nothing of an encrypted backup is on its disk as it is: neither after a backup, a repeat or a kill, nor
 * in what those have left behind in free blocks. The raw image of the file system is searched. Takes root.
 */
#include "../support/disk.h"
#include "../support/recorder.h"

#define RECIPIENT "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
#define IDENTITY "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"

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
    uint64_t state = 77;
    for (size_t i = 0; i < MARKER; i++) {
        marker[i] = (uint8_t)next_random(&state);
    }
    for (int i = 0; i < LICENSES; i++) {
        write_license(i, (uint64_t)i + 1);
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

int main(void)
{
    begin("no_plaintext");
    make_dir("disk");
    in_child(search_disks, NULL);
    return finish();
}
