/* A store that has come to another disk: no file is known any more, and every licence is read
 * again; but once, and memory does not hold what the lists are to say of them all.
 */
#include "../support/host.h"
#include "../support/repeat.h"

#include <sys/resource.h>

static void move_store(void)
{
    remove_tree("moved");
    SHELL("cp -a store moved");
}

static void read_once(void)
{
    make_many("store", LARGE);
    make_dir("backups");
    settle();
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    move_store();
    settle();
    watch w = watch_below("moved");
    CHECK_HR(backup("moved", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    watched(&w);
    CHECK_INT(w.count, MANY);
    CHECK_INT(w.opens, MANY + 2); /* three frames: who finds no room in one leaves the licence to another worker */
    free_watch(&w);
    check_backup("backups", "moved");
    CHECK_INT(repeat_read("moved", "backups", 0), 0);

    /* Half of them: what is unchanged is not worth a frame of its own any more. */
    for (int i = 0; i < MANY; i += 2) {
        write_license("moved", i, LARGE, 1);
    }
    settle();
    CHECK_INT(repeat_read("moved", "backups", 0), MANY);
    check_backup("backups", "moved");
    remove_tree("store");
    remove_tree("backups");
}

/* -- room ------------------------------------------------------------------------------------------------ */

/* A disk that has room for the old backup and the new one, and half of one more, is large
 * enough. */
static void needs_room_for_two(void *unused)
{
    (void)unused;
    char options[64];
    size_t size;
    make_many("store", LARGE);
    make_dir("backups");
    settle();
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    free(read_file(BACKUP, &size));
    snprintf(options, sizeof options, "size=%zu", size * 5 / 2);
    if (!mount_tmpfs("small", options)) {
        skip("a repeated backup on a small disk", "mounting one takes root");
        return;
    }
    CHECK_HR(backup("store", "small", 0), LICBAK_S_OK);
    move_store();
    settle();
    CHECK_HR(backup("moved", "small", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    check_whole("small", "moved");
    for (int i = 0; i < MANY; i += 2) {
        write_license("moved", i, LARGE, 1);
    }
    settle();
    CHECK_HR(backup("moved", "small", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    check_whole("small", "moved");
}

/* -- memory ---------------------------------------------------------------------------------------------- */

enum { LONG_NAMES = 10000, LONG = 3700 };

/* Of each name the lists have three copies. */
static void make_long_names(void)
{
    char folder[LONG + 256] = "store";
    for (size_t length = strlen(folder); length < LONG; length += 250) {
        snprintf(folder + length, sizeof folder - length, "/%0249d", 1);
    }
    make_dir(folder);
    int directory = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(directory >= 0);
    for (int i = 0; i < LONG_NAMES; i++) {
        char name[32];
        snprintf(name, sizeof name, "key-%05d.lic", i);
        int file = openat(directory, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        CHECK(file >= 0 && write(file, name, sizeof name) == sizeof name && close(file) == 0);
    }
    CHECK(close(directory) == 0);
}

/* With one thread, so that few frames are under way at a time, whose lists are in memory. */
static void back_up(void *store)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for(store, "backups");
    set_number(r, "Threads", 1);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Of the largest process so far, in KiB. */
static long peak_with(const char *store)
{
    struct rusage used;
    in_child(back_up, (void *)(uintptr_t)store);
    CHECK(getrusage(RUSAGE_CHILDREN, &used) == 0);
    return used.ru_maxrss;
}

static void lists_stay_out_of_memory(void)
{
    enum { LISTS = LONG_NAMES * 3L * LONG / 1024 };
    make_dir("backups");
    make_long_names();
    settle();
    long full = peak_with("store");
    move_store();
    settle();
    long moved = peak_with("moved");
    figure("peak memory: full %ld KiB, all changed %ld KiB; the lists are %d KiB", full, moved, LISTS);
    CHECK(moved < full + LISTS / 2);
    CHECK_INT(repeat_read("moved", "backups", 0), 0);
}

int main(void)
{
    begin("repeat_moved");
    bool memory = enter_memory();
    lists_stay_out_of_memory();
    remove_tree("store");
    remove_tree("backups");
    read_once();
    in_child(needs_room_for_two, NULL);
    leave_memory(memory);
    return finish();
}
