/* A repeated backup that is disturbed: by a store that moves under it, and by all that may end it.
 * Whatever happens, what stands there is the old backup or a new one that is right.
 */
#include "../support/repeat.h"

enum { LINKS = 26000, STILL = 600, MOVING = 12, RUNS = 30, KILLS = 36 };

/* -- a licence that vanishes between the listing and the reading ------------------------------------------ */

static void vanish(const char *path)
{
    CHECK(unlink(path) == 0);
}

static void to_link(const char *path)
{
    CHECK(unlink(path) == 0 && symlink("nowhere", path) == 0);
}

static void to_pipe(const char *path)
{
    CHECK(unlink(path) == 0 && mkfifo(path, 0600) == 0);
}

static void to_folder(const char *path)
{
    char inner[64];
    CHECK(unlink(path) == 0);
    snprintf(inner, sizeof inner, "%s/inner.lic", path);
    write_text(inner, "a licence in a folder");
}

/* More links are told than may wait, so the first of them is told when the store has been listed as
 * far as that, and what stands behind the last of them has not been read. */
static licbak_hresult change_once(recorder *rec, const event *e)
{
    void (**change)(const char *) = rec->other;
    if (e->status == LICBAK_STATUS_LICENSE_LEFT_OUT && *change != NULL) {
        licbak_progress progress = {.struct_size = sizeof progress};
        while (progress.phase != LICBAK_PHASE_WORKING) { /* all is listed */
            CHECK_HR(licbak_get_progress(rec->restorer, &progress), LICBAK_S_OK);
            sleep_ms(1);
        }
        (*change)("vanishing/z/key.lic");
        *change = NULL;
    }
    return LICBAK_S_OK;
}

static void vanishing(void)
{
    static void (*const changes[])(const char *) = {vanish, to_link, to_pipe, to_folder};
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        void (*change)(const char *) = changes[i];
        recorder rec = {.react = change_once, .other = &change};
        remove_tree("vanishing/z/key.lic");
        write_text("vanishing/z/key.lic", "this one goes");
        CHECK_HR(backup("vanishing", "vanishing-backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
        licbak_restorer *r = restorer_for("vanishing", "vanishing-backups");
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
        CHECK(change == NULL);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        forget(&rec);
        check_backup("vanishing-backups", "vanishing");
        if (exists("vanishing/z/key.lic") && changes[i] != to_folder) {
            CHECK(unlink("vanishing/z/key.lic") == 0);
        }
    }
}

static void deny(const char *path)
{
    write_text(path, "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>ZG9vbWVk</KID></DATA></LICENSORINFO></LICENSE>");
}

/* More links are told than may wait, and all stand behind the licence: when the first is told, it
 * has been found unchanged, and the store has not been read to its end. */
static licbak_hresult doom_once(recorder *rec, const event *e)
{
    void (**doom)(const char *) = rec->other;
    if (e->status == LICBAK_STATUS_LICENSE_LEFT_OUT && *doom != NULL) {
        (*doom)("doomed/b/key.lic");
        *doom = NULL;
    }
    return LICBAK_S_OK;
}

/* Its frame has to be made anew, since another licence in it is gone; and when it is read for that,
 * it is gone or denied, too, while an older version of it is in a frame that was to stay. So all is
 * read afresh. */
static void going_with_an_older_version(void)
{
    static void (*const dooms[])(const char *) = {vanish, deny};
    for (size_t i = 0; i < sizeof dooms / sizeof dooms[0]; i++) {
        void (*doom)(const char *) = dooms[i];
        recorder rec = {.react = doom_once, .other = &doom};
        empty_folder("doomed-backups");
        write_text("doomed/b/key.lic", "the older version");
        settle();
        CHECK_HR(backup("doomed", "doomed-backups", 0), LICBAK_S_OK);
        write_text("doomed/b/key.lic", "the later version");
        write_text("doomed/b/new.lic", "in the same frame");
        settle();
        CHECK_HR(backup("doomed", "doomed-backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
        CHECK(unlink("doomed/b/new.lic") == 0);
        licbak_restorer *r = restorer_for("doomed", "doomed-backups");
        watch w = watch_below("doomed/a");
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
        watched(&w);
        CHECK(doom == NULL);
        CHECK_INT(w.count, 1); /* the one that stays */
        free_watch(&w);
        licbak_progress figures = final_figures(&rec);
        size_t denied = dooms[i] == deny;
        CHECK_INT(figures.licenses_done, 1);
        CHECK_INT(figures.licenses_restricted, denied);
        CHECK_INT(figures.licenses_total, 1 + denied);
        CHECK_INT(figures.licenses_gone, 2 - denied);
        CHECK_INT(figures.content_bytes, 1000);
        CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "b/key.lic: "), denied);
        CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "c-link-"), LINKS);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        forget(&rec);
        if (denied) {
            CHECK(unlink("doomed/b/key.lic") == 0);
        }
        check_backup("doomed-backups", "doomed");
        if (check_extracted_alone("doomed-backups")) {
            CHECK(!exists("extracted/licenses/b"));
        }
    }
}

/* -- a store that moves all the time ---------------------------------------------------------------------- */

static atomic_bool stop, rest;

static void breathe(void)
{
    do {
        usleep(100);
    } while (atomic_load(&rest) && !atomic_load(&stop));
}

static const char *moving_path(int number, char folder)
{
    static _Thread_local char paths[2][64];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 2];
    snprintf(path, sizeof paths[0], "moving/%c/wanderer-%02d.lic", folder, number);
    return path;
}

/* Each goes from folder to folder, changes its shape, and is replaced. */
static void *move(void *unused)
{
    (void)unused;
    for (char from = 'b', to = 'x'; !atomic_load(&stop); from = to, to = to == 'x' ? 'b' : 'x') {
        for (int i = 0; i < MOVING; i++) {
            CHECK(rename(moving_path(i, from), moving_path(i, to)) == 0);
            breathe();
        }
        write_noise("moving/.new", 500, 1);
        CHECK(rename("moving/.new", "moving/m/replaced.lic") == 0);
        write_text("moving/m/shape.lic", "a licence");
        breathe();
        CHECK(unlink("moving/m/shape.lic") == 0);
        write_text("moving/m/shape.lic/inner.lic", "a licence in a folder");
        breathe();
        remove_tree("moving/m/shape.lic");
    }
    return NULL;
}

static void moving(void)
{
    pthread_t thread;
    recorder rec = {0};
    int done = 0, read_again = 0;
    CHECK_HR(backup("moving", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    licbak_restorer *r = restorer_for("moving", "backups");
    CHECK(pthread_create(&thread, NULL, move, NULL) == 0);
    for (int i = 0; i < RUNS; i++) {
        watch w = watch_below("moving/still");
        start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
        usleep((unsigned)(i % 12 * 1000));
        atomic_store(&rest, true);
        licbak_hresult hr = end(r, &rec);
        watched(&w);
        read_again += w.count == STILL;
        free_watch(&w);
        if (hr == LICBAK_S_OK) {
            CHECK_HR(verify("backups"), LICBAK_S_OK);
            char *text = restored_text("backups", 0, false, LICBAK_S_OK);
            for (int n = 0; n < MOVING; n++) { /* in one place or the other, or in both */
                CHECK(strstr(text, moving_path(n, 'b') + strlen("moving/")) != NULL ||
                      strstr(text, moving_path(n, 'x') + strlen("moving/")) != NULL);
            }
            CHECK_HAS(text, "still/599.lic");
            free(text);
            check_extracted_alone("backups");
            done++;
        } else {
            CHECK_HR(hr, LICBAK_HRESULT_ERROR_SHARING_VIOLATION);
        }
        atomic_store(&rest, false);
        CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    }
    atomic_store(&stop, true);
    CHECK(pthread_join(thread, NULL) == 0);
    CHECK(done > 0 && read_again <= RUNS / 4); /* it is, where one is gone of which an older version was taken over */
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    check_backup("backups", "moving");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    figure("backups of a store that moves: done %d of %d, with all its licences read again %d", done, RUNS,
           read_again);
}

/* -- canceled, failed, killed, out of space ---------------------------------------------------------------- */

/* Some licences differ from what the backup has, by a version of their own each time. */
static void change_some(int version)
{
    for (int i = 0; i < 10; i++) {
        write_license("store", i * 31 + 2, LARGE, version);
    }
}

static void canceled(void)
{
    int count = 0;
    for (int i = 0; i < 30; i++) {
        recorder rec = {0};
        change_some(i + 1);
        uint64_t before = digest(BACKUP);
        licbak_restorer *r = restorer_for("store", "backups");
        start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
        usleep((unsigned)(i * i * 16));
        licbak_hresult hr = licbak_cancel(r);
        CHECK_HR(end(r, &rec), hr == LICBAK_S_OK ? LICBAK_NS_E_DRM_OPERATION_CANCELED : LICBAK_S_OK);
        CHECK((digest(BACKUP) == before) == (hr == LICBAK_S_OK));
        CHECK_TEXT(entries("backups"), "licenses.tar.zst");
        count += hr == LICBAK_S_OK;
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    CHECK(count > 0);
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    check_whole("backups", "store");
}

static licbak_hresult fail_at(recorder *rec, const event *e)
{
    int *left = rec->other;
    return e->status != LICBAK_WMT_BACKUPRESTORE_END && (*left)-- == 0 ? LICBAK_E_ABORT : LICBAK_S_OK;
}

static void failing_callback(void)
{
    int failed = 0;
    for (int i = 0; i < 6; i++) {
        int left = i;
        recorder rec = {.react = fail_at, .other = &left};
        change_some(100 + i);
        uint64_t before = digest(BACKUP);
        licbak_restorer *r = restorer_for("store", "backups");
        start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
        licbak_hresult hr = end(r, &rec); /* what comes after the commit point fails nothing */
        CHECK((digest(BACKUP) == before) == (hr == LICBAK_E_ABORT));
        CHECK(hr == LICBAK_E_ABORT || hr == LICBAK_S_OK);
        CHECK_TEXT(entries("backups"), "licenses.tar.zst");
        failed += hr == LICBAK_E_ABORT;
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    CHECK(failed > 0);
}

/* A child backs up again and again, with other licences each time, until it is killed. */
static void killed(void)
{
    int news = 0;
    uint64_t random = 99;
    for (int i = 0; i < KILLS; i++) {
        change_some(200 + i);
        char *before = restored_text("backups", 0, true, LICBAK_S_OK), *after = store_text("store", true, true);
        fflush(NULL);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            alarm(60);
            for (;;) {
                backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE);
            }
        }
        usleep((unsigned)(next_random(&random) % (i % 2 == 0 ? 20000 : 120000)));
        CHECK(kill(child, SIGKILL) == 0 && waitpid(child, NULL, 0) == child);
        CHECK_HR(verify("backups"), LICBAK_S_OK);
        char *found = restored_text("backups", 0, true, LICBAK_S_OK);
        CHECK(strcmp(found, before) == 0 || strcmp(found, after) == 0);
        news += strcmp(found, after) == 0;
        free(before);
        free(after);
        free(found);
        if (i % 9 == 8) {
            CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
            check_whole("backups", "store"); /* and nothing hidden is left */
        }
    }
    figure("killed repeats: old backups %d, new backups %d", KILLS - news, news);
}

/* The old backup fits, a second one does not. */
static void full_disk(void *unused)
{
    (void)unused;
    if (!mount_tmpfs("small", "size=9m")) {
        skip("a full disk", "mounting takes root");
        return;
    }
    CHECK_HR(backup("store", "small", 0), LICBAK_S_OK);
    uint64_t before = digest("small/licenses.tar.zst");
    for (int i = 0; i < 2; i++) {
        change_some(300 + i);
        CHECK_HR(backup("store", "small", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_HRESULT_ERROR_DISK_FULL);
        CHECK_TEXT(entries("small"), "licenses.tar.zst");
        CHECK(digest("small/licenses.tar.zst") == before);
    }
    CHECK(mount("tmpfs", "small", "tmpfs", MS_REMOUNT, "size=40m") == 0);
    CHECK_HR(backup("store", "small", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    check_whole("small", "store");
    CHECK(chdir("/") == 0);
}

int main(void)
{
    begin("repeat_stop");
    make_many("store", LARGE);
    for (int i = 0; i < STILL; i++) {
        char path[64];
        snprintf(path, sizeof path, "moving/still/%03d.lic", i);
        write_noise(path, 300, (uint64_t)i);
    }
    for (int i = 0; i < MOVING; i++) {
        write_noise(moving_path(i, 'b'), 100, (uint64_t)(1000 + i));
    }
    make_dir("moving/x");
    make_dir("moving/m");
    make_dir("vanishing");
    make_dir("doomed");
    for (int i = 0; i < LINKS; i++) {
        char path[64];
        snprintf(path, sizeof path, "vanishing/a-link-%05d", i);
        CHECK(symlink("nowhere", path) == 0);
        snprintf(path, sizeof path, "doomed/c-link-%05d", i);
        CHECK(symlink("nowhere", path) == 0);
    }
    write_noise("vanishing/z/stays.lic", 1000, 1);
    write_noise("doomed/a/stays.lic", 1000, 1);
    make_dir("vanishing-backups");
    make_dir("doomed-backups");
    make_dir("backups");
    settle();
    vanishing();
    going_with_an_older_version();
    moving();
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    canceled();
    failing_callback();
    killed();
    in_child(full_disk, NULL);
    return finish();
}
