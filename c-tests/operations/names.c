/* Names: which files of a directory are licences, which names can be kept, and what is left out. */
#include "../support/recorder.h"

#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/un.h>

/* A name that breaks the rule fails the backup, which names it and writes nothing. */
static void refused(void)
{
    static const struct {
        const char *name, *shown; /* the part that a message can show as it is */
    } cases[] = {
        {"back\\slash.lic", "slash.lic"}, {"sub/new\nline.lic", "line.lic"},
        {"bell\x07.lic", "bell"},         {"first\x01.lic", "first"},
        {"delete\x7F.lic", "delete"},     {"latin-caf\xE9.lic", "latin-caf"},
        {"cut-\xE6\xAD.lic", "cut-"},     {"strange\\er/a.lic", "strange"},
        {"surrogate-\xED\xA0\x80", "surrogate-"},
    };
    recorder rec = {0};
    make_dir("backups");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[PATH_MAX];
        make_store("refused", 4);
        snprintf(path, sizeof path, "refused/%s", cases[i].name);
        write_text(path, "x");
        licbak_restorer *r = restorer_for("refused", "backups");
        CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_HRESULT_ERROR_INVALID_NAME);
        CHECK_HAS(error_message(r), cases[i].shown);
        CHECK_TEXT(entries("backups"), "");
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        remove_tree("refused");
    }
    forget(&rec);
}

/* One byte beyond the longest name. */
static void too_long(void)
{
    recorder rec = {0};
    char path[PATH_MAX] = "long";
    int at = 4;
    for (int part = 0; part < 16; part++) {
        path[at++] = '/';
        memset(path + at, 'p', part < 15 ? 249 : 251);
        at += part < 15 ? 249 : 251;
    }
    CHECK_INT(strlen("long/") + 4001, at);
    write_text(path, "x");
    licbak_restorer *r = restorer_for("long", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_HRESULT_ERROR_INVALID_NAME);
    CHECK_HAS(error_message(r), "pppp");
    CHECK_TEXT(entries("backups"), "");
    CHECK(unlink(path) == 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Links and special files are told and not opened: the FIFO would block for ever, the link leads
 * out. */
static void left_out(void)
{
    recorder rec = {0};
    size_t expected = 5;
    make_store("store", 6);
    write_text("outside/secret.lic", "not of the store");
    CHECK(symlink("../outside/secret.lic", "store/file-link.lic") == 0);
    CHECK(symlink("../outside", "store/folder-link") == 0);
    CHECK(symlink("nowhere", "store/music/dangling") == 0);
    CHECK(mkfifo("store/video/pipe", 0600) == 0);
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "store/socket"};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0);
    close(fd);
    if (mknod("store/device", S_IFCHR | 0600, makedev(1, 3)) == 0) {
        expected++;
    } else {
        skip("a device in the store", strerror(errno));
    }

    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 6);
    CHECK_INT(final_figures(&rec).licenses_restricted, 0);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), expected);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "file-link.lic: "), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "folder-link: "), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "music/dangling: "), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "video/pipe: "), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "socket: "), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, "device: "), expected == 6);

    CHECK_HR(licbak_set_prop_string(r, "StorePath", "restored"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_TEXT(entries("restored"), "key-0000.lic key-0003.lic music video");
    CHECK_TEXT(entries("restored/music"), "key-0001.lic key-0004.lic");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* A link is no licence, and its name need not be one. */
static void odd_links(void)
{
    recorder rec = {0};
    char path[256] = "odd/";
    make_store("odd", 3);
    memset(path + 4, 0xE9, 200); /* no UTF-8 */
    CHECK(symlink("nowhere", path) == 0);
    CHECK(symlink("nowhere", "odd/a\\b\nc") == 0);
    make_dir("odd-backups");
    licbak_restorer *r = restorer_for("odd", "odd-backups");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 3);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), 2);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* What begins with a dot is no licence, and no name rule is held against it. It is told, a folder
 * without what is in it, unless the library has hidden it itself. */
static void hidden(void)
{
    recorder rec = {0};
    make_store("hidden", 3);
    write_text("hidden/.config", "x");
    write_text("hidden/music/.index", "x");
    write_text("hidden/.folder/key.lic", "x");
    write_text("hidden/.back\\slash", "x");
    write_text("hidden/.caf\xE9", "x");
    write_text("hidden/.licenses.tar.zst.0123456789abcdef", "x");
    make_dir("hidden/.licbak-restore.0123456789abcdef");
    CHECK(chmod("hidden/.config", 0) == 0);
    make_dir("hidden-backups");
    licbak_restorer *r = restorer_for("hidden", "hidden-backups");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 3);
    static const char *const told_of[] = {".config: ", "music/.index: ", ".folder: ", ".back\\\\slash: ",
                                          ".caf\\xe9: "};
    enum { TOLD = sizeof told_of / sizeof told_of[0] };
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), TOLD);
    for (int i = 0; i < TOLD; i++) {
        CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT, told_of[i]), 1);
    }
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "hidden-restored"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_TEXT(entries("hidden-restored"), "key-0000.lic music video");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    begin("names");
    refused();
    too_long();
    left_out();
    odd_links();
    hidden();
    return finish();
}
