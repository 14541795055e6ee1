/* Files that another program has lent out, as file servers do by a lease: the library waits until
 * they are given back, as cp and tar do, but not for ever. */
#define _GNU_SOURCE
#include <fcntl.h>

#include "../support/recorder.h"

#define SHARING_VIOLATION LICBAK_HRESULT_ERROR_SHARING_VIOLATION

enum { GIVES_BACK, KEEPS };

/* Takes a lease in a process of its own, which gives it back a little after it is asked, or keeps
 * it. Returns when the lease is held, with the process; 0 where the file system has none. */
static pid_t lend(const char *path, int manner)
{
    int told[2];
    CHECK(pipe(told) == 0);
    fflush(NULL);
    pid_t holder = fork();
    CHECK(holder >= 0);
    if (holder == 0) {
        sigset_t asked;
        int number, fd = open(path, O_RDWR | O_CLOEXEC);
        alarm(60);
        sigemptyset(&asked);
        sigaddset(&asked, SIGIO);
        sigprocmask(SIG_BLOCK, &asked, NULL);
        const char held = fcntl(fd, F_SETLEASE, F_WRLCK) == 0;
        CHECK(write(told[1], &held, 1) == 1);
        while (held && manner == KEEPS) {
            pause();
        }
        if (held) {
            sigwait(&asked, &number);
            usleep(50000);
            fcntl(fd, F_SETLEASE, F_UNLCK);
        }
        _exit(0);
    }
    char held = 0;
    CHECK(read(told[0], &held, 1) == 1);
    close(told[0]);
    close(told[1]);
    if (!held) {
        CHECK(waitpid(holder, NULL, 0) == holder);
        return 0;
    }
    return holder;
}

static void take_back(pid_t holder, int manner)
{
    int status;
    if (manner == KEEPS) {
        kill(holder, SIGKILL);
    }
    CHECK(waitpid(holder, &status, 0) == holder);
    CHECK(manner == KEEPS || (WIFEXITED(status) && WEXITSTATUS(status) == 0)); /* it was asked */
}

static void given_back(void)
{
    pid_t holder = lend("store/b.lic", GIVES_BACK);
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    take_back(holder, GIVES_BACK);

    holder = lend("backups/licenses.tar.zst", GIVES_BACK);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    take_back(holder, GIVES_BACK);

    write_text("store/c.lic", "another");
    holder = lend("store/c.lic", GIVES_BACK);
    CHECK_HR(restore("store", "backups", LICBAK_RESTORE_OVERWRITE), LICBAK_S_OK);
    take_back(holder, GIVES_BACK);
    CHECK_HR(restore("restored", "backups", 0), LICBAK_S_OK);
    CHECK_INT(system("diff -r store restored"), 0);
}

static void kept(void)
{
    uint64_t before = digest("backups/licenses.tar.zst");
    pid_t holder = lend("store/b.lic", KEEPS);
    const uint32_t all = LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL;
    licbak_restorer *r = restorer_for("store", "backups");
    recorder rec = {0};
    CHECK_HR(run(licbak_backup_licenses, r, all, &rec), SHARING_VIOLATION);
    CHECK(strstr(error_message(r), "'b.lic' is in use") != NULL);

    start(licbak_backup_licenses, r, all, &rec);
    sleep_ms(100); /* most likely it waits now */
    CHECK_HR(licbak_cancel(r), LICBAK_S_OK);
    CHECK_HR(end(r, &rec), LICBAK_NS_E_DRM_OPERATION_CANCELED);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);

    CHECK_HR(restore("store", "backups", 0), SHARING_VIOLATION);
    take_back(holder, KEEPS);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK_TEXT(entries("store"), "a.lic b.lic c.lic");
    CHECK(digest("backups/licenses.tar.zst") == before);
}

int main(void)
{
    begin("in_use");
    write_text("store/a.lic", "a");
    write_text("store/b.lic", "b");
    write_text("store/c.lic", "c");
    make_dir("backups");
    pid_t holder = lend("store/a.lic", KEEPS);
    if (holder == 0) {
        skip("files that are lent out", "the file system has no leases");
        return finish();
    }
    take_back(holder, KEEPS);
    given_back();
    kept();
    return finish();
}
