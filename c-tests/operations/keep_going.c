/* LICBAK_KEEP_GOING: what can't be read, kept or put back is told, counted and passed over, and the
 * outcome says that less was done. What would be lacking to all ends the operation all the same. */
#include "../support/host.h"
#include "../support/tracer.h"

#include <grp.h>

enum { KEEP_GOING = LICBAK_KEEP_GOING };

/* Runs as a user whose permissions count. */
static void become_nobody(void)
{
    if (geteuid() == 0) {
        CHECK(setgroups(0, NULL) == 0 && setgid(65534) == 0 && setuid(65534) == 0);
    }
}

static void make_large(const char *path, long long size)
{
    write_text(path, "");
    CHECK(truncate(path, (off_t)size) == 0);
}

/* What every operation that ends well has to say of itself. */
static void check_sums(const recorder *rec)
{
    const licbak_progress p = final_figures(rec);
    CHECK_INT(p.licenses_total, p.licenses_done + p.licenses_restricted + p.licenses_kept + p.licenses_skipped);
    CHECK_INT(p.phase_done, p.phase_total);
}

/* Each was told once, and nothing else was. */
static void check_told(const recorder *rec, const char *const *names, size_t count)
{
    CHECK_INT(count_of(rec, LICBAK_STATUS_LICENSE_LEFT_OUT), count);
    for (size_t i = 0; i < count; i++) {
        if (told(rec, LICBAK_STATUS_LICENSE_LEFT_OUT, names[i]) != 1) {
            check_fail(__FILE__, __LINE__, "'%s' was told %zu times", names[i],
                       told(rec, LICBAK_STATUS_LICENSE_LEFT_OUT, names[i]));
        }
    }
}

/* -- backup of a directory ------------------------------------------------------------------------------- */

static void names_and_sizes(void)
{
    static const char *const lost[] = {
        "a\\\\b.lic: ", "caf\\xe9.lic: ", "caf\\xe8.lic: ", "large.lic: ", "line\\n: ", "music/bell\\u{7}.lic: ",
    };
    enum { LOST = sizeof lost / sizeof lost[0] };
    recorder rec = {0};
    make_store("store", 6);
    write_text("store/a\\b.lic", "x");
    write_text("store/caf\xE9.lic", "x");
    write_text("store/caf\xE8.lic", "x"); /* two names, though neither is text */
    write_text("store/music/bell\x07.lic", "x");
    write_text("store/line\n/one.lic", "x"); /* a folder counts as one */
    write_text("store/line\n/two.lic", "x");
    make_large("store/large.lic", (16 << 20) + 1);
    make_large("store/just-so.lic", 16 << 20);
    make_dir("backups");
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK(run(licbak_backup_licenses, r, 0, &rec) < 0);
    for (int dry = 1; dry >= 0; dry--) {
        CHECK_HR(run(licbak_backup_licenses, r, KEEP_GOING | (dry ? LICBAK_DRY_RUN : 0), &rec), LICBAK_S_FALSE);
        check_told(&rec, lost, LOST);
        check_sums(&rec);
        CHECK_INT(final_figures(&rec).licenses_done, 7);
        CHECK_INT(final_figures(&rec).licenses_skipped, LOST);
        CHECK_TEXT(entries("backups"), dry ? "" : "licenses.tar.zst");
    }
    licbak_progress now = {.struct_size = sizeof now};
    CHECK_HR(licbak_get_progress(r, &now), LICBAK_S_OK);
    CHECK_INT(now.licenses_skipped, LOST);
    licbak_hresult outcome = LICBAK_S_OK;
    CHECK_HR(licbak_wait(r, 0, &outcome), LICBAK_S_OK);
    CHECK_HR(outcome, LICBAK_S_FALSE);

    /* There is no trace of them: when they can be read, the next backup has them. */
    remove_tree("store/line\n");
    CHECK(unlink("store/a\\b.lic") == 0 && unlink("store/caf\xE9.lic") == 0 && unlink("store/caf\xE8.lic") == 0);
    CHECK(unlink("store/music/bell\x07.lic") == 0);
    CHECK(truncate("store/large.lic", 5) == 0);
    CHECK_HR(run(licbak_backup_licenses, r, KEEP_GOING, &rec), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 8);
    CHECK_HR(restore("restored", "backups", KEEP_GOING), LICBAK_S_OK); /* nothing was passed over */
    CHECK_SAME_TREE("restored", "store");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void permissions(void *unused)
{
    static const char *const lost[] = {"music/key-0001.lic: ", "video: "};
    (void)unused;
    become_nobody();
    recorder rec = {0};
    make_store("own/store", 9);
    make_dir("own/backups");
    CHECK(chmod("own/store/music/key-0001.lic", 0) == 0 && chmod("own/store/video", 0) == 0);
    licbak_restorer *r = restorer_for("own/store", "own/backups");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_E_ACCESSDENIED);
    CHECK_HR(run(licbak_backup_licenses, r, KEEP_GOING | LICBAK_DRY_RUN, &rec), LICBAK_S_FALSE);
    check_told(&rec, lost, 2);
    CHECK_HR(run(licbak_backup_licenses, r, KEEP_GOING, &rec), LICBAK_S_FALSE);
    check_told(&rec, lost, 2);
    check_sums(&rec);
    CHECK_INT(final_figures(&rec).licenses_done, 5);
    CHECK_HR(verify("own/backups"), LICBAK_S_OK);

    /* All, and the store itself, are a failure. */
    make_dir("own/none");
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "own/none"), LICBAK_S_OK);
    CHECK(chmod("own/store", 0) == 0);
    CHECK_HR(run(licbak_backup_licenses, r, KEEP_GOING, &rec), LICBAK_E_ACCESSDENIED);
    CHECK(chmod("own/store", 0700) == 0);
    write_text("own/bare/one.lic", "1");
    write_text("own/bare/two.lic", "2");
    CHECK(chmod("own/bare/one.lic", 0) == 0 && chmod("own/bare/two.lic", 0) == 0);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "own/bare"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, KEEP_GOING, &rec), LICBAK_E_ACCESSDENIED);
    CHECK_HAS(error_message(r), "one.lic");
    CHECK_INT(final_figures(&rec).licenses_skipped, 2);
    CHECK_TEXT(entries("own/none"), "");

    /* Back into a store where one folder takes nothing. */
    CHECK(chmod("own/store/video", 0700) == 0 && chmod("own/store/music/key-0001.lic", 0600) == 0);
    CHECK_HR(backup("own/store", "own/none", 0), LICBAK_S_OK);
    make_dir("own/target/music");
    CHECK(chmod("own/target/music", 0500) == 0);
    CHECK_HR(restore("own/target", "own/none", LICBAK_DRY_RUN), LICBAK_E_ACCESSDENIED);
    CHECK_TEXT(entries("own/target"), "music");
    CHECK_HR(restore("own/target", "own/none", 0), LICBAK_E_ACCESSDENIED);
    remove_tree("own/target/video");
    static const char *const kept_out[] = {"music/key-0001.lic: ", "music/key-0004.lic: ", "music/key-0007.lic: "};
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "own/target"), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "own/none"), LICBAK_S_OK);
    for (int dry = 1; dry >= 0; dry--) {
        CHECK_HR(run(licbak_restore_licenses, r, KEEP_GOING | (dry ? LICBAK_DRY_RUN : 0), &rec), LICBAK_S_FALSE);
        check_told(&rec, kept_out, 3);
        check_sums(&rec);
    }
    CHECK(chmod("own", 0500) == 0);
    CHECK_HR(restore("own/new", "own/none", LICBAK_DRY_RUN), LICBAK_E_ACCESSDENIED);
    CHECK(chmod("own", 0700) == 0);
    CHECK_INT(final_figures(&rec).licenses_done, 6);
    CHECK_TEXT(entries("own/target"), "key-0000.lic key-0003.lic key-0006.lic music video");
    CHECK(chmod("own/target/music", 0700) == 0);
    CHECK_HR(run(licbak_restore_licenses, r, KEEP_GOING, &rec), LICBAK_S_OK);
    CHECK_SAME_TREE("own/target", "own/store");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- faults ---------------------------------------------------------------------------------------------- */

typedef struct errand {
    operation op;
    const char *store, *backups;
    licbak_hresult hr;
    uint64_t done, skipped, told;
} errand;

static const char *faulty; /* the path of what can't be read */

static void do_errand(void *argument)
{
    errand *e = argument;
    recorder rec = {0};
    licbak_restorer *r = restorer_for(e->store, e->backups);
    e->hr = run(e->op, r, KEEP_GOING, &rec);
    e->done = final_figures(&rec).licenses_done;
    e->skipped = final_figures(&rec).licenses_skipped;
    e->told = count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static bool reads_it(const call *c, int unused)
{
    (void)unused;
    return reads(c) && strcmp(c->path, faulty) == 0;
}

static bool opens_it(const call *c, int unused)
{
    (void)unused;
    return opens(c) && strcmp(c->path, faulty) == 0;
}

static bool writes_in_target(const call *c, int unused)
{
    (void)unused;
    return writes(c) && strncmp(c->path, "target/", 7) == 0;
}

/* Runs while those calls fail, all of them. */
static const errand *run_with(errand planned, bool (*counts)(const call *, int), int error)
{
    static errand *shared;
    if (shared == NULL) {
        shared = shared_memory(sizeof *shared);
    }
    *shared = planned;
    plan p = {.deed = FAIL, .error = error, .again = true, .counts = counts};
    traced t = trace(do_errand, shared, &p);
    CHECK_INT(t.exit_code, 0);
    CHECK(t.fired);
    return shared;
}

static void faults(void)
{
    static const struct {
        const char *path;
        bool (*counts)(const call *, int);
        int error;
        licbak_hresult hr;
        int done;
    } cases[] = {
        {"few/music/key-0001.lic", reads_it, EIO, LICBAK_S_FALSE, 5},
        {"few/music/key-0001.lic", opens_it, EIO, LICBAK_S_FALSE, 5},
        {"few/music/key-0001.lic", opens_it, EREMOTEIO, LICBAK_S_FALSE, 5}, /* of no code of its own */
        {"few/music", reads_it, EIO, LICBAK_S_FALSE, 4},
        {"few", reads_it, EIO, LICBAK_HRESULT_ERROR_READ_FAULT, 0},
        {"few/music/key-0001.lic", opens_it, EMFILE, LICBAK_HRESULT_ERROR_TOO_MANY_OPEN_FILES, 0},
        {"few/music/key-0001.lic", opens_it, ENOMEM, LICBAK_E_OUTOFMEMORY, 0},
    };
    const errand saving = {.op = licbak_backup_licenses, .store = "few", .backups = "few-backups"};
    make_store("few", 6);
    make_dir("few-backups");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        faulty = cases[i].path;
        const errand *e = run_with(saving, cases[i].counts, cases[i].error);
        if (e->hr != cases[i].hr) {
            check_fail(__FILE__, __LINE__, "%s, error %d: expected %s, got %s", faulty, cases[i].error,
                       licbak_hresult_name(cases[i].hr), hresult_name(e->hr));
        }
        if (e->hr != LICBAK_S_FALSE) {
            CHECK_TEXT(entries("few-backups"), "");
            continue;
        }
        CHECK_INT(e->done, cases[i].done);
        CHECK_INT(e->skipped, 1);
        CHECK_INT(e->told, 1);
        CHECK_HR(verify("few-backups"), LICBAK_S_OK);
        CHECK(unlink("few-backups/licenses.tar.zst") == 0);
    }
    /* A disk that is full is so for all. */
    CHECK_HR(backup("few", "few-backups", 0), LICBAK_S_OK);
    make_dir("target");
    const errand restoring = {.op = licbak_restore_licenses, .store = "target", .backups = "few-backups"};
    CHECK_HR(run_with(restoring, writes_in_target, ENOSPC)->hr, LICBAK_HRESULT_ERROR_DISK_FULL);
    CHECK_HR(run_with(restoring, writes_in_target, EIO)->hr, LICBAK_HRESULT_ERROR_WRITE_FAULT);
    CHECK_TEXT(entries("target"), "");
}

/* -- restore into a directory ---------------------------------------------------------------------------- */

static void in_the_way(void)
{
    static const char *const lost[] = {"key-0000.lic: ", "key-0003.lic: ", "music/key-0001.lic: ",
                                       "music/key-0004.lic: "};
    recorder rec = {0};
    make_store("good", 6);
    make_dir("good-backups");
    CHECK_HR(backup("good", "good-backups", 0), LICBAK_S_OK);
    write_text("taken/music", "a licence where a folder is to be");
    CHECK(symlink("nowhere", "taken/key-0000.lic") == 0);
    make_dir("taken/key-0003.lic");
    licbak_restorer *r = restorer_for("taken", "good-backups");
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_HRESULT_ERROR_INVALID_NAME);
    CHECK_HR(run(licbak_restore_licenses, r, KEEP_GOING | LICBAK_DRY_RUN, &rec), LICBAK_S_FALSE);
    check_told(&rec, lost, 4);
    CHECK_TEXT(entries("taken"), "key-0000.lic key-0003.lic music");
    CHECK_HR(run(licbak_restore_licenses, r, KEEP_GOING | LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_FALSE);
    check_told(&rec, lost, 4);
    check_sums(&rec);
    CHECK_INT(final_figures(&rec).licenses_done, 2);
    CHECK_TEXT(entries("taken"), "key-0000.lic key-0003.lic music video");
    CHECK_TEXT(entries("taken/key-0003.lic"), "");
    CHECK(same_file("taken/video/films/key-0005.lic", "good/video/films/key-0005.lic"));

    /* The one that is asked for is all. */
    forget(&rec);
    rec.restorer = r;
    rec.keeps_going = true;
    CHECK_HR(licbak_restore_license(r, "key-0003", KEEP_GOING, record, &rec), LICBAK_S_OK);
    CHECK_HR(end(r, &rec), LICBAK_HRESULT_ERROR_INVALID_NAME);
    forget(&rec);
    CHECK_HR(licbak_restore_license(r, "key-0005", KEEP_GOING, record, &rec), LICBAK_S_OK);
    CHECK_HR(end(r, &rec), LICBAK_S_OK);

    /* A licence that can't go back leaves no folder of its own. */
    write_text("deep/a/b/one.lic", "1");
    write_text("deep/two.lic", "2");
    make_dir("deep-backups");
    CHECK_HR(backup("deep", "deep-backups", 0), LICBAK_S_OK);
    make_dir("shallow/a/b/one.lic");
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "shallow"), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "deep-backups"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, KEEP_GOING, &rec), LICBAK_S_FALSE);
    CHECK_TEXT(entries("shallow"), "a two.lic");
    CHECK(symlink("nowhere", "shallow/link") == 0 && unlink("shallow/two.lic") == 0);
    CHECK(rename("shallow/link", "shallow/two.lic") == 0);
    CHECK_HR(run(licbak_restore_licenses, r, KEEP_GOING, &rec), LICBAK_HRESULT_ERROR_INVALID_NAME); /* all */
    CHECK_INT(final_figures(&rec).licenses_skipped, 2);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Damage is told as ever. */
static void salvaged(void)
{
    recorder rec = {0};
    size_t size;
    make_dir("bad-backups");
    uint8_t *bytes = read_file("good-backups/licenses.tar.zst", &size);
    bytes[64] ^= 1; /* in the licences */
    write_file("bad-backups/licenses.tar.zst", bytes, size);
    free(bytes);
    licbak_restorer *r = restorer_for("salvaged", "bad-backups");
    const uint32_t flags = KEEP_GOING | LICBAK_RESTORE_SALVAGE;
    CHECK_HR(run(licbak_restore_licenses, r, KEEP_GOING, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_HR(run(licbak_restore_licenses, r, flags, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_DAMAGED), 6);
    CHECK_INT(final_figures(&rec).licenses_skipped, 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- the host's own store -------------------------------------------------------------------------------- */

static licbak_hresult fails_at; /* what put says of one licence */

static licbak_hresult fail_put(host *h, const char *function, const char *name)
{
    const bool all = h->other != NULL;
    return strcmp(function, "put") == 0 && (all || strcmp(name, "b") == 0) ? fails_at : LICBAK_S_OK;
}

/* Emits what can't be kept among what can; emit says S_OK to all of it, so that no host stops. */
static licbak_hresult give_odd(host *h, const char *unused, licbak_license_callback emit, void *emit_context)
{
    static const struct {
        const char *name, *key_id;
        size_t size;
    } odd[] = {
        {"a", NULL, 1},      {"/b", NULL, 1}, {"c\xE9", NULL, 1}, {"d", "\x01", 1}, {"e", "\xE9", 1},
        {"f", NULL, (16 << 20) + 1}, {"a", NULL, 1},  {"a/g", NULL, 1},   {".h", NULL, 1},  {"z", NULL, 1},
    };
    uint8_t *content = calloc(1, (16 << 20) + 1);
    (void)unused;
    CHECK(content != NULL);
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        licbak_license license = {sizeof license, odd[i].name, odd[i].key_id, content, odd[i].size, 0, 0, 0};
        CHECK_HR(emit(&license, emit_context), LICBAK_S_OK);
    }
    free(content);
    return h->other != NULL ? OWN_FAILURE : LICBAK_S_OK;
}

static void of_host(void)
{
    static const char *const lost[] = {"/b: ", "c\\xe9: ", "d: ", "e: ", "f: ", "a: ", "a/g: ", ".h: "};
    enum { LOST = sizeof lost / sizeof lost[0] };
    recorder rec = {0};
    host giver = {.give = give_odd};
    make_dir("host-backups");
    CHECK_HR(run_host(licbak_backup_licenses, &giver, "host-backups", KEEP_GOING | LICBAK_DRY_RUN, &rec),
             LICBAK_S_FALSE);
    check_told(&rec, lost, LOST);
    giver.other = &giver;
    CHECK_HR(run_host(licbak_backup_licenses, &giver, "host-backups", KEEP_GOING, &rec), OWN_FAILURE);
    CHECK_TEXT(entries("host-backups"), "");
    giver.other = NULL;
    CHECK_HR(run_host(licbak_backup_licenses, &giver, "host-backups", KEEP_GOING, &rec), LICBAK_S_FALSE);
    check_told(&rec, lost, LOST);
    check_sums(&rec);
    CHECK_INT(final_figures(&rec).licenses_done, 2);
    CHECK_HR(verify("host-backups"), LICBAK_S_OK);

    host three = {0};
    make_dir("three-backups");
    host_add(&three, "a", NULL, "1", 0, 0);
    host_add(&three, "b", NULL, "2", 0, 0);
    host_add(&three, "c", NULL, "3", 0, 0);
    CHECK_HR(run_host(licbak_backup_licenses, &three, "three-backups", KEEP_GOING, &rec), LICBAK_S_OK);
    host_forget(&three);
    static const struct {
        licbak_hresult of_put, of_restore;
        bool all;
    } puts[] = {
        {OWN_FAILURE, LICBAK_S_FALSE, false},
        {LICBAK_E_ACCESSDENIED, LICBAK_S_FALSE, false},
        {LICBAK_E_OUTOFMEMORY, LICBAK_E_OUTOFMEMORY, false},
        {LICBAK_HRESULT_ERROR_DISK_FULL, LICBAK_HRESULT_ERROR_DISK_FULL, false},
        {LICBAK_NS_E_DRM_OPERATION_CANCELED, LICBAK_NS_E_DRM_OPERATION_CANCELED, false},
        {OWN_FAILURE, OWN_FAILURE, true},
    };
    for (size_t i = 0; i < sizeof puts / sizeof puts[0]; i++) {
        host taker = {.inside = fail_put, .other = puts[i].all ? &rec : NULL};
        fails_at = puts[i].of_put;
        CHECK_HR(run_host(licbak_restore_licenses, &taker, "three-backups", KEEP_GOING, &rec), puts[i].of_restore);
        if (puts[i].of_restore == LICBAK_S_FALSE) {
            CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "b: "), 1);
            check_sums(&rec);
            CHECK(host_find(&taker, "a") != NULL && host_find(&taker, "c") != NULL);
            CHECK(host_find(&taker, "b") == NULL);
        }
        host_forget(&taker);
    }
    forget(&rec);
}

int main(void)
{
    begin("keep_going");
    names_and_sizes();
    make_dir("own");
    CHECK(geteuid() != 0 || chown("own", 65534, 65534) == 0);
    CHECK(chmod(".", 0755) == 0);
    in_child(permissions, NULL);
    in_the_way();
    salvaged();
    of_host();
    if (can_trace()) {
        faults();
    } else {
        skip("faults", "this machine lets no program trace its children");
    }
    return finish();
}
