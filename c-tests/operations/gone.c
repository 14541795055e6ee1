/* The end of a backup tells how many licences of the backup that it replaces are in the store no
 * more. */
#include "../support/host.h"
#include "../support/process.h"
#include "../support/repeat.h"

#define OVERWRITE LICBAK_WM_BACKUP_OVERWRITE
#define XML(action) \
    "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>a2V5</KID>" action "</DATA></LICENSORINFO></LICENSE>"

static const uint64_t not_known = UINT64_MAX;

static uint64_t gone_at_end(recorder *rec)
{
    uint64_t gone = final_figures(rec).licenses_gone;
    for (size_t i = 0; i + 1 < rec->count; i++) {
        if (rec->events[i].status == LICBAK_STATUS_PROGRESS) {
            CHECK(rec->events[i].progress.licenses_gone == 0 || rec->events[i].progress.licenses_gone == gone);
        }
    }
    forget(rec);
    return gone;
}

static uint64_t gone(const char *store, uint32_t flags)
{
    recorder rec = {0};
    licbak_progress progress = {.struct_size = sizeof progress};
    licbak_restorer *r = restorer_for(store, "backups");
    CHECK_HR(run(licbak_backup_licenses, r, flags, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_get_progress(r, &progress), LICBAK_S_OK);
    CHECK(progress.licenses_gone == final_figures(&rec).licenses_gone);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return gone_at_end(&rec);
}

static void remove_some(int start, int end)
{
    for (int i = start; i < end; i++) {
        CHECK(unlink(path_of("store", i)) == 0);
    }
}

/* In each way to replace a backup; a dry run tells what would be, and of no backup that it would
 * not replace. */
static void in_each_way(void)
{
    static const uint32_t ways[] = {OVERWRITE, OVERWRITE | LICBAK_BACKUP_FULL};
    CHECK_INT(gone("store", LICBAK_DRY_RUN | OVERWRITE), 0);
    CHECK_INT(gone("store", OVERWRITE), 0); /* there was none */
    CHECK(unlink(BACKUP) == 0);
    CHECK_INT(gone("store", 0), 0);
    for (int i = 0; i < 2; i++) {
        CHECK_INT(gone("store", ways[i]), 0);
        remove_some(20 * i, 20 * i + 7);
        uint64_t before = digest(BACKUP);
        CHECK_INT(gone("store", LICBAK_DRY_RUN | OVERWRITE), 7);
        CHECK_INT(gone("store", LICBAK_DRY_RUN), 0);
        CHECK(digest(BACKUP) == before);
        CHECK_INT(gone("store", ways[i]), 7);
        CHECK_INT(gone("store", ways[i]), 0);
        check_whole("backups", "store");

        /* So it is under its old name. */
        CHECK(rename(path_of("store", 100 + i), path_of("store", 20 * i)) == 0);
        CHECK(rename(path_of("store", 110 + i), path_of("store", 112 + i)) == 0);
        CHECK_INT(gone("store", ways[i]), 2);
        write_license("store", 7, LARGE, i + 1); /* what has changed is not */
        CHECK_INT(gone("store", ways[i]), 0);
    }
    /* Too little is left to take anything over. */
    remove_tree("store/f1");
    remove_tree("store/f2");
    remove_tree("store/f3");
    char *text = list_text("backups");
    int before = lines_of(text);
    free(text);
    uint64_t lacking = gone("store", OVERWRITE);
    text = list_text("backups");
    CHECK_INT(lacking, before - lines_of(text));
    CHECK(lacking > MANY / 2);
    free(text);
    check_whole("backups", "store");
}

/* A licence that is there, and denied now, is not gone; nor is one that was in no backup. */
static void denied(void)
{
    for (int i = 0; i < 2; i++) {
        uint32_t flags = i == 0 ? OVERWRITE : OVERWRITE | LICBAK_BACKUP_FULL;
        write_text("store/right.xml", XML("<ONACTION type=\"backup\"/>"));
        CHECK_INT(gone("store", flags), 0);
        write_text("store/right.xml", XML("<ONACTION type=\"Play\"/>"));
        CHECK_INT(gone("store", LICBAK_DRY_RUN | flags), 0);
        CHECK_INT(gone("store", flags), 0);
        CHECK(unlink("store/right.xml") == 0);
        CHECK_INT(gone("store", flags), 0);
    }
}

/* What the old backup has can't be told where its lists can't be read. */
static void damaged(void)
{
    static const uint32_t ways[] = {OVERWRITE, OVERWRITE | LICBAK_BACKUP_FULL, OVERWRITE | LICBAK_DRY_RUN};
    size_t size;
    uint8_t *bytes = read_file(BACKUP, &size);
    for (int i = 0; i < 3; i++) {
        write_file(BACKUP, bytes, size / 2);
        CHECK(gone("store", ways[i]) == not_known);
        write_text(BACKUP, "no backup");
        CHECK(gone("store", ways[i]) == not_known);
        write_file(BACKUP, bytes, size);
        CHECK_INT(gone("store", ways[i]), 0);
    }
    /* Damage in a licence is none of the lists. */
    remove_some(MANY - 3, MANY);
    for (int i = 0; i < 3; i++) {
        bytes[100] ^= 1;
        write_file(BACKUP, bytes, size);
        bytes[100] ^= 1;
        CHECK_INT(gone("store", ways[i]), 3);
    }
    free(bytes);
    remove_tree("backups");
}

static void of_a_database(void)
{
    make_dir("backups");
    CHECK_INT(gone("store", 0), 0);
    CHECK_HR(restore("before.db", "backups", 0), LICBAK_S_OK);
    remove_some(0, 1);
    remove_some(MANY - 5, MANY - 3);
    CHECK_INT(gone("store", OVERWRITE), 3);
    CHECK_HR(restore("after.db", "backups", 0), LICBAK_S_OK);
    for (int i = 0; i < 2; i++) {
        uint32_t flags = i == 0 ? OVERWRITE : OVERWRITE | LICBAK_BACKUP_FULL;
        CHECK(unlink(BACKUP) == 0);
        CHECK_INT(gone("before.db", flags), 0);
        CHECK_INT(gone("before.db", flags), 0);
        CHECK_INT(gone("after.db", LICBAK_DRY_RUN | flags), 3);
        CHECK_INT(gone("after.db", flags), 3);
    }
    write_text(BACKUP, "no backup");
    CHECK(gone("after.db", OVERWRITE) == not_known);
    CHECK(unlink(BACKUP) == 0);
}

static void of_a_host(void)
{
    host h = {0};
    recorder rec = {0};
    for (int i = 0; i < 2; i++) {
        uint32_t flags = i == 0 ? OVERWRITE : OVERWRITE | LICBAK_BACKUP_FULL;
        fill(&h);
        CHECK_HR(run_host(licbak_backup_licenses, &h, "backups", flags, &rec), LICBAK_S_OK);
        CHECK_INT(gone_at_end(&rec), i == 0 ? 0 : 1); /* that of the round before */
        host_forget(&h);
        host_add(&h, "a.tar.lic", NULL, "changed", 1, LICBAK_RIGHT_UNSTATED);
        host_add(&h, "films/day.lic", "k", "seven", 1, LICBAK_RIGHT_DENIED);
        host_add(&h, "new.lic", "k", "new", 1, LICBAK_RIGHT_ALLOWED);
        CHECK_HR(run_host(licbak_backup_licenses, &h, "backups", LICBAK_DRY_RUN | flags, &rec), LICBAK_S_OK);
        CHECK_INT(gone_at_end(&rec), 8); /* of ten */
        CHECK_HR(run_host(licbak_backup_licenses, &h, "backups", flags, &rec), LICBAK_S_OK);
        CHECK_INT(gone_at_end(&rec), 8);
        host_forget(&h);
    }
}

int main(void)
{
    begin("gone");
    bool memory = enter_memory();
    make_many("store", LARGE);
    make_dir("backups");
    settle();
    in_each_way();
    denied();
    damaged();
    of_a_database();
    of_a_host();
    leave_memory(memory);
    return finish();
}
