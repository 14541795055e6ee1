/* A store in which something is renamed whenever the library has listed it: a burst is waited for,
 * and what never rests is a failure in the end, or is passed over. So is a licence that becomes
 * something else when it has been read. Whoever traces the library's calls is the mover, so that none
 * of this depends on anybody's speed. */
#include "../support/tracer.h"

enum { FOREVER_ON = 1 << 30 };

#define CHANGED "key-0000.lic" /* it, or what is in a folder of its name */

typedef struct scene {
    operation op;
    uint32_t flags;
    bool cancels; /* a little after the start */
    int moves;    /* that are still to come */
    bool (*is_time)(const call *c);
    void (*move)(void);
    licbak_hresult hr;
    licbak_progress figures;
    uint64_t told, told_restricted, told_changed; /* `told`: of the store's own folder */
    char sentence[512];
} scene;

static bool is_listed(const call *c)
{
    return is_call(c, "getdents64") && strcmp(c->path, "store") == 0;
}

static void rename_guest(void)
{
    const bool is_first = exists("store/guest-1.lic");
    CHECK(rename(is_first ? "store/guest-1.lic" : "store/guest-2.lic",
                 is_first ? "store/guest-2.lic" : "store/guest-1.lic") == 0);
}

static void move(const call *c, long result, void *seer)
{
    scene *s = seer;
    if (result >= 0 && s->moves > 0 && s->is_time(c)) {
        s->moves--;
        s->move();
    }
}

static void back_up(void *argument)
{
    scene *s = argument;
    recorder rec = {0};
    licbak_restorer *r = restorer_for("store", "backups");
    start(licbak_backup_licenses, r, s->flags, &rec);
    if (s->cancels) {
        sleep_ms(100); /* most likely it waits now */
        CHECK_HR(licbak_cancel(r), LICBAK_S_OK);
    }
    s->hr = end(r, &rec);
    s->figures = final_figures(&rec);
    s->told_restricted = count_of(&rec, LICBAK_WMT_RESTRICTED_LICENSE);
    s->told_changed = told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, CHANGED);
    s->told = told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, ".: ");
    snprintf(s->sentence, sizeof s->sentence, "%.500s", error_message(r));
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Backs up while something moves; the scene lasts until the next. */
static const scene *back_up_while(scene planned)
{
    static scene *shared;
    if (shared == NULL) {
        shared = shared_memory(sizeof *shared);
    }
    *shared = planned;
    plan p = {.see = move, .seer = shared};
    traced t = trace(back_up, shared, &p);
    CHECK_INT(t.exit_code, 0);
    CHECK(!t.hung);
    return shared;
}

static void check_all_there(int others)
{
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK_HR(restore("restored", "backups", 0), LICBAK_S_OK);
    for (int i = 0; i < 6; i++) {
        static const char *const names[] = {"key-0000.lic", "music/key-0001.lic", "video/films/key-0002.lic",
                                            "key-0003.lic", "music/key-0004.lic", "video/films/key-0005.lic"};
        char store[64], restored[64];
        snprintf(store, sizeof store, "store/%s", names[i]);
        snprintf(restored, sizeof restored, "restored/%s", names[i]);
        CHECK(same_file(store, restored));
    }
    CHECK(exists("restored/guest-1.lic") + exists("restored/guest-2.lic") == others);
    remove_tree("restored");
    CHECK(unlink("backups/licenses.tar.zst") == 0);
}

static void renamed(void)
{
    const scene quiet = {.is_time = is_listed, .move = rename_guest};
    scene burst = quiet, endless = quiet, cancelled = quiet, passed_over = quiet;

    burst.moves = 40;
    const scene *s = back_up_while(burst);
    CHECK_HR(s->hr, LICBAK_S_OK);
    CHECK_INT(s->moves, 0);
    CHECK_INT(s->figures.licenses_done, 7);
    check_all_there(1);

    endless.moves = FOREVER_ON;
    s = back_up_while(endless);
    CHECK_HR(s->hr, LICBAK_HRESULT_ERROR_SHARING_VIOLATION);
    CHECK_HAS(s->sentence, "changes faster than it can be read");
    CHECK(FOREVER_ON - s->moves > burst.moves);
    CHECK_TEXT(entries("backups"), "");

    cancelled.moves = FOREVER_ON;
    cancelled.cancels = true;
    s = back_up_while(cancelled);
    CHECK_HR(s->hr, LICBAK_NS_E_DRM_OPERATION_CANCELED);
    CHECK_TEXT(entries("backups"), "");

    /* All that could be read is there, under one of its names at least. */
    passed_over.moves = FOREVER_ON;
    passed_over.flags = LICBAK_KEEP_GOING;
    s = back_up_while(passed_over);
    CHECK_HR(s->hr, LICBAK_S_FALSE);
    CHECK_INT(s->figures.licenses_skipped, 1);
    CHECK_INT(s->told, 1);
    CHECK(s->figures.licenses_done >= 6);
    CHECK(exists("backups/licenses.tar.zst"));
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK(unlink("backups/licenses.tar.zst") == 0);
}

/* -- what has been read becomes something else ------------------------------------------------------------- */

static bool is_read(const call *c)
{
    return is_call(c, "pread64") && strncmp(c->path, "store/" CHANGED, strlen("store/" CHANGED)) == 0;
}

static void become_other_shape(void)
{
    if (exists("store/" CHANGED "/inner.lic")) {
        remove_tree("store/" CHANGED);
        write_text("store/" CHANGED, "a licence");
    } else {
        CHECK(unlink("store/" CHANGED) == 0);
        write_text("store/" CHANGED "/inner.lic", "a licence in a folder");
    }
}

static void become_denied(void)
{
    write_text("new", "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>denied</KID></DATA></LICENSORINFO></LICENSE>");
    CHECK(rename("new", "store/" CHANGED) == 0);
}

static void become_too_large(void)
{
    write_text("new", "");
    CHECK(truncate("new", (16 << 20) + 1) == 0 && rename("new", "store/" CHANGED) == 0);
}

/* What can't be saved is in the backup in no version, and nothing is counted twice. */
static void changed(void)
{
    static const struct {
        const char *name;
        void (*move)(void);
        int moves;
        uint32_t flags;
        licbak_hresult hr;
        uint64_t done, restricted, skipped;
        const char *saved; /* of CHANGED, in the backup; NULL: not known */
    } cases[] = {
        {"a folder", become_other_shape, 1, 0, LICBAK_S_OK, 7, 0, 0, "a licence in a folder"},
        {"a folder, for a dry run", become_other_shape, 1, LICBAK_DRY_RUN, LICBAK_S_OK, 7, 0, 0, NULL},
        {"a folder and back, again and again", become_other_shape, FOREVER_ON, 0, LICBAK_S_FALSE, 7, 0, 1, NULL},
        {"denied", become_denied, 1, 0, LICBAK_S_OK, 6, 1, 0, NULL},
        {"too large", become_too_large, 1, 0, LICBAK_S_FALSE, 6, 0, 1, NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (exists("store/" CHANGED "/inner.lic")) {
            remove_tree("store/" CHANGED);
        }
        write_text("store/" CHANGED, "a licence");
        const scene *s = back_up_while((scene){.is_time = is_read, .move = cases[i].move, .moves = cases[i].moves,
                                               .flags = LICBAK_KEEP_GOING | cases[i].flags});
        if (s->hr != cases[i].hr) {
            check_fail(__FILE__, __LINE__, "%s: got %s: %s", cases[i].name, hresult_name(s->hr), s->sentence);
            continue;
        }
        CHECK(s->moves < cases[i].moves);
        CHECK_INT(s->figures.licenses_done, cases[i].done);
        CHECK_INT(s->figures.licenses_restricted, cases[i].restricted);
        CHECK_INT(s->figures.licenses_skipped, cases[i].skipped);
        CHECK_INT(s->figures.licenses_total, cases[i].done + cases[i].restricted + cases[i].skipped);
        CHECK_INT(s->told_restricted, cases[i].restricted);
        CHECK_INT(s->told_changed, cases[i].restricted + cases[i].skipped);
        if (cases[i].flags & LICBAK_DRY_RUN) {
            continue;
        }
        CHECK_HR(verify("backups"), LICBAK_S_OK);
        CHECK_HR(restore("restored", "backups", 0), LICBAK_S_OK);
        if (cases[i].saved != NULL) {
            CHECK_SAME_TREE("restored", "store");
        } else if (cases[i].moves == 1) {
            CHECK(!exists("restored/" CHANGED));
        }
        remove_tree("restored");
        CHECK(unlink("backups/licenses.tar.zst") == 0);
    }
}

int main(void)
{
    begin("unrest");
    if (!can_trace()) {
        skip("all", "this machine lets no program trace its children");
        return finish();
    }
    make_store("store", 6);
    write_text("store/guest-1.lic", "a guest");
    make_dir("backups");
    renamed();
    changed();
    return finish();
}
