/* A host of many licences, of one whose functions fail, and of a backup that is damaged. */
#include "../support/frames.h"
#include "../support/host.h"

#include <sys/resource.h>

/* -- many ------------------------------------------------------------------------------------------------ */

/* The order of emission is the backup's, and the bytes do not rest on the number of workers. */
static void order_and_bytes(void)
{
    static const uint32_t threads[] = {1, 4, 4};
    static const char *const into[] = {"one", "four", "backwards"};
    struct series s = {.count = 3000, .size = 4096};
    host h = {.give = give_series, .other = &s};
    recorder rec = {0};
    char *lists[3];
    CHECK(setenv("SOURCE_DATE_EPOCH", "1700000000", 1) == 0);
    for (int i = 0; i < 3; i++) {
        s.backwards = i == 2;
        make_dir(into[i]);
        licbak_restorer *r = restorer_of(&h, into[i]);
        set_number(r, "Threads", threads[i]);
        CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
        lists[i] = listed(r);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    CHECK(unsetenv("SOURCE_DATE_EPOCH") == 0);
    CHECK(same_but_for_trailers("one/licenses.tar.zst", "four/licenses.tar.zst"));
    CHECK_TEXT(lists[0], lists[1]);
    int last = -1, down = 3000;
    for (int i = 0; i < 3; i += 2) {
        for (char *line = strtok(lists[i], "\n"); line != NULL; line = strtok(NULL, "\n")) {
            int number = atoi(strstr(line, "/key ") + 5);
            CHECK_INT(number, i == 0 ? ++last : --down);
        }
    }
    CHECK(last == 2999 && down == 0);
    for (int i = 0; i < 3; i++) {
        free(lists[i]);
    }
    forget(&rec);
}

static long peak_kib(void)
{
    struct rusage usage;
    CHECK(getrusage(RUSAGE_SELF, &usage) == 0);
    return usage.ru_maxrss;
}

static licbak_hresult LICBAK_CALL take_away(void *context, const licbak_license *license)
{
    host *h = context;
    CHECK(license->content_size > 0);
    atomic_fetch_add(&h->puts, 1);
    return LICBAK_S_OK;
}

/* Licences go through the library; they do not gather in it. */
static void a_large_one(void *argument)
{
    struct series *s = argument;
    host h = {.give = give_series, .other = s};
    recorder rec = {0};
    make_dir("large");
    licbak_restorer *r = restorer_of(&h, "large");
    set_number(r, "Threads", 2);
    long before = peak_kib();
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, s->count);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    licbak_store store = store_of(&h);
    store.put = take_away;
    CHECK_HR(licbak_set_store(r, &store), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(h.puts, s->count);
#if !defined __SANITIZE_ADDRESS__ && !defined THREAD_SANITIZER /* which use memory of their own */
    if (s->size >= MIB) {
        CHECK(peak_kib() - before < 96 * 1024);
    }
#endif
    (void)before;
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);
    remove_tree("large");
}

static void many(void)
{
    struct series small = {.count = 20000}, large = {.count = 40, .size = MIB}, larger = {.count = 300, .size = MIB};
    in_child(a_large_one, &small);
    in_child(a_large_one, &large);
    in_child(a_large_one, &larger);
}

/* -- failures -------------------------------------------------------------------------------------------- */

struct failure {
    const char *function;
    int after; /* so many calls of it that went well */
    licbak_hresult hr;
};

static licbak_hresult fail_where_told(host *h, const char *function, const char *name)
{
    const struct failure *where = h->other;
    (void)name;
    int before = strcmp(function, "get") == 0 ? h->gets : h->puts;
    CHECK(before <= where->after || strcmp(function, where->function) != 0); /* not called after its failure */
    return strcmp(function, where->function) == 0 && before == where->after ? where->hr : LICBAK_S_OK;
}

/* The host's own failure, whatever its code, is the outcome. */
static void host_failures(void)
{
    static const licbak_hresult codes[] = {LICBAK_E_FAIL, OWN_FAILURE, LICBAK_E_OUTOFMEMORY, LICBAK_E_NOTIMPL,
                                           LICBAK_NS_E_DRM_OPERATION_CANCELED};
    recorder rec = {0};
    host saved = {0};
    fill(&saved);
    make_dir("backups");
    make_dir("failed");
    CHECK_HR(run_host(licbak_backup_licenses, &saved, "backups", 0, &rec), LICBAK_S_OK);
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        struct failure where = {"enumerate", 0, codes[i]};
        host h = {.inside = fail_where_told, .other = &where};
        fill(&h);
        CHECK_HR(run_host(licbak_backup_licenses, &h, "failed", 0, &rec), codes[i]);
        CHECK_TEXT(entries("failed"), "");
        host_forget(&h);
        for (int put = 0; put <= 1; put++) {
            where.function = put ? "put" : "get";
            where.after = 3;
            atomic_store(&h.gets, 0);
            atomic_store(&h.puts, 0);
            h.inside = fail_where_told;
            licbak_restorer *r = restorer_of(&h, "backups");
            CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), codes[i]);
            if (codes[i] != LICBAK_NS_E_DRM_OPERATION_CANCELED) {
                CHECK_HAS(error_message(r), saved.licenses[3].name); /* on what */
            }
            CHECK_INT(h.count, 3); /* it keeps what it got */
            h.inside = NULL;
            CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK); /* and run again, all is there */
            CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
            CHECK_SAME_HOST(&h, &saved);
            host_forget(&h);
        }
    }
    host_forget(&saved);
    forget(&rec);
}

/* What goes wrong elsewhere ends an enumeration that would go on, and is the outcome. */
static void no_room(void *argument)
{
    struct series s = {.count = INT_MAX, .size = MIB / 4};
    host h = {.give = give_series, .other = &s}; /* it returns what emit failed with */
    recorder rec = {0};
    struct rlimit limit = {4 * MIB, 4 * MIB};
    (void)argument;
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    CHECK_HR(run_host(licbak_backup_licenses, &h, "failed", 0, &rec), LICBAK_HRESULT_ERROR_FILE_TOO_LARGE);
    CHECK_TEXT(entries("failed"), "");
    forget(&rec);
}

/* A backup that is damaged anywhere puts nothing. */
static void damaged(void)
{
    struct series s = {.count = 60, .size = MIB / 4};
    host h = {.give = give_series, .other = &s};
    recorder rec = {0};
    make_dir("damaged");
    CHECK_HR(run_host(licbak_backup_licenses, &h, "damaged", 0, &rec), LICBAK_S_OK);
    size_t size;
    uint8_t *bytes = read_file("damaged/licenses.tar.zst", &size);
    h.give = NULL;
    for (int i = 1; i < 8; i++) {
        size_t at = size * (size_t)i / 8;
        bytes[at] ^= 0x10;
        write_file("damaged/licenses.tar.zst", bytes, size);
        bytes[at] ^= 0x10;
        CHECK_HR(run_host(licbak_restore_licenses, &h, "damaged", LICBAK_RESTORE_OVERWRITE, &rec),
                 LICBAK_NS_E_DRM_BACKUP_CORRUPT);
        write_file("damaged/licenses.tar.zst", bytes, at);
        CHECK_HR(run_host(licbak_restore_licenses, &h, "damaged", 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
        CHECK_INT(h.puts, 0);
    }
    free(bytes);
    forget(&rec);
}

int main(void)
{
    begin("host_many");
    order_and_bytes();
    many();
    host_failures();
    in_child(no_room, NULL);
    damaged();
    return finish();
}
