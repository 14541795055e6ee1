/* What the suites of faults, kills and power cuts do again and again: each operation on a small
 * store, set up anew in a moment, run as a child whose system calls are traced, and judged by what
 * stands there afterwards.
 */
#ifndef JOBS_H
#define JOBS_H

#include "disk.h"
#include "repeat.h"
#include "tracer.h"

/* What a job changes, and so what is judged. */
typedef enum changes { A_BACKUP, A_DIRECTORY, A_DATABASE, NOTHING } changes;

typedef struct job {
    const char *name;
    changes changes;
    operation op; /* NULL: the one licence of ONE_KEY is restored, or without a store the backup is listed */
    const char *store, *backups;
    uint32_t flags;
    bool no_unnamed;         /* on a file system without unnamed files */
    const char *before;      /* where that is kept which stands there at first; NULL: nothing */
    bool before_in_rollback; /* a database in rollback mode, not in WAL mode */
} job;

#define ONE_KEY "key-0003"
enum { ALL_AT_ONCE = 17 }; /* so many that a restore brings them to the disk all together */
#define OVER LICBAK_WM_BACKUP_OVERWRITE
#define BACK_UP A_BACKUP, licbak_backup_licenses, "store", "backups"
#define RESTORE(what) what, licbak_restore_licenses

static const job all_jobs[] = {
    {"backup", BACK_UP, 0, false, NULL, false},
    {"full backup over another", BACK_UP, OVER | LICBAK_BACKUP_FULL, false, "old", false},
    {"repeated backup", BACK_UP, OVER, false, "old", false},
    {"repeated backup of a moved store", A_BACKUP, licbak_backup_licenses, "moved", "backups", OVER, false, "old",
     false},
    {"backup without unnamed files", BACK_UP, 0, true, NULL, false},
    {"repeated backup without unnamed files", BACK_UP, OVER, true, "old", false},
    {"restore", RESTORE(A_DIRECTORY), "target", "source", 0, false, NULL, false},
    {"restore beside others", RESTORE(A_DIRECTORY), "target", "source", 0, false, "some", false},
    {"restore over others", RESTORE(A_DIRECTORY), "target", "source", LICBAK_RESTORE_OVERWRITE, false, "some",
     false},
    {"restore of many", RESTORE(A_DIRECTORY), "target", "many-source", 0, false, NULL, false},
    {"restore_license", A_DIRECTORY, NULL, "target", "source", LICBAK_RESTORE_OVERWRITE, false, "some", false},
    {"repeated encrypted backup", A_BACKUP, licbak_backup_licenses, "store", "sealed", OVER, false, "sealed-old", false},
    {"restore of an encrypted backup", RESTORE(A_DIRECTORY), "target", "sealed-source", LICBAK_RESTORE_OVERWRITE, false,
     "some", false},
    {"verify", NOTHING, licbak_verify_backup, "unused", "source", 0, false, NULL, false},
    {"list", NOTHING, NULL, NULL, "source", 0, false, NULL, false},
    {"database backup", A_BACKUP, licbak_backup_licenses, "store.db", "backups", OVER, false, "old", false},
    {"database backup in rollback mode", A_BACKUP, licbak_backup_licenses, "rollback.db", "backups", 0, false, NULL,
     false},
    {"database restore", RESTORE(A_DATABASE), "db/target.db", "source", 0, false, NULL, false},
    {"database restore over others", RESTORE(A_DATABASE), "db/target.db", "source", LICBAK_RESTORE_OVERWRITE, false,
     "some.db", false},
    {"database restore in rollback mode", RESTORE(A_DATABASE), "db/target.db", "source", LICBAK_RESTORE_OVERWRITE,
     false, "some.db", true},
};
enum { JOBS = sizeof all_jobs / sizeof all_jobs[0] };

/* -- running --------------------------------------------------------------------------------------------- */

typedef struct outcome {
    licbak_hresult hr;
    uint64_t done; /* licences */
    char sentence[1024];
} outcome;

typedef struct doing {
    const job *job;
    uint32_t more_flags;
    outcome *outcome; /* in shared memory */
} doing;

static licbak_hresult LICBAK_CALL count_listed(const licbak_license *license, void *context)
{
    (void)license;
    ++*(int *)context;
    return LICBAK_S_OK;
}

static bool others_come; /* between the calls of a job, which may have to begin again */

/* An authorizer that allows all: it is asked about a backup that could be read, and once. */
static licbak_hresult LICBAK_CALL allow(const licbak_backup_info *info, char *url, size_t url_size, void *context)
{
    int *asked = context;
    CHECK(info->id[0] != '\0' && info->generation > 0);
    CHECK_INT(url[url_size - 1], 0);
    CHECK_INT((*asked)++, 0);
    return LICBAK_S_OK;
}

/* In the child. */
static void do_job(void *argument)
{
    const doing *d = argument;
    const job *j = d->job;
    recorder rec = {.may_roll_back = j->changes == A_DATABASE, .may_begin_again = others_come};
    uint32_t one = 1;
    int asked = 0;
    licbak_restorer *r = restorer_for(j->store != NULL ? j->store : "unused", j->backups);
    CHECK_HR(licbak_set_prop(r, "Threads", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&one, 4), LICBAK_S_OK);
    CHECK_HR(licbak_set_authorizer(r, allow, &asked), LICBAK_S_OK);
    if (j->op != NULL) {
        d->outcome->hr = run(j->op, r, j->flags | d->more_flags, &rec);
    } else if (j->store != NULL) {
        rec.restorer = r;
        CHECK_HR(licbak_restore_license(r, ONE_KEY, j->flags, record, &rec), LICBAK_S_OK);
        d->outcome->hr = end(r, &rec);
    } else {
        d->outcome->hr = licbak_list_backup(r, count_listed, &one);
    }
    if (d->outcome->hr == LICBAK_S_OK && (j->changes == A_DIRECTORY || j->changes == A_DATABASE)) {
        CHECK_INT(asked, 1);
    }
    d->outcome->done = rec.count > 0 ? final_figures(&rec).licenses_done : 0;
    snprintf(d->outcome->sentence, sizeof d->outcome->sentence, "%.1000s", error_message(r));
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Does a job with what is planned for its system calls; the outcome lasts until the next. */
static const outcome *run_job(const job *j, uint32_t more_flags, plan *p, traced *t)
{
    static outcome *shared;
    if (shared == NULL) {
        shared = shared_memory(sizeof *shared);
    }
    *shared = (outcome){.hr = LICBAK_E_UNEXPECTED};
    doing d = {j, more_flags, shared};
    p->no_unnamed = j->no_unnamed;
    *t = trace(do_job, &d, p);
    return shared;
}

static inline void run_unhindered(const job *j)
{
    plan p = {0};
    traced t;
    const outcome *o = run_job(j, 0, &p, &t);
    if (t.exit_code != 0 || o->hr != LICBAK_S_OK) {
        check_fail(__FILE__, __LINE__, "%s: expected S_OK, got %s: %s", j->name, hresult_name(o->hr), o->sentence);
    }
}

/* -- setting up ------------------------------------------------------------------------------------------ */

static void copy_file(const char *from, const char *to)
{
    size_t size;
    uint8_t *bytes = read_file(from, &size);
    write_file(to, bytes, size);
    free(bytes);
}

static void copy_tree(const char *from, const char *to)
{
    folder_names names = {0};
    CHECK(read_folder(from, &names));
    make_dir(to);
    for (size_t i = 0; i < names.count; i++) {
        char source[PATH_MAX], target[PATH_MAX];
        file_facts facts;
        CHECK((size_t)snprintf(source, sizeof source, "%s/%s", from, names.all[i]) < sizeof source);
        CHECK((size_t)snprintf(target, sizeof target, "%s/%s", to, names.all[i]) < sizeof target);
        CHECK(facts_of(source, &facts));
        if (facts.kind == A_FOLDER) {
            copy_tree(source, target);
        } else {
            copy_file(source, target);
            set_modified(target, facts.seconds, facts.nanoseconds);
        }
    }
    free_names(&names);
}

/* A database is its file with what stands beside it. */
static void copy_database(const char *from, const char *to)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char source[64], target[64];
        snprintf(source, sizeof source, "%s%s", from, suffixes[i]);
        snprintf(target, sizeof target, "%s%s", to, suffixes[i]);
        CHECK(unlink(target) == 0 || errno == ENOENT);
        if (exists(source)) {
            copy_file(source, target);
        }
    }
}

/* Two bytes of a database's header say how it is written: 1 with a rollback journal, 2 with a
 * write-ahead log. */
static void put_in_rollback_mode(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    CHECK(fd >= 0 && pwrite(fd, "\1\1", 2, 18) == 2);
    close(fd);
}

/* All that the jobs work on. */
static void make_world(void)
{
    static const job jobs[] = {
        {"old", A_BACKUP, licbak_backup_licenses, "store", "old", 0, false, NULL, false},
        {"source", A_BACKUP, licbak_backup_licenses, "store", "source", 0, false, NULL, false},
        {"store.db", RESTORE(A_DATABASE), "store.db", "source", 0, false, NULL, false},
        {"rollback.db", RESTORE(A_DATABASE), "rollback.db", "source", 0, false, NULL, false},
        {"some", A_BACKUP, licbak_backup_licenses, "some", "some-source", 0, false, NULL, false},
        {"many", A_BACKUP, licbak_backup_licenses, "many", "many-source", 0, false, NULL, false},
        {"some.db", RESTORE(A_DATABASE), "some.db", "some-source", 0, false, NULL, false},
        {"sealed-old", A_BACKUP, licbak_backup_licenses, "store", "sealed-old", 0, false, NULL, false},
        {"sealed-source", A_BACKUP, licbak_backup_licenses, "store", "sealed-source", 0, false, NULL, false},
    };
    CHECK(setenv("SOURCE_DATE_EPOCH", "1700000000", 1) == 0); /* so that equal backups have equal bytes */
    CHECK(setenv("TMPDIR", "temporary", 1) == 0);             /* so that SQLite's temporary files are seen */
    make_store("store", 7);
    write_noise("store/music/large.lic", 150000, 1);
    make_dir("old");
    make_dir("source");
    make_dir("some-source");
    make_dir("sealed-old");
    make_dir("sealed-source");
    make_dir("sealed");
    make_dir("backups");
    make_dir("db");
    make_dir("temporary");
    settle();
    run_unhindered(&jobs[0]);
    run_unhindered(&jobs[7]);
    write_text("store/music/key-0001.lic", "licence 1 in another version");
    write_text("store/new/key-0007.lic", "licence 7, a new one");
    copy_tree("store", "moved");
    settle();
    run_unhindered(&jobs[1]);
    run_unhindered(&jobs[8]);
    run_unhindered(&jobs[2]);
    run_unhindered(&jobs[3]);
    put_in_rollback_mode("rollback.db");
    copy_tree("store", "some");
    write_text("some/music/key-0001.lic", "a version of the store's own");
    write_text("some/key-0003.lic", "a version of the store's own");
    write_text("some/other/key.lic", "a licence that the backup does not have");
    CHECK(unlink("some/key-0000.lic") == 0 && unlink("some/video/films/key-0002.lic") == 0);
    run_unhindered(&jobs[4]);
    for (int i = 0; i < ALL_AT_ONCE; i++) {
        char path[64];
        snprintf(path, sizeof path, "many/folder/%d.lic", i);
        write_text(path, "one of many licences");
    }
    make_dir("many-source");
    run_unhindered(&jobs[5]);
    run_unhindered(&jobs[6]);
}

/* The directory in which a job changes something. */
static const char *where(const job *j)
{
    return j->changes == A_BACKUP ? j->backups : j->changes == A_DATABASE ? "db" : "target";
}

/* The backup in a folder; the path lasts until the next but one. */
static const char *backup_in(const char *folder)
{
    static char paths[2][64];
    static int turn;
    char *path = paths[turn++ % 2];
    snprintf(path, sizeof paths[0], "%s/licenses.tar.zst%s", folder, is_sealed(folder) ? ".age" : "");
    return path;
}

/* As it is before each run of the job. */
static void prepare(const job *j)
{
    switch (j->changes) {
    case A_BACKUP:
        empty_folder(j->backups);
        if (j->before != NULL) {
            copy_file(backup_in(j->before), backup_in(j->backups));
        }
        break;
    case A_DIRECTORY:
        remove_tree("target");
        if (j->before != NULL) {
            copy_tree(j->before, "target");
        }
        break;
    case A_DATABASE:
        empty_folder("db");
        if (j->before != NULL) {
            copy_file(j->before, "db/target.db");
        }
        if (j->before_in_rollback) {
            put_in_rollback_mode("db/target.db");
        }
        break;
    case NOTHING:
        break;
    }
}

/* -- judging --------------------------------------------------------------------------------------------- */

typedef enum state {
    OLD,   /* as before */
    SOME,  /* some licences are new, each whole: what a directory may keep */
    NEW,   /* as it should be afterwards */
    LOST,  /* something of before is gone */
    TORN,  /* something is there that never should */
} state;

static const char *const state_names[] = {"old", "some new", "new", "lost", "torn"};

/* Of a job, made by a run that nothing hinders: the texts of what it finds and of what it makes. */
typedef struct expected {
    char *before, *after;
    uint64_t old, good; /* digests of the backups */
} expected;

/* The rows of a database, by way of a backup of it; none where it has no table yet. */
static char *rows(const char *path)
{
    job saving = {"rows", A_BACKUP, licbak_backup_licenses, path, "rows", 0, false, NULL, false};
    plan p = {0};
    traced t;
    make_dir("rows");
    empty_folder("rows");
    const outcome *o = run_job(&saving, 0, &p, &t);
    if (strstr(o->sentence, "it has no table") != NULL) {
        return strdup("");
    }
    return o->hr == LICBAK_S_OK ? restored_text("rows", 0, false, LICBAK_S_OK) : strdup(hresult_name(o->hr));
}

/* What has hidden names is judged elsewhere. */
static char *without_hidden(char *text)
{
    char *to = text;
    for (char *line = text, *next; *line != '\0'; line = next) {
        next = strchr(line, '\n') + 1;
        if (line[0] != '.') {
            memmove(to, line, (size_t)(next - line));
            to += next - line;
        }
    }
    *to = '\0';
    return text;
}

static char *text_now(const job *j)
{
    switch (j->changes) {
    case A_DIRECTORY:
        return exists("target") ? without_hidden(tree("target")) : strdup("");
    case A_DATABASE:
        copy_database("db/target.db", "db/seen.db"); /* to look at it may mend it */
        return exists("db/seen.db") ? rows("db/seen.db") : strdup("");
    default:
        return strdup("");
    }
}

static expected expect_of(const job *j)
{
    expected e = {0};
    prepare(j);
    if (j->changes == A_BACKUP) {
        e.old = j->before != NULL ? digest(backup_in(j->backups)) : 0;
        run_unhindered(j);
        bool rows_only = strstr(j->store, ".db") != NULL;
        char *found = restored_text(j->backups, 0, !rows_only, LICBAK_S_OK);
        CHECK_SAME_LINES(strdup(found), store_text("store", !rows_only, true));
        e.after = found;
        e.good = digest(backup_in(j->backups));
    } else {
        e.before = text_now(j);
        run_unhindered(j);
        e.after = text_now(j);
        CHECK(j->changes == NOTHING || strcmp(e.before, e.after) != 0);
    }
    return e;
}

static void free_expected(expected *e)
{
    free(e->before);
    free(e->after);
}

static state state_of_backup(const job *j, const expected *e)
{
    if (!exists(backup_in(j->backups))) {
        return j->before != NULL ? LOST : OLD;
    }
    uint64_t found = digest(backup_in(j->backups));
    if (found == e->old || found == e->good) {
        return found == e->good ? NEW : OLD;
    }
    if (verify(j->backups) != LICBAK_S_OK) {
        return TORN;
    }
    char *text = restored_text(j->backups, 0, strstr(j->store, ".db") == NULL, LICBAK_S_OK);
    bool whole = strcmp(text, e->after) == 0;
    free(text);
    return whole ? NEW : TORN;
}

static bool has_line(const char *text, const char *line, size_t length)
{
    for (; text != NULL && *text != '\0'; text = strchr(text, '\n') + 1) {
        if (strncmp(text, line, length) == 0 && text[length] == '\n') {
            return true;
        }
    }
    return false;
}

static bool has_path(const char *text, const char *line)
{
    size_t length = strcspn(line, ":\n") + 1;
    for (; *text != '\0'; text = strchr(text, '\n') + 1) {
        if (strncmp(text, line, length) == 0) {
            return true;
        }
    }
    return false;
}

/* Line by line: each is of before or of after, and none that was there is missing. */
static state state_of_text(const expected *e, const char *now)
{
    if (strcmp(now, e->after) == 0) {
        return NEW;
    }
    if (strcmp(now, e->before) == 0) {
        return OLD;
    }
    for (const char *line = now; *line != '\0'; line = strchr(line, '\n') + 1) {
        size_t length = strcspn(line, "\n");
        if (!has_line(e->before, line, length) && !has_line(e->after, line, length)) {
            return TORN;
        }
    }
    for (const char *line = e->before; *line != '\0'; line = strchr(line, '\n') + 1) {
        if (!has_path(now, line)) {
            return LOST;
        }
    }
    return SOME;
}

static state state_now(const job *j, const expected *e)
{
    if (j->changes == A_BACKUP) {
        return state_of_backup(j, e);
    }
    if (j->changes == NOTHING) {
        return NEW;
    }
    char *now = text_now(j);
    state found = state_of_text(e, now);
    free(now);
    return found == SOME && j->changes == A_DATABASE ? TORN : found; /* a transaction is whole */
}

/* What stands there with a hidden name; NULL if there is nothing. */
static const char *left_behind(const job *j)
{
    if (j->changes == NOTHING || !exists(where(j))) {
        return NULL;
    }
    const char *names = entries(where(j));
    return names[0] == '.' ? names : NULL;
}

#endif
