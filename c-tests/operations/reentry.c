/* Every function of the library, called from inside every function of the host, on restorers in
 * every state.
 *
 * A case is one such call. It must answer what the contract says; nobody may wait for ever; every
 * operation that had begun ends once, and its host hears nothing after that. With CALL_IN_WAIT=1
 * the host's functions are those of a thread that waits; then it is a sample of the cases.
 */
#include "../support/functions.h"
#include "../support/host.h"
#include "../support/process.h"

#include <signal.h>

#define CANCELED LICBAK_NS_E_DRM_OPERATION_CANCELED
#define BUSY LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY

/* -- the axes -------------------------------------------------------------------------------------------- */

/* Where the host is when it calls: in its status callback, its list callback, or its store. */
static const struct place {
    const char *name;
    operation op; /* that leads there; NULL: a list */
    licbak_status status;
    const char *function; /* of the host's store */
    const char *store;    /* NULL: the host's */
    const char *backups;  /* NULL: intact ones */
    licbak_hresult outcome; /* where nothing stops it */
    bool concluded;         /* too late to stop it */
    bool lists;             /* and there, in the callback of a list */
} places[] = {
    {"BEGIN", licbak_backup_licenses, .status = LICBAK_WMT_BACKUPRESTORE_BEGIN, .store = "linked"},
    {"PROGRESS", licbak_backup_licenses, .status = LICBAK_STATUS_PROGRESS},
    {"RESTRICTED", licbak_backup_licenses, .status = LICBAK_WMT_RESTRICTED_LICENSE},
    {"LEFT_OUT", licbak_backup_licenses, .status = LICBAK_STATUS_LICENSE_LEFT_OUT, .store = "linked"},
    {"KEPT", licbak_restore_licenses, .status = LICBAK_STATUS_LICENSE_KEPT, .store = "differs"},
    {"DAMAGED", licbak_verify_backup, .status = LICBAK_STATUS_LICENSE_DAMAGED, .store = "store", .backups = "damaged",
     .outcome = LICBAK_NS_E_DRM_BACKUP_CORRUPT},
    {"ERROR", licbak_backup_licenses, .status = LICBAK_WMT_ERROR, .store = "absent", .concluded = true,
     .outcome = LICBAK_HRESULT_ERROR_PATH_NOT_FOUND},
    {"END", licbak_backup_licenses, .status = LICBAK_WMT_BACKUPRESTORE_END, .store = "linked", .concluded = true},
    {"a list", NULL, .store = "store"},
    {"a list inside BEGIN", licbak_verify_backup, .status = LICBAK_WMT_BACKUPRESTORE_BEGIN, .store = "store",
     .lists = true},
    {"enumerate", licbak_backup_licenses, .function = "enumerate"},
    {"get", licbak_restore_licenses, .function = "get"},
    {"put", licbak_restore_licenses, .function = "put"},
    {"merge", licbak_restore_licenses, .function = "merge"},
    {"authorize", licbak_restore_licenses, .function = "authorize", .store = "differs"},
    {"CONNECTING", licbak_restore_licenses, .status = LICBAK_WMT_BACKUPRESTORE_CONNECTING, .store = "differs"},
    {"ERROR_WITHURL", licbak_restore_licenses, .status = LICBAK_WMT_ERROR_WITHURL, .store = "refused",
     .outcome = LICBAK_NS_E_DRM_RESTORE_FRAUD},
};
enum { PLACES = sizeof places / sizeof places[0] };

/* What the function is called on: the restorer that the host's function belongs to, or another. */
enum state { THIS, THIS_CANCELED, THIS_DESTROYED, IDLE, RUNNING, RUNNING_CANCELED, RUNNING_DESTROYED, STATES };
static const char *const state_names[] = {
    "this restorer", "this restorer, canceled", "this restorer, destroyed", "another, idle",
    "another, running", "another, running and canceled", "another, running and destroyed",
};

enum { N_create = FUNCTION_COUNT }; /* the one that is called on nothing */

/* -- a case ---------------------------------------------------------------------------------------------- */

typedef struct reentry reentry;

/* One operation, and what its host has heard. */
typedef struct party {
    licbak_restorer *r;
    reentry *acts; /* the case that makes its call in here */
    gate *gate;    /* where it is held at BEGIN */
    bool is_started; /* inside a function of the host, where no thread can wait for it */
    struct party *before; /* the operation in whose end it was begun, on the same restorer */
    atomic_int ends, late, early;
    atomic_bool inside, over;
    licbak_hresult outcome;
    sem_t ended;
} party;

struct reentry {
    const struct place *place;
    enum state state;
    int function;
    party self, other, started; /* the third: an operation that the call has begun */
    gate gate;
    host host;
    sem_t progress_told;
    atomic_bool acted; /* the status callback looks while the store's function may set it on another thread */
    licbak_hresult answer;
    reentry *next; /* all cases are kept, so that a late callback can be counted */
};

static int cases;
static reentry *all;
static char now[160]; /* the case that runs, for the watchdog */

static const char *function_name(int function)
{
    return function == N_create ? "licbak_create" : functions[function].name;
}

static bool is_gone(const reentry *c)
{
    return c->state == THIS_DESTROYED || c->state == RUNNING_DESTROYED;
}

static bool is_start(int function)
{
    return function == N_licbak_backup_licenses || function == N_licbak_restore_licenses ||
           function == N_licbak_restore_license || function == N_licbak_verify_backup;
}

/* The operation on the restorer that is called, NULL if there is none: one that tells its end is
 * over. */
static operation running_there(const reentry *c)
{
    bool ends = c->place->status == LICBAK_WMT_BACKUPRESTORE_END;
    return c->state == IDLE ? NULL : c->state > IDLE ? licbak_backup_licenses : ends ? NULL : c->place->op;
}

static bool can_be_stopped(const reentry *c)
{
    return running_there(c) != NULL && (c->state > IDLE || !c->place->concluded);
}

/* What the contract says. */
static licbak_hresult expected(const reentry *c)
{
    operation there = running_there(c);
    if (c->function == N_create) {
        return LICBAK_S_OK;
    }
    if (is_gone(c)) {
        return LICBAK_E_HANDLE;
    }
    if (is_start(c->function) || c->function == N_licbak_set_store || c->function == N_licbak_set_authorizer) {
        return there != NULL ? BUSY : LICBAK_S_OK;
    }
    switch (c->function) {
    case N_licbak_wait:
        return LICBAK_E_ILLEGAL_METHOD_CALL;
    case N_licbak_cancel:
        return can_be_stopped(c) ? LICBAK_S_OK : LICBAK_S_FALSE;
    case N_licbak_cancel_license_backup:
        return can_be_stopped(c) && there == licbak_backup_licenses ? LICBAK_S_OK : LICBAK_S_FALSE;
    case N_licbak_cancel_license_restore:
        return can_be_stopped(c) && there == licbak_restore_licenses ? LICBAK_S_OK : LICBAK_S_FALSE;
    default:
        return LICBAK_S_OK;
    }
}

/* Whether the case stops what runs on the restorer that is called. */
static bool stops(const reentry *c)
{
    bool canceled = c->answer == LICBAK_S_OK &&
                    (c->function == N_licbak_cancel || c->function == N_licbak_cancel_license_backup ||
                     c->function == N_licbak_cancel_license_restore || c->function == N_licbak_destroy);
    return can_be_stopped(c) && (canceled || (c->state != THIS && c->state != RUNNING));
}

static bool destroys(const reentry *c)
{
    return is_gone(c) || c->function == N_licbak_destroy;
}

/* -- the host's functions -------------------------------------------------------------------------------- */

static licbak_hresult LICBAK_CALL on_status(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                            const uint8_t *value, size_t size, void *context);

static licbak_hresult LICBAK_CALL allow(const licbak_backup_info *info, char *url, size_t size, void *context)
{
    (void)info, (void)url, (void)size, (void)context;
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL take(const licbak_license *license, void *context)
{
    (void)context;
    CHECK(license->name != NULL);
    return LICBAK_S_OK;
}

/* The call that the case is about. */
static void act(reentry *c)
{
    static _Thread_local char name[4096], value[4096];
    size_t count, name_size = sizeof name, size = sizeof value;
    licbak_datatype type;
    licbak_hresult outcome;
    licbak_progress progress = {.struct_size = sizeof progress};
    licbak_backup_info info = {.struct_size = sizeof info};
    intptr_t descriptor = -1;
    licbak_store store = store_of(&c->host);
    const arguments a = {
        .property = "RestorePath", .text = "x", .key_id = "0", .value = (uint8_t *)value, .name = name,
        .count = &count, .name_size = &name_size, .size = &size, .type = &type, .backup_flags = LICBAK_DRY_RUN, .status = on_status,
        .license = take, .context = &c->started, .outcome = &outcome, .progress = &progress, .info = &info,
        .descriptor = &descriptor, .store = &store, .authorize = allow,
    };
    licbak_restorer *r = c->state < IDLE ? c->self.r : c->other.r, *made = NULL;
    c->acted = true;
    if (c->state == THIS_CANCELED || c->state == RUNNING_CANCELED) {
        CHECK_HR(licbak_cancel(r), can_be_stopped(c) ? LICBAK_S_OK : LICBAK_S_FALSE);
    }
    if (is_gone(c)) {
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    if (c->function == N_create) {
        c->answer = licbak_create(&made);
        CHECK_HR(licbak_set_prop_string(made, "StorePath", "x"), LICBAK_S_OK);
        CHECK_HR(licbak_destroy(made), LICBAK_S_OK);
    } else {
        c->answer = functions[c->function].call(r, &a);
    }
    if (c->answer != expected(c)) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "%s", hresult_name(expected(c)));
        check_fail(__FILE__, __LINE__, "%s: expected %s, got %s", now, wanted, hresult_name(c->answer));
    }
    CHECK_HR(licbak_get_prop_count(r, &count), destroys(c) ? LICBAK_E_HANDLE : LICBAK_S_OK);
}

static licbak_hresult LICBAK_CALL listed_inside(const licbak_license *license, void *context)
{
    reentry *c = context;
    (void)license;
    if (!c->acted) {
        act(c);
    }
    return LICBAK_S_OK;
}

static licbak_hresult list_self(reentry *c)
{
    licbak_hresult hr = licbak_list_backup(c->self.r, listed_inside, c);
    CHECK_HR(hr, c->state < IDLE && destroys(c) ? LICBAK_E_HANDLE : LICBAK_S_OK);
    return hr;
}

static licbak_hresult LICBAK_CALL on_status(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                            const uint8_t *value, size_t size, void *context)
{
    party *p = context;
    reentry *c = p->acts;
    (void)type, (void)value, (void)size;
    CHECK(!calls_in_wait() || p->is_started || waits);
    atomic_store(&p->inside, true);
    atomic_fetch_add(&p->early, p->before != NULL && atomic_load(&p->before->inside));
    atomic_fetch_add(&p->late, atomic_load(&p->over) || atomic_load(&p->ends) > 0);
    if (status == LICBAK_WMT_BACKUPRESTORE_BEGIN && p->gate != NULL) {
        sem_post(&p->gate->reached);
        wait_for(&p->gate->open);
    }
    if (c != NULL && !c->acted && c->place->function == NULL && status == c->place->status) {
        if (c->place->lists) {
            list_self(c);
        } else {
            act(c);
        }
        sem_post(&c->progress_told);
        sleep_ms(is_start(c->function) ? 5 : 0); /* time for what it began to come too early */
    }
    if (status == LICBAK_WMT_BACKUPRESTORE_END) {
        p->outcome = hr;
        atomic_fetch_add(&p->ends, 1);
        sem_post(&p->ended);
    }
    atomic_store(&p->inside, false);
    return LICBAK_S_OK;
}

static licbak_hresult in_store(host *h, const char *function, const char *name)
{
    reentry *c = h->other;
    (void)name;
    CHECK(!calls_in_wait() || waits);
    if (c->place->status == LICBAK_STATUS_PROGRESS && calls_in_wait()) {
        sleep_ms(100); /* it is told by this thread: by emit, where it is due */
    } else if (c->place->status == LICBAK_STATUS_PROGRESS) {
        wait_for(&c->progress_told); /* else the operation may be over before progress is due */
    } else if (!c->acted && c->place->function != NULL && strcmp(c->place->function, function) == 0) {
        act(c);
    }
    return LICBAK_S_OK;
}

static licbak_hresult keep_mine(host *h, const licbak_license *mine, const licbak_license *theirs,
                                licbak_license_callback emit, void *emit_context)
{
    (void)h, (void)mine, (void)theirs, (void)emit, (void)emit_context;
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL authorize(const licbak_backup_info *info, char *url, size_t size, void *context)
{
    reentry *c = context;
    (void)info, (void)size;
    if (!c->acted && c->place->function != NULL && strcmp(c->place->function, "authorize") == 0) {
        act(c);
    }
    strcpy(url, "https://example.com/");
    return c->place->outcome;
}

/* -- running a case -------------------------------------------------------------------------------------- */

/* Sees an operation to its end; from here on nothing may be told any more. */
static void see_off(party *p, bool destroyed, licbak_hresult outcome)
{
    wait_for(&p->ended);
    if (!destroyed) {
        licbak_hresult waited;
        CHECK_HR(licbak_wait(p->r, FOREVER, &waited), LICBAK_S_OK);
        CHECK_HR(waited, p->outcome);
    }
    while (atomic_load(&p->inside)) {
        sleep_ms(1);
    }
    atomic_store(&p->over, true);
    if (p->outcome != outcome) {
        char wanted[64];
        snprintf(wanted, sizeof wanted, "%s", hresult_name(outcome));
        check_fail(__FILE__, __LINE__, "%s: expected its operation to end with %s, got %s", now, wanted,
                   hresult_name(p->outcome));
    }
}

static void check_destroy(party *p, bool destroyed)
{
    CHECK_HR(licbak_destroy(p->r), destroyed ? LICBAK_E_HANDLE : LICBAK_S_OK);
}

static void begin_self(reentry *c)
{
    const struct place *place = c->place;
    uint32_t flags = place->op == licbak_backup_licenses ? LICBAK_WM_BACKUP_OVERWRITE : 0;
    const char *backups = place->backups != NULL ? place->backups : "backups";
    c->self.r = restorer_for(place->store != NULL ? place->store : "unused", backups);
    CHECK_HR(licbak_set_prop_string(c->self.r, "BackupPath", "out"), LICBAK_S_OK);
    c->self.acts = c;
    if (place->store == NULL) {
        c->host.inside = in_store;
        c->host.other = c;
        if (place->op == licbak_backup_licenses) {
            host_add(&c->host, "one", NULL, "1", 1, LICBAK_RIGHT_UNSTATED);
            host_add(&c->host, "two", NULL, "2", 1, LICBAK_RIGHT_DENIED);
        }
        if (place->function != NULL && strcmp(place->function, "merge") == 0) {
            host_add(&c->host, "1.lic", NULL, "a version in use", 1, LICBAK_RIGHT_UNSTATED);
            c->host.merge = keep_mine;
        }
        licbak_store store = store_of(&c->host);
        CHECK_HR(licbak_set_store(c->self.r, &store), LICBAK_S_OK);
    }
    if (place->op == licbak_restore_licenses) {
        CHECK_HR(licbak_set_authorizer(c->self.r, authorize, c), LICBAK_S_OK);
    }
    if (place->op != NULL) {
        CHECK_HR(start_by(place->op, c->self.r, flags, on_status, &c->self), LICBAK_S_OK);
    } else {
        list_self(c);
    }
}

static void run_case(const struct place *place, enum state state, int function)
{
    reentry *c = calloc(1, sizeof *c);
    CHECK(c != NULL);
    *c = (reentry){.place = place, .state = state, .function = function, .next = all};
    all = c;
    cases++;
    gate_init(&c->gate);
    CHECK(sem_init(&c->self.ended, 0, 0) == 0 && sem_init(&c->other.ended, 0, 0) == 0);
    CHECK(sem_init(&c->started.ended, 0, 0) == 0 && sem_init(&c->progress_told, 0, 0) == 0);
    snprintf(now, sizeof now, "%s on %s, inside %s", function_name(function), state_names[state], place->name);
    alarm(emulated() ? 240 : 30); /* the watchdog's */

    c->other.r = restorer_for("store", "backups");
    c->started.r = state < IDLE ? NULL : c->other.r;
    if (state > IDLE) {
        c->other.gate = &c->gate;
        CHECK_HR(start_by(licbak_backup_licenses, c->other.r, LICBAK_DRY_RUN, on_status, &c->other), LICBAK_S_OK);
        wait_for(&c->gate.reached);
    }
    c->started.is_started = true;
    c->started.before = state < IDLE ? &c->self : NULL;
    begin_self(c);
    bool self_destroyed = state < IDLE && destroys(c), other_destroyed = state >= IDLE && destroys(c);
    if (place->op != NULL) {
        wait_for(&c->self.ended);
        sem_post(&c->self.ended);
        CHECK(c->acted);
        see_off(&c->self, self_destroyed, state < IDLE && stops(c) ? CANCELED : place->outcome);
    }
    CHECK(c->acted);
    if (is_start(function) && c->answer == LICBAK_S_OK) {
        c->started.r = state < IDLE ? c->self.r : c->other.r;
        see_off(&c->started, false, LICBAK_S_OK);
        CHECK_INT(atomic_load(&c->started.ends), 1);
    }
    if (state > IDLE) {
        sem_post(&c->gate.open);
        see_off(&c->other, other_destroyed, stops(c) ? CANCELED : LICBAK_S_OK);
    }
    check_destroy(&c->self, self_destroyed);
    check_destroy(&c->other, other_destroyed);
    host_forget(&c->host);
    CHECK(strcmp(entries("out"), "licenses.tar.zst") == 0 || strcmp(entries("out"), "") == 0);
}

static void deadlock(int signal)
{
    (void)signal;
    static const char text[] = "reentry: a deadlock: ";
    _exit(write(check_stderr, text, sizeof text - 1) < 0 || write(check_stderr, now, strlen(now)) < 0 ||
          write(check_stderr, "\n", 1) < 0 || true);
}

/* A backup of the store with one byte of a licence's content altered. */
static void make_damaged(void)
{
    size_t size;
    uint8_t *bytes = read_file("backups/licenses.tar.zst", &size);
    bytes[size / 3] ^= 0xFF;
    write_file("damaged/licenses.tar.zst", bytes, size);
    free(bytes);
}

int main(void)
{
    begin("reentry");
    struct sigaction watchdog = {.sa_handler = deadlock};
    CHECK(sigaction(SIGALRM, &watchdog, NULL) == 0);
    for (int i = 0; i < 3; i++) {
        char path[64];
        snprintf(path, sizeof path, "store/%d.lic", i);
        write_noise(path, 4000, (uint64_t)i);
    }
    make_dir("backups");
    make_dir("out");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    make_damaged();
    write_text("differs/0.lic", "a version in use");
    make_store("linked", 3);
    CHECK(symlink("nowhere", "linked/link") == 0);
    char *had_descriptors = descriptors();

    int number = 0;
    const int step = calls_in_wait() && !torture() ? 5 : 1; /* prime to both counts: all come */
    for (int place = 0; place < PLACES; place++) {
        for (int state = 0; state < STATES; state++) {
            for (int function = 0; function < FUNCTION_COUNT; function++) {
                if (number++ % step == 0) {
                    run_case(&places[place], state, function);
                }
            }
        }
        run_case(&places[place], IDLE, N_create);
    }

    CHECK_INT(threads_settled(THREADS_AT_REST), THREADS_AT_REST); /* nobody is left who could call back */
    char *has_descriptors = descriptors();
    CHECK_TEXT(has_descriptors, had_descriptors);
    int late = 0, early = 0, other_than_once = 0;
    for (reentry *c = all; c != NULL; c = c->next) {
        party *const parties[] = {&c->self, &c->other, &c->started};
        const bool began[] = {c->place->op != NULL, c->state > IDLE, is_start(c->function) && c->answer == LICBAK_S_OK};
        for (int i = 0; i < 3; i++) {
            late += atomic_load(&parties[i]->late);
            early += atomic_load(&parties[i]->early);
            other_than_once += atomic_load(&parties[i]->ends) != began[i];
        }
    }
    figure("every function inside every function of the host: cases %d, deadlocks 0, late callbacks %d, "
           "early ones %d, END other than once %d", cases, late, early, other_than_once);
    CHECK_INT(late, 0);
    CHECK_INT(early, 0);
    CHECK_INT(other_than_once, 0);
    free(has_descriptors);
    free(had_descriptors);
    while (all != NULL) {
        reentry *c = all;
        all = c->next;
        free(c);
    }
    return finish();
}
