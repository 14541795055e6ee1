/* A restorer is a ticket: what is none gets E_HANDLE from every function, whatever it is, and
 * nothing else happens. Also the sizes that a host may give its structs. */
#include "../support/functions.h"
#include "../support/process.h"

#include <stdint.h>
#include <sys/mman.h>

/* -- every function, with what suits it and with NULL ---------------------------------------------------- */

static atomic_int host_calls; /* of functions of the host, by calls that are to be refused */

static licbak_hresult LICBAK_CALL count_status(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                               const uint8_t *value, size_t size, void *context)
{
    (void)status, (void)hr, (void)type, (void)value, (void)size, (void)context;
    atomic_fetch_add(&host_calls, 1);
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL count_license(const licbak_license *license, void *context)
{
    (void)license, (void)context;
    atomic_fetch_add(&host_calls, 1);
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL count_restore(const licbak_backup_info *info, char *url, size_t url_size,
                                                void *context)
{
    (void)info, (void)url, (void)url_size, (void)context;
    atomic_fetch_add(&host_calls, 1);
    return LICBAK_S_OK;
}

/* Where the functions would write to. */
static struct output {
    char name[64];
    uint8_t value[64];
    size_t count, name_size, size;
    licbak_datatype type;
    licbak_hresult outcome;
    intptr_t descriptor;
    licbak_progress progress;
    licbak_backup_info info;
} output, fresh_output = {
    .name = "untouched", .value = "untouched", .count = 77, .name_size = 64, .size = 64, .type = 77,
    .outcome = 77, .descriptor = 77, .progress = {.struct_size = sizeof(licbak_progress), .licenses_total = 77},
    .info = {.struct_size = sizeof(licbak_backup_info), .generation = 77},
};
static const licbak_store no_store = {.struct_size = sizeof no_store};
static const arguments nothing, suitable = {
    .property = "StorePath", .text = "x", .key_id = "x", .value = output.value, .name = output.name,
    .count = &output.count, .name_size = &output.name_size, .size = &output.size, .type = &output.type,
    .status = count_status, .license = count_license, .outcome = &output.outcome, .progress = &output.progress,
    .info = &output.info, .descriptor = &output.descriptor, .store = &no_store, .authorize = count_restore,
};

/* Whether every function refuses such a handle; if not, `function` is the one that does not. */
static bool refused_by_all(licbak_restorer *r, int *function)
{
    for (*function = 0; *function < FUNCTION_COUNT; ++*function) {
        if (functions[*function].call(r, &suitable) != LICBAK_E_HANDLE ||
            functions[*function].call(r, &nothing) != LICBAK_E_HANDLE) {
            return false;
        }
    }
    return true;
}

static void check_refused(licbak_restorer *r)
{
    int function;
    output = fresh_output;
    if (!refused_by_all(r, &function)) {
        check_fail(__FILE__, __LINE__, "%s(%p): expected LICBAK_E_HANDLE, got something else", functions[function].name,
                   (void *)r);
    }
    CHECK(memcmp(&output, &fresh_output, sizeof output) == 0);
    CHECK_INT(atomic_load(&host_calls), 0);
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

/* -- two million values ---------------------------------------------------------------------------------- */

enum { VALUES = 2000000, SOME = 100 };

/* Shared with the child that makes the calls, so that a crash can be counted: it ends the child
 * alone, and another goes on behind the value that did it. */
struct torture {
    int next, function;
    uint64_t value;
    unsigned long accepted;
    int accepted_by;
    uint64_t first_accepted;
};

struct tickets {
    licbak_restorer *live[SOME], *gone[SOME], *foreign[SOME];
    uint64_t addresses[16];
    size_t address_count;
};

/* Restorers of another process, whose tickets are nothing here. */
static void make_foreign(struct tickets *t)
{
    int line[2], status;
    CHECK(pipe(line) == 0);
    pid_t other = fork();
    CHECK(other >= 0);
    if (other == 0) {
        for (int i = 0; i < SOME; i++) {
            t->foreign[i] = bare();
        }
        _exit(write(line[1], t->foreign, sizeof t->foreign) != sizeof t->foreign);
    }
    CHECK(read(line[0], t->foreign, sizeof t->foreign) == sizeof t->foreign);
    CHECK(waitpid(other, &status, 0) == other && status == 0);
    close(line[0]);
    close(line[1]);
}

static bool is_live(const struct tickets *t, uint64_t value)
{
    for (int i = 0; i < SOME; i++) {
        if (from_bits(value) == t->live[i]) {
            return true;
        }
    }
    return false;
}

static uint64_t bits_of(licbak_restorer *r)
{
    return (uint64_t)(uintptr_t)r;
}

/* One that is no handle: anything, and what an implementation would look at least closely. */
static uint64_t value_number(const struct tickets *t, int number)
{
    uint64_t state = (uint64_t)number * 0x9E3779B97F4A7C15u + 1, random = next_random(&state);
    for (;; random = next_random(&state)) {
        int which = (int)(random % SOME);
        uint64_t live = bits_of(t->live[which]), spread = next_random(&state), value;
        uint64_t flip = (uint64_t)1 << (spread & 63) | (uint64_t)(number & 1) << (spread >> 6 & 63);
        switch (number % 10) {
        case 0: value = live ^ flip; break;
        case 1: value = live + (spread % 8192) - 4096; break; /* a neighbour, misaligned too */
        case 2: value = live ^ spread >> (random >> 8 & 63); break;
        case 3: value = bits_of(t->gone[which]); break;
        case 4: value = bits_of(t->gone[which]) ^ flip; break;
        case 5: value = bits_of(t->foreign[which]); break;
        case 6: value = bits_of(t->foreign[which]) ^ flip; break;
        case 7: value = t->addresses[random % t->address_count] + spread % 16; break;
        case 8: value = spread >> (random >> 8 & 63); break; /* small ones, and 0 */
        default: value = spread; break;
        }
        if (!is_live(t, value)) {
            return value;
        }
    }
}

static char *properties_of(licbak_restorer *r)
{
    char *text = NULL;
    size_t size, count;
    FILE *stream = open_memstream(&text, &size);
    CHECK(stream != NULL);
    CHECK_HR(licbak_get_prop_count(r, &count), LICBAK_S_OK);
    for (size_t i = 0; i < count; i++) {
        char name[64], value[64];
        size_t name_size = sizeof name, value_size = sizeof value;
        licbak_datatype type;
        CHECK_HR(licbak_get_prop_by_index(r, i, name, &name_size, &type, (uint8_t *)value, &value_size), LICBAK_S_OK);
        fprintf(stream, "%s = %s\n", name, value);
    }
    fclose(stream);
    return text;
}

/* Gives every value that is left to every function, among restorers that live and one that is busy;
 * all of them and the process are afterwards what they were. */
static void torture_on(void *shared)
{
    struct torture *torture = shared;
    struct tickets t = {0};
    gate g;
    recorder rec = {.react = hold_at_begin, .gate = &g};
    gate_init(&g);
    for (int i = 0; i < SOME; i++) {
        t.gone[i] = bare();
    }
    for (int i = 0; i < SOME; i++) {
        CHECK_HR(licbak_destroy(t.gone[i]), LICBAK_S_OK);
        t.live[i] = restorer_for("store", "backups");
    }
    make_foreign(&t);
    void *on_heap = calloc(1, 4096);
    CHECK(on_heap != NULL);
    memset(on_heap, 0xFF, 2048);
    const void *addresses[] = {&t, &rec, on_heap, (char *)on_heap + 2048, &output, stdout, &environ, "text"};
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++) {
        t.addresses[t.address_count++] = (uint64_t)(uintptr_t)addresses[i];
    }
    t.addresses[t.address_count++] = (uint64_t)(uintptr_t)licbak_create; /* and the library's own code */
    start(licbak_backup_licenses, t.live[0], LICBAK_DRY_RUN, &rec);
    wait_for(&g.reached);
    output = fresh_output;
    char *before = properties_of(t.live[1]), *had_descriptors = descriptors();
    int had_threads = threads();
    long had_bytes = resident_bytes();

    while (torture->next < VALUES) {
        torture->value = value_number(&t, torture->next++);
        if (!refused_by_all(from_bits(torture->value), &torture->function) && torture->accepted++ == 0) {
            torture->accepted_by = torture->function;
            torture->first_accepted = torture->value;
        }
    }

    CHECK(memcmp(&output, &fresh_output, sizeof output) == 0);
    CHECK_INT(atomic_load(&host_calls), 0);
    CHECK(resident_bytes() - had_bytes < 1024 * 1024);
    CHECK_INT(threads(), had_threads);
    char *has_descriptors = descriptors();
    CHECK_TEXT(has_descriptors, had_descriptors);
    for (int i = 0; i < SOME; i++) {
        char *after = properties_of(t.live[i]);
        CHECK_TEXT(after, before);
        free(after);
    }
    sem_post(&g.open);
    CHECK_HR(end(t.live[0], &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 10);
    for (int i = 0; i < SOME; i++) {
        CHECK_HR(licbak_destroy(t.live[i]), LICBAK_S_OK);
        check_refused(t.live[i]);
    }
}

static void two_million_values(void)
{
    struct torture *torture = mmap(NULL, sizeof *torture, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(torture != MAP_FAILED);
    int crashed = 0, status = -1;
    char what[128] = "";
    while (status != 0 && crashed < 100) {
        fflush(NULL);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            torture_on(torture);
            _exit(0);
        }
        CHECK(waitpid(child, &status, 0) == child);
        if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
            check_clean();
            _exit(1); /* the child has said why */
        }
        if (WIFSIGNALED(status) && crashed++ == 0) {
            snprintf(what, sizeof what, "%s(0x%jx): %s", functions[torture->function].name, (uintmax_t)torture->value,
                     strsignal(WTERMSIG(status)));
        }
    }
    if (torture->accepted > 0) {
        snprintf(what, sizeof what, "%s(0x%jx) was accepted", functions[torture->accepted_by].name,
                 (uintmax_t)torture->first_accepted);
    }
    figure("2,000,000 values, each into each of %d entry points with arguments and with NULLs: accepted %lu, "
           "crashed %d", FUNCTION_COUNT, torture->accepted, crashed);
    CHECK_TEXT(what, "");
    CHECK_INT(torture->next, 2000000);
    munmap(torture, sizeof *torture);
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
        hr = licbak_set_prop_string(r, "StorePath", "x");
        CHECK(hr == LICBAK_S_OK || hr == LICBAK_E_HANDLE);
        licbak_hresult outcome;
        hr = licbak_wait(r, 0, &outcome);
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

/* How children of a process whose restorers run fare; shared with them. */
static struct forks {
    int children, hung, accepted;
} *forks;

static void works_in_child(void *parents)
{
    int function;
    forks->accepted += !refused_by_all(parents, &function);
    CHECK_HR(backup("store", "childs", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    CHECK_HR(verify("childs"), LICBAK_S_OK);
}

static void works_in_grandchild(void *parents)
{
    int function;
    forks->accepted += !refused_by_all(parents, &function);
    licbak_restorer *mine = bare();
    in_child(works_in_child, mine);
    CHECK_HR(licbak_destroy(mine), LICBAK_S_OK);
}

/* As in_child, but a child that hangs is counted. */
static void forked_off(void (*body)(void *), licbak_restorer *r)
{
    fflush(NULL);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        alarm(30);
        body(r);
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child);
    forks->children++;
    forks->hung += WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    CHECK_INT(WIFSIGNALED(status) && WTERMSIG(status) != SIGALRM ? WTERMSIG(status) : 0, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) != 0) {
        check_clean();
        _exit(1); /* the child has said why */
    }
}

static void forked(void)
{
    recorder rec = {0};
    licbak_restorer *r = restorer_for("store", "backups");
    forks = mmap(NULL, sizeof *forks, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(forks != MAP_FAILED);
    forked_off(works_in_child, r); /* before any operation */
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_S_OK);
    forked_off(works_in_grandchild, r);

    gate g; /* while one runs: its threads and what they hold are not in the child */
    gate_init(&g);
    rec.react = hold_at_begin;
    rec.gate = &g;
    start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
    wait_for(&g.reached);
    forked_off(works_in_child, r);
    sem_post(&g.open);
    CHECK_HR(end(r, &rec), LICBAK_S_OK);

    rec.react = NULL; /* and at any moment of two: a lock that is global to the library may be held */
    recorder other_rec = {0};
    make_dir("others");
    licbak_restorer *other = restorer_for("store", "others");
    for (int i = 0; i < 150 && forks->hung == 0; i++) {
        start(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec);
        start(licbak_backup_licenses, other, LICBAK_WM_BACKUP_OVERWRITE, &other_rec);
        usleep((unsigned)(i % 50 * 101));
        forked_off(works_in_child, r);
        CHECK_HR(end(r, &rec), LICBAK_S_OK);
        CHECK_HR(end(other, &other_rec), LICBAK_S_OK);
    }
    figure("forks, nearly all while operations run: children %d, hung %d, handles accepted %d", forks->children,
           forks->hung, forks->accepted);
    CHECK_INT(forks->hung, 0);
    CHECK_INT(forks->accepted, 0);
    munmap(forks, sizeof *forks);
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

    enum { LARGEST = 4096 };
    union {
        licbak_progress progress;
        uint8_t bytes[LARGEST + 64];
    } u;
    for (size_t size = 0; size <= LARGEST + 2; size++) {
        const size_t asked = size == LARGEST + 2 ? SIZE_MAX : size;
        memset(&u, 0x5A, sizeof u);
        u.progress.struct_size = asked;
        size_t written = sizeof asked; /* by the host itself */
        if (asked < sizeof(licbak_progress) || asked > LARGEST) {
            CHECK_HR(licbak_get_progress(r, &u.progress), LICBAK_E_INVALIDARG);
            CHECK(u.progress.struct_size == asked);
        } else {
            last.struct_size = written = asked; /* a later host's is larger */
            CHECK_HR(licbak_get_progress(r, &u.progress), LICBAK_S_OK);
            CHECK(memcmp(&u.progress, &last, sizeof last) == 0);
            for (size_t i = sizeof last; i < written; i++) {
                CHECK(u.bytes[i] == 0);
            }
        }
        for (size_t i = written; i < sizeof u.bytes; i++) {
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
    two_million_values();
    never_again();
    two_threads();
    destroyed_under_a_thread();
    forked();
    progress_sizes();
    return finish();
}
