/* A restorer is a ticket: what is none gets E_HANDLE from every function, whatever it is, and nothing else
 * happens. Also the sizes that a host may give its structs. */
#include "recorder.h"

#include <stdint.h>

/* -- every function, called with a handle alone --------------------------------------------------------- */

static licbak_hresult LICBAK_CALL ignore(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                         const uint8_t *value, size_t size, void *context)
{
    (void)status, (void)hr, (void)type, (void)value, (void)size, (void)context;
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL ignore_license(const licbak_license *license, void *context)
{
    (void)license, (void)context;
    return LICBAK_S_OK;
}

static licbak_hresult set_prop(licbak_restorer *r)
{
    return licbak_set_prop(r, "StorePath", LICBAK_WMT_TYPE_STRING, (const uint8_t *)"x", 1);
}

static licbak_hresult set_prop_string(licbak_restorer *r)
{
    return licbak_set_prop_string(r, "StorePath", "x");
}

static licbak_hresult get_prop_count(licbak_restorer *r)
{
    size_t count;
    return licbak_get_prop_count(r, &count);
}

static licbak_hresult get_prop_by_index(licbak_restorer *r)
{
    size_t name_size = 0, size = 0;
    licbak_datatype type;
    return licbak_get_prop_by_index(r, 0, NULL, &name_size, &type, NULL, &size);
}

static licbak_hresult get_prop_by_name(licbak_restorer *r)
{
    size_t size = 0;
    licbak_datatype type;
    return licbak_get_prop_by_name(r, "StorePath", &type, NULL, &size);
}

static licbak_hresult remove_prop(licbak_restorer *r)
{
    return licbak_remove_prop(r, "StorePath");
}

static licbak_hresult start_backup(licbak_restorer *r)
{
    return licbak_backup_licenses(r, 0, ignore, NULL);
}

static licbak_hresult start_restore(licbak_restorer *r)
{
    return licbak_restore_licenses(r, 0, ignore, NULL);
}

static licbak_hresult start_verify(licbak_restorer *r)
{
    return licbak_verify_backup(r, 0, ignore, NULL);
}

static licbak_hresult list(licbak_restorer *r)
{
    return licbak_list_backup(r, ignore_license, NULL);
}

static licbak_hresult wait_now(licbak_restorer *r)
{
    licbak_hresult outcome;
    return licbak_wait(r, 0, &outcome);
}

static licbak_hresult get_progress(licbak_restorer *r)
{
    licbak_progress progress = {.struct_size = sizeof progress};
    return licbak_get_progress(r, &progress);
}

static licbak_hresult get_error_message(licbak_restorer *r)
{
    size_t size = 0;
    return licbak_get_error_message(r, NULL, &size);
}

static const struct {
    const char *name;
    licbak_hresult (*call)(licbak_restorer *);
} functions[] = {
    {"set_prop", set_prop},
    {"set_prop_string", set_prop_string},
    {"get_prop_count", get_prop_count},
    {"get_prop_by_index", get_prop_by_index},
    {"get_prop_by_name", get_prop_by_name},
    {"remove_prop", remove_prop},
    {"remove_all_props", licbak_remove_all_props},
    {"backup_licenses", start_backup},
    {"cancel_license_backup", licbak_cancel_license_backup},
    {"restore_licenses", start_restore},
    {"cancel_license_restore", licbak_cancel_license_restore},
    {"verify_backup", start_verify},
    {"cancel", licbak_cancel},
    {"wait", wait_now},
    {"get_progress", get_progress},
    {"get_error_message", get_error_message},
    {"list_backup", list},
    {"destroy", licbak_destroy},
};

static void check_refused(licbak_restorer *r)
{
    for (size_t i = 0; i < sizeof functions / sizeof functions[0]; i++) {
        licbak_hresult hr = functions[i].call(r);
        if (hr != LICBAK_E_HANDLE) {
            check_fail(__FILE__, __LINE__, "licbak_%s(%p): expected LICBAK_E_HANDLE, got %s", functions[i].name,
                       (void *)r, hresult_name(hr));
        }
    }
    CHECK(true); /* counts one */
}

/* -- what is no handle ----------------------------------------------------------------------------------- */

static licbak_restorer *bare(void)
{
    licbak_restorer *r = NULL;
    CHECK_HR(licbak_create(&r), LICBAK_S_OK);
    CHECK(r != NULL);
    return r;
}

static licbak_restorer *from_bits(uint64_t bits)
{
    return (licbak_restorer *)(uintptr_t)bits;
}

static void garbage(void)
{
    licbak_restorer *live = restorer_for("store", "backups"), *gone = bare();
    CHECK_HR(licbak_destroy(gone), LICBAK_S_OK);
    char on_stack[64];
    void *on_heap = calloc(1, 4096);
    CHECK(on_heap != NULL);
    memset(on_stack, 0xFF, sizeof on_stack);

    check_refused(NULL);
    check_refused(gone);
    check_refused((licbak_restorer *)(void *)on_stack);
    check_refused((licbak_restorer *)(void *)&live);
    check_refused(on_heap);
    for (size_t bit = 0; bit < sizeof(void *) * 8; bit++) {
        check_refused(from_bits((uint64_t)(uintptr_t)live ^ (uint64_t)1 << bit));
        uint64_t others[] = {(uint64_t)1 << bit, ~(uint64_t)0 << bit};
        for (int i = 0; i < 2; i++) {
            if (from_bits(others[i]) != live) {
                check_refused(from_bits(others[i]));
            }
        }
    }
    uint64_t state = 2685821657736338717u;
    for (int i = 0; i < 1000000; i++) {
        /* Half of them near the live one, where an implementation would look least closely. */
        uint64_t bits = next_random(&state);
        bits = i % 2 ? bits : (uint64_t)(uintptr_t)live ^ bits >> (bits & 63);
        size_t count;
        if (from_bits(bits) != live && licbak_get_prop_count(from_bits(bits), &count) != LICBAK_E_HANDLE) {
            check_fail(__FILE__, __LINE__, "%p: expected LICBAK_E_HANDLE beside %p", (void *)from_bits(bits),
                       (void *)live);
        }
    }
    free(on_heap);

    size_t count = 0; /* and nothing happened to the one that lives */
    CHECK_HR(licbak_get_prop_count(live, &count), LICBAK_S_OK);
    CHECK_INT(count, 3);
    CHECK_HR(licbak_destroy(live), LICBAK_S_OK);
    check_refused(live);
}

static int by_value(const void *left, const void *right)
{
    uintptr_t a = *(const uintptr_t *)left, b = *(const uintptr_t *)right;
    return (a > b) - (a < b);
}

/* A ticket never comes back, though the restorers before it are gone. */
static void never_again(void)
{
    enum { MANY = 100000 };
    uintptr_t *tickets = malloc(MANY * sizeof *tickets);
    CHECK(tickets != NULL);
    licbak_restorer *first = bare();
    CHECK_HR(licbak_destroy(first), LICBAK_S_OK);
    for (int i = 0; i < MANY; i++) {
        licbak_restorer *r = NULL;
        if (licbak_create(&r) != LICBAK_S_OK || licbak_destroy(r) != LICBAK_S_OK) {
            check_fail(__FILE__, __LINE__, "create and destroy: expected LICBAK_S_OK for number %d", i);
        }
        tickets[i] = (uintptr_t)r;
    }
    check_refused(first);
    check_refused((licbak_restorer *)tickets[MANY / 2]);
    qsort(tickets, MANY, sizeof *tickets, by_value);
    for (int i = 1; i < MANY; i++) {
        if (tickets[i] == tickets[i - 1]) {
            check_fail(__FILE__, __LINE__, "ticket 0x%jx: expected once, got twice", (uintmax_t)tickets[i]);
        }
    }
    CHECK(true);
    free(tickets);
}

/* -- threads --------------------------------------------------------------------------------------------- */

struct contest {
    licbak_restorer *r;
    pthread_barrier_t line;
    atomic_int winners;
};

static void *destroy_it(void *argument)
{
    struct contest *c = argument;
    size_t count;
    pthread_barrier_wait(&c->line);
    licbak_hresult hr = licbak_destroy(c->r);
    CHECK(hr == LICBAK_S_OK || hr == LICBAK_E_HANDLE);
    atomic_fetch_add(&c->winners, hr == LICBAK_S_OK);
    CHECK_HR(licbak_get_prop_count(c->r, &count), LICBAK_E_HANDLE);
    return NULL;
}

/* Of two threads that destroy one restorer exactly one does. */
static void two_threads(void)
{
    for (int round = 0; round < 300; round++) {
        struct contest c = {.r = bare()};
        CHECK(pthread_barrier_init(&c.line, NULL, 2) == 0);
        pthread_t other;
        CHECK(pthread_create(&other, NULL, destroy_it, &c) == 0);
        destroy_it(&c);
        CHECK(pthread_join(other, NULL) == 0);
        CHECK_INT(atomic_load(&c.winners), 1);
        pthread_barrier_destroy(&c.line);
    }
}

static atomic_bool stop;

static void *call_all(void *argument)
{
    licbak_restorer *r = argument;
    while (!atomic_load(&stop)) {
        size_t count;
        licbak_hresult hr = licbak_get_prop_count(r, &count);
        CHECK(hr == LICBAK_S_OK || hr == LICBAK_E_HANDLE);
        hr = set_prop_string(r);
        CHECK(hr == LICBAK_S_OK || hr == LICBAK_E_HANDLE);
        hr = wait_now(r);
        CHECK(hr == LICBAK_S_OK || hr == LICBAK_S_FALSE || hr == LICBAK_E_HANDLE);
    }
    check_refused(r);
    return NULL;
}

/* A restorer that is destroyed while another thread calls it. */
static void destroyed_under_a_thread(void)
{
    for (int round = 0; round < 50; round++) {
        licbak_restorer *r = bare();
        pthread_t other;
        atomic_store(&stop, false);
        CHECK(pthread_create(&other, NULL, call_all, r) == 0);
        usleep((unsigned)(round * 37));
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        atomic_store(&stop, true);
        CHECK(pthread_join(other, NULL) == 0);
    }
}

/* -- forked children ------------------------------------------------------------------------------------- */

static void works_in_child(void *parents)
{
    check_refused(parents);
    CHECK_HR(backup("store", "childs", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(verify("childs"), LICBAK_S_OK);
}

static void works_in_grandchild(void *parents)
{
    check_refused(parents);
    licbak_restorer *mine = bare();
    in_child(works_in_child, mine);
    CHECK_HR(licbak_destroy(mine), LICBAK_S_OK);
}

static void forked(void)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for("store", "backups");
    in_child(works_in_child, r); /* before any operation */
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    in_child(works_in_grandchild, r);

    gate g; /* while one runs: its threads and what they hold are not in the child */
    gate_init(&g);
    rec.react = hold_at_begin;
    rec.gate = &g;
    start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
    wait_for(&g.reached);
    in_child(works_in_child, r);
    sem_post(&g.open);
    CHECK_HR(end(r, &rec), LICBAK_S_OK);

    rec.react = NULL; /* and at any moment of two: a lock that is global to the library may be held */
    recorder other_rec = {0};
    make_dir("others");
    licbak_restorer *other = restorer_for("store", "others");
    for (int i = 0; i < 150; i++) {
        start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
        start(licbak_backup_licenses, other, LICBAK_WM_BACKUP_OVERWRITE, &other_rec);
        usleep((unsigned)(i % 50 * 101));
        in_child(works_in_child, r);
        CHECK_HR(end(r, &rec), LICBAK_S_OK);
        CHECK_HR(end(other, &other_rec), LICBAK_S_OK);
    }
    forget(&other_rec);
    CHECK_HR(licbak_destroy(other), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- sizes of structs ------------------------------------------------------------------------------------ */

static void progress_sizes(void)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    licbak_progress last = final_figures(&rec);

    union {
        licbak_progress progress;
        uint8_t bytes[sizeof(licbak_progress) + 64];
    } u;
    for (size_t size = 0; size < sizeof(licbak_progress); size++) {
        memset(&u, 0x5A, sizeof u);
        u.progress.struct_size = size;
        CHECK_HR(licbak_get_progress(r, &u.progress), LICBAK_E_INVALIDARG);
        for (size_t i = sizeof(size_t); i < sizeof u.bytes; i++) {
            CHECK(u.bytes[i] == 0x5A);
        }
    }
    for (size_t size = sizeof(licbak_progress); size <= sizeof(licbak_progress) + 32; size += 8) {
        memset(&u, 0x5A, sizeof u);
        u.progress.struct_size = size; /* a later host's is larger */
        CHECK_HR(licbak_get_progress(r, &u.progress), LICBAK_S_OK);
        CHECK_INT(u.progress.licenses_total, 10);
        CHECK_INT(u.progress.licenses_done, last.licenses_done);
        CHECK_INT(u.progress.content_bytes, last.content_bytes);
        CHECK_INT(u.progress.reserved, 0);
        for (size_t i = size; i < sizeof u.bytes; i++) {
            CHECK(u.bytes[i] == 0x5A);
        }
    }
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    begin("handles");
    make_store("store", 10);
    make_dir("backups");
    make_dir("childs");
    garbage();
    never_again();
    two_threads();
    destroyed_under_a_thread();
    forked();
    progress_sizes();
    return finish();
}
