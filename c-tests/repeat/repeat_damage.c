/* A damaged backup, or what is none, where the backup to be repeated should be: the new one is
 * right and whole, and nothing of the damage is in it. And stores that no repeat takes anything
 * over for.
 */
#include "../support/host.h"
#include "../support/repeat.h"

static uint64_t noise = 5;
static int altered;

/* Puts the backup there with some bytes altered, and cut to `size`. */
static void put_damaged(const frames *f, size_t start, size_t length, size_t size)
{
    uint8_t *bytes = malloc(f->size);
    CHECK(bytes != NULL);
    memcpy(bytes, f->bytes, f->size);
    for (size_t i = start; i < start + length; i++) {
        bytes[i] ^= (uint8_t)(next_random(&noise) | 1);
    }
    write_file(BACKUP, bytes, size);
    free(bytes);
}

/* Repeats the backup over what is there, and gives how many licences were read. */
static size_t check_repeated(void)
{
    size_t read = repeat_read("store", "backups", 0);
    check_whole("backups", "store");
    altered++;
    return read;
}

/* A frame of licences that is altered costs its licences another reading, and no others. */
static void each_frame(const frames *f, size_t licenses)
{
    size_t read = 0, partly = 0, none = 0;
    for (size_t i = 0; i < f->count; i++) {
        const frame at = f->all[i];
        const frame parts[] = {{at.start + at.length / 2, 1}, {at.start + at.length - 1, 1}, {at.start, at.length}};
        for (size_t p = 0; p < sizeof parts / sizeof parts[0]; p++) {
            put_damaged(f, parts[p].start, parts[p].length, f->size);
            size_t again = check_repeated();
            none += again == 0;
            partly += again < licenses;
            read += p == 0 && again < licenses ? again : 0;
        }
    }
    CHECK_INT(read, licenses); /* each of them by the frame that it is in */
    CHECK(partly >= 9);
    CHECK_INT(none, 3); /* those of restricted.jsonl, which is not looked at */
    for (size_t i = 0; i < 3; i++) {
        put_damaged(f, f->all[i].start + 20, f->all[i + 1].start - f->all[i].start, f->size); /* two in a row */
        check_repeated();
    }
    check_extracted("backups", "store");
    check_salvaged("backups", "store");
    put_damaged(f, 0, 0, f->size);
    CHECK_INT(check_repeated(), 0);
}

static void each_structure(const frames *f, size_t licenses)
{
    const size_t tail = f->all[3].start;
    const frame parts[] = {
        {f->table, 1},       {f->table + 8, 4},        {f->size - 9, 4}, {f->size - 5, 1}, {f->size - 1, 1},
        {f->table, f->size - f->table}, {tail, f->size - tail},   {0, f->size},
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        put_damaged(f, parts[i].start, parts[i].length, f->size);
        CHECK_INT(check_repeated(), licenses);
    }
    const size_t sizes[] = {0, 1, f->all[1].start, f->all[1].start + 100, tail, f->table, f->size - 1};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        put_damaged(f, 0, 0, sizes[i]);
        CHECK_INT(check_repeated(), licenses);
    }
}

/* -- what is no backup ------------------------------------------------------------------------------------ */

static void something_else(const frames *f, size_t licenses)
{
    write_text(BACKUP, "a text in the place of a backup\n");
    CHECK_INT(check_repeated(), licenses);
    CHECK(unlink(BACKUP) == 0 && symlink("nowhere", BACKUP) == 0);
    CHECK_INT(check_repeated(), licenses);

    /* A link to a good backup is one; it is replaced, and what it leads to stays. */
    write_file("elsewhere", f->bytes, f->size);
    CHECK(unlink(BACKUP) == 0 && symlink("../elsewhere", BACKUP) == 0);
    CHECK_INT(check_repeated(), 0);
    struct stat st;
    CHECK(lstat(BACKUP, &st) == 0 && S_ISREG(st.st_mode));
    size_t size;
    uint8_t *bytes = read_file("elsewhere", &size);
    CHECK(size == f->size && memcmp(bytes, f->bytes, size) == 0);
    free(bytes);

    CHECK(unlink(BACKUP) == 0);
    put_damaged(f, 0, 0, f->size);
    if (geteuid() != 0) {
        skip("another user's backup", "giving a file away takes root");
        return;
    }
    CHECK(chown(BACKUP, 12345, 12345) == 0);
    CHECK_INT(check_repeated(), licenses);
    CHECK_INT(check_repeated(), 0);
}

/* A licence changes at the same time: its old version is in a frame that is kept, or one that is
 * damaged. */
static void changed_too(const frames *f)
{
    for (size_t i = 0; i < 3; i++) {
        for (int number = 0; number < MANY; number += 100) {
            write_license("store", number, LARGE, (int)i + 1);
        }
        put_damaged(f, f->all[i].start + 100, 1, f->size);
        check_repeated();
        check_extracted("backups", "store");
        check_salvaged("backups", "store");
    }
}

/* -- a licence that has become a backup ------------------------------------------------------------------- */

/* The file of RestorePath is no licence from the moment on that it is RestorePath's. */
static void license_to_backup(void)
{
    recorder rec = {0};
    write_noise("self/a.lic", 100000, 1);
    write_file("self/licenses.tar.zst", "a licence of that name", 22);
    make_dir("self-backups");
    settle();
    CHECK_HR(backup("self", "self-backups", 0), LICBAK_S_OK);
    for (int i = 0; i < 2; i++) {
        licbak_restorer *r = restorer_for("self", "self-backups");
        CHECK_HR(licbak_set_prop_string(r, "RestorePath", "self"), LICBAK_S_OK);
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
        CHECK_INT(final_figures(&rec).licenses_done, 1);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        CHECK_HR(verify("self-backups"), LICBAK_S_OK);
        CHECK_HR(backup("self", "self-backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK); /* and is one again */
        check_backup("self-backups", "self");
        write_file("self/licenses.tar.zst", "changed in between, too", 23);
    }
    forget(&rec);
}

/* -- other stores ------------------------------------------------------------------------------------------ */

static void check_host(host *h, int enumerations)
{
    recorder rec = {0};
    CHECK_HR(run_host(licbak_backup_licenses, h, "backups", LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, h->count);
    CHECK_INT(atomic_load(&h->enumerations), enumerations);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    host restored = {0};
    CHECK_HR(run_host(licbak_restore_licenses, &restored, "backups", 0, &rec), LICBAK_S_OK);
    CHECK_SAME_HOST(&restored, h);
    host_forget(&restored);
    forget(&rec);
}

/* A host's licences are read each time, once: one whose content alone has changed is noticed. The
 * backup of a directory that was there is of no use, even where the names are its names. */
static void of_a_host(void)
{
    host h = {0};
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    host_add(&h, name_of(1), "k", "content", 1600000000000000000, LICBAK_RIGHT_ALLOWED);
    host_add(&h, name_of(2), "k", "CONTENT", 1600000000000000000, LICBAK_RIGHT_ALLOWED);
    check_host(&h, 1);
    check_host(&h, 2);
    host_add(&h, name_of(1), "k", "CHANGED", 1600000000000000000, LICBAK_RIGHT_ALLOWED);
    check_host(&h, 3);
    host_forget(&h);
    CHECK(repeat_read("store", "backups", 0) >= MANY); /* and the other way round */
    check_whole("backups", "store");
}

/* A database keeps no times. */
static void check_contents(void)
{
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK_SAME_LINES(restored_text("backups", 0, false, LICBAK_S_OK), store_text("store", false, true));
}

static void of_a_database(void)
{
    for (int i = 0; i < 2; i++) {
        CHECK_HR(restore("licenses.sqlite", "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
        CHECK_HR(backup("licenses.sqlite", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
        check_contents();
    }
    if (system("python3 -c 'import sqlite3' 2>/dev/null") != 0) {
        skip("a changed database", "python3 has no sqlite3");
        return;
    }
    SHELL("python3 -c \"import sqlite3; c = sqlite3.connect('licenses.sqlite'); c.execute("
          "'update license set content = ? where name = ?', (b'changed', '%s')); c.commit()\"", name_of(5));
    write_text(path_of("store", 5), "changed");
    CHECK_HR(backup("licenses.sqlite", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    check_contents();
}

int main(void)
{
    begin("repeat_damage");
    bool memory = enter_memory();
    make_many("store", LARGE);
    make_dir("backups");
    settle();
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    frames f = read_frames(BACKUP);
    CHECK(f.count > 3);
    each_frame(&f, MANY);
    each_structure(&f, MANY);
    something_else(&f, MANY);
    changed_too(&f);
    free_frames(&f);
    license_to_backup();
    of_a_host();
    of_a_database();
    figure("damaged backups that were repeated: %d", altered);
    leave_memory(memory);
    return finish();
}
