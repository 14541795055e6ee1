/* A process that is killed at some moment of its work: what is there then is whole, and the next
 * run succeeds and leaves nothing of the killed one behind. */
#include "../support/recorder.h"

enum { ROUNDS = 24 };

static const uint32_t full = LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL;

/* -- what is killed -------------------------------------------------------------------------------------- */

static void save(void)
{
    CHECK_HR(backup("store", "saved", full), LICBAK_S_OK);
    CHECK_HR(backup("other", "saved", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
}

static void put_back(void)
{
    CHECK_HR(restore("torn", "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(restore("torn", "other-backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
}

static void make_databases(void)
{
    for (int i = 0; i < 1000; i++) {
        char path[64];
        snprintf(path, sizeof path, "databases/%d.db", i);
        CHECK_HR(restore(path, "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
    }
}

static const struct work {
    const char *name;
    void (*once)(void);
} works[] = {{"save", save}, {"put_back", put_back}, {"make_databases", make_databases}};
enum { SAVE, PUT_BACK, MAKE_DATABASES, WORKS };

static _Noreturn void work_until_killed(const char *name)
{
    check_program = "portable_kills, one to be killed";
    die_after(60);
    write_text("alive", "");
    for (;;) {
        for (int i = 0; i < WORKS; i++) {
            if (strcmp(works[i].name, name) == 0) {
                works[i].once();
            }
        }
    }
}

/* Kills a process at its work; the moments are spread over 120 ms. */
static void kill_at(int round, int work)
{
    const char *const arguments[] = {works[work].name, NULL};
    process killed;
    CHECK(start_self(&killed, arguments));
    for (int waited = 0; !exists("alive"); waited++) {
        CHECK(waited < 60000);
        sleep_ms(1);
    }
    sleep_ms((unsigned)(round * 7919 % 120));
    CHECK(kill_process(killed));
    CHECK_INT(wait_process(killed), -1); /* and not by a check that failed */
    CHECK(remove_file("alive"));
}

/* -- what is there then ---------------------------------------------------------------------------------- */

static void while_saving(void)
{
    make_dir("saved");
    CHECK_HR(backup("store", "saved", 0), LICBAK_S_OK);
    for (int round = 0; round < ROUNDS; round++) {
        kill_at(round, SAVE);
        CHECK_HR(verify("saved"), LICBAK_S_OK); /* the old one or the new one */
        if (round % 3 == 2) { /* what is left over piles up before */
            CHECK_HR(backup("store", "saved", full), LICBAK_S_OK);
            CHECK_TEXT(entries("saved"), "licenses.tar.zst");
        }
    }
    CHECK_HR(restore("restored", "saved", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("restored", "store");
}

/* The first backup is killed, so that there may be none. */
static void while_saving_first(void)
{
    for (int round = 0; round < ROUNDS / 3; round++) {
        remove_tree("saved");
        make_dir("saved");
        kill_at(round, SAVE);
        CHECK(!exists("saved/licenses.tar.zst") || verify("saved") == LICBAK_S_OK);
        CHECK_HR(backup("store", "saved", full), LICBAK_S_OK);
        CHECK_TEXT(entries("saved"), "licenses.tar.zst");
    }
}

/* Each licence is one version or the other, never a part of one. */
static void check_whole(const char *below)
{
    char path[PATH_MAX], left[PATH_MAX], right[PATH_MAX];
    folder_names names = {0};
    snprintf(path, sizeof path, "torn%s", below);
    CHECK(read_folder(path, &names));
    for (size_t i = 0; i < names.count; i++) {
        file_facts facts;
        if (names.all[i][0] == '.') {
            continue;
        }
        snprintf(path, sizeof path, "torn%s/%s", below, names.all[i]);
        CHECK(facts_of(path, &facts));
        if (facts.kind == A_FOLDER) {
            char deeper[256];
            snprintf(deeper, sizeof deeper, "%s/%s", below, names.all[i]);
            check_whole(deeper);
            continue;
        }
        snprintf(left, sizeof left, "store%s/%s", below, names.all[i]);
        snprintf(right, sizeof right, "other%s/%s", below, names.all[i]);
        CHECK(same_file(path, left) || same_file(path, right));
    }
    free_names(&names);
}

static void while_restoring(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        kill_at(round, PUT_BACK);
        if (exists("torn")) {
            check_whole("");
        }
        if (round % 3 == 2) {
            CHECK_HR(restore("torn", "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
            CHECK_SAME_TREE("torn", "store"); /* no hidden folder either */
        }
        if (round % 6 == 5) {
            remove_tree("torn");
        }
    }
}

static void while_making_databases(void)
{
    licbak_progress figures = {.struct_size = sizeof figures};
    for (int round = 0; round < ROUNDS / 3; round++) {
        folder_names names = {0};
        make_dir("databases");
        kill_at(round, MAKE_DATABASES);
        CHECK_HR(restore("databases/next.db", "backups", 0), LICBAK_S_OK);
        CHECK(read_folder("databases", &names));
        for (size_t i = 0; i < names.count; i++) {
            char path[PATH_MAX];
            snprintf(path, sizeof path, "databases/%s", names.all[i]);
            CHECK(strcmp(path + strlen(path) - 3, ".db") == 0 && names.all[i][0] != '.'); /* nothing is left */
            licbak_restorer *r = restorer_for(path, "unused");
            recorder rec = {0};
            CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
            CHECK_HR(licbak_get_progress(r, &figures), LICBAK_S_OK);
            CHECK_INT(figures.licenses_done, 60); /* all of them */
            forget(&rec);
            CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        }
        free_names(&names);
        remove_tree("databases");
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        work_until_killed(argv[1]);
    }
    begin("portable_kills");
    make_store("store", 60);
    make_store("other", 60);
    for (int i = 0; i < 60; i += 3) { /* another version of some, longer than one block */
        char path[64];
        snprintf(path, sizeof path, "other/key-%04d.lic", i);
        write_noise(path, 20000, (uint64_t)i);
    }
    make_dir("backups");
    make_dir("other-backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    CHECK_HR(backup("other", "other-backups", 0), LICBAK_S_OK);
    while_saving();
    while_saving_first();
    while_restoring();
    while_making_databases();
    return finish();
}
