/* Memory that runs out: in every operation each allocation fails in turn, alone and with all that
 * follow. The process lives, the outcome is E_OUTOFMEMORY or what it would have been, nothing is
 * left behind and nothing lost.
 *
 * A sample of the allocations, unless LICBAK_TORTURE is set: then each of them, and more
 * operations. With the number of a scene, each allocation of that one; with the number of an
 * allocation behind it only that one fails, and with "on" behind both all that follow do too.
 */
#include "../support/memory_scenes.h"
#include "../support/process.h"

/* What the processes that may die tell the one that counts. */
static struct report {
    long at, calls;
    atomic_bool is_through; /* no allocation of that number any more */
    long faults, out_of_memory, absorbed, killed, leaked, lost, others;
    memory_place place;
    /* What there is before a scene, and after it where there is memory. */
    char before[65536], after[65536];
} *report;

/* -- the host's side --------------------------------------------------------------------------------------- */

static licbak_hresult LICBAK_CALL hear(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                       const uint8_t *value, size_t size, void *context)
{
    memory_is_mine++;
    licbak_hresult answer = record(status, hr, type, value, size, context);
    memory_is_mine--;
    return answer;
}

static licbak_hresult LICBAK_CALL shelve(void *context, const licbak_license *license)
{
    memory_is_mine++;
    licbak_hresult answer = host_put(context, license);
    memory_is_mine--;
    return answer;
}

/* -- one case ---------------------------------------------------------------------------------------------- */

static licbak_hresult settings(licbak_restorer *r, const scene *s, uint32_t workers)
{
    host *h = s->start == licbak_backup_licenses ? &collection : &shelf;
    licbak_store own = {sizeof own, h, host_enumerate, host_get, shelve, h->merge != NULL ? host_merge : NULL};
    licbak_hresult hr = licbak_set_prop_string(r, "BackupPath", s->backups);
    hr = hr < 0 ? hr : licbak_set_prop_string(r, "RestorePath", s->backups);
    hr = hr < 0 || !is_sealed(s->backups) ? hr : set_keys(r);
    hr = hr < 0 ? hr : licbak_set_prop(r, "Threads", LICBAK_WMT_TYPE_DWORD, (const uint8_t *)&workers, 4);
    if ((s->flags & CONSENT) != 0 && s->start == RESTORE) {
        hr = hr < 0 ? hr : licbak_set_prop_string(r, "MachineId", "seat 8");
        hr = hr < 0 ? hr : licbak_set_authorizer(r, allow_or_refuse, (void *)s);
    }
    if (s->store == NULL) {
        return hr < 0 ? hr : licbak_set_store(r, &own);
    }
    return hr < 0 ? hr : licbak_set_prop_string(r, "StorePath", s->store);
}

/* All that a host does, from create to destroy; gives the first failure, or how it ended. */
static licbak_hresult act(const scene *s, uint32_t workers, recorder *rec, growing_text *told)
{
    licbak_restorer *r = NULL;
    licbak_hresult hr = licbak_create(&r);
    if (hr < 0) {
        CHECK(r == NULL);
        return hr;
    }
    hr = settings(r, s, workers);
    if (hr >= 0 && s->start == NULL) {
        hr = read_backup(r, s->flags, told);
    } else if (hr >= 0 && (s->flags & IN_WAIT) != 0) {
        intptr_t descriptor;
        hr = licbak_get_wait_descriptor(r, &descriptor);
    }
    if (hr >= 0 && s->start != NULL) {
        rec->restorer = r;
        hr = s->start(r, s->flags, hear, rec);
        if (hr >= 0) {
            hr = end(r, rec);
        } else {
            CHECK_INT(rec->count, 0);
        }
    }
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return hr;
}

/* Acts with the allocation `fails_at` failing, and notes what memory it left behind. */
static licbak_hresult act_without(const scene *s, uint32_t workers, long fails_at, bool sticky, bool silent, bool *leaks)
{
    static char told[65536];
    recorder rec = {.may_roll_back = s->tell == what_is_in_the_database};
    growing_text list = empty_text();
    char *had = descriptors();
    memory_fails(fails_at, sticky, &report->place);
    licbak_hresult hr = act(s, workers, &rec, &list);
    memory_suffices();
    CHECK((size_t)snprintf(told, sizeof told, "%s", list.bytes) < sizeof told);
    free(list.bytes);
    if (s->start != NULL && rec.count > 0) {
        licbak_progress p = final_figures(&rec);
        snprintf(told, sizeof told, "%llu licences\n", (unsigned long long)p.licenses_done);
    }
    forget(&rec);
    char *has = descriptors();
    long blocks = atomic_load(&memory.blocks), bytes = atomic_load(&memory.bytes);
    int more = threads_settled(1) - 1;
    bool files = strcmp(had, has) != 0;
    *leaks = blocks != 0 || bytes != 0 || more != 0 || files;
    if (*leaks && !silent) {
        fprintf(stderr, "memory: %s, allocation %ld%s: left behind: %ld blocks, %ld bytes, %d threads%s%s\n", s->name,
                fails_at, sticky ? " and on" : "", blocks, bytes, more, files ? ", files: " : "", files ? has : "");
    }
    free(had);
    free(has);
    listing = hr < 0 ? "" : told;
    return hr;
}

/* Whether every line of `text` is one of the other two. */
static bool is_between(const char *text, const char *one, const char *other)
{
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n") + 1;
        char *whole = strndup(line, length);
        bool known = strstr(one, whole) != NULL || strstr(other, whole) != NULL;
        free(whole);
        if (!known) {
            return false;
        }
        line += length;
    }
    return true;
}

/* -- all cases of a scene ----------------------------------------------------------------------------------- */

/* How a scene is played. */
typedef struct way {
    const scene *scene;
    uint32_t workers;
    bool sticky;  /* from the failing allocation on there is no memory, rather than for it alone */
    bool is_cold; /* each case in a process that has not used the library yet */
} way;

static void complain(const way *w, const char *what, licbak_hresult hr, const char *found)
{
    fprintf(stderr, "memory: %s, allocation %ld%s: %s, %s\n%s--\n", w->scene->name, report->at,
            w->sticky ? " and on" : "", what, hresult_name(hr), found);
}

static void keep(char *to, char *text)
{
    CHECK(strlen(text) < sizeof report->before);
    strcpy(to, text);
    free(text);
}

/* Finds out what there is before and after; the first time this process may keep what it needs only
 * once. */
static void rehearse(void *argument)
{
    const way *w = argument;
    bool leaks;
    w->scene->prepare();
    keep(report->before, w->scene->tell());
    CHECK_HR(act_without(w->scene, w->workers, 0, false, true, &leaks), w->scene->outcome);
    report->calls = atomic_load(&memory.calls);
    keep(report->after, w->scene->tell());
}

static void try_case(const way *w)
{
    const scene *s = w->scene;
    bool leaks, more_leaks;
    s->prepare();
    licbak_hresult hr = act_without(s, w->workers, report->at, w->sticky, w->is_cold, &leaks);
    if (atomic_load(&memory.refused) == 0) {
        atomic_store(&report->is_through, true);
        return;
    }
    char *found = s->tell();
    bool is_out = hr == LICBAK_E_OUTOFMEMORY;
    report->faults++;
    report->out_of_memory += is_out;
    report->absorbed += hr == s->outcome;
    report->leaked += leaks && !w->is_cold;
    if (!is_out && hr != s->outcome) {
        report->others++;
        complain(w, "another outcome", hr, check_said);
    }
    bool whole = !is_out      ? strcmp(found, report->after) == 0
                 : s->partial ? is_between(found, report->before, report->after)
                              : strcmp(found, report->before) == 0;
    if (whole && is_out) { /* with memory it goes on from there */
        free(found);
        hr = act_without(s, w->workers, 0, false, true, &more_leaks);
        found = s->tell();
        whole = hr == s->outcome && strcmp(found, report->after) == 0;
    }
    if (!whole) {
        report->lost++;
        complain(w, "lost", hr, found);
    }
    free(found);
}

/* Tries `first` and every `stride`th after it, in a child that is replaced where it dies. */
static void try_all(const way *w, long first, long stride)
{
    atomic_store(&report->is_through, false);
    for (report->at = first; !atomic_load(&report->is_through); report->at += stride) {
        fflush(NULL);
        pid_t child = fork();
        CHECK(child >= 0);
        if (child == 0) {
            if (!w->is_cold) {
                rehearse((void *)w);
            }
            for (bool more = true; more; more = !w->is_cold && !atomic_load(&report->is_through)) {
                alarm(60);
                try_case(w);
                report->at += more && !w->is_cold ? stride : 0;
            }
            _exit(0);
        }
        int status = 0;
        CHECK(waitpid(child, &status, 0) == child);
        if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            report->killed++;
            complain(w, WIFSIGNALED(status) ? strsignal(WTERMSIG(status)) : "a check failed", 0, "");
            backtrace_symbols_fd(report->place.stack, report->place.depth, STDERR_FILENO);
        }
    }
}

/* Plays a scene on both ways to run out of memory, with about `cases` cases each, at places of
 * which only chance knows; with all of them where `cases` is 0. */
static void play(const scene *s, uint32_t workers, bool is_cold, long cases)
{
    static uint64_t chance = 20260101;
    for (int sticky = 0; sticky < 2; sticky++) {
        way w = {s, workers, sticky == 1, is_cold};
        in_child(rehearse, &w);
        long stride = cases == 0 || cases > report->calls ? 1 : report->calls / cases;
        try_all(&w, 1 + (long)(next_random(&chance) % (uint64_t)stride), stride);
    }
}

int main(int argc, char **argv)
{
    void *first[1];
    bool all = torture();
    long places = 0;
    int played = 0;
    begin("memory");
    /* One arena that keeps its pages, so that a case costs the memory that it uses and not the
     * making of it. */
    mallopt(M_ARENA_MAX, 1);
    mallopt(M_MMAP_THRESHOLD, 32 * MIB);
    mallopt(M_TRIM_THRESHOLD, 512 * MIB);
    /* Stacks of which glibc keeps all for the next threads: whose memory it is would change
     * otherwise. */
    pthread_attr_t small;
    CHECK(pthread_attr_init(&small) == 0 && pthread_attr_setstacksize(&small, MIB) == 0);
    CHECK(pthread_setattr_default_np(&small) == 0);
    backtrace(first, 1); /* loads what it needs */
    report = mmap64(NULL, sizeof *report, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(report != MAP_FAILED);
    bool in_memory = enter_memory();
    fill(&collection);
    host_add(&collection, "xml", NULL, WMDRM("host", ALLOWED), 1, 0);
    in_child(make_all, NULL); /* this process itself never uses the library */
    if (argc > 2) {           /* one case: scene, number, "on" for all after it too */
        way w = {&scenes[atoi(argv[1]) % SCENES], 1, argc > 3, false};
        in_child(rehearse, &w);
        try_all(&w, atol(argv[2]), LONG_MAX / 2);
    }
    if (argc == 2) {
        play(&scenes[atoi(argv[1]) % SCENES], 1, false, 0);
    }
    for (size_t i = 0; argc == 1 && i < SCENES; i++) {
        if (scenes[i].full_form && !all) {
            continue;
        }
        play(&scenes[i], 1, false, all ? 0 : 8);
        places += report->calls;
        played++;
        play(&scenes[i], 1, true, all ? 100 : 2);
        play(&scenes[i], 8, false, all ? 100 : 2);
    }
    figure("faults %ld, E_OUTOFMEMORY %ld, absorbed %ld, killed %ld, leaked %ld, lost %ld (%s: %ld places in %d operations, "
           "once and from then on)", report->faults, report->out_of_memory, report->absorbed, report->killed,
           report->leaked, report->lost, all ? "each of" : "some of", places, played);
    CHECK_INT(report->killed, 0);
    CHECK_INT(report->leaked, 0);
    CHECK_INT(report->lost, 0);
    CHECK_INT(report->others, 0);
    CHECK_INT(report->out_of_memory + report->absorbed, report->faults);
    host_forget(&collection);
    leave_memory(in_memory);
    return finish();
}
