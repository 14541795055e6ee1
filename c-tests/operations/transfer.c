/* Restores onto another machine: the user's consent, the host's authorizer, and what is told of
 * both.
 */
#include "../support/frames.h"
#include "../support/host.h"
#include "../support/process.h"

#include <signal.h>

#define BACKUP "backups/licenses.tar.zst"
#define CANCELED LICBAK_NS_E_DRM_OPERATION_CANCELED
#define FRAUD LICBAK_NS_E_DRM_RESTORE_FRAUD
#define NEEDS LICBAK_NS_E_DRM_NEEDS_INDIVIDUALIZATION
#define CONSENT LICBAK_WM_RESTORE_INDIVIDUALIZE
#define PAGE "https://example.com/too-many"

enum { ROOM = 2084, LICENSES = 5 };

/* A host's service: what it answers, and what it was asked. */
typedef struct service service;
struct service {
    licbak_hresult answer;
    const char *url;
    size_t url_size; /* of a text that is none; 0: `url` is one */
    void (*inside)(service *);
    recorder *rec;
    const char *aim; /* what `inside` works on */

    atomic_int calls;
    licbak_backup_info info;
};

static licbak_hresult LICBAK_CALL authorize(const licbak_backup_info *info, char *url, size_t url_size, void *context)
{
    service *s = context;
    CHECK_INT(info->struct_size, sizeof *info);
    CHECK_INT(url_size, ROOM);
    for (size_t i = 0; i < url_size; i++) {
        CHECK_INT(url[i], 0);
    }
    s->info = *info;
    atomic_fetch_add(&s->calls, 1);
    if (s->rec != NULL) { /* the host has heard of it, and listens to nothing else */
        CHECK(!atomic_load(&s->rec->inside));
        size_t last = s->rec->count - 1;
        while (last > 0 && s->rec->events[last].status == LICBAK_STATUS_PROGRESS) {
            last--; /* it is told by the clock */
        }
        CHECK_INT(s->rec->events[last].status, LICBAK_WMT_BACKUPRESTORE_CONNECTING);
        CHECK(!pthread_equal(s->rec->thread, pthread_self()));
    }
    if (s->inside != NULL) {
        s->inside(s);
    }
    if (s->url_size > 0) {
        memcpy(url, s->url, s->url_size);
    } else if (s->url != NULL) {
        strcpy(url, s->url);
    }
    return s->answer;
}

static licbak_restorer *restorer_on(const char *machine, const char *store, const char *backups, service *s)
{
    licbak_restorer *r = restorer_for(store, backups);
    if (machine != NULL) {
        CHECK_HR(licbak_set_prop_string(r, "MachineId", machine), LICBAK_S_OK);
    }
    CHECK_HR(licbak_set_authorizer(r, s != NULL ? authorize : NULL, s), LICBAK_S_OK);
    return r;
}

static licbak_hresult LICBAK_CALL restore_one(licbak_restorer *r, uint32_t flags, licbak_status_callback callback,
                                              void *context)
{
    return licbak_restore_license(r, "2", flags, callback, context);
}

/* What was told but progress, a letter each. */
static const char *story(const recorder *rec)
{
    static char letters[64];
    size_t count = 0;
    for (size_t i = 0; i < rec->count; i++) {
        const licbak_status status = rec->events[i].status;
        const char letter = status == LICBAK_WMT_BACKUPRESTORE_BEGIN           ? 'B'
                            : status == LICBAK_WMT_INDIVIDUALIZE               ? 'i'
                            : status == LICBAK_WMT_NEEDS_INDIVIDUALIZATION     ? 'n'
                            : status == LICBAK_WMT_BACKUPRESTORE_CONNECTING    ? 'c'
                            : status == LICBAK_WMT_ERROR_WITHURL               ? 'u'
                            : status == LICBAK_WMT_BACKUPRESTORE_DISCONNECTING ? 'd'
                            : status == LICBAK_STATUS_LICENSE_DAMAGED          ? 'x'
                            : status == LICBAK_WMT_ERROR                       ? 'e'
                            : status == LICBAK_WMT_BACKUPRESTORE_END           ? 'E'
                                                                               : '?';
        if (status != LICBAK_STATUS_PROGRESS) {
            CHECK(count < sizeof letters - 1);
            letters[count++] = letter;
        }
    }
    letters[count] = '\0';
    return letters;
}

static void take_away(const char *store)
{
    char command[256];
    snprintf(command, sizeof command, "rm -rf %s %s-wal %s-shm", store, store, store);
    CHECK_INT(system(command), 0);
}

static void back_up_as(const char *machine, const char *store, const char *backups)
{
    recorder rec = {0};
    make_dir(backups);
    licbak_restorer *r = restorer_on(machine, store, backups, NULL);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- every order of events ------------------------------------------------------------------------------- */

/* What the contract says is told and done. */
static void one_of_all(operation op, const char *store, const char *here, const char *backup_of, uint32_t flags,
                       service *s)
{
    const char *backups = backup_of != NULL ? "backups" : "nameless";
    const bool is_other = here != NULL && backup_of != NULL && strcmp(here, backup_of) != 0;
    const bool dry = (flags & LICBAK_DRY_RUN) != 0, lacks = is_other && (flags & CONSENT) == 0 && !dry;
    const bool asked = s != NULL && !dry && !lacks, refused = asked && s->answer != LICBAK_S_OK;
    const licbak_hresult outcome = lacks ? NEEDS : !refused ? LICBAK_S_OK : s->answer < 0 ? s->answer : LICBAK_E_ACCESSDENIED;
    char expected[64];
    snprintf(expected, sizeof expected, "B%s%s%s%s%sE", !is_other ? "" : flags & CONSENT ? "i" : "n", asked ? "c" : "",
             refused && s->url != NULL ? "u" : "", asked ? "d" : "", outcome < 0 ? "e" : "");

    recorder rec = {.may_roll_back = true};
    licbak_restorer *r = restorer_on(here, store, backups, s);
    take_away(store);
    if (s != NULL) {
        s->rec = &rec;
        atomic_store(&s->calls, 0);
    }
    CHECK_HR(run(op, r, flags, &rec), outcome);
    CHECK_TEXT(story(&rec), expected);
    if (s != NULL) {
        CHECK_INT(atomic_load(&s->calls), asked);
    }
    if (asked) {
        CHECK_INT(s->info.machine, here == NULL || backup_of == NULL ? LICBAK_MACHINE_UNKNOWN
                                   : is_other                        ? LICBAK_MACHINE_OTHER
                                                                     : LICBAK_MACHINE_SAME);
    }
    if (outcome < 0 || dry) {
        CHECK(!exists(store)); /* nothing is done */
    }
    CHECK_INT(final_figures(&rec).licenses_done, outcome < 0 ? 0 : op == restore_one ? 1 : LICENSES);
    for (size_t i = 0; i < rec.count; i++) {
        if (rec.events[i].status == LICBAK_WMT_ERROR_WITHURL) {
            CHECK_TEXT(rec.events[i].text, PAGE);
            CHECK_HR(rec.events[i].hr, outcome);
            CHECK_HAS(error_message(r), outcome == LICBAK_E_ACCESSDENIED ? "LICBAK_S_OK" : PAGE);
        }
    }
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void every_order(void)
{
    static const operation operations[] = {licbak_restore_licenses, restore_one};
    static const char *const stores[] = {"target", "target.db"}, *const machines[] = {NULL, "seat 7", "seat 8"};
    static const uint32_t flags[] = {0, CONSENT, LICBAK_DRY_RUN, LICBAK_DRY_RUN | CONSENT};
    service services[] = {
        {.answer = LICBAK_S_OK}, {.answer = FRAUD}, {.answer = FRAUD, .url = PAGE},
        {.answer = OWN_FAILURE, .url = PAGE}, {.answer = LICBAK_S_FALSE, .url = PAGE},
        {.answer = LICBAK_NS_E_DRM_RESTORE_SERVICE_UNAVAILABLE}, {.answer = INT32_MAX}, {.answer = LICBAK_E_NOTIMPL},
    };
    enum { SERVICES = sizeof services / sizeof services[0] };
    for (int i = 0; i < 2 * 3 * 4 * (SERVICES + 1); i++) {
        service *s = i % (SERVICES + 1) < SERVICES ? &services[i % (SERVICES + 1)] : NULL;
        const int j = i / (SERVICES + 1);
        one_of_all(operations[i % 2], stores[j % 2 ^ i % 2], machines[j / 2 % 3], "seat 7", flags[j / 6], s);
        one_of_all(operations[i % 2], stores[0], machines[j / 2 % 3], NULL, flags[j / 6], s);
    }
}

/* -- what the authorizer is told ------------------------------------------------------------------------- */

static void facts(void)
{
    recorder rec = {0};
    service s = {.answer = LICBAK_S_OK, .url = PAGE, .rec = &rec}; /* beside S_OK an address is nothing */
    licbak_restorer *r = restorer_on("seat 7", "target", "backups", &s);
    licbak_backup_info info = {.struct_size = sizeof info};
    CHECK_HR(licbak_get_backup_info(r, &info), LICBAK_S_OK);
    take_away("target");
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_TEXT(story(&rec), "BcdE");
    CHECK(memcmp(&s.info, &info, sizeof info) == 0);
    CHECK_INT(system("diff -r store target"), 0);

    /* Other operations ask nobody. */
    atomic_store(&s.calls, 0);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "BackupPath", "out"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(atomic_load(&s.calls), 0);
    /* Nor does a restore of nothing. */
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "empty"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_HRESULT_ERROR_FILE_NOT_FOUND);
    CHECK_INT(atomic_load(&s.calls), 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* It is asked before the licences are looked at, and once for each restore. */
static void asked_first(void)
{
    recorder rec = {0};
    service s = {.answer = LICBAK_S_OK, .rec = &rec};
    frames f = read_frames(BACKUP);
    f.bytes[f.all[0].start + f.all[0].length / 2] ^= 1;
    write_file("damaged/licenses.tar.zst", f.bytes, f.size);
    licbak_restorer *r = restorer_on("seat 7", "target", "damaged", &s);
    take_away("target");
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_HAS(story(&rec), "Bcdx");
    CHECK_INT(atomic_load(&s.calls), 1);
    s.answer = FRAUD;
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_SALVAGE, &rec), FRAUD);
    CHECK_TEXT(story(&rec), "BcdeE");
    CHECK(!exists("target"));

    /* A backup whose end is lost states nothing, and is asked about all the same. */
    write_file("damaged/licenses.tar.zst", f.bytes, f.size - 1);
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_SALVAGE, &rec), FRAUD);
    CHECK_INT(atomic_load(&s.calls), 3);
    CHECK_TEXT(s.info.id, "");
    CHECK_INT(s.info.generation, 0);
    CHECK_INT(s.info.licenses, 0);
    CHECK_INT(s.info.machine, LICBAK_MACHINE_UNKNOWN);
    CHECK_INT(s.info.backup_bytes, f.size - 1);
    CHECK(!exists("target"));
    free_frames(&f);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- the very file --------------------------------------------------------------------------------------- */

static void swap(service *s)
{
    CHECK_INT(rename("swapped/licenses.tar.zst", s->aim), 0);
}

/* Another backup takes the place of the one that the host has allowed. */
static void replaced_meanwhile(uint32_t flags, const uint8_t *bytes, size_t size, licbak_hresult outcome)
{
    recorder rec = {0};
    service s = {.answer = LICBAK_S_OK, .rec = &rec, .inside = swap, .aim = "aim/licenses.tar.zst"};
    make_dir("aim");
    make_dir("swapped");
    write_file("aim/licenses.tar.zst", bytes, size);
    size_t other_size;
    uint8_t *other = read_file("others/licenses.tar.zst", &other_size);
    write_file("swapped/licenses.tar.zst", other, other_size);
    free(other);
    licbak_restorer *r = restorer_on(NULL, "target", "aim", &s);
    take_away("target");
    CHECK_HR(run(licbak_restore_licenses, r, flags, &rec), outcome);
    CHECK_INT(atomic_load(&s.calls), 1);
    CHECK(!exists("swapped/licenses.tar.zst"));
    CHECK_INT(strlen(s.info.id), 32); /* it was asked before the lists were found damaged */
    CHECK(!exists("target/other.lic"));
    CHECK_INT(system("diff -r store target"), 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void the_very_file(void)
{
    frames f = read_frames(BACKUP);
    replaced_meanwhile(0, f.bytes, f.size, LICBAK_S_OK);
    /* All lists are damaged, and the end, by which it was allowed, is right. */
    for (size_t i = 1; i + 2 < f.count; i++) {
        f.bytes[f.all[i].start + f.all[i].length - 1] ^= 1;
    }
    replaced_meanwhile(LICBAK_RESTORE_SALVAGE, f.bytes, f.size, LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    free_frames(&f);
}

/* -- addresses ------------------------------------------------------------------------------------------- */

static void addresses(void)
{
    static char whole[ROOM], cut[ROOM], bytes[ROOM];
    memset(whole, 'u', sizeof whole - 1);
    memset(cut, 'u', sizeof cut);
    memset(bytes, 0xFF, sizeof bytes);
    const struct {
        const char *url;
        size_t size;
        const char *told;
    } cases[] = {
        {whole, ROOM, whole}, {cut, ROOM, NULL}, {bytes, ROOM, NULL}, {"", 1, NULL},
        {"https://\xC3\xA9.example/\0\xFF\xFF", 21, "https://\xC3\xA9.example/"}, {"https://\xC3", 10, NULL},
        {"\0https://a/", 12, NULL}, {"%s%n%1000000d\n", 15, "%s%n%1000000d\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        recorder rec = {0};
        service s = {.answer = FRAUD, .rec = &rec, .url = cases[i].url, .url_size = cases[i].size};
        licbak_restorer *r = restorer_on(NULL, "target", "backups", &s);
        CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), FRAUD);
        CHECK_TEXT(story(&rec), cases[i].told != NULL ? "BcudeE" : "BcdeE");
        CHECK_INT(cases[i].told != NULL ? told(&rec, LICBAK_WMT_ERROR_WITHURL, cases[i].told) : 1, 1);
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
}

/* -- ends ------------------------------------------------------------------------------------------------ */

static void cancel(service *s)
{
    CHECK_HR(licbak_wait(s->rec->restorer, FOREVER, NULL), LICBAK_E_ILLEGAL_METHOD_CALL);
    CHECK_HR(licbak_set_authorizer(s->rec->restorer, NULL, NULL), LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY);
    CHECK_HR(licbak_cancel_license_restore(s->rec->restorer), LICBAK_S_OK);
}

static void canceled(void)
{
    static const licbak_hresult answers[] = {LICBAK_S_OK, LICBAK_S_FALSE, FRAUD};
    recorder rec = {0};
    service s = {.rec = &rec, .inside = cancel, .url = PAGE};
    licbak_restorer *r = restorer_on(NULL, "target", "backups", &s);
    take_away("target");
    for (int i = 0; i < 3; i++) {
        s.answer = answers[i];
        CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), CANCELED);
        CHECK_TEXT(story(&rec), "BcE");
        CHECK(!exists("target"));
    }
    s.inside = NULL;
    s.answer = CANCELED; /* the host's own word for it */
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), CANCELED);
    CHECK_TEXT(story(&rec), "BcudE");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static licbak_hresult object(recorder *rec, const event *e)
{
    if (e->status != *(const licbak_status *)rec->other) {
        return LICBAK_S_OK;
    }
    sleep_ms(20); /* time for what must wait for the answer */
    CHECK(!exists("target"));
    return OWN_FAILURE;
}

/* The status callback ends the restore at each of the events; nothing is done after that. */
static void objections(void)
{
    static const struct {
        licbak_status status;
        const char *story;
        licbak_hresult answer;
        uint32_t flags;
    } cases[] = {
        {LICBAK_WMT_INDIVIDUALIZE, "BiE", LICBAK_S_OK, CONSENT},
        {LICBAK_WMT_NEEDS_INDIVIDUALIZATION, "BnE", LICBAK_S_OK, 0},
        {LICBAK_WMT_NEEDS_INDIVIDUALIZATION, "BnE", LICBAK_S_OK, LICBAK_DRY_RUN},
        {LICBAK_WMT_BACKUPRESTORE_CONNECTING, "BicE", LICBAK_S_OK, CONSENT},
        {LICBAK_WMT_ERROR_WITHURL, "BicuE", FRAUD, CONSENT},
        {LICBAK_WMT_BACKUPRESTORE_DISCONNECTING, "BicdE", LICBAK_S_OK, CONSENT},
        {LICBAK_WMT_BACKUPRESTORE_DISCONNECTING, "BicudE", FRAUD, CONSENT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        licbak_status status = cases[i].status;
        recorder rec = {.react = object, .other = &status};
        service s = {.answer = cases[i].answer, .url = PAGE, .rec = &rec};
        licbak_restorer *r = restorer_on("seat 8", "target", "backups", &s);
        take_away("target");
        CHECK_HR(run(licbak_restore_licenses, r, cases[i].flags, &rec), OWN_FAILURE);
        CHECK_TEXT(story(&rec), cases[i].story);
        CHECK_INT(atomic_load(&s.calls), strchr(cases[i].story, 'd') != NULL || strchr(cases[i].story, 'u') != NULL);
        CHECK(!exists("target"));
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
}

static void destroy(service *s)
{
    CHECK_HR(licbak_destroy(s->rec->restorer), LICBAK_S_OK);
}

static licbak_hresult open_at_end(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_BACKUPRESTORE_END) {
        CHECK_HR(e->hr, CANCELED);
        sem_post(&rec->gate->reached);
    }
    return LICBAK_S_OK;
}

static void destroyed_inside(void)
{
    gate g;
    gate_init(&g);
    recorder rec = {.react = open_at_end, .gate = &g};
    service s = {.answer = LICBAK_S_OK, .rec = &rec, .inside = destroy};
    licbak_restorer *r = restorer_on(NULL, "target", "backups", &s);
    take_away("target");
    start(licbak_restore_licenses, r, 0, &rec);
    wait_for(&g.reached);
    CHECK_INT(threads_settled(THREADS_AT_REST), THREADS_AT_REST);
    CHECK_HR(licbak_destroy(r), LICBAK_E_HANDLE);
    CHECK(!exists("target"));
    forget(&rec);
}

static void fork_here(service *s)
{
    (void)s;
    pid_t child = fork();
    CHECK(child >= 0);
    if (child > 0) { /* the child returns into the library, and ends there */
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        CHECK(WIFEXITED(status));
        CHECK_INT(WEXITSTATUS(status), 1);
    } else {
        alarm(20);
    }
}

static void forked_inside(void)
{
    recorder rec = {0};
    service s = {.answer = LICBAK_S_OK, .rec = &rec, .inside = fork_here};
    licbak_restorer *r = restorer_on(NULL, "target", "backups", &s);
    take_away("target");
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(system("diff -r store target"), 0);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- the call that sets it ------------------------------------------------------------------------------- */

static void set(void)
{
    gate g;
    gate_init(&g);
    recorder rec = {.react = hold_at_begin, .gate = &g};
    service first = {.answer = FRAUD}, second = {.answer = OWN_FAILURE};
    CHECK_HR(licbak_set_authorizer(NULL, authorize, NULL), LICBAK_E_HANDLE);
    licbak_restorer *r = restorer_on(NULL, "target", "backups", &first);
    start(licbak_restore_licenses, r, 0, &rec);
    wait_for(&g.reached);
    CHECK_HR(licbak_set_authorizer(r, authorize, &second), LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY);
    CHECK_HR(licbak_set_authorizer(r, NULL, NULL), LICBAK_NS_E_DRM_BACKUPRESTORE_BUSY);
    sem_post(&g.open);
    CHECK_HR(end(r, &rec), FRAUD);
    rec.react = NULL;
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), FRAUD); /* it stays */
    CHECK_HR(licbak_set_authorizer(r, authorize, &second), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), OWN_FAILURE);
    CHECK_INT(atomic_load(&first.calls), 2);
    CHECK_HR(licbak_remove_all_props(r), LICBAK_S_OK); /* it is no property */
    CHECK_HR(licbak_set_prop_string(r, "RestorePath", "backups"), LICBAK_S_OK);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "target"), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), OWN_FAILURE);
    CHECK_HR(licbak_set_authorizer(r, NULL, &second), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(atomic_load(&second.calls), 2);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_HR(licbak_set_authorizer(r, authorize, &first), LICBAK_E_HANDLE);
}

/* A store of the host's own is asked for nothing before the authorizer has allowed it. */
static void host_store(void)
{
    recorder rec = {0};
    host h = {0};
    service s = {.answer = FRAUD, .rec = &rec};
    licbak_restorer *r = restorer_of(&h, "backups");
    CHECK_HR(licbak_set_authorizer(r, authorize, &s), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), FRAUD);
    CHECK_INT(atomic_load(&h.gets) + atomic_load(&h.puts), 0);
    s.answer = LICBAK_S_OK;
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(atomic_load(&h.puts), LICENSES);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    host_forget(&h);
}

int main(void)
{
    begin("transfer");
    for (int i = 0; i < LICENSES; i++) {
        char path[32];
        snprintf(path, sizeof path, "store/%d.lic", i);
        write_noise(path, 4000, (uint64_t)i);
    }
    write_text("others/store/other.lic", "of another backup");
    make_dir("empty");
    make_dir("out");
    make_dir("damaged");
    back_up_as("seat 7", "store", "backups");
    back_up_as(NULL, "store", "nameless");
    CHECK_HR(backup("others/store", "others", 0), LICBAK_S_OK);
    char *had_descriptors = descriptors();

    every_order();
    facts();
    asked_first();
    the_very_file();
    addresses();
    canceled();
    objections();
    destroyed_inside();
    forked_inside();
    set();
    host_store();

    CHECK_INT(threads_settled(THREADS_AT_REST), THREADS_AT_REST);
    char *has_descriptors = descriptors();
    CHECK_TEXT(has_descriptors, had_descriptors);
    free(has_descriptors);
    free(had_descriptors);
    return finish();
}
