/* Running an operation to its end, and keeping what it told.
 *
 * The recorder is a status callback that holds the library to the rules that every operation must
 * keep: BEGIN first, END once and last, one event at a time and all on one thread, values as their
 * status says, figures that never fall, ERROR exactly where a failure wants it. So each run of any
 * test checks them.
 */
#ifndef RECORDER_H
#define RECORDER_H

#include "tree.h"

#define FOREVER 0xFFFFFFFFu

typedef licbak_hresult(LICBAK_CALL *operation)(licbak_restorer *, uint32_t, licbak_status_callback, void *);

typedef struct event {
    licbak_status status;
    licbak_hresult hr;
    char *text;               /* of a STRING, else NULL */
    licbak_progress progress; /* of PROGRESS and END */
} event;

/* Lets a test hold a callback: the callback posts `reached` and waits for `open`. */
typedef struct gate {
    semaphore reached, open;
} gate;

typedef struct recorder recorder;
struct recorder {
    /* The test's: what the callback does with an event, and returns; NULL: nothing, S_OK. */
    licbak_hresult (*react)(recorder *, const event *);
    licbak_restorer *restorer;
    gate *gate;
    void *other;
    bool may_roll_back;   /* a restore into a database, which in the end may have done nothing */
    bool on_any_thread;   /* that waits: one after the other tells */
    bool keeps_going;     /* it was started with LICBAK_KEEP_GOING */
    bool may_begin_again; /* once: into a new one, which another makes meanwhile */

    /* The recorder's own. A test reads them when the operation is over. */
    event *events;
    size_t count, room;
    thread_number thread;
    atomic_bool inside, ended;
    bool failed; /* the callback has returned a failure before END or ERROR */
};

static inline void gate_init(gate *g)
{
    CHECK(make_semaphore(&g->reached) && make_semaphore(&g->open));
}

static inline void wait_for(semaphore *waited)
{
    CHECK(wait_semaphore(waited));
}

/* Reactions that several tests use. */
static inline licbak_hresult hold_at_begin(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        post_semaphore(&rec->gate->reached);
        wait_for(&rec->gate->open);
    }
    return LICBAK_S_OK;
}

/* -- recording ------------------------------------------------------------------------------------------- */

static inline void forget(recorder *rec)
{
    for (size_t i = 0; i < rec->count; i++) {
        free(rec->events[i].text);
    }
    free(rec->events);
    rec->events = NULL;
    rec->count = rec->room = 0;
    rec->failed = false;
    atomic_store(&rec->ended, false);
}

/* -- calls in wait --------------------------------------------------------------------------------------- */

/* With CALL_IN_WAIT=1 in its environment a program starts each operation with LICBAK_CALL_IN_WAIT.
 * A thread of the host's own is then in licbak_wait as long as the operation runs, beside those of
 * the test. */
static inline bool calls_in_wait(void)
{
    return getenv("CALL_IN_WAIT") != NULL;
}

/* This thread is in licbak_wait. */
static _Thread_local bool waits;

static inline licbak_hresult wait_in(licbak_restorer *r, uint32_t timeout, licbak_hresult *outcome)
{
    const bool waited = waits; /* which a function of the host may try, too */
    waits = true;
    licbak_hresult hr = licbak_wait(r, timeout, outcome);
    waits = waited;
    return hr;
}

#define licbak_wait(restorer, timeout, outcome) wait_in(restorer, timeout, outcome)

static inline void *wait_beside(void *restorer)
{
    wait_in(restorer, FOREVER, NULL);
    return NULL;
}

/* Starts an operation in the way that the environment wants. */
static inline licbak_hresult start_by(operation op, licbak_restorer *r, uint32_t flags, licbak_status_callback callback,
                                      void *context)
{
    thread waiter;
    licbak_hresult hr = op(r, flags | (calls_in_wait() ? LICBAK_CALL_IN_WAIT : 0), callback, context);
    if (hr == LICBAK_S_OK && calls_in_wait()) {
        CHECK(start_thread(&waiter, wait_beside, r) && detach_thread(waiter));
    }
    return hr;
}

static inline void check_value(const event *e, licbak_datatype type, const uint8_t *value, size_t size)
{
    CHECK(value != NULL);
    switch (e->status) {
    case LICBAK_WMT_BACKUPRESTORE_BEGIN:
    case LICBAK_WMT_INDIVIDUALIZE:
    case LICBAK_WMT_NEEDS_INDIVIDUALIZATION:
    case LICBAK_WMT_BACKUPRESTORE_CONNECTING:
    case LICBAK_WMT_BACKUPRESTORE_DISCONNECTING:
        CHECK_HR(e->hr, LICBAK_S_OK);
        CHECK_INT(type, LICBAK_WMT_TYPE_DWORD);
        CHECK_INT(size, 4);
        CHECK((uintptr_t)value % _Alignof(uint32_t) == 0);
        CHECK_INT(*(const uint32_t *)(const void *)value, 0);
        break;
    case LICBAK_STATUS_PROGRESS:
    case LICBAK_WMT_BACKUPRESTORE_END:
        CHECK_INT(type, LICBAK_WMT_TYPE_BINARY);
        CHECK(size >= sizeof(licbak_progress));
        CHECK((uintptr_t)value % _Alignof(licbak_progress) == 0);
        CHECK_INT(((const licbak_progress *)(const void *)value)->struct_size, size);
        break;
    case LICBAK_WMT_RESTRICTED_LICENSE:
    case LICBAK_STATUS_LICENSE_KEPT:
    case LICBAK_STATUS_LICENSE_LEFT_OUT:
    case LICBAK_STATUS_LICENSE_DAMAGED:
    case LICBAK_WMT_ERROR:
    case LICBAK_WMT_ERROR_WITHURL:
        CHECK_INT(type, LICBAK_WMT_TYPE_STRING);
        CHECK_INT(strlen((const char *)value), size);
        CHECK(size > 0);
        if (e->status == LICBAK_STATUS_LICENSE_DAMAGED) {
            CHECK_HR(e->hr, LICBAK_NS_E_DRM_BACKUP_CORRUPT);
        } else if (e->status == LICBAK_WMT_ERROR || e->status == LICBAK_WMT_ERROR_WITHURL) {
            CHECK(e->hr < 0);
        } else {
            CHECK_HR(e->hr, LICBAK_S_FALSE);
        }
        break;
    default:
        check_fail(__FILE__, __LINE__, "status: expected one of the contract, got 0x%X", (unsigned)e->status);
    }
}

static inline void check_figures(recorder *rec, const licbak_progress *earlier, const licbak_progress *later)
{
    if (later->licenses_done < earlier->licenses_done && rec->may_begin_again) {
        rec->may_begin_again = false;
    } else {
        CHECK(later->licenses_done >= earlier->licenses_done || (rec->may_roll_back && later->licenses_done == 0));
    }
    CHECK(later->phase >= LICBAK_PHASE_LISTING && later->phase <= LICBAK_PHASE_COMMITTING);
    CHECK(later->phase_total == 0 || later->phase_done <= later->phase_total);
    CHECK_INT(later->reserved, 0);
    CHECK(later->licenses_skipped == 0 || rec->keeps_going);
    CHECK(later->licenses_skipped >= earlier->licenses_skipped || rec->may_roll_back);
}

static inline licbak_hresult LICBAK_CALL record(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                                const uint8_t *value, size_t size, void *context)
{
    recorder *rec = context;
    CHECK(!atomic_exchange(&rec->inside, true)); /* one at a time */
    CHECK(!atomic_load(&rec->ended));            /* nothing after END */
    CHECK((rec->count == 0) == (status == LICBAK_WMT_BACKUPRESTORE_BEGIN));
    if (calls_in_wait()) {
        CHECK(waits);
    } else if (rec->count == 0) {
        rec->thread = this_thread();
    } else if (!rec->on_any_thread) {
        CHECK(same_thread(rec->thread, this_thread()));
    }
    if (rec->failed) {
        CHECK_INT(status, LICBAK_WMT_BACKUPRESTORE_END); /* only END comes after a callback's failure */
    }

    event e = {status, hr, NULL, {0}};
    check_value(&e, type, value, size);
    if (type == LICBAK_WMT_TYPE_STRING) {
        e.text = strdup((const char *)value);
        CHECK(e.text != NULL);
        if (status == LICBAK_WMT_ERROR) {
            snprintf(check_said, sizeof check_said, "%s", e.text);
        }
    } else if (type == LICBAK_WMT_TYPE_BINARY) {
        memcpy(&e.progress, value, sizeof e.progress);
        for (size_t i = rec->count; i-- > 0;) {
            if (rec->events[i].status == LICBAK_STATUS_PROGRESS) {
                check_figures(rec, &rec->events[i].progress, &e.progress);
                break;
            }
        }
    }
    if (rec->count == rec->room) {
        rec->room = rec->room * 2 + 64;
        rec->events = realloc(rec->events, rec->room * sizeof *rec->events);
        CHECK(rec->events != NULL);
    }
    rec->events[rec->count++] = e;

    licbak_hresult answer = rec->react != NULL ? rec->react(rec, &e) : LICBAK_S_OK;
    if (status == LICBAK_WMT_BACKUPRESTORE_END) {
        atomic_store(&rec->ended, true);
    } else if (answer < 0 && answer != LICBAK_E_NOTIMPL && status != LICBAK_WMT_ERROR) {
        rec->failed = true;
    }
    atomic_store(&rec->inside, false);
    return answer;
}

/* -- asking what was told -------------------------------------------------------------------------------- */

static inline size_t count_of(const recorder *rec, licbak_status status)
{
    size_t count = 0;
    for (size_t i = 0; i < rec->count; i++) {
        count += rec->events[i].status == status;
    }
    return count;
}

/* How often a status came with a text that begins so. */
static inline size_t told(const recorder *rec, licbak_status status, const char *start)
{
    size_t count = 0;
    for (size_t i = 0; i < rec->count; i++) {
        count += rec->events[i].status == status && strncmp(rec->events[i].text, start, strlen(start)) == 0;
    }
    return count;
}

static inline licbak_progress final_figures(const recorder *rec)
{
    CHECK(rec->count > 0);
    CHECK_INT(rec->events[rec->count - 1].status, LICBAK_WMT_BACKUPRESTORE_END);
    return rec->events[rec->count - 1].progress;
}

/* The sentence of the last failure; it stands until the next call on this thread. */
static inline const char *error_message(licbak_restorer *r)
{
    static _Thread_local char text[65536];
    size_t size = sizeof text;
    CHECK_HR(licbak_get_error_message(r, text, &size), LICBAK_S_OK);
    CHECK_INT(size, strlen(text) + 1);
    return text;
}

/* -- running --------------------------------------------------------------------------------------------- */

/* Begins an operation that the call must not refuse. */
static inline void start(operation op, licbak_restorer *r, uint32_t flags, recorder *rec)
{
    forget(rec);
    rec->restorer = r;
    rec->keeps_going = (flags & LICBAK_KEEP_GOING) != 0;
    CHECK_HR(start_by(op, r, flags, record, rec), LICBAK_S_OK);
}

/* Waits for an operation's end, gives its outcome, and checks what an end must look like. */
static inline licbak_hresult end(licbak_restorer *r, recorder *rec)
{
    licbak_hresult outcome = LICBAK_E_UNEXPECTED;
    CHECK_HR(wait_in(r, FOREVER, &outcome), LICBAK_S_OK);
    CHECK(atomic_load(&rec->ended) && !atomic_load(&rec->inside));
    const event *last = &rec->events[rec->count - 1];
    CHECK_INT(last->status, LICBAK_WMT_BACKUPRESTORE_END);
    CHECK_HR(last->hr, outcome);
    CHECK(outcome < 0 || outcome == (last->progress.licenses_skipped > 0 ? LICBAK_S_FALSE : LICBAK_S_OK));
    if (outcome < 0 && outcome != LICBAK_NS_E_DRM_OPERATION_CANCELED && !rec->failed) {
        CHECK_INT(count_of(rec, LICBAK_WMT_ERROR), 1);
        CHECK_INT(last[-1].status, LICBAK_WMT_ERROR);
        CHECK_HR(last[-1].hr, outcome);
        CHECK_TEXT(error_message(r), last[-1].text);
    } else {
        CHECK_INT(count_of(rec, LICBAK_WMT_ERROR), 0);
    }
    if (outcome >= 0) {
        CHECK_TEXT(error_message(r), "");
    }
    return outcome;
}

/* Runs an operation: the code of a refused call, with no event, or the outcome. */
static inline licbak_hresult run(operation op, licbak_restorer *r, uint32_t flags, recorder *rec)
{
    forget(rec);
    rec->restorer = r;
    rec->keeps_going = (flags & LICBAK_KEEP_GOING) != 0;
    licbak_hresult hr = start_by(op, r, flags, record, rec);
    if (hr != LICBAK_S_OK) {
        CHECK(hr < 0);
        CHECK_INT(rec->count, 0);
        CHECK(error_message(r)[0] != '\0');
        return hr;
    }
    return end(r, rec);
}

/* -- encrypted backups, whose folders have names that begin with "sealed" -- */

/* Of the tests of the crate `age`, and of the pages of the program `rage`. */
#define RECIPIENT "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa"
#define IDENTITY "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33"

static inline bool is_sealed(const char *backups)
{
    return strncmp(backups, "sealed", strlen("sealed")) == 0;
}

static inline licbak_hresult set_keys(licbak_restorer *r)
{
    licbak_hresult hr = licbak_set_prop_string(r, "Recipients", RECIPIENT);
    return hr < 0 ? hr : licbak_set_prop_string(r, "Identities", IDENTITY);
}

static inline licbak_restorer *restorer_for(const char *store, const char *backups)
{
    licbak_restorer *r = NULL;
    CHECK_HR(licbak_create(&r), LICBAK_S_OK);
    CHECK_HR(is_sealed(backups) ? set_keys(r) : LICBAK_S_OK, LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", store), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", backups), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", backups), LICBAK_S_OK);
    return r;
}

static inline licbak_hresult run_once(operation op, const char *store, const char *backups, uint32_t flags)
{
    licbak_restorer *r = restorer_for(store, backups);
    recorder rec = {.may_roll_back = strstr(store, ".db") != NULL};
    licbak_hresult hr = run(op, r, flags, &rec);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return hr;
}

static inline licbak_hresult backup(const char *store, const char *backups, uint32_t flags)
{
    return run_once(licbak_backup_licenses, store, backups, flags);
}

static inline licbak_hresult restore(const char *store, const char *backups, uint32_t flags)
{
    return run_once(licbak_restore_licenses, store, backups, flags);
}

static inline licbak_hresult verify(const char *backups)
{
    return run_once(licbak_verify_backup, "unused", backups, 0);
}

/* The name of each licence that is denied follows its key ID, but for progress that is due just then. */
static inline void check_names_follow(const recorder *rec)
{
    for (size_t i = 0; i < rec->count; i++) {
        if (rec->events[i].status == LICBAK_WMT_RESTRICTED_LICENSE) {
            size_t next = i + 1;
            while (rec->events[next].status == LICBAK_STATUS_PROGRESS) {
                next++;
            }
            CHECK_INT(rec->events[next].status, LICBAK_STATUS_LICENSE_LEFT_OUT);
        }
    }
}

#endif
