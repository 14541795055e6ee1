/* A host that chooses between two versions of a licence: what it is asked, what becomes of its
 * choice, and what it may not choose.
 */
#include "../support/host.h"
#include "../support/frames.h"

#include <stddef.h>

#define CORRUPT LICBAK_NS_E_DRM_BACKUP_CORRUPT
#define LICENSED "{\"id\":\"urn:%s\",\"issued\":\"\",\"provider\":\"\",\"encryption\":{}}"

/* What the host emits of two versions. */
enum choice { NONE, MINE, RENAMED_TIME, THEIRS, MERGED, TWICE, TWICE_SILENTLY, OTHER_NAME, NO_CONTENT, FAILS, CHOICES };

typedef struct choosing {
    enum choice choice;
    char mine[64], theirs[64]; /* what the host was shown */
} choosing;

static void note(char *text, const licbak_license *l)
{
    snprintf(text, sizeof((choosing *)0)->mine, "%s %.*s %lld %u %u", l->key_id, (int)l->content_size,
             (const char *)l->content, (long long)l->modified, (unsigned)l->backup_right, (unsigned)l->format);
}

static licbak_hresult choose(host *h, const licbak_license *mine, const licbak_license *theirs,
                             licbak_license_callback emit, void *emit_context)
{
    choosing *c = h->other;
    licbak_license own = *mine;
    licbak_hresult hr;
    note(c->mine, mine);
    note(c->theirs, theirs);
    switch (c->choice) {
    case NONE: return LICBAK_S_OK;
    case MINE: return emit(mine, emit_context);
    case RENAMED_TIME: /* the same content counts, whatever else is said of it */
        own.modified = 99;
        return emit(&own, emit_context);
    case THEIRS: return emit(theirs, emit_context);
    case TWICE:
    case TWICE_SILENTLY:
        CHECK_HR(emit(theirs, emit_context), LICBAK_S_OK);
        hr = emit(theirs, emit_context);
        CHECK_HR(hr, LICBAK_E_INVALIDARG);
        return c->choice == TWICE ? hr : LICBAK_S_OK;
    case FAILS:
        CHECK_HR(emit(theirs, emit_context), LICBAK_S_OK);
        return OWN_FAILURE;
    case OTHER_NAME: own.name = "another"; break;
    case NO_CONTENT: own.content = NULL; break;
    default: break;
    }
    if (c->choice == MERGED) { /* neither of the two; it says its own key ID */
        static uint8_t content[] = "count 4";
        own = (licbak_license){sizeof own, mine->name, "merged", content, sizeof content - 1, 44, LICBAK_RIGHT_ALLOWED, 7};
    }
    hr = emit(&own, emit_context);
    memset((void *)&own, 0xA5, sizeof own); /* emit has copied */
    return hr;
}

static const struct outcome {
    licbak_hresult hr;
    const char *content, *key_id; /* of the licence in the end */
    int64_t modified;
} outcomes[CHOICES] = {
    [NONE] = {LICBAK_S_OK, "count 5", "mine", 5},
    [MINE] = {LICBAK_S_OK, "count 5", "mine", 5},
    [RENAMED_TIME] = {LICBAK_S_OK, "count 5", "mine", 5},
    [THEIRS] = {LICBAK_S_OK, "count 9", "theirs", 9},
    [MERGED] = {LICBAK_S_OK, "count 4", "merged", 44},
    [TWICE] = {LICBAK_E_INVALIDARG, "count 5", "mine", 5},
    [TWICE_SILENTLY] = {LICBAK_E_INVALIDARG, "count 5", "mine", 5},
    [OTHER_NAME] = {LICBAK_E_INVALIDARG, "count 5", "mine", 5},
    [NO_CONTENT] = {LICBAK_E_POINTER, "count 5", "mine", 5},
    [FAILS] = {OWN_FAILURE, "count 5", "mine", 5},
};

/* Its licences: one that differs, one that is the same, one that is new. */
static void fill_backup(void)
{
    recorder rec = {0};
    host h = {0};
    make_dir("backups");
    host_add(&h, "differs", "theirs", "count 9", 9, LICBAK_RIGHT_ALLOWED);
    host_add(&h, "new", NULL, "new", 1, LICBAK_RIGHT_UNSTATED);
    host_add(&h, "same", NULL, "same", 1, LICBAK_RIGHT_UNSTATED);
    CHECK_HR(run_host(licbak_backup_licenses, &h, "backups", 0, &rec), LICBAK_S_OK);
    forget(&rec);
    host_forget(&h);
}

static void fill_store(host *h, choosing *c)
{
    *h = (host){.merge = choose, .other = c};
    host_add(h, "differs", "mine", "count 5", 5, LICBAK_RIGHT_UNSTATED);
    host_add(h, "same", NULL, "same", 2, LICBAK_RIGHT_UNSTATED);
    host_add(h, "own", NULL, "own", 3, LICBAK_RIGHT_UNSTATED);
}

static void every_choice(uint32_t flags)
{
    const bool dry = (flags & LICBAK_DRY_RUN) != 0, over = (flags & LICBAK_RESTORE_OVERWRITE) != 0;
    for (int choice = 0; choice < CHOICES; choice++) {
        recorder rec = {0};
        host h;
        choosing c = {.choice = (enum choice)choice};
        const struct outcome *expected = &outcomes[over ? THEIRS : choice];
        const bool chosen = over || choice == THEIRS || choice == MERGED, kept = !chosen && expected->hr == LICBAK_S_OK;
        fill_store(&h, &c);
        CHECK_HR(run_host(licbak_restore_licenses, &h, "backups", flags, &rec), expected->hr);
        CHECK_INT(atomic_load(&h.merges), !over);
        CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_KEPT, "differs"), kept);
        CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), kept);
        CHECK_INT(final_figures(&rec).licenses_kept, kept);
        if (expected->hr == LICBAK_S_OK) {
            CHECK_INT(final_figures(&rec).licenses_done, 2 + chosen);
            CHECK_INT(final_figures(&rec).content_bytes, 3 + 4 + (chosen ? 7 : 0));
            CHECK_INT(atomic_load(&h.puts), dry ? 0 : 1 + chosen);
        } else {
            CHECK_INT(atomic_load(&h.puts), 0);
            CHECK(choice == NO_CONTENT || choice == FAILS || strstr(rec.events[rec.count - 2].text, "merge") != NULL);
        }
        if (!over) {
            CHECK_TEXT(c.mine, "mine count 5 5 0 0");
            CHECK_TEXT(c.theirs, "theirs count 9 9 1 0");
        }
        const licbak_license *l = host_find(&h, "differs");
        if (dry) {
            expected = &outcomes[NONE];
        }
        CHECK_INT(l->content_size, 7);
        CHECK(memcmp(l->content, expected->content, 7) == 0);
        CHECK_TEXT(l->key_id, expected->key_id);
        CHECK_INT(l->modified, expected->modified);
        forget(&rec);
        host_forget(&h);
    }
}

/* Without the function the store's version stays, as ever; a host that was built with the struct
 * of the first version has it not. */
static void without(void)
{
    enum { FIRST = offsetof(licbak_store, merge) };
    for (size_t size = FIRST - 1; size <= sizeof(licbak_store) + 1; size++) {
        recorder rec = {0};
        host h;
        choosing c = {.choice = THEIRS};
        union {
            licbak_store store;
            uint8_t bytes[sizeof(licbak_store) + 8];
        } u;
        fill_store(&h, &c);
        licbak_restorer *r = restorer_of(&h, "backups");
        memset(&u, 0, sizeof u);
        u.store = store_of(&h);
        u.store.struct_size = size;
        const bool partly = size > FIRST && size < sizeof(licbak_store);
        CHECK_HR(licbak_set_store(r, &u.store), size < FIRST || partly ? LICBAK_E_INVALIDARG : LICBAK_S_OK);
        if (partly) { /* what is no whole member must be zero */
            memset(u.bytes + FIRST, 0, size - FIRST);
            CHECK_HR(licbak_set_store(r, &u.store), LICBAK_S_OK);
        }
        if (size >= FIRST) {
            CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
            CHECK_INT(atomic_load(&h.merges), size >= sizeof(licbak_store));
            CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), size < sizeof(licbak_store));
        }
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        host_forget(&h);
    }
}

/* What a licence says of itself fills what the host leaves open. */
static void statements(void)
{
    recorder rec = {0};
    host h = {0};
    choosing c = {.choice = THEIRS};
    char text[128];
    snprintf(text, sizeof text, LICENSED, "b");
    host_add(&h, "book", NULL, text, 1, LICBAK_RIGHT_UNSTATED);
    make_dir("books");
    CHECK_HR(run_host(licbak_backup_licenses, &h, "books", 0, &rec), LICBAK_S_OK);
    host_forget(&h);
    h = (host){.merge = choose, .other = &c};
    snprintf(text, sizeof text, LICENSED, "a");
    host_add(&h, "book", NULL, text, 2, LICBAK_RIGHT_UNSTATED);
    CHECK_HR(run_host(licbak_restore_licenses, &h, "books", 0, &rec), LICBAK_S_OK);
    CHECK(strncmp(c.mine, "urn:a ", 6) == 0 && strncmp(c.theirs, "urn:b ", 6) == 0);
    CHECK_TEXT(host_find(&h, "book")->key_id, "urn:b");
    CHECK_INT(host_find(&h, "book")->format, LICBAK_FORMAT_LCP);
    forget(&rec);
    host_forget(&h);
}

/* With RESTORE_OVERWRITE it is not asked, even where that flag does not count. */
static void ruin(void)
{
    recorder rec = {0};
    host h;
    choosing c = {.choice = THEIRS};
    size_t size;
    uint8_t *bytes = read_file("backups/licenses.tar.zst", &size);
    write_file("ruin/licenses.tar.zst", bytes, size - 1);
    free(bytes);
    for (int over = 0; over < 2; over++) {
        fill_store(&h, &c);
        const uint32_t flags = LICBAK_RESTORE_SALVAGE | (over ? LICBAK_RESTORE_OVERWRITE : 0);
        CHECK_HR(run_host(licbak_restore_licenses, &h, "ruin", flags, &rec), CORRUPT);
        CHECK_INT(atomic_load(&h.merges), !over);
        CHECK_INT(final_figures(&rec).licenses_kept, over);
        host_forget(&h);
    }
    forget(&rec);
}

int main(void)
{
    begin("host_merge");
    fill_backup();
    every_choice(0);
    every_choice(LICBAK_DRY_RUN);
    every_choice(LICBAK_RESTORE_OVERWRITE);
    without();
    statements();
    ruin();
    return finish();
}
