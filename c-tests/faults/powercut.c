/* The power goes, at any moment: the changes of an operation are recorded and replayed as a disk
 * may have them that keeps nothing but what was synced. Of what was not, each file's content may be
 * there, or not, or as zeros, or half of it, and of the names any. (The model is that of ALICE:
 * Pillai et al., "All File Systems Are Not Created Equal", OSDI 2014.) What stands there must be
 * old or new, the new where the end was told, and the next run must succeed.
 */
#include "../support/jobs.h"

/* -- what is recorded -------------------------------------------------------------------------------------- */

enum { INODES = 256, CHANGES = 512, UNSYNCED = 40 };

typedef struct content {
    uint8_t *bytes;
    size_t size;
} content;

/* A file or folder, whatever its names. */
typedef struct inode {
    dev_t device;
    ino_t number;
    bool is_folder;
    content first; /* before all changes */
    struct timespec modified;
} inode;

typedef enum kind { WRITTEN, NAMED, UNNAMED, RENAMED, SYNCED, ALL_SYNCED } kind;

typedef struct change {
    kind kind;
    int inode;        /* that is written, named or synced */
    int folder, from; /* of the names */
    char name[256], old_name[256];
    content content; /* of what is written, afterwards */
} change;

typedef struct entry {
    int folder, inode;
    char name[256];
} entry;

static struct recording {
    inode inodes[INODES];
    int inode_count;
    change changes[CHANGES];
    int change_count;
    entry entries[INODES]; /* before all changes */
    int entry_count;
} recorded;

static content read_content(const char *path)
{
    content c;
    c.bytes = read_file(path, &c.size);
    return c;
}

static int add_inode(const struct stat *st)
{
    CHECK(recorded.inode_count < INODES);
    inode *i = &recorded.inodes[recorded.inode_count];
    *i = (inode){.device = st->st_dev, .number = st->st_ino, .is_folder = S_ISDIR(st->st_mode),
                 .modified = st->st_mtim};
    return recorded.inode_count++;
}

/* The latest of this number: they are used again. */
static int inode_of(const struct stat *st)
{
    for (int i = recorded.inode_count - 1; i >= 0; i--) {
        if (recorded.inodes[i].number == st->st_ino && recorded.inodes[i].device == st->st_dev) {
            return i;
        }
    }
    return add_inode(st);
}

static int inode_at(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        check_fail(__FILE__, __LINE__, "%s: expected to be there, got %s", path, strerror(errno));
    }
    return inode_of(&st);
}

static const char *descriptor(const call *c, unsigned long long fd)
{
    static char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", c->thread, (int)fd);
    return path;
}

static int folder_of(const char *path, char name[256])
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    snprintf(folder, sizeof folder, "%.*s", slash == NULL ? 1 : (int)(slash - path), slash == NULL ? "." : path);
    snprintf(name, 256, "%.255s", slash == NULL ? path : slash + 1);
    return inode_at(folder);
}

static change *add_change(kind kind, int inode)
{
    CHECK(recorded.change_count < CHANGES);
    change *c = &recorded.changes[recorded.change_count++];
    *c = (change){.kind = kind, .inode = inode};
    return c;
}

/* A new inode, where the call has made one. */
static int made_inode(const char *path)
{
    struct stat st;
    CHECK(stat(path, &st) == 0);
    return add_inode(&st);
}

/* What is written in a row is one change: half of it stands for where it may be cut. */
static void add_written(int inode, const char *path)
{
    change *last = &recorded.changes[recorded.change_count - 1];
    if (recorded.change_count == 0 || last->kind != WRITTEN || last->inode != inode) {
        last = add_change(WRITTEN, inode);
    } else {
        free(last->content.bytes);
    }
    last->content = read_content(path);
}

static void record_change(const call *c, long result, void *unused)
{
    (void)unused;
    if (result < 0 || !changes_disk(c, 0)) {
        return;
    }
    if (opens(c) && (c->flags & O_TMPFILE) == O_TMPFILE) {
        made_inode(descriptor(c, (unsigned long long)result));
    } else if (opens(c) || is_one_of(c, " mkdir mkdirat ")) {
        int inode = made_inode(c->path);
        change *named = add_change(NAMED, inode);
        named->folder = folder_of(c->path, named->name);
    } else if (is_call(c, "linkat")) {
        change *named = add_change(NAMED, inode_at(c->path));
        named->folder = folder_of(c->path, named->name);
    } else if (is_one_of(c, " rename renameat renameat2 ")) {
        change *renamed = add_change(RENAMED, inode_at(c->path));
        renamed->folder = folder_of(c->path, renamed->name);
        renamed->from = folder_of(c->from, renamed->old_name);
    } else if (is_one_of(c, " unlink unlinkat rmdir ")) {
        change *unnamed = add_change(UNNAMED, -1);
        unnamed->folder = folder_of(c->path, unnamed->name);
    } else if (writes(c) || is_call(c, "ftruncate")) {
        const char *path = descriptor(c, c->args[0]);
        add_written(inode_at(path), path);
    } else if (is_call(c, "syncfs")) {
        add_change(ALL_SYNCED, -1);
    } else if (is_sync(c)) {
        add_change(SYNCED, inode_at(descriptor(c, c->args[0])));
    } else if (is_call(c, "utimensat") && c->args[1] == 0) {
        struct stat st;
        CHECK(stat(descriptor(c, c->args[0]), &st) == 0);
        recorded.inodes[inode_of(&st)].modified = st.st_mtim; /* comes and goes with the content */
    }
}

/* All that is on the disk before: `path`, the entry `name` of a folder, and what is below. */
static void scan(int folder, const char *name, const char *path)
{
    struct stat st;
    folder_names names = {0};
    if (lstat(path, &st) != 0) {
        return;
    }
    int inode = add_inode(&st);
    entry *e = &recorded.entries[recorded.entry_count++];
    *e = (entry){folder, inode, ""};
    snprintf(e->name, sizeof e->name, "%s", name);
    if (!S_ISDIR(st.st_mode)) {
        recorded.inodes[inode].first = read_content(path);
        return;
    }
    CHECK(read_folder(path, &names));
    for (size_t i = 0; i < names.count; i++) {
        char below[PATH_MAX];
        CHECK((size_t)snprintf(below, sizeof below, "%s/%s", path, names.all[i]) < sizeof below);
        scan(inode, names.all[i], below);
    }
    free_names(&names);
}

static void forget_recording(void)
{
    for (int i = 0; i < recorded.inode_count; i++) {
        free(recorded.inodes[i].first.bytes);
    }
    for (int i = 0; i < recorded.change_count; i++) {
        free(recorded.changes[i].content.bytes);
    }
    memset(&recorded, 0, sizeof recorded);
}

/* -- what a disk may have ---------------------------------------------------------------------------------- */

typedef enum fate { GONE, WHOLE, ZEROS, HALF, FATES } fate;

/* What was not synced when the power went after so many changes: name changes and the files'
 * contents. */
typedef struct unsynced {
    int names[UNSYNCED], name_count;
    int files[UNSYNCED], file_count;
} unsynced;

static bool is_synced(int inode, int from, int end)
{
    for (int i = from; i < end; i++) {
        const change *c = &recorded.changes[i];
        if (c->kind == ALL_SYNCED || (c->kind == SYNCED && c->inode == inode)) {
            return true;
        }
    }
    return false;
}

static unsynced unsynced_after(int end)
{
    unsynced u = {0};
    for (int i = 0; i < end; i++) {
        const change *c = &recorded.changes[i];
        bool is_name = c->kind == NAMED || c->kind == UNNAMED || c->kind == RENAMED;
        if (is_name && !is_synced(c->folder, i + 1, end)) {
            CHECK(u.name_count < UNSYNCED);
            u.names[u.name_count++] = i;
        }
        if (c->kind == WRITTEN && !is_synced(c->inode, i + 1, end)) {
            bool known = false;
            for (int k = 0; k < u.file_count; k++) {
                known |= u.files[k] == c->inode;
            }
            CHECK(u.file_count < UNSYNCED);
            u.files[u.file_count] = c->inode;
            u.file_count += !known;
        }
    }
    return u;
}

/* The file's content, as it was synced last and as it was written last. */
static void contents_of(int inode, int end, content *synced, content *last)
{
    *synced = *last = recorded.inodes[inode].first;
    for (int i = 0; i < end; i++) {
        const change *c = &recorded.changes[i];
        if (c->kind == WRITTEN && c->inode == inode) {
            *last = c->content;
        }
        if (c->kind == ALL_SYNCED || (c->kind == SYNCED && c->inode == inode)) {
            *synced = *last;
        }
    }
}

static void put_content(const char *path, int inode, int end, fate f)
{
    content synced, last;
    contents_of(inode, end, &synced, &last);
    size_t kept = synced.size < last.size ? synced.size : last.size;
    if (f == GONE) {
        write_file(path, synced.bytes, synced.size);
    } else if (f == HALF) {
        write_file(path, last.bytes, kept + (last.size - kept) / 2);
    } else {
        uint8_t *bytes = calloc(1, last.size + 1);
        CHECK(bytes != NULL);
        if (last.size > 0) {
            memcpy(bytes, last.bytes, f == ZEROS ? kept : last.size);
        }
        write_file(path, bytes, last.size);
        free(bytes);
    }
    set_modified(path, recorded.inodes[inode].modified.tv_sec, recorded.inodes[inode].modified.tv_nsec);
}

typedef struct disk {
    entry entries[INODES];
    int count;
    fate fates[INODES];
    int end;
} disk;

static void remove_entry(disk *d, int folder, const char *name)
{
    for (int i = 0; i < d->count; i++) {
        if (d->entries[i].folder == folder && strcmp(d->entries[i].name, name) == 0) {
            d->entries[i] = d->entries[--d->count];
            return;
        }
    }
}

static void put_entry(disk *d, int folder, const char *name, int inode)
{
    remove_entry(d, folder, name);
    CHECK(d->count < INODES);
    entry *e = &d->entries[d->count++];
    *e = (entry){folder, inode, ""};
    snprintf(e->name, sizeof e->name, "%s", name);
}

/* The disk after `end` changes, of which those names are lost and those contents are as `choice`
 * says: a bit for each name and a fate for each file. */
static disk disk_after(int end, const unsynced *u, const int *choice)
{
    disk d = {.count = recorded.entry_count, .end = end};
    memcpy(d.entries, recorded.entries, sizeof d.entries);
    for (int i = 0; i < INODES; i++) {
        d.fates[i] = WHOLE;
    }
    for (int i = 0; i < u->file_count; i++) {
        d.fates[u->files[i]] = (fate)choice[u->name_count + i];
    }
    for (int i = 0, next = 0; i < end; i++) {
        const change *c = &recorded.changes[i];
        bool is_unsynced = next < u->name_count && u->names[next] == i;
        bool is_lost = is_unsynced && choice[next] == 0;
        next += is_unsynced;
        if (is_lost) {
            continue;
        }
        if (c->kind == UNNAMED) {
            remove_entry(&d, c->folder, c->name);
        } else if (c->kind == RENAMED) {
            remove_entry(&d, c->from, c->old_name);
            put_entry(&d, c->folder, c->name, c->inode);
        } else if (c->kind == NAMED) {
            put_entry(&d, c->folder, c->name, c->inode);
        }
    }
    return d;
}

static void put_on_disk(const disk *d, int folder, const char *below)
{
    for (int i = 0; i < d->count; i++) {
        const entry *e = &d->entries[i];
        char path[PATH_MAX];
        if (e->folder != folder) {
            continue;
        }
        CHECK((size_t)snprintf(path, sizeof path, "%s%s", below, e->name) < sizeof path - 1);
        if (recorded.inodes[e->inode].is_folder) {
            make_dir(path);
            strcat(path, "/");
            put_on_disk(d, e->inode, path);
        } else {
            put_content(path, e->inode, d->end, d->fates[e->inode]);
        }
    }
}

/* -- what stands there ------------------------------------------------------------------------------------- */

static struct figures {
    int states, distinct, completed, violations;
} all;

static uint64_t *seen;
static int seen_count, seen_room;

static bool is_new_text(const char *text)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = text; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 0x100000001b3u;
    }
    for (int i = 0; i < seen_count; i++) {
        if (seen[i] == hash) {
            return false;
        }
    }
    if (seen_count == seen_room) {
        seen_room = seen_room * 2 + 256;
        seen = realloc(seen, (size_t)seen_room * sizeof *seen);
        CHECK(seen != NULL);
    }
    seen[seen_count++] = hash;
    return true;
}

static void violation(const job *j, int end, const char *what)
{
    const change *last = &recorded.changes[end > 0 ? end - 1 : 0];
    all.violations++;
    dprintf(check_stderr, "%s: %s, after change %d of %d (%s): %s\n", check_program, j->name, end,
            recorded.change_count, last->name, what);
}

static void judge(const job *j, const expected *e, const disk *d)
{
    const char *top = where(j);
    remove_tree(top);
    put_on_disk(d, 0, "");
    all.states++;
    char *text = exists(top) ? tree(top) : strdup("none");
    bool is_new = is_new_text(text), told = d->end == recorded.change_count;
    free(text);
    if (!is_new && !told) {
        return;
    }
    all.distinct += is_new;
    state found = state_now(j, e);
    if (found == TORN || found == LOST || (told && found != NEW)) {
        violation(j, d->end, state_names[found]);
    }
    if (is_new) {
        plan none = {0};
        traced t;
        const outcome *o = run_job(j, j->changes == A_BACKUP ? OVER : 0, &none, &t);
        bool is_completed = o->hr == LICBAK_S_OK && state_now(j, e) == NEW && left_behind(j) == NULL;
        all.completed += is_completed;
        if (!is_completed) {
            violation(j, d->end, o->hr != LICBAK_S_OK ? o->sentence : "the next does not complete it");
        }
    }
}

/* Every choice, or as many at random as there may be. */
static void cut_after(const job *j, const expected *e, int end, uint64_t *random)
{
    int most = torture() ? 2000 : 40, choice[2 * UNSYNCED] = {0};
    unsynced u = unsynced_after(end);
    int parts = u.name_count + u.file_count;
    double all_choices = 1;
    for (int i = 0; i < parts; i++) {
        all_choices *= i < u.name_count ? 2 : FATES;
    }
    for (int n = 0; n < most && n < all_choices; n++) {
        disk d = disk_after(end, &u, choice);
        judge(j, e, &d);
        if (all_choices > most) {
            for (int i = 0; i < parts; i++) {
                choice[i] = (int)(next_random(random) % (i < u.name_count ? 2 : FATES));
            }
            continue;
        }
        for (int i = 0; i < parts && ++choice[i] == (i < u.name_count ? 2 : FATES); i++) {
            choice[i] = 0;
        }
    }
}

static void cut(const job *j, uint64_t *random)
{
    expected e = expect_of(j);
    plan p = {.see = record_change};
    traced t;
    struct stat st;
    const char *top = where(j);
    prepare(j);
    CHECK(stat(".", &st) == 0 && add_inode(&st) == 0);
    scan(0, top, top);
    CHECK_HR(run_job(j, 0, &p, &t)->hr, LICBAK_S_OK);
    for (int end = 0; end <= recorded.change_count; end++) {
        cut_after(j, &e, end, random);
    }
    forget_recording();
    seen_count = 0;
    free_expected(&e);
    remove_tree(top);
    make_dir(top);
}

/* With a word only the jobs that have it in their name. */
int main(int argc, char **argv)
{
    uint64_t random = 40;
    begin("powercut");
    if (!can_trace()) {
        skip("power cuts", "this machine does not let a program trace its children");
        return finish();
    }
    make_world();
    for (int i = 0; i < JOBS; i++) {
        const job *j = &all_jobs[i];
        bool is_ours = j->changes == A_DIRECTORY || (j->changes == A_BACKUP && strstr(j->store, ".db") == NULL) ||
                       (j->changes == A_DATABASE && j->before == NULL); /* into another SQLite itself sees to it */
        if (is_ours && (argc < 2 || strstr(j->name, argv[1]) != NULL)) {
            cut(j, &random);
        }
    }
    figure("power cuts: states %d%s, of which %d differ; completed by the next %d, violations %d", all.states,
           torture() ? "" : ", a sample", all.distinct, all.completed, all.violations);
    CHECK_INT(all.violations, 0);
    CHECK(all.completed > 0);
    return finish();
}
