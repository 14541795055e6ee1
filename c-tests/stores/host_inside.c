/* A host that stops the library from inside its store's functions, or blocks there. What else it
 * may call is reentry.c's. */
#include "../support/host.h"

#define CANCELED LICBAK_NS_E_DRM_OPERATION_CANCELED

/* A small licence of its own name, which lives until the next. */
static licbak_license numbered(int number)
{
    static char name[32];
    snprintf(name, sizeof name, "%d", number);
    return (licbak_license){sizeof(licbak_license), name, NULL, (const uint8_t *)"x", 1, 1, 0, 0};
}

/* -- cancel and destroy ---------------------------------------------------------------------------------- */

static const char *const functions[] = {"enumerate", "get", "put"};

enum { LICENSES = 2000, STOP_AT = 700 };

struct stop {
    bool destroy;
    const char *function; /* in which call of it: the STOP_AT-th */
    int after;            /* what the library did after that */
};

static void stop_now(const struct stop *s, licbak_restorer *r)
{
    size_t count;
    CHECK_HR(s->destroy ? licbak_destroy(r) : licbak_cancel(r), LICBAK_S_OK);
    CHECK_HR(licbak_get_prop_count(r, &count), s->destroy ? LICBAK_E_HANDLE : LICBAK_S_OK);
}

/* Emits for ever: what ends it is that emit fails, soon after the cancel. */
static licbak_hresult give_for_ever(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    struct stop *s = h->other;
    CHECK(name == NULL);
    for (int i = 0;; i++) {
        licbak_license license = numbered(i);
        if (i == STOP_AT) {
            stop_now(s, h->restorer);
        }
        licbak_hresult hr = emit(&license, emit_context);
        if (hr < 0) {
            CHECK_HR(hr, CANCELED);
            CHECK(i >= STOP_AT);
            return LICBAK_S_OK;
        }
        s->after += i >= STOP_AT;
    }
}

static licbak_hresult stop_inside(host *h, const char *function, const char *name)
{
    struct stop *s = h->other;
    (void)name;
    int calls = strcmp(function, "get") == 0 ? h->gets : h->puts;
    if (strcmp(function, s->function) == 0 && calls == STOP_AT) {
        stop_now(s, h->restorer);
    } else {
        s->after += (strcmp(s->function, "get") == 0 ? h->gets : h->puts) > STOP_AT;
    }
    return LICBAK_S_OK;
}

static licbak_hresult post_end(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_BACKUPRESTORE_END) {
        sem_post(&rec->gate->reached);
    }
    return LICBAK_S_OK;
}

static void stopped_inside(void)
{
    gate g;
    gate_init(&g);
    for (int i = 0; i < 6; i++) {
        struct stop s = {.destroy = i % 2 == 1, .function = functions[i / 2]};
        host h = {.other = &s};
        recorder rec = {.react = post_end, .gate = &g};
        bool backing_up = i / 2 == 0;
        h.give = backing_up ? give_for_ever : NULL;
        h.inside = backing_up ? NULL : stop_inside;
        licbak_restorer *r = restorer_of(&h, backing_up ? "unfinished" : "many");
        start(backing_up ? licbak_backup_licenses : licbak_restore_licenses, r, 0, &rec);
        wait_for(&g.reached);
        while (!atomic_load(&rec.ended) || atomic_load(&rec.inside)) {
            sleep_ms(1);
        }
        CHECK_HR(rec.events[rec.count - 1].hr, CANCELED);
        CHECK_INT(count_of(&rec, LICBAK_WMT_ERROR), 0);
        CHECK_INT(h.running, 0);
        CHECK_INT(s.after > 1 ? s.after : 0, 0); /* it takes effect within one licence's work */
        CHECK_TEXT(entries("unfinished"), "");
        CHECK_HR(licbak_destroy(r), s.destroy ? LICBAK_E_HANDLE : LICBAK_S_OK);
        host_forget(&h);
        forget(&rec);
    }
}

static licbak_hresult hold_where_told(host *h, const char *function, const char *name)
{
    (void)name;
    if (strcmp(function, h->other) == 0) {
        sem_post(&h->gate->reached);
        wait_for(&h->gate->open);
        sleep_ms(20);
        atomic_store(&h->left, true);
        return OWN_FAILURE; /* a cancel came first */
    }
    return LICBAK_S_OK;
}

static void *open_later(void *argument)
{
    host *h = argument;
    sleep_ms(60);
    CHECK(!atomic_load(&h->left));
    sem_post(&h->gate->open);
    return NULL;
}

/* A function that blocks: a cancel takes effect, and a destroy comes back, when it has returned. */
static void stopped_while_held(void)
{
    gate g;
    gate_init(&g);
    for (int i = 0; i < 3; i++) {
        for (int destroy = 0; destroy < 2; destroy++) {
            host h = {.inside = hold_where_told, .gate = &g, .other = (void *)functions[i]};
            recorder rec = {0};
            pthread_t opener;
            licbak_hresult outcome;
            host_add(&h, "another", NULL, "1", 1, LICBAK_RIGHT_UNSTATED);
            licbak_restorer *r = restorer_of(&h, i == 0 ? "unfinished" : "many");
            start(i == 0 ? licbak_backup_licenses : licbak_restore_licenses, r, 0, &rec);
            wait_for(&g.reached);
            CHECK_HR(licbak_set_store(r, NULL), LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY);
            if (!destroy) {
                CHECK_HR(licbak_cancel_license_restore(r), i == 0 ? LICBAK_S_FALSE : LICBAK_S_OK);
                CHECK_HR(licbak_cancel_license_backup(r), i == 0 ? LICBAK_S_OK : LICBAK_S_FALSE);
                CHECK_HR(licbak_wait(r, 20, &outcome), LICBAK_S_FALSE);
            }
            CHECK(pthread_create(&opener, NULL, open_later, &h) == 0);
            if (destroy) {
                CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
                CHECK(atomic_load(&h.left) && !atomic_load(&rec.inside));
                CHECK_INT(atomic_load(&rec.ended), !calls_in_wait()); /* a destroy has nothing told there */
                CHECK_HR(rec.events[rec.count - 1].hr, calls_in_wait() ? LICBAK_S_OK : CANCELED);
            } else {
                CHECK_HR(end(r, &rec), CANCELED);
            }
            atomic_store(&h.gone, true);
            CHECK(pthread_join(opener, NULL) == 0);
            CHECK_INT(h.count, 1);
            CHECK_TEXT(entries("unfinished"), "");
            if (!destroy) {
                CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
            }
            host_forget(&h);
            forget(&rec);
        }
    }
}

struct two {
    pthread_barrier_t both;
    host hosts[2];
    gate gates[2];
};

static licbak_hresult destroy_the_other(host *h, const char *function, const char *name)
{
    struct two *t = h->other;
    (void)function, (void)name;
    pthread_barrier_wait(&t->both); /* both are inside their stores now */
    CHECK_HR(licbak_destroy(t->hosts[h == &t->hosts[0]].restorer), LICBAK_S_OK);
    pthread_barrier_wait(&t->both);
    return LICBAK_S_OK;
}

/* Two stores that destroy each other's restorers: neither waits for the other. */
static void destroying_each_other(void)
{
    static struct two t;
    CHECK(pthread_barrier_init(&t.both, NULL, 2) == 0);
    recorder recs[2] = {{.react = post_end, .gate = &t.gates[0]}, {.react = post_end, .gate = &t.gates[1]}};
    for (int i = 0; i < 2; i++) {
        t.hosts[i] = (host){.inside = destroy_the_other, .other = &t};
        gate_init(&t.gates[i]);
        restorer_of(&t.hosts[i], "unfinished");
    }
    for (int i = 0; i < 2; i++) {
        start(licbak_backup_licenses, t.hosts[i].restorer, 0, &recs[i]);
    }
    for (int i = 0; i < 2; i++) {
        wait_for(&t.gates[i].reached);
        while (!atomic_load(&recs[i].ended) || atomic_load(&recs[i].inside)) {
            sleep_ms(1);
        }
        CHECK_HR(recs[i].events[recs[i].count - 1].hr, CANCELED);
        CHECK_HR(licbak_destroy(t.hosts[i].restorer), LICBAK_E_HANDLE);
        forget(&recs[i]);
    }
}

/* -- the status callback and the store together ---------------------------------------------------------- */

static licbak_hresult give_denied(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    licbak_hresult hr = LICBAK_S_OK;
    CHECK(name == NULL);
    for (int i = 0; hr >= 0 && i < 1000000; i++) {
        licbak_license license = numbered(i);
        license.backup_right = LICBAK_RIGHT_DENIED;
        hr = emit(&license, emit_context);
    }
    CHECK(hr < 0);
    atomic_store(&h->left, true);
    return hr;
}

static licbak_hresult fail_when_restricted(recorder *rec, const event *e)
{
    (void)rec;
    return e->status == LICBAK_WMT_RESTRICTED_LICENSE ? OWN_FAILURE : LICBAK_S_OK;
}

static licbak_hresult hold_when_restricted(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_RESTRICTED_LICENSE && rec->gate != NULL) {
        sem_post(&rec->gate->reached);
        wait_for(&rec->gate->open);
        rec->gate = NULL;
    }
    return LICBAK_S_OK;
}

/* A callback that fails, or is slow while its restorer is cancelled, ends an enumeration that would
 * go on. */
static void callback_stops_the_store(void)
{
    gate g;
    gate_init(&g);
    host h = {.give = give_denied};
    recorder rec = {.react = fail_when_restricted};
    CHECK_HR(run_host(licbak_backup_licenses, &h, "unfinished", 0, &rec), OWN_FAILURE);
    CHECK(atomic_load(&h.left));

    rec.react = hold_when_restricted;
    rec.gate = &g;
    atomic_store(&h.left, false);
    licbak_restorer *r = restorer_of(&h, "unfinished");
    start(licbak_backup_licenses, r, 0, &rec);
    wait_for(&g.reached);
    sleep_ms(200); /* the events that may wait are there: emit waits too */
    CHECK(!atomic_load(&h.left));
    CHECK_HR(licbak_cancel(r), LICBAK_S_OK);
    sem_post(&g.open);
    CHECK_HR(end(r, &rec), CANCELED);
    CHECK(atomic_load(&h.left));
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_TEXT(entries("unfinished"), "");
    forget(&rec);
}

int main(void)
{
    host many = {0};
    recorder rec = {0};
    begin("host_inside");
    make_dir("unfinished");
    make_dir("many");
    for (int i = 0; i < LICENSES; i++) {
        licbak_license license = numbered(i);
        host_keep(&many, &license);
    }
    CHECK_HR(run_host(licbak_backup_licenses, &many, "many", 0, &rec), LICBAK_S_OK);
    host_forget(&many);
    forget(&rec);
    stopped_inside();
    stopped_while_held();
    destroying_each_other();
    callback_stops_the_store();
    return finish();
}
