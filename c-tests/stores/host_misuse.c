/* A host that breaks the rules of a store: its sizes, its licences, what it gives to a restore. */
#include "../support/host.h"

#define CANCELED LICBAK_NS_E_DRM_OPERATION_CANCELED

/* -- struct sizes ---------------------------------------------------------------------------------------- */

struct larger_store {
    licbak_store store;
    uint8_t tail[24];
};

static void sizes_of_stores(void)
{
    host h = {0};
    recorder rec = {0};
    licbak_restorer *r = restorer_of(&h, "backups");
    struct larger_store larger = {.store = store_of(&h)};
    host_add(&h, "one", NULL, "1", 1, LICBAK_RIGHT_UNSTATED);
    static const size_t wrong[] = {0, 1, sizeof(size_t), offsetof(licbak_store, merge) - 1, 4097, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        larger.store.struct_size = wrong[i];
        CHECK_HR(licbak_set_store(r, &larger.store), LICBAK_E_INVALIDARG);
        CHECK_HR(licbak_set_store(NULL, &larger.store), LICBAK_E_HANDLE);
    }
    larger.store.struct_size = sizeof larger;
    CHECK_HR(licbak_set_store(r, &larger.store), LICBAK_S_OK);
    for (size_t i = 0; i < sizeof larger.tail; i++) {
        larger.tail[i] = 1;
        CHECK_HR(licbak_set_store(r, &larger.store), LICBAK_E_INVALIDARG);
        larger.tail[i] = 0;
    }
    CHECK_HR(run(licbak_backup_licenses, r, LICBAK_DRY_RUN, &rec), LICBAK_S_OK); /* the store before it stayed */
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_HR(licbak_set_store(r, &larger.store), LICBAK_E_HANDLE);
    CHECK_HR(licbak_set_store(r, NULL), LICBAK_E_HANDLE);
    host_forget(&h);
    forget(&rec);
}

/* -- licences that can't be taken ------------------------------------------------------------------------ */

enum { AT_ONCE, SAYS_OK, GOES_ON, OTHER_FAILURE, WAYS };

struct larger_license {
    licbak_license license;
    uint8_t tail[24];
};

struct bad {
    const licbak_license *license;
    licbak_hresult expected;
    int way;
};

/* Emits a good licence, the bad one, and, as the way is, good ones after it. */
static licbak_hresult give_bad(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    const struct bad *b = h->other;
    CHECK(name == NULL);
    for (size_t i = 0; i < h->count; i++) {
        CHECK_HR(emit(&h->licenses[i], emit_context), LICBAK_S_OK);
    }
    licbak_hresult hr = emit(b->license, emit_context);
    CHECK_HR(hr, b->expected);
    for (int i = 0; b->way == GOES_ON && i < 2000; i++) {
        char each[32];
        snprintf(each, sizeof each, "after %d", i);
        licbak_license license = {sizeof license, each, NULL, NULL, 0, 0, 0, 0};
        CHECK(emit(&license, emit_context) < 0);
    }
    return b->way == AT_ONCE ? hr : b->way == OTHER_FAILURE ? OWN_FAILURE : LICBAK_S_OK;
}

/* Whatever the host does after a licence was refused, that refusal is the outcome, and nothing is
 * written. */
static void refused(host *h, const licbak_license *license, licbak_hresult expected, const char *words)
{
    recorder rec = {0};
    for (int way = 0; way < WAYS; way++) {
        struct bad b = {license, expected, way};
        h->give = give_bad;
        h->other = &b;
        licbak_restorer *r = restorer_of(h, "backups");
        CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), expected);
        CHECK_HAS(error_message(r), words);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        CHECK_TEXT(entries("backups"), "");
    }
    forget(&rec);
}

static void accepted(const licbak_license *license)
{
    host h = {.give = give_bad};
    recorder rec = {0};
    struct bad b = {license, LICBAK_S_OK, AT_ONCE};
    h.other = &b;
    CHECK_HR(run_host(licbak_backup_licenses, &h, "backups", LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_done, 1);
    forget(&rec);
}

static licbak_license named(const char *name, const char *key_id)
{
    return (licbak_license){sizeof(licbak_license), name, key_id, (const uint8_t *)"x", 1, 1, 0, 0};
}

static const char *repeated(int length)
{
    static char text[8192];
    for (int i = 0; i < length; i++) {
        text[i] = i % 200 == 199 ? '/' : 'n';
    }
    text[length] = '\0';
    return text;
}

static void names_and_key_ids(void)
{
    host h = {0};
    host_add(&h, "folder/first", NULL, "1", 1, LICBAK_RIGHT_UNSTATED);
    for (int i = 0; i < 1500; i++) {
        char name[32];
        snprintf(name, sizeof name, "more/%d", i);
        host_add(&h, name, NULL, "more", 1, LICBAK_RIGHT_UNSTATED);
    }
    static const char *const bad[] = {"", "/", "/absolute", "a//b", "end/", ".", "..", "../up", "a/../b", "a/./b",
                                      ".hidden", "a/.hidden", "back\\slash", "C:\\x", "line\nbreak", "tab\t", "\x01",
                                      "del\x7F", "\xFF", "\xC3", "\xED\xA0\x80", "\xC0\xAF", "\xF4\x90\x80\x80"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        licbak_license license = named(bad[i], NULL);
        bool plain = strspn(bad[i], "/.aCbcdeghiklnpstux:") == strlen(bad[i]);
        refused(&h, &license, LICBAK_HRESULT_ERROR_INVALID_NAME, plain ? bad[i] : "");
    }
    char part[257] = {0};
    memset(part, 'p', 256);
    licbak_license license = named(part, NULL);
    refused(&h, &license, LICBAK_HRESULT_ERROR_INVALID_NAME, part);
    accepted(&(licbak_license){sizeof license, part + 1, "key", NULL, 0, 0, 0, 0});
    license = named(repeated(4001), NULL);
    refused(&h, &license, LICBAK_HRESULT_ERROR_INVALID_NAME, "nnn");
    license = named(repeated(3999), NULL);
    accepted(&license);

    license = named("folder/first", NULL); /* twice, 1,500 licences later */
    refused(&h, &license, LICBAK_HRESULT_ERROR_ALREADY_EXISTS, "folder/first");
    license = named("folder", NULL);
    refused(&h, &license, LICBAK_HRESULT_ERROR_INVALID_NAME, "folder");
    license = named("folder/first/below", NULL);
    refused(&h, &license, LICBAK_HRESULT_ERROR_INVALID_NAME, "folder/first");
    license = named("more/7/and/deep", NULL);
    refused(&h, &license, LICBAK_HRESULT_ERROR_INVALID_NAME, "more/7");

    host_forget(&h);
    char key[1026] = {0};
    memset(key, 'k', 1025);
    const char *const bad_keys[] = {"", "a\nb", "\x1F", "\x7F", "\xFF", "\xED\xA0\x80", key};
    for (size_t i = 0; i < sizeof bad_keys / sizeof bad_keys[0]; i++) {
        license = named("bad key", bad_keys[i]);
        refused(&h, &license, LICBAK_HRESULT_ERROR_INVALID_NAME, "bad key"); /* the licence is named */
    }
    license = named("good key", key + 1);
    accepted(&license);
}

static void sizes_and_pointers(void)
{
    host h = {0};
    licbak_license license = named("large", NULL);
    uint8_t *bytes = calloc(1, 16 * MIB + 1);
    CHECK(bytes != NULL);
    host_add(&h, "good", NULL, "1", 1, LICBAK_RIGHT_UNSTATED);
    license.content = bytes;
    license.content_size = 16 * MIB;
    accepted(&license);
    license.content_size++;
    refused(&h, &license, LICBAK_HRESULT_ERROR_FILE_TOO_LARGE, "large");
    license.content_size = (size_t)-1; /* which no one may read */
    refused(&h, &license, LICBAK_HRESULT_ERROR_FILE_TOO_LARGE, "large");
    license.content_size = (size_t)-1 / 2;
    refused(&h, &license, LICBAK_HRESULT_ERROR_FILE_TOO_LARGE, "large");
    free(bytes);

    license.content = NULL;
    license.content_size = 1;
    refused(&h, &license, LICBAK_E_POINTER, "");
    license.content_size = 0;
    accepted(&license);
    license = named(NULL, "key");
    refused(&h, &license, LICBAK_E_POINTER, "");
    refused(&h, NULL, LICBAK_E_POINTER, "");
    license = named("right", NULL);
    license.backup_right = 3;
    refused(&h, &license, LICBAK_E_INVALIDARG, "right");

    struct larger_license larger = {.license = named("larger", NULL)};
    static const size_t small[] = {0, 1, sizeof(size_t), sizeof(licbak_license) - 1};
    for (size_t i = 0; i < sizeof small / sizeof small[0]; i++) {
        larger.license.struct_size = small[i];
        refused(&h, &larger.license, LICBAK_E_INVALIDARG, "");
    }
    larger.license.struct_size = sizeof larger;
    accepted(&larger.license);
    larger.tail[sizeof larger.tail - 1] = 1;
    refused(&h, &larger.license, LICBAK_E_INVALIDARG, "");
    host_forget(&h);
}

/* -- get that does not give what it was asked for -------------------------------------------------------- */

enum { ANOTHER, TWICE, NOTHING_AT_ALL, NO_NAME, NO_CONTENT, TOO_SMALL, LONGER, WRONGS };

static licbak_hresult give_wrong(host *h, const char *name, licbak_license_callback emit, void *emit_context)
{
    const int *wrong = h->other;
    licbak_license license = named(*wrong == ANOTHER ? "another" : *wrong == NO_NAME ? NULL : name, NULL);
    char longer[64];
    if (strcmp(name, "two") != 0) {
        return LICBAK_S_OK;
    }
    if (*wrong == TWICE) {
        CHECK_HR(emit(&license, emit_context), LICBAK_S_OK);
    } else if (*wrong == NO_CONTENT) {
        license.content = NULL;
    } else if (*wrong == TOO_SMALL) {
        license.struct_size = 8;
    } else if (*wrong == LONGER) {
        snprintf(longer, sizeof longer, "%s/", name);
        license.name = longer;
    }
    CHECK(emit(*wrong == NOTHING_AT_ALL ? NULL : &license, emit_context) < 0);
    license = named(name, NULL);
    CHECK(emit(&license, emit_context) < 0); /* it is too late to do better */
    return LICBAK_S_OK;
}

static void wrong_gets(void)
{
    host saved = {0};
    recorder rec = {0};
    make_dir("three");
    host_add(&saved, "one", NULL, "1", 1, LICBAK_RIGHT_UNSTATED);
    host_add(&saved, "two", NULL, "2", 1, LICBAK_RIGHT_UNSTATED);
    host_add(&saved, "three", NULL, "3", 1, LICBAK_RIGHT_UNSTATED);
    CHECK_HR(run_host(licbak_backup_licenses, &saved, "three", 0, &rec), LICBAK_S_OK);
    for (int wrong = 0; wrong < WRONGS; wrong++) {
        host h = {.give = give_wrong, .other = &wrong};
        licbak_hresult hr = run_host(licbak_restore_licenses, &h, "three", LICBAK_RESTORE_OVERWRITE, &rec);
        CHECK(hr < 0 && hr != CANCELED);
        CHECK_INT(h.puts, 1); /* what came before it */
        CHECK_INT(h.gets, 2);
        CHECK(host_find(&h, "one") != NULL);
        host_forget(&h);
    }
    host_forget(&saved);
    forget(&rec);
}

int main(void)
{
    begin("host_misuse");
    make_dir("backups");
    sizes_of_stores();
    names_and_key_ids();
    sizes_and_pointers();
    wrong_gets();
    return finish();
}
