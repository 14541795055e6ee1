/* What a host has before an operation it has after it: threads, descriptors, signals, umask,
 * locale, and a standard output that nobody else has written to. */
#include "../support/process.h"
#include "../support/recorder.h"

#include <locale.h>
#include <signal.h>

/* -- what a process has ----------------------------------------------------------------------------------- */

static char *process_state(void)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    CHECK(stream != NULL);
    sigset_t mask;
    CHECK(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
    for (int signal = 1; signal < NSIG; signal++) {
        struct sigaction action = {0};
        if (sigaction(signal, NULL, &action) == 0) {
            fprintf(stream, "signal %d: blocked %d, handler %p, flags %x\n", signal, sigismember(&mask, signal),
                    action.sa_flags & SA_SIGINFO ? (void *)(uintptr_t)action.sa_sigaction
                                                 : (void *)(uintptr_t)action.sa_handler,
                    (unsigned)action.sa_flags);
        }
    }
    mode_t umask_now = umask(0);
    umask(umask_now);
    char *directory = getcwd(NULL, 0);
    CHECK(directory != NULL);
    fprintf(stream, "umask %o\ndirectory %s\nlocale %s\n", (unsigned)umask_now, directory, setlocale(LC_ALL, NULL));
    free(directory);
    for (char **variable = environ; *variable != NULL; variable++) {
        fprintf(stream, "%s\n", *variable);
    }
    fclose(stream);
    return text;
}

/* -- what a host does ------------------------------------------------------------------------------------- */

static licbak_hresult LICBAK_CALL stop_listing(const licbak_license *license, void *context)
{
    (void)license, (void)context;
    return LICBAK_E_ABORT;
}

/* Everything that a restorer does, in success and in failure; after each the process is as it
 * was. */
static void work(licbak_restorer *r, const char *before_descriptors)
{
    static const struct {
        operation start;
        const char *store, *backups;
        uint32_t flags;
        licbak_hresult expected;
    } cases[] = {
        {licbak_backup_licenses, "store", "backups", LICBAK_WM_BACKUP_OVERWRITE, LICBAK_S_OK},
        {licbak_backup_licenses, "store", "backups", LICBAK_DRY_RUN, LICBAK_S_OK},
        {licbak_backup_licenses, "store", "backups", 0, LICBAK_NS_E_DRM_BACKUP_EXISTS},
        {licbak_backup_licenses, "bad", "backups", LICBAK_WM_BACKUP_OVERWRITE, LICBAK_HRESULT_ERROR_INVALID_NAME},
        {licbak_backup_licenses, "absent", "backups", LICBAK_WM_BACKUP_OVERWRITE, LICBAK_HRESULT_ERROR_PATH_NOT_FOUND},
        {licbak_verify_backup, "store", "backups", 0, LICBAK_S_OK},
        {licbak_verify_backup, "store", "damaged", 0, LICBAK_NS_E_DRM_BACKUP_CORRUPT},
        {licbak_restore_licenses, "restored", "backups", 0, LICBAK_S_OK},
        {licbak_restore_licenses, "restored", "backups", LICBAK_RESTORE_OVERWRITE, LICBAK_S_OK},
        {licbak_restore_licenses, "restored", "damaged", 0, LICBAK_NS_E_DRM_BACKUP_CORRUPT},
    };
    recorder rec = {0};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_HR(licbak_set_prop_string(r, "StorePath", cases[i].store), LICBAK_S_OK);
        CHECK_HR(licbak_set_prop_string(r, "BackupPath", cases[i].backups), LICBAK_S_OK);
        CHECK_HR(licbak_set_prop_string(r, "RestorePath", cases[i].backups), LICBAK_S_OK);
        CHECK_HR(run(cases[i].start, r, cases[i].flags, &rec), cases[i].expected);
        char *now = descriptors(); /* no destroy needed: an idle restorer has nothing open */
        CHECK_TEXT(now, before_descriptors);
        free(now);
        CHECK_INT(threads_settled(1), 1);
    }
    CHECK(licbak_list_backup(r, stop_listing, NULL) < 0); /* of the damaged one */
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "backups"), LICBAK_S_OK);
    CHECK_HR(licbak_list_backup(r, stop_listing, NULL), LICBAK_E_ABORT);
    start(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec);
    licbak_cancel(r);
    licbak_hresult outcome;
    CHECK_HR(licbak_wait(r, FOREVER, &outcome), LICBAK_S_OK);
    char *now = descriptors();
    CHECK_TEXT(now, before_descriptors);
    free(now);
    CHECK_INT(threads_settled(1), 1);
    forget(&rec);
}

/* -- a restorer destroyed inside its callback ------------------------------------------------------------- */

static licbak_hresult destroy_at_begin(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        CHECK_HR(licbak_destroy(rec->restorer), LICBAK_S_OK);
    }
    return LICBAK_S_OK;
}

/* No one waits for it, so it cleans up behind itself. */
static void destroyed_inside(const char *before_descriptors)
{
    recorder rec = {.react = destroy_at_begin};
    licbak_restorer *r = restorer_for("store", "backups");
    start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
    while (!atomic_load(&rec.ended) || atomic_load(&rec.inside)) {
        sleep_ms(1);
    }
    CHECK_INT(threads_settled(1), 1);
    char *now = descriptors();
    CHECK_TEXT(now, before_descriptors);
    free(now);
    forget(&rec);
}

/* A process may run without standard streams, and write to them all the same, or read. */
static licbak_hresult talk(recorder *rec, const event *e)
{
    (void)rec, (void)e;
    char byte;
    for (int stream = 0; stream <= STDERR_FILENO; stream++) {
        if (write(stream, "talk", 4) >= 0 || errno != EBADF || read(stream, &byte, 1) >= 0 || errno != EBADF) {
            return LICBAK_E_FAIL;
        }
    }
    return LICBAK_S_OK;
}

static void without_streams(void *unused)
{
    (void)unused;
    recorder rec = {.react = talk};
    check_stderr = dup(STDERR_FILENO);
    for (int stream = 0; stream <= STDERR_FILENO; stream++) {
        close(stream);
    }
    licbak_restorer *r = restorer_for("linked", "silent");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_LEFT_OUT), 1); /* told while the file is being written */
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "silent-store"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    char *before = descriptors();
    rec.may_roll_back = true;
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "silent.db"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    char *after = descriptors();
    CHECK_TEXT(after, before); /* none of SQLite's, which would have taken the place of the streams */
}

int main(void)
{
    begin("hygiene");
    make_store("store", 50);
    make_dir("backups");
    write_text("bad/back\\slash", "x");
    write_text("damaged/licenses.tar.zst", "damaged");
    int out = dup(STDOUT_FILENO), err = dup(STDERR_FILENO), silence = creat("silence", 0600);
    CHECK(out >= 0 && err >= 0 && silence >= 0);
    check_stderr = err;
    if (setlocale(LC_ALL, "C.UTF-8") == NULL) {
        skip("locale other than C", "no C.UTF-8");
    }
    umask(027);
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    CHECK(sigaction(SIGUSR2, &ignore, NULL) == 0);
    sigset_t some;
    sigemptyset(&some);
    sigaddset(&some, SIGUSR1);
    CHECK(pthread_sigmask(SIG_BLOCK, &some, NULL) == 0);

    /* From here on whoever writes to the standard streams, writes into the file "silence". */
    CHECK(dup2(silence, STDOUT_FILENO) >= 0 && dup2(silence, STDERR_FILENO) >= 0);
    char *before_state = process_state(), *before_descriptors = descriptors();
    licbak_restorer *r = NULL;
    CHECK_HR(licbak_create(&r), LICBAK_S_OK);
    for (int i = 0; i < 3; i++) {
        work(r, before_descriptors);
    }
    destroyed_inside(before_descriptors);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    char *after_state = process_state(), *after_descriptors = descriptors();
    CHECK(dup2(out, STDOUT_FILENO) >= 0 && dup2(err, STDERR_FILENO) >= 0);

    CHECK_TEXT(after_state, before_state);
    CHECK_TEXT(after_descriptors, before_descriptors);
    CHECK_INT(size_of("silence"), 0);
    make_dir("silent");
    make_store("linked", 50);
    CHECK(symlink("nowhere", "linked/a-link") == 0);
    in_child(without_streams, NULL);
    CHECK_HR(verify("silent"), LICBAK_S_OK);
    CHECK_INT(system("diff -rq -x a-link linked silent-store"), 0);
    free(before_state);
    free(after_state);
    free(before_descriptors);
    free(after_descriptors);
    return finish();
}
