/* Four processes that do the same at the same time. */
#include "../support/recorder.h"

enum { RACERS = 4, ROUNDS = 8, WON = 0, FAILED = 1, LOST = 2 };

static const struct job {
    operation op;
    uint32_t flags;
    licbak_hresult also; /* how a racer may end beside S_OK */
} jobs[] = {
    {licbak_backup_licenses, 0, LICBAK_NS_E_DRM_BACKUP_EXISTS},
    {licbak_backup_licenses, LICBAK_WM_BACKUP_OVERWRITE, LICBAK_NS_E_DRM_BACKUP_EXISTS},
    {licbak_backup_licenses, LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL, LICBAK_NS_E_DRM_BACKUP_EXISTS},
    {licbak_restore_licenses, 0, LICBAK_S_OK},
    {licbak_restore_licenses, LICBAK_RESTORE_OVERWRITE, LICBAK_S_OK},
};
enum { FIRST_WINS, OVERWRITE, FULL, RESTORE, REPLACE };

/* One racer: a process that waits for the start. */
static int racer(int argc, char **argv)
{
    CHECK(argc == 5);
    const struct job *job = &jobs[atoi(argv[1])];
    check_program = "portable_races, a racer";
    die_after(60);
    write_text(argv[4], "ready");
    while (!exists("start")) {
        sleep_ms(1);
    }
    licbak_restorer *r = restorer_for(argv[2], argv[3]);
    recorder rec = {.may_roll_back = true, .may_begin_again = true};
    licbak_hresult hr = run(job->op, r, job->flags, &rec);
    if (hr != LICBAK_S_OK && hr != job->also) {
        check_fail(__FILE__, __LINE__, "a racer: expected LICBAK_S_OK, got %s", hresult_name(hr));
    }
    return hr == LICBAK_S_OK ? WON : LOST;
}

/* Starts the racers on a line, and gives how many won. */
static int race(int number, const char *store, const char *backups)
{
    process racers[RACERS];
    char names[RACERS][16], job[16];
    int won = 0;
    snprintf(job, sizeof job, "%d", number);
    for (int i = 0; i < RACERS; i++) {
        snprintf(names[i], sizeof names[i], "racer-%d", i);
        const char *const arguments[] = {job, store, backups, names[i], NULL};
        CHECK(start_self(&racers[i], arguments));
    }
    for (int i = 0; i < RACERS; i++) {
        for (int waited = 0; !exists(names[i]); waited++) {
            CHECK(waited < 60000);
            sleep_ms(1);
        }
    }
    write_text("start", "");
    for (int i = 0; i < RACERS; i++) {
        int status = wait_process(racers[i]);
        CHECK(status == WON || status == LOST); /* it has said why not */
        won += status == WON;
        CHECK(remove_file(names[i]));
    }
    CHECK(remove_file("start"));
    return won;
}

static void check_backup(const char *backups)
{
    CHECK_TEXT(entries(backups), "licenses.tar.zst");
    CHECK_HR(verify(backups), LICBAK_S_OK);
}

static void backups(void)
{
    for (int round = 0; round < ROUNDS; round++) {
        make_dir("first");
        CHECK_INT(race(FIRST_WINS, "store", "first"), 1);
        check_backup("first");
        remove_tree("first");
    }
    make_dir("over");
    for (int round = 0; round < ROUNDS; round++) { /* the first without a backup there */
        CHECK(race(round % 2 ? FULL : OVERWRITE, round % 4 < 2 ? "store" : "other", "over") >= 1);
        check_backup("over");
    }
}

static void restores(void)
{
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    for (int round = 0; round < ROUNDS; round++) { /* every other time into what is not there yet */
        if (round % 2) {
            make_dir("raced");
            write_text("raced/key-0000.lic", "older");
        }
        CHECK_INT(race(round % 2 ? REPLACE : RESTORE, "raced", "backups"), RACERS);
        CHECK_SAME_TREE("raced", "store");
        remove_tree("raced");
    }
    for (int round = 0; round < ROUNDS / 2; round++) {
        make_dir("databases");
        CHECK_INT(race(RESTORE, "databases/raced.db", "backups"), RACERS);
        CHECK(strncmp(entries("databases"), "raced.db", 8) == 0); /* nothing hidden; SQLite may leave its log */
        make_dir("of-database");
        CHECK_HR(backup("databases/raced.db", "of-database", 0), LICBAK_S_OK);
        CHECK_HR(restore("raced", "of-database", 0), LICBAK_S_OK);
        CHECK(same_file("raced/video/films/key-0002.lic", "store/video/films/key-0002.lic"));
        remove_tree("of-database");
        remove_tree("raced");
        remove_tree("databases");
    }
}

int main(int argc, char **argv)
{
    if (argc > 1) {
        return racer(argc, argv);
    }
    begin("portable_races");
    make_store("store", 60);
    make_store("other", 40);
    backups();
    restores();
    return finish();
}
