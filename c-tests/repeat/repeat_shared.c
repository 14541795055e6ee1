/* Where a file system can, a backup shares the blocks of what it takes over with the one before it;
 * and neither changes with the other.
 */
#include "../support/repeat.h"

#include <linux/fiemap.h>
#include <linux/fs.h>

static const char *file_systems[][2] = {{"xfs", "mkfs.xfs -q -f"}, {"btrfs", "mkfs.btrfs -q -f"}};

/* Bytes of a file's blocks that another has, too. */
static size_t shared_bytes(const char *path)
{
    enum { EXTENTS = 256 };
    _Alignas(struct fiemap) char memory[sizeof(struct fiemap) + EXTENTS * sizeof(struct fiemap_extent)] = {0};
    struct fiemap *map = (struct fiemap *)(void *)memory;
    *map = (struct fiemap){.fm_length = FIEMAP_MAX_OFFSET, .fm_flags = FIEMAP_FLAG_SYNC, .fm_extent_count = EXTENTS};
    int file = open(path, O_RDONLY | O_CLOEXEC);
    CHECK(file >= 0 && ioctl(file, FS_IOC_FIEMAP, map) == 0 && close(file) == 0);
    CHECK(map->fm_mapped_extents > 0 && map->fm_mapped_extents < EXTENTS);
    size_t shared = 0;
    for (unsigned i = 0; i < map->fm_mapped_extents; i++) {
        const struct fiemap_extent *extent = &map->fm_extents[i];
        shared += (extent->fe_flags & FIEMAP_EXTENT_SHARED) != 0 ? (size_t)extent->fe_length : 0;
    }
    return shared;
}

/* Repeats the backup, which must be right; gives how much it shares with the one before it, which
 * stays. */
static size_t repeat_beside_old(size_t *read)
{
    uint64_t before = digest(BACKUP);
    CHECK(link(BACKUP, "old") == 0);
    *read = repeat_read("store", "backups", 0);
    check_backup("backups", "store");
    size_t shared = shared_bytes(BACKUP);
    CHECK(digest("old") == before);
    CHECK(unlink("old") == 0);
    return shared;
}

static void alter(off_t at)
{
    char byte;
    int file = open(BACKUP, O_RDWR | O_CLOEXEC);
    CHECK(pread(file, &byte, 1, at) == 1);
    byte ^= 1;
    CHECK(pwrite(file, &byte, 1, at) == 1 && close(file) == 0);
}

static void on(void *pair)
{
    enum { BLOCK = 4096, CHANGED = 5 };
    const char **file_system = pair;
    size_t read;
    make_dir("disk");
    if (!make_image(file_system[1]) || !own_mounts() || !mount_image("image", "disk", file_system[0], "")) {
        skip(file_system[0], "it takes root, a kernel that knows it, and the program that makes such a file system");
        return;
    }
    CHECK(chdir("disk") == 0);
    make_many("store", LARGE);
    make_dir("backups");
    settle();
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    CHECK_INT(shared_bytes(BACKUP), 0);
    frames f = read_frames(BACKUP);
    CHECK(f.count > 3);
    size_t licenses = f.all[2].start + f.all[2].length; /* the three frames that they are in */

    for (int i = 0; i < CHANGED; i++) {
        write_license("store", i * 60, LARGE, 1);
    }
    settle();
    CHECK(repeat_beside_old(&read) >= licenses - BLOCK);
    CHECK_INT(read, CHANGED);

    /* What is right before a damaged frame is still shared, and what is behind it is not read
     * again. */
    alter((off_t)(f.all[1].start + f.all[1].length / 2));
    size_t shared = repeat_beside_old(&read);
    CHECK(read > 0 && read < MANY / 2);
    CHECK(shared >= f.all[1].start - BLOCK && shared < f.all[2].start);
    free_frames(&f);

    /* Nor is it where one licence is gone from a frame; where it is from the first, nothing is
     * shared. */
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL), LICBAK_S_OK);
    f = read_frames(BACKUP);
    CHECK(unlink(path_of("store", MANY / 2)) == 0);
    shared = repeat_beside_old(&read);
    CHECK(read > 0 && read < MANY / 2);
    CHECK(shared >= f.all[1].start - BLOCK && shared < f.all[2].start);
    free_frames(&f);
    CHECK(unlink(path_of("store", 0)) == 0);
    CHECK_INT(repeat_beside_old(&read), 0);
    CHECK(read > 0 && read < MANY / 2);
    CHECK(chdir("..") == 0 && umount("disk") == 0);
}

int main(void)
{
    begin("repeat_shared");
    in_child(on, file_systems[0]);
    in_child(on, file_systems[1]);
    return finish();
}
