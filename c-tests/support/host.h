/* A host that keeps its licences in memory, in the order in which it got them.
 *
 * Its functions hold the library to what a store may expect: called one at a time, with the context
 * and with whole licences, and never after the store was taken away.
 */
#ifndef HOST_H
#define HOST_H

#include "recorder.h"

#define OWN_FAILURE ((licbak_hresult)0xA0001234) /* of the host's, no code of the library's */

enum { MIB = 1024 * 1024 };

typedef struct host host;
struct host {
    /* The test's: done first in each function ("enumerate", "get", "put"), whose failure it may
     * return. */
    licbak_hresult (*inside)(host *, const char *function, const char *name);
    /* The test's: emits in the place of all licences, or of the one of that name. */
    licbak_hresult (*give)(host *, const char *name, licbak_license_callback emit, void *emit_context);
    /* The test's: chooses between two versions; NULL: the store has no such function. */
    licbak_hresult (*merge)(host *, const licbak_license *mine, const licbak_license *theirs,
                            licbak_license_callback emit, void *emit_context);
    licbak_restorer *restorer;
    gate *gate;
    void *other;

    /* The host's own. */
    licbak_license *licenses;
    size_t count, room;
    atomic_int running, enumerations, gets, puts, merges;
    atomic_bool left, gone; /* a function that was held has returned; none may be called any more */
};

/* -- licences -------------------------------------------------------------------------------------------- */

static inline licbak_license *host_find(const host *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++) {
        if (strcmp(h->licenses[i].name, name) == 0) {
            return &h->licenses[i];
        }
    }
    return NULL;
}

static inline void host_keep(host *h, const licbak_license *license)
{
    licbak_license copy = *license;
    uint8_t *content = malloc(license->content_size + 1);
    CHECK(content != NULL);
    if (license->content_size > 0) {
        memcpy(content, license->content, license->content_size);
    }
    copy.struct_size = sizeof copy;
    copy.name = strdup(license->name);
    copy.key_id = license->key_id == NULL ? NULL : strdup(license->key_id);
    copy.content = content;
    licbak_license *old = host_find(h, license->name);
    if (old != NULL) {
        free((void *)old->name);
        free((void *)old->key_id);
        free((void *)old->content);
        *old = copy;
        return;
    }
    if (h->count == h->room) {
        h->room = h->room * 2 + 16;
        h->licenses = realloc(h->licenses, h->room * sizeof *h->licenses);
        CHECK(h->licenses != NULL);
    }
    h->licenses[h->count++] = copy;
}

/* Adds a licence whose content is text. */
static inline void host_add(host *h, const char *name, const char *key_id, const char *content, int64_t modified,
                            uint32_t right)
{
    licbak_license license = {sizeof license, name, key_id, (const uint8_t *)content, strlen(content),
                              modified, right, LICBAK_FORMAT_OPAQUE};
    host_keep(h, &license);
}

static inline void host_forget(host *h)
{
    for (size_t i = 0; i < h->count; i++) {
        free((void *)h->licenses[i].name);
        free((void *)h->licenses[i].key_id);
        free((void *)h->licenses[i].content);
    }
    free(h->licenses);
    h->licenses = NULL;
    h->count = h->room = 0;
}

/* A licence in a line; a key ID that is not stated is the name's file stem. */
static inline void host_line(growing_text *text, const licbak_license *license, bool content)
{
    const char *slash = strrchr(license->name, '/');
    const char *stem = slash == NULL ? license->name : slash + 1;
    const char *dot = strrchr(stem, '.');
    int stem_length = dot == NULL ? (int)strlen(stem) : (int)(dot - stem);
    add_text(text, "%s: key ID %.*s, right %u, modified %lld, %zu bytes", license->name,
             license->key_id == NULL ? stem_length : 1024, license->key_id == NULL ? stem : license->key_id,
             (unsigned)license->backup_right, (long long)license->modified, license->content_size);
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; content && i < license->content_size; i++) {
        hash = (hash ^ license->content[i]) * 0x100000001b3u;
    }
    add_text(text, content ? ", %016llx\n" : "\n", (unsigned long long)hash);
}

/* What a host has, a line each; with contents, or as a list tells it. The caller frees it. */
static inline char *host_text(const host *h, bool content)
{
    growing_text text = empty_text();
    for (size_t i = 0; i < h->count; i++) {
        host_line(&text, &h->licenses[i], content);
    }
    return text.bytes;
}

static inline licbak_hresult LICBAK_CALL host_list_one(const licbak_license *license, void *context)
{
    CHECK(license->key_id != NULL && license->content == NULL);
    host_line(context, license, false);
    return LICBAK_S_OK;
}

/* What the backup lists, as host_text without contents has it. The caller frees it. */
static inline char *listed(licbak_restorer *r)
{
    growing_text text = empty_text();
    CHECK_HR(licbak_list_backup(r, host_list_one, &text), LICBAK_S_OK);
    return text.bytes;
}

#define CHECK_LISTED(r, host) \
    check_and_free(listed(r), host_text((host), false), __FILE__, __LINE__, "the list of the backup")
#define CHECK_SAME_HOST(value, expected) \
    check_and_free(host_text((value), true), host_text((expected), true), __FILE__, __LINE__, #value)

static inline void check_and_free(char *value, char *expected, const char *file, int line, const char *what)
{
    check_text(value, expected, file, line, what);
    free(value);
    free(expected);
}

/* Fills a host in an order that no sorting gives. */
static inline void fill(host *h)
{
    host_add(h, "zebra.lic", "stated", "one", 1600000000123456789, LICBAK_RIGHT_ALLOWED);
    host_add(h, "films/night.lic", NULL, "two", 1, LICBAK_RIGHT_UNSTATED);
    host_add(h, "a.tar.lic", NULL, "", -500000000, LICBAK_RIGHT_UNSTATED);
    host_add(h, "no extension", "Schl\xC3\xBCssel \xF0\x9F\x94\x91", "four", 0, LICBAK_RIGHT_ALLOWED);
    host_add(h, "\xC3\xA9t\xC3\xA9/x", "same", "five", 4102444800999999999, LICBAK_RIGHT_UNSTATED);
    host_add(h, "M.lic", "same", "six", 1700000000000000001, LICBAK_RIGHT_ALLOWED);
    host_add(h, "films/day.lic", "k", "seven", INT64_MAX, LICBAK_RIGHT_ALLOWED);
    host_add(h, "b.lic", "k2", "eight", INT64_MIN, LICBAK_RIGHT_ALLOWED);
    char long_key[1025] = {0};
    memset(long_key, 'k', 1024);
    host_add(h, "long key", long_key, "nine", 1500000000000000000, LICBAK_RIGHT_ALLOWED);
    uint8_t bytes[256];
    for (int i = 0; i < 256; i++) {
        bytes[i] = (uint8_t)i;
    }
    licbak_license every_byte = {sizeof every_byte, "bytes", NULL, bytes, sizeof bytes, 7, 0, 0xFFFF}; /* ignored */
    host_keep(h, &every_byte);
}

/* -- the store's functions ------------------------------------------------------------------------------- */

static inline licbak_hresult host_enter(host *h, const char *function, const char *name)
{
    CHECK(!atomic_load(&h->gone));
    CHECK_INT(atomic_fetch_add(&h->running, 1), 0); /* one at a time */
    return h->inside == NULL ? LICBAK_S_OK : h->inside(h, function, name);
}

static inline licbak_hresult host_leave(host *h, licbak_hresult hr)
{
    CHECK_INT(atomic_fetch_sub(&h->running, 1), 1);
    return hr;
}

static inline licbak_hresult LICBAK_CALL host_enumerate(void *context, licbak_license_callback emit,
                                                        void *emit_context)
{
    host *h = context;
    licbak_hresult hr = host_enter(h, "enumerate", NULL);
    atomic_fetch_add(&h->enumerations, 1);
    if (hr >= 0 && h->give != NULL) {
        return host_leave(h, h->give(h, NULL, emit, emit_context));
    }
    for (size_t i = 0; i < h->count && hr >= 0; i++) {
        hr = emit(&h->licenses[i], emit_context);
    }
    return host_leave(h, hr);
}

static inline licbak_hresult LICBAK_CALL host_get(void *context, const char *name, licbak_license_callback emit,
                                                  void *emit_context)
{
    host *h = context;
    licbak_hresult hr = host_enter(h, "get", name);
    atomic_fetch_add(&h->gets, 1);
    if (hr >= 0 && h->give != NULL) {
        return host_leave(h, h->give(h, name, emit, emit_context));
    }
    const licbak_license *found = host_find(h, name);
    if (hr >= 0 && found != NULL) {
        hr = emit(found, emit_context);
    }
    return host_leave(h, hr);
}

static inline licbak_hresult LICBAK_CALL host_put(void *context, const licbak_license *license)
{
    host *h = context;
    CHECK(license->struct_size >= sizeof *license);
    CHECK(license->name != NULL && license->key_id != NULL);
    CHECK(license->content != NULL || license->content_size == 0);
    licbak_hresult hr = host_enter(h, "put", license->name);
    atomic_fetch_add(&h->puts, 1);
    if (hr >= 0) {
        host_keep(h, license);
    }
    return host_leave(h, hr);
}

static inline licbak_hresult LICBAK_CALL host_merge(void *context, const licbak_license *mine,
                                                    const licbak_license *theirs, licbak_license_callback emit,
                                                    void *emit_context)
{
    host *h = context;
    const licbak_license *const both[] = {mine, theirs};
    for (int i = 0; i < 2; i++) {
        CHECK(both[i]->struct_size >= sizeof *mine);
        CHECK(both[i]->name != NULL && both[i]->key_id != NULL);
        CHECK(both[i]->content != NULL || both[i]->content_size == 0);
    }
    CHECK_TEXT(mine->name, theirs->name);
    licbak_hresult hr = host_enter(h, "merge", mine->name);
    atomic_fetch_add(&h->merges, 1);
    return host_leave(h, hr < 0 ? hr : h->merge(h, mine, theirs, emit, emit_context));
}

static inline licbak_store store_of(host *h)
{
    return (licbak_store){sizeof(licbak_store), h, host_enumerate, host_get, host_put,
                          h->merge != NULL ? host_merge : NULL};
}

/* A restorer with a host store, and no StorePath. The struct is copied: the one given here is
 * spoiled. */
static inline licbak_restorer *restorer_of(host *h, const char *backups)
{
    licbak_store store = store_of(h);
    h->restorer = NULL;
    CHECK_HR(licbak_create(&h->restorer), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(h->restorer, "BackupPath", backups), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(h->restorer, "RestorePath", backups), LICBAK_S_OK);
    CHECK_HR(licbak_set_store(h->restorer, &store), LICBAK_S_OK);
    memset(&store, 0xA5, sizeof store);
    return h->restorer;
}

static inline void set_number(licbak_restorer *r, const char *name, uint32_t value)
{
    CHECK_HR(licbak_set_prop(r, name, LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&value, 4), LICBAK_S_OK);
}

/* Runs one operation with a restorer of its own. */
static inline licbak_hresult run_host(operation op, host *h, const char *backups, uint32_t flags, recorder *rec)
{
    licbak_restorer *r = restorer_of(h, backups);
    licbak_hresult hr = run(op, r, flags, rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_INT(atomic_load(&h->running), 0);
    return hr;
}

/* -- a series ---------------------------------------------------------------------------------------------- */

struct series {
    int count;
    size_t size; /* of each; 0: a few bytes */
    bool backwards;
};

/* Gives a series of licences that it makes as it goes, so that it needs memory for one. */
static inline licbak_hresult give_series(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    const struct series *s = h->other;
    static uint64_t content[MIB / 8];
    char each[64];
    licbak_hresult hr = LICBAK_S_OK;
    if (name != NULL) {
        return LICBAK_S_OK; /* a restore: the host has nothing yet */
    }
    for (int i = 0; i < s->count && hr >= 0; i++) {
        int number = s->backwards ? s->count - 1 - i : i;
        uint64_t state = (uint64_t)number * 2654435761u + 1;
        size_t size = s->size != 0 ? s->size : 16 + (size_t)(number % 50) * 8;
        for (size_t word = 0; word < size / 8; word++) {
            content[word] = next_random(&state);
        }
        snprintf(each, sizeof each, "%d/key %d.lic", number % 7, number);
        licbak_license license = {sizeof license, each, NULL, (const uint8_t *)content, size, number + 1, 0, 0};
        hr = emit(&license, emit_context);
    }
    memset(content, 0, sizeof content); /* emit has copied */
    return hr;
}

#endif
