/* A store that moves while it is backed up: a backup is whole or says SHARING_VIOLATION. On S_OK
 * each licence that was there all the time is in it, also one that is moved from folder to folder
 * under the reader's eyes. */
#include "../support/recorder.h"

enum { STILL = 60, WANDERERS = 12, REPLACED = 12, RUNS = 45 };

static atomic_bool stop, rest;

/* Between two moves: the store rests when it is told to, so that some backups come to an end. */
static void breathe(void)
{
    do {
        usleep(100);
    } while (atomic_load(&rest) && !atomic_load(&stop));
}

static void path_of(char *path, size_t size, int folder, int wanderer)
{
    snprintf(path, size, "store/%c/wanderer-%02d.lic", folder ? 'z' : 'b', wanderer);
}

/* Renames each wanderer to and fro between a folder that is read early and one that is read
 * late. */
static void *wander(void *unused)
{
    (void)unused;
    for (int folder = 0; !atomic_load(&stop); folder = !folder) {
        for (int i = 0; i < WANDERERS; i++) {
            char from[64], to[64];
            path_of(from, sizeof from, folder, i);
            path_of(to, sizeof to, !folder, i);
            CHECK(rename(from, to) == 0);
            breathe();
        }
    }
    return NULL;
}

/* Replaces licences as a good host does: a hidden file beside, renamed over. Each version is one
 * letter. */
static void *replace(void *unused)
{
    (void)unused;
    char text[3000];
    for (int version = 0; !atomic_load(&stop); version++) {
        for (int i = 0; i < REPLACED; i++) {
            char path[64];
            memset(text, 'A' + version % 26, sizeof text);
            snprintf(path, sizeof path, "store/m/replaced-%02d.lic", i);
            write_file("store/m/.new", text, sizeof text);
            CHECK(rename("store/m/.new", path) == 0);
            breathe();
        }
    }
    return NULL;
}

/* A licence becomes a folder of its name, and back: no backup may hold both. */
static void *change_shape(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        write_text("store/k-shape.lic", "a licence");
        breathe();
        CHECK(unlink("store/k-shape.lic") == 0);
        write_text("store/k-shape.lic/inner.lic", "a licence in a folder");
        breathe();
        remove_tree("store/k-shape.lic");
    }
    return NULL;
}

/* Makes and deletes licences, and whole folders. */
static void *come_and_go(void *unused)
{
    (void)unused;
    while (!atomic_load(&stop)) {
        write_text("store/guest.lic", "passing through");
        breathe();
        write_text("store/inn/room/guest.lic", "passing through");
        breathe();
        CHECK(unlink("store/guest.lic") == 0);
        remove_tree("store/inn");
        breathe();
    }
    return NULL;
}

static void check_content(const char *path, const char *expected)
{
    size_t size;
    uint8_t *content = read_file(path, &size);
    CHECK_TEXT((const char *)content, expected);
    free(content);
}

/* What a backup taken meanwhile must hold. */
static void check_backup(void)
{
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK_HR(restore("restored", "backups", 0), LICBAK_S_OK);
    for (int i = 0; i < STILL; i++) {
        char path[64], text[64];
        snprintf(path, sizeof path, "restored/still/%02d.lic", i);
        snprintf(text, sizeof text, "still %d", i);
        check_content(path, text);
    }
    for (int i = 0; i < WANDERERS; i++) {
        char early[64], late[64], text[64];
        snprintf(early, sizeof early, "restored/b/wanderer-%02d.lic", i);
        snprintf(late, sizeof late, "restored/z/wanderer-%02d.lic", i);
        snprintf(text, sizeof text, "wanderer %d", i);
        CHECK(exists(early) || exists(late));
        check_content(exists(early) ? early : late, text);
    }
    for (int i = 0; i < REPLACED; i++) {
        char path[64];
        size_t size;
        snprintf(path, sizeof path, "restored/m/replaced-%02d.lic", i);
        uint8_t *content = read_file(path, &size);
        CHECK_INT(size, 3000);
        for (size_t b = 1; b < size; b++) {
            if (content[b] != content[0]) {
                check_fail(__FILE__, __LINE__, "%s: expected one version, got a mixture", path);
            }
        }
        free(content);
    }
    remove_tree("restored");
}

int main(void)
{
    begin("moving");
    char path[64], text[3000];
    for (int i = 0; i < STILL; i++) {
        snprintf(path, sizeof path, "store/still/%02d.lic", i);
        snprintf(text, sizeof text, "still %d", i);
        write_text(path, text);
    }
    for (int i = 0; i < WANDERERS; i++) {
        path_of(path, sizeof path, 0, i);
        snprintf(text, sizeof text, "wanderer %d", i);
        write_text(path, text);
    }
    memset(text, '-', sizeof text);
    for (int i = 0; i < REPLACED; i++) {
        snprintf(path, sizeof path, "store/m/replaced-%02d.lic", i);
        write_file(path, text, sizeof text);
    }
    make_dir("store/z");
    make_dir("backups");

    static void *(*const movers[])(void *) = {wander, replace, come_and_go, change_shape};
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, movers[i], NULL) == 0);
    }
    int done = 0;
    licbak_restorer *r = restorer_for("store", "backups");
    recorder rec = {0};
    for (int i = 0; i < RUNS; i++) {
        start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
        if (i % 9 != 8) { /* most runs see the first moves only, for up to 10 ms */
            usleep((unsigned)(i % 10 * 1000));
            atomic_store(&rest, true);
        }
        licbak_hresult hr = end(r, &rec);
        atomic_store(&rest, false);
        if (hr == LICBAK_S_OK) {
            check_backup();
            done++;
        } else {
            CHECK_HR(hr, LICBAK_HRESULT_ERROR_SHARING_VIOLATION);
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK(done > 0);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");

    /* At rest again. */
    CHECK_HR(backup("store", "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(restore("restored", "backups", 0), LICBAK_S_OK);
    for (int i = 0; i < WANDERERS; i++) {
        bool early = false;
        for (int folder = 0; folder < 2; folder++) {
            path_of(path, sizeof path, folder, i);
            early |= exists(path);
        }
        CHECK(early);
    }
    CHECK_SAME_TREE("restored/still", "store/still");
    return finish();
}
