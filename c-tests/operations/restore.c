/* A restore into a store that holds something already: what is written, what is kept, what is never
 * touched. */
#include "../support/recorder.h"

/* "backups" holds the store of 30 as it was made; each test begins with a copy of it in
 * "target". */
static void begin_with_copy(void)
{
    if (exists("target")) {
        remove_tree("target");
    }
    CHECK(system("cp -a store target") == 0);
}

static licbak_hresult restore_into(const char *store, uint32_t flags, recorder *rec)
{
    licbak_restorer *r = restorer_for(store, "backups");
    licbak_hresult hr = run(licbak_restore_licenses, r, flags, rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return hr;
}

static int64_t inode_of(const char *path)
{
    struct stat st;
    CHECK(lstat(path, &st) == 0);
    return (int64_t)st.st_ino;
}

static void same_is_left(void)
{
    recorder rec = {0};
    begin_with_copy();
    set_modified("target/key-0000.lic", 1111111111, 1); /* the same content at another time is the same */
    CHECK(chmod("target/key-0003.lic", 0444) == 0);
    char *before = tree("target");
    int64_t inode = inode_of("target/key-0003.lic");
    for (int i = 0; i < 2; i++) {
        CHECK_HR(restore_into("target", i == 0 ? 0 : LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_OK);
        CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), 0);
        CHECK_INT(final_figures(&rec).licenses_kept, 0);
        CHECK_INT(final_figures(&rec).licenses_total, 30);
    }
    char *after = tree("target");
    CHECK_TEXT(after, before);
    CHECK_INT(inode_of("target/key-0003.lic"), inode);
    CHECK_INT(mode_of("target/key-0003.lic"), 0444);
    free(before);
    free(after);
    forget(&rec);
}

static void absent_is_written(void)
{
    recorder rec = {0};
    begin_with_copy();
    CHECK(unlink("target/key-0000.lic") == 0);
    remove_tree("target/video");
    CHECK_HR(restore_into("target", LICBAK_WM_RESTORE_INDIVIDUALIZE, &rec), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), 0);
    CHECK_SAME_TREE("target", "store");
    CHECK_INT(mode_of("target/key-0000.lic"), 0600);
    CHECK_INT(mode_of("target/video/films"), 0700);
    CHECK_INT(mode_of("target/music"), 0755); /* a folder that was there keeps its mode */
    forget(&rec);
}

/* A licence in use carries counts that an old copy must not refill. */
static void different_is_kept(void)
{
    recorder rec = {0};
    begin_with_copy();
    write_text("target/key-0000.lic", "two plays left");
    write_text("target/music/key-0004.lic", "one play left");
    write_text("target/own.lic", "not in the backup");
    write_text("target/.hidden", "not a licence");
    CHECK(unlink("target/key-0003.lic") == 0);
    char *before = tree("target");

    CHECK_HR(restore_into("target", LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), 2);
    char *after = tree("target");
    CHECK_TEXT(after, before);
    free(after);

    CHECK_HR(restore_into("target", 0, &rec), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), 2);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_KEPT, "key-0000.lic"), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_KEPT, "music/key-0004.lic"), 1);
    CHECK_INT(final_figures(&rec).licenses_kept, 2);
    CHECK(same_file("target/key-0003.lic", "store/key-0003.lic"));
    CHECK(unlink("target/key-0003.lic") == 0); /* all else is as before */
    after = tree("target");
    CHECK_TEXT(after, before);
    free(after);
    free(before);
    forget(&rec);
}

/* With the flag it is replaced; the file keeps its mode and owner. */
static void different_is_replaced(void)
{
    recorder rec = {0};
    begin_with_copy();
    write_text("target/key-0000.lic", "two plays left");
    write_text("target/music/key-0004.lic", "");
    CHECK(chmod("target/key-0000.lic", 0640) == 0);
    CHECK(chmod("target/music/key-0004.lic", 0444) == 0);
    bool root = geteuid() == 0;
    CHECK(!root || chown("target/key-0000.lic", 1234, 4321) == 0);
    char *before = tree("target");

    CHECK_HR(restore_into("target", LICBAK_DRY_RUN | LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_OK);
    char *after = tree("target");
    CHECK_TEXT(after, before);
    free(before);
    free(after);

    CHECK_HR(restore_into("target", LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), 0);
    CHECK_SAME_TREE("target", "store");
    CHECK_INT(mode_of("target/key-0000.lic"), 0640);
    CHECK_INT(mode_of("target/music/key-0004.lic"), 0444);
    struct stat st;
    CHECK(stat("target/key-0000.lic", &st) == 0);
    if (root) {
        CHECK_INT(st.st_uid, 1234);
        CHECK_INT(st.st_gid, 4321);
    } else {
        skip("owner of a replaced file", "not root");
    }
    forget(&rec);
}

/* A file is replaced, never written into: who has the old one open, or a hard link to it, keeps it
 * whole. */
static void replaced_atomically(void)
{
    recorder rec = {0};
    begin_with_copy();
    write_text("target/key-0000.lic", "old version");
    CHECK(link("target/key-0000.lic", "kept-link") == 0);
    CHECK_HR(restore_into("target", LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_OK);
    size_t size;
    uint8_t *old = read_file("kept-link", &size);
    CHECK_TEXT((const char *)old, "old version");
    free(old);
    CHECK_SAME_TREE("target", "store");
    forget(&rec);
}

static void dry_run_makes_nothing(void)
{
    recorder rec = {0};
    CHECK_HR(restore_into("not-yet", LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK(!exists("not-yet"));
    CHECK_INT(final_figures(&rec).licenses_total, 30);
    make_dir("empty");
    CHECK_HR(restore_into("empty", LICBAK_DRY_RUN | LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_TEXT(entries("empty"), "");
    forget(&rec);
}

/* Symlinks in the store lead nowhere: what they point to is outside, and stays as it is. */
static void links_not_followed(void)
{
    recorder rec = {0};
    for (uint32_t flags = 0; flags <= LICBAK_RESTORE_OVERWRITE; flags += LICBAK_RESTORE_OVERWRITE) {
        begin_with_copy();
        make_dir("outside");
        write_text("outside/victim", "stays");
        remove_tree("target/music");
        CHECK(symlink("../outside", "target/music") == 0);
        CHECK(restore_into("target", flags, &rec) < 0);
        CHECK_TEXT(entries("outside"), "victim");

        begin_with_copy();
        CHECK(unlink("target/key-0000.lic") == 0);
        CHECK(symlink("../outside/victim", "target/key-0000.lic") == 0);
        restore_into("target", flags, &rec); /* may be refused, told, or replace the link */
        size_t size;
        uint8_t *victim = read_file("outside/victim", &size);
        CHECK_TEXT((const char *)victim, "stays");
        free(victim);

        begin_with_copy(); /* dangling: nothing comes to be where it points */
        CHECK(unlink("target/key-0000.lic") == 0);
        CHECK(symlink("../outside/made", "target/key-0000.lic") == 0);
        restore_into("target", flags, &rec);
        CHECK_TEXT(entries("outside"), "victim");

        begin_with_copy(); /* a FIFO in a licence's place must not block */
        CHECK(unlink("target/key-0000.lic") == 0);
        CHECK(mkfifo("target/key-0000.lic", 0600) == 0);
        restore_into("target", flags, &rec);
    }
    forget(&rec);
}

/* A restore that cannot be done leaves no hidden folder behind. */
static void leaves_nothing_hidden(void)
{
    recorder rec = {0};
    begin_with_copy();
    remove_tree("target/music");
    write_text("target/music", "a file where the backup has a folder");
    CHECK(restore_into("target", 0, &rec) < 0);
    CHECK_TEXT(entries("target"), "key-0000.lic key-0003.lic key-0006.lic key-0009.lic key-0012.lic key-0015.lic "
                                  "key-0018.lic key-0021.lic key-0024.lic key-0027.lic music video");
    CHECK_INT(size_of("target/music"), strlen("a file where the backup has a folder"));
    forget(&rec);
}

/* What is restored is its owner's alone whatever the umask takes away. */
static void strange_umask(void)
{
    recorder rec = {0};
    mode_t before = umask(0777);
    licbak_hresult hr = restore_into("masked", 0, &rec);
    umask(before);
    CHECK_HR(hr, LICBAK_S_OK);
    CHECK_INT(mode_of("masked"), 0700);
    CHECK_INT(mode_of("masked/music"), 0700);
    CHECK_INT(mode_of("masked/music/key-0001.lic"), 0600);
    forget(&rec);
}

int main(void)
{
    begin("restore");
    make_store("store", 30);
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    same_is_left();
    absent_is_written();
    different_is_kept();
    different_is_replaced();
    replaced_atomically();
    dry_run_makes_nothing();
    links_not_followed();
    leaves_nothing_hidden();
    strange_umask();
    return finish();
}
