/* What a file's state tells counts on the mount and in the run of the system in which it was noted,
 * and nowhere else: another disk in the same place may show another content under the same device,
 * inode and times. There each licence is read; and what is as it was is taken over all the same.
 */
#include "../support/host.h"
#include "../support/repeat.h"

#define STORE "disk/store"

enum { OLD_LEVEL = 3, NEW_LEVEL = 1 };

/* Backs up over what is there, and gives how many licences were read for it. */
static size_t read_at_level(const char *store, const char *backups, uint32_t level)
{
    recorder rec = {0};
    watch w = watch_below(store);
    licbak_restorer *r = restorer_for(store, backups);
    set_number(r, "CompressionLevel", level);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);
    watched(&w);
    size_t count = w.count;
    free_watch(&w);
    return count;
}

/* How many licences a backup reads though their states are known: none; but all where an emulator does not
 * tell one mount from another. */
static size_t known(void)
{
    return emulated() ? MANY : 0;
}

/* How many of the backup's frames are those of the old one, byte for byte and in the same place. */
static size_t frames_kept(const frames *old)
{
    frames now = read_frames(BACKUP);
    size_t kept = 0;
    while (kept < old->count && kept < now.count && old->all[kept].length == now.all[kept].length &&
           memcmp(old->bytes + old->all[kept].start, now.bytes + now.all[kept].start, old->all[kept].length) == 0) {
        kept++;
    }
    free_frames(&now);
    return kept;
}

static bool is_noted_nowhere(void)
{
    return system("zstd -dcq " BACKUP " | tar -xO state | grep -aqF '\"boot\":\"\"'") == 0;
}

/* -- another content of the same disk ----------------------------------------------------------------------- */

static char device[32]; /* of the image, as long as it is held */

static void mount_disk(unsigned long flags)
{
    CHECK(mount(device, "disk", "ext4", flags, "") == 0);
}

static void umount_disk(void)
{
    CHECK(umount("disk") == 0);
}

/* Alters the content of a licence where it lies in the image. */
static void alter_in_image(int number)
{
    enum { PART = 64, BLOCK = 1024 }; /* of the smallest file systems */
    size_t size;
    uint8_t *content = read_file(path_of(STORE, number), &size);
    umount_disk();
    int file = open("image", O_RDWR | O_CLOEXEC);
    off_t end = lseek(file, 0, SEEK_END), found = -1;
    uint8_t block[PART], other[PART];
    for (off_t at = 0; at < end; at += BLOCK) {
        CHECK(pread(file, block, PART, at) == PART);
        if (memcmp(block, content, PART) == 0) {
            CHECK(found < 0);
            found = at;
        }
    }
    CHECK(found >= 0);
    for (size_t i = 0; i < PART; i++) {
        other[i] = content[i] ^ 0x55;
    }
    CHECK(pwrite(file, other, PART, found) == PART && fsync(file) == 0 && close(file) == 0);
    free(content);
    mount_disk(0);
}

static void altered_disk(void)
{
    struct stat before, after;
    const int altered = MANY / 2;
    CHECK_INT(read_at_level(STORE, "backups", OLD_LEVEL), MANY);
    CHECK_INT(read_at_level(STORE, "backups", OLD_LEVEL), known());
    frames old = read_frames(BACKUP);
    CHECK(old.count > 3);
    char *unaltered = store_text(STORE, true, true);
    CHECK(stat(path_of(STORE, altered), &before) == 0);
    alter_in_image(altered);
    CHECK(stat(path_of(STORE, altered), &after) == 0);
    CHECK(before.st_dev == after.st_dev && before.st_ino == after.st_ino && before.st_size == after.st_size);
    CHECK(memcmp(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim) == 0);
    CHECK(memcmp(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim) == 0);
    char *now = store_text(STORE, true, true);
    CHECK(strcmp(unaltered, now) != 0);
    free(unaltered);
    free(now);

    CHECK_INT(read_at_level(STORE, "backups", NEW_LEVEL), MANY);
    check_backup("backups", STORE);
    CHECK_INT(frames_kept(&old), 3);
    CHECK_INT(read_at_level(STORE, "backups", NEW_LEVEL), known()); /* it was noted anew */
    check_whole("backups", STORE);
    free_frames(&old);

    /* Nothing is altered at all. */
    umount_disk();
    mount_disk(0);
    old = read_frames(BACKUP);
    CHECK_INT(read_at_level(STORE, "backups", OLD_LEVEL), MANY);
    CHECK(frames_kept(&old) >= 4);
    CHECK_INT(read_at_level(STORE, "backups", OLD_LEVEL), known());
    check_backup("backups", STORE);
    free_frames(&old);
}

/* Names and times are as they are now, though contents are as they were. */
static void renamed_and_touched(void)
{
    umount_disk();
    mount_disk(0);
    CHECK(rename(path_of(STORE, 3), STORE "/f0/renamed.lic") == 0);
    CHECK(rename(path_of(STORE, 5), path_of(STORE, 4)) == 0);
    set_modified(path_of(STORE, MANY / 2 + 1), 1500000000, 1);
    set_modified(path_of(STORE, MANY - 1), 1500000000, 2);
    CHECK_INT(read_at_level(STORE, "backups", OLD_LEVEL), MANY - 1);
    check_backup("backups", STORE);
}

/* A frame of which a licence is gone is made anew, and no other is. */
static void partly_gone(void)
{
    CHECK_HR(backup(STORE, "backups", LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK);
    umount_disk();
    mount_disk(0);
    frames old = read_frames(BACKUP);
    CHECK(unlink(path_of(STORE, MANY - 2)) == 0);
    CHECK_INT(read_at_level(STORE, "backups", NEW_LEVEL), MANY - 2);
    check_backup("backups", STORE);
    CHECK_INT(frames_kept(&old), 2);
    CHECK(read_at_level(STORE, "backups", NEW_LEVEL) <= 4 + known()); /* what was renamed and touched just now */
    free_frames(&old);
}

/* What can't be written to changes as a whole, and shows nothing of it. */
static void read_only(void)
{
    umount_disk();
    mount_disk(MS_RDONLY);
    CHECK(unlink(BACKUP) == 0);
    CHECK_INT(read_at_level(STORE, "backups", OLD_LEVEL), MANY - 2);
    CHECK(!has_zstd() || is_noted_nowhere());
    frames old = read_frames(BACKUP);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(read_at_level(STORE, "backups", NEW_LEVEL), MANY - 2);
        CHECK(frames_kept(&old) >= 3);
        CHECK(!has_zstd() || is_noted_nowhere());
        check_backup("backups", STORE);
    }
    free_frames(&old);
}

static void of_a_disk(void *unused)
{
    (void)unused;
    int held = make_image("mkfs.ext4 -q -F") && own_mounts() ? loop_device("image", device) : -1;
    if (held < 0 || mount(device, "disk", "ext4", 0, "") != 0) {
        skip("ext4", "it takes root, a kernel that knows it, and mkfs.ext4");
        settle(); /* for those that come next */
        return;
    }
    make_many(STORE, LARGE);
    make_dir("backups");
    settle();
    altered_disk();
    renamed_and_touched();
    partly_gone();
    read_only();
    umount_disk();
    CHECK(close(held) == 0);
    remove_tree("backups");
}

/* -- other layers -------------------------------------------------------------------------------------------- */

static bool mount_layers(const char *upper, const char *top)
{
    char options[3 * PATH_MAX], place[PATH_MAX];
    CHECK(getcwd(place, sizeof place) != NULL);
    int length = snprintf(options, sizeof options, "lowerdir=%s/%s:%s/bottom", place, top, place);
    if (upper != NULL) {
        length += snprintf(options + length, sizeof options - (size_t)length, ",upperdir=%s/%s,workdir=%s/work", place,
                           upper, place);
    }
    CHECK((size_t)length < sizeof options);
    return mount("overlay", "disk", "overlay", 0, options) == 0;
}

/* The upper of two lower layers is another one. With an upper layer, all can be written to. */
static void of_layers(void *unused)
{
    (void)unused;
    static const char *const uppers[] = {"upper", NULL};
    if (geteuid() != 0 || !own_mounts()) {
        skip("overlayfs", "it takes root");
        return;
    }
    make_dir("work");
    make_dir("upper");
    make_dir("backups");
    for (size_t i = 0; i < 2; i++) {
        if (!mount_layers(uppers[i], "first")) {
            skip("overlayfs", strerror(errno));
            return;
        }
        CHECK_HR(backup(STORE, "backups", LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK);
        check_whole("backups", STORE);
        frames old = read_frames(BACKUP);
        umount_disk();
        CHECK(mount_layers(uppers[i], "second"));
        CHECK_INT(read_at_level(STORE, "backups", NEW_LEVEL), MANY);
        check_backup("backups", STORE);
        CHECK_INT(frames_kept(&old), 3);
        free_frames(&old);
        umount_disk();
    }
    remove_tree("backups");
}

/* -- another run of the system ------------------------------------------------------------------------------- */

#define BOOT "/proc/sys/kernel/random/boot_id"

/* Has the kernel name its run otherwise, for this process. */
static bool name_run(const char *name)
{
    write_text("boot", name);
    return mount("boot", BOOT, NULL, MS_BIND, NULL) == 0;
}

static void of_a_run(void *unused)
{
    (void)unused;
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    CHECK_INT(read_at_level("store", "backups", OLD_LEVEL), 0);
    if (geteuid() != 0 || !own_mounts() || !name_run("another run\n")) {
        skip("another run of the system", "it takes root");
        return;
    }
    frames old = read_frames(BACKUP);
    CHECK_INT(read_at_level("store", "backups", NEW_LEVEL), MANY);
    CHECK_INT(frames_kept(&old), 3);
    check_backup("backups", "store");
    CHECK_INT(read_at_level("store", "backups", NEW_LEVEL), 0);
    CHECK(umount(BOOT) == 0);
    CHECK_INT(read_at_level("store", "backups", NEW_LEVEL), MANY);

    /* Where it has no name, nothing is trusted. */
    CHECK(name_run(""));
    for (int i = 0; i < 2; i++) {
        CHECK_INT(read_at_level("store", "backups", NEW_LEVEL), MANY);
        CHECK_INT(frames_kept(&old), 3);
        check_backup("backups", "store");
    }
    CHECK(umount(BOOT) == 0);
    free_frames(&old);
}

int main(void)
{
    begin("repeat_origin");
    bool memory = enter_memory();
    make_dir("disk");
    make_many("bottom/store", LARGE);
    for (int i = 0; i < 9; i++) {
        write_license("first/store", i * 10, LARGE, 1);
        write_license("second/store", i * 10, LARGE, 2);
    }
    make_many("store", LARGE);
    in_child(of_a_disk, NULL);
    in_child(of_layers, NULL);
    if (emulated()) {
        skip("what is not read again, and another run of the system", "the emulator tells no mount");
    } else {
        in_child(of_a_run, NULL);
    }
    leave_memory(memory);
    return finish();
}
