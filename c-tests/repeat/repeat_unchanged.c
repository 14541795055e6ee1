/* A backup of a store that has not changed since leaves the old backup as it is, and needs no room; but not without
 * having looked whether that is whole.
 */
#include "../support/disk.h"
#include "../support/repeat.h"

#include <sys/statvfs.h>

#define DENIED \
    "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>%d</KID><ONACTION type=\"Play\"/></DATA></LICENSORINFO>" \
    "</LICENSE>"

enum { RESTRICTED = 7 };

static void make_the_store(void)
{
    make_many("store", LARGE);
    for (int i = 0; i < RESTRICTED; i++) {
        char path[64], text[256];
        snprintf(path, sizeof path, "store/f%d/denied-%d.xml", i % 5, i);
        snprintf(text, sizeof text, DENIED, i);
        write_text(path, text);
    }
    make_dir("backups");
    settle();
}

/* The lines of licences that may be backed up. */
static char *allowed(char *text)
{
    char *to = text;
    for (char *line = text, *end; *line != '\0'; line = end) {
        end = strchr(line, '\n') + 1;
        if (strstr(line, "/denied-") == NULL || strstr(line, "/denied-") > end) {
            memmove(to, line, (size_t)(end - line));
            to += end - line;
        }
    }
    *to = '\0';
    return text;
}

/* Backs up over what is there; gives whether it is the same file still, and nothing was made beside it. */
static bool stays(uint32_t flags)
{
    recorder rec = {0};
    struct stat before, after, folder_before, folder_after;
    char *before_names = strdup(entries("backups"));
    CHECK(stat(BACKUP, &before) == 0 && stat("backups", &folder_before) == 0);
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE | flags, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    const licbak_progress figures = final_figures(&rec);
    CHECK_INT(figures.licenses_total, figures.licenses_done + figures.licenses_restricted);
    CHECK_INT(figures.licenses_restricted, RESTRICTED);
    CHECK_INT(count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE), RESTRICTED);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), RESTRICTED);
    CHECK_INT(figures.backup_bytes, size_of(BACKUP));
    CHECK_INT(figures.phase_done, figures.phase_total);
    forget(&rec);
    CHECK(stat(BACKUP, &after) == 0 && stat("backups", &folder_after) == 0);
    CHECK_TEXT(entries("backups"), before_names);
    free(before_names);
    bool same = before.st_ino == after.st_ino && before.st_size == after.st_size &&
                memcmp(&before.st_mtim, &after.st_mtim, sizeof before.st_mtim) == 0 &&
                memcmp(&before.st_ctim, &after.st_ctim, sizeof before.st_ctim) == 0;
    CHECK(!same || memcmp(&folder_before.st_ctim, &folder_after.st_ctim, sizeof folder_before.st_ctim) == 0);
    /* Of a damaged backup it can't be told. */
    CHECK(figures.licenses_gone == 0 || (!same && figures.licenses_gone == UINT64_MAX));
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK_SAME_LINES(restored_text("backups", 0, true, LICBAK_S_OK), allowed(store_text("store", true, true)));
    return same;
}

static void each_thing_counts(void)
{
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    for (int i = 0; i < 3; i++) {
        CHECK(stays(0));
    }
    CHECK(!stays(LICBAK_BACKUP_FULL));
    CHECK(stays(0));
    /* A licence that is denied counts too: its name, and that it is there. */
    CHECK(rename("store/f0/denied-0.xml", "store/f0/denied-x.xml") == 0);
    CHECK(!stays(0));
    CHECK(stays(0));
    /* A time alone: it is what a restore sets. */
    struct timespec times[2] = {{.tv_sec = 1, .tv_nsec = UTIME_OMIT}, {.tv_sec = 1000000000}};
    CHECK(utimensat(AT_FDCWD, path_of("store", 3), times, 0) == 0);
    settle();
    CHECK(!stays(0));
    CHECK(stays(0));
}

/* Whoever copied the backup back may have let others read it. */
static void private_again(void)
{
    struct stat before, after;
    CHECK(chmod(BACKUP, 0644) == 0 && stat(BACKUP, &before) == 0);
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK(stat(BACKUP, &after) == 0 && before.st_ino == after.st_ino);
    CHECK_INT(mode_of(BACKUP), 0600);
}

/* A licence is younger than what its file's times tell, and is read; once they tell it, that is noted. */
static void young(void)
{
    write_license("store", 5, LARGE, 1);
    CHECK(!stays(0));
    CHECK(stays(0));
    settle();
    CHECK(!stays(0));
    CHECK(stays(0));
}

static void damaged(void)
{
    int made_anew = 0;
    enum { PLACES = 40 };
    for (int i = 0; i <= PLACES; i++) {
        size_t size;
        uint8_t *bytes = read_file(BACKUP, &size);
        bytes[(size - 1) * (size_t)i / PLACES] ^= 0x10;
        write_file(BACKUP, bytes, size);
        free(bytes);
        made_anew += !stays(0);
    }
    size_t size;
    uint8_t *bytes = read_file(BACKUP, &size);
    write_file(BACKUP, bytes, size - 1);
    free(bytes);
    made_anew += !stays(0);
    CHECK_INT(made_anew, PLACES + 2);
    figure("damaged backups: %d, of them made anew %d", PLACES + 2, made_anew);
}

/* Not a byte is free on the disk of the backup. */
static void no_room(void)
{
    if (!mount_tmpfs("backups", "size=64m")) {
        skip("a full disk", "mounting takes root");
        return;
    }
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    SHELL("cat /dev/zero >backups/fill 2>errors || true");
    struct statvfs room;
    CHECK(statvfs("backups", &room) == 0 && room.f_bfree == 0);
    CHECK(stays(0));
    write_license("store", 9, LARGE, 1);
    settle();
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_HRESULT_ERROR_DISK_FULL);
    CHECK(unlink("backups/fill") == 0);
    CHECK(!stays(0));
    CHECK(umount("backups") == 0);
}

int main(void)
{
    begin("repeat_unchanged");
    make_the_store();
    each_thing_counts();
    private_again();
    young();
    damaged();
    if (own_mounts()) {
        no_room();
    } else {
        skip("a full disk", "mounting takes root");
    }
    return finish();
}
