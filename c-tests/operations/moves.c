/* Files that move while they are backed up: renamed over names that have been read, exchanged,
 * linked and unlinked, alone and with their folders. A backup that says S_OK has every file that
 * was in the store from before its start to after its end, whatever its names were meanwhile.
 */
#include "../support/host.h"
#include "../support/repeat.h"

#include <linux/fs.h>
#include <sys/syscall.h>

static void make_text(const char *path, const char *text)
{
    write_text(path, text);
    set_modified(path, 1600000000, 1);
}

/* The system call: not every C library has a function for it. */
static bool exchange_at(int folder, const char *left, int other, const char *right)
{
    return syscall(SYS_renameat2, folder, left, other, right, RENAME_EXCHANGE) == 0;
}

static void exchange(const char *left, const char *right)
{
    CHECK(exchange_at(AT_FDCWD, left, AT_FDCWD, right));
}

/* -- one move at a time ------------------------------------------------------------------------------------ */

/* More links than may wait to be told, and than are read ahead of them: what stands behind them in
 * a listing is not read before the first of them has been told. */
enum { LINKS = 20000 };

#define XML(what, action) \
    "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>a2V5</KID><META>" what "</META>" action \
    "</DATA></LICENSORINFO></LICENSE>"

static void make_links(const char *folder)
{
    make_dir(folder);
    for (int i = 0; i < LINKS; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/link-%05d", folder, i);
        CHECK(symlink("nowhere", path) == 0);
    }
}

/* Names from a to k are read before those from n to z. */
static void make_scenes(void)
{
    make_dir("backups");
    make_text("store/a-renamed.lic", "it is replaced");
    make_text("store/z-renames.lic", "renamed over what has been read");
    make_text("store/b-left.lic", "left");
    make_text("store/b-right.lic", "right");
    make_text("store/c-folder/1.lic", "of the early folder");
    make_text("store/c-folder/2.lic", "of the early folder, too");
    make_text("store/z-folder/1.lic", "of the late folder");
    make_text("store/z-folder/2.lic", "of the late folder, too");
    make_text("store/d-twice.lic", "version-one");
    make_text("store/z-moves-on.lic", "it moves each time");
    make_text("aside/second", "version-two");
    make_text("aside/third", "version-three");
    make_text("store/e-denied.xml", XML("allowed-at-first", "<ONACTION type=\"backup\"/>"));
    make_text("aside/denied", XML("denied-at-last", "<ONACTION type=\"Play\"/>"));
    for (int i = 0; i < 20; i++) {
        char path[64];
        snprintf(path, sizeof path, "store/k-%02d.lic", i);
        write_noise(path, 1000, (uint64_t)i);
        set_modified(path, 1600000000, 1);
    }
    make_links("store/m");
    make_links("aside/more"); /* for the second time that the store is read */
}

/* What happens in the store once all up to the links has been read, and once it has been again. */
typedef struct scene {
    void (*first)(void), (*second)(void);
} scene;

static licbak_hresult move_at_links(recorder *rec, const event *e)
{
    scene *s = rec->other;
    void (**next)(void) = NULL;
    if (e->status == LICBAK_STATUS_LICENSE_LEFT_OUT) {
        next = strncmp(e->text, "m/", 2) == 0 ? &s->first : strncmp(e->text, "b-more/", 7) == 0 ? &s->second : NULL;
    }
    if (next != NULL && *next != NULL) {
        (*next)();
        *next = NULL;
    }
    return LICBAK_S_OK;
}

static licbak_hresult back_up_while(uint32_t flags, void (*first)(void), void (*second)(void))
{
    scene s = {first, second};
    recorder rec = {.react = move_at_links, .other = &s};
    licbak_restorer *r = restorer_for("store", "backups");
    set_number(r, "Threads", 1); /* so that little is read ahead */
    licbak_hresult hr = run(licbak_backup_licenses, r, flags, &rec);
    CHECK(s.first == NULL && s.second == NULL);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return hr;
}

static void rename_over_read(void)
{
    CHECK(rename("store/z-renames.lic", "store/a-renamed.lic") == 0);
}

static void exchange_read(void)
{
    exchange("store/b-left.lic", "store/b-right.lic");
}

static void exchange_folders(void)
{
    exchange("store/c-folder", "store/z-folder");
}

/* What has come since the start need not be in the backup; but a file that moves on has the store
 * looked at again. */
static void replace_once(void)
{
    CHECK(rename("aside/second", "store/d-twice.lic") == 0);
    CHECK(rename("store/z-moves-on.lic", "store/c-folder/3.lic") == 0);
    CHECK(rename("aside/more", "store/b-more") == 0);
}

static void replace_again(void)
{
    CHECK(rename("aside/third", "store/d-twice.lic") == 0);
    CHECK(rename("store/c-folder/3.lic", "store/c-folder/4.lic") == 0);
}

static void deny(void)
{
    CHECK(rename("aside/denied", "store/e-denied.xml") == 0);
}

/* Backs up with `flags`, over a backup of the same files if that takes over what has not
 * changed. */
static void each_move(uint32_t flags)
{
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);

    CHECK_HR(back_up_while(flags, rename_over_read, NULL), LICBAK_S_OK);
    check_backup("backups", "store");
    check_in_file("it is replaced", true); /* it was read before */
    CHECK_HR(back_up_while(flags, exchange_read, NULL), LICBAK_S_OK);
    check_backup("backups", "store");
    CHECK_HR(back_up_while(flags, exchange_folders, NULL), LICBAK_S_OK);
    check_backup("backups", "store");

    /* Each version is read, and the last one counts; what the others have left goes with the
     * licence. */
    CHECK_HR(back_up_while(flags, replace_once, replace_again), LICBAK_S_OK);
    check_in_file("version-two", true);
    check_backup("backups", "store");
    CHECK_HR(backup("store", "backups", flags), LICBAK_S_OK);
    check_backup("backups", "store");
    check_in_file("version-three", true);
    CHECK(unlink("store/d-twice.lic") == 0);
    CHECK_HR(backup("store", "backups", flags), LICBAK_S_OK);
    check_backup("backups", "store");
    check_in_file("version-", false);

    /* It must not be in the backup, though it was read while it might. */
    uint64_t before = digest(BACKUP);
    licbak_hresult hr = back_up_while(flags, deny, NULL);
    if (hr == LICBAK_S_OK) {
        check_in_file("allowed-at-first", false);
        CHECK_HR(verify("backups"), LICBAK_S_OK);
    } else {
        CHECK_HR(hr, LICBAK_HRESULT_ERROR_SHARING_VIOLATION);
        CHECK(digest(BACKUP) == before);
    }
    CHECK_HR(backup("store", "backups", flags), LICBAK_S_OK);
    check_in_file("allowed-at-first", false);
    check_in_file("denied-at-last", false);
    CHECK(unlink("store/e-denied.xml") == 0);
    check_backup("backups", "store");
    remove_tree("store");
    remove_tree("aside");
    remove_tree("backups");
}

/* -- a busy folder ----------------------------------------------------------------------------------------- */

static atomic_bool stop;

/* Saves one licence again and again, as a good host does. */
static void *save(void *unused)
{
    (void)unused;
    for (int version = 0; !atomic_load(&stop); version++) {
        char text[32];
        snprintf(text, sizeof text, "version %d", version);
        write_text("busy/.new", text);
        CHECK(rename("busy/.new", "busy/key-0007.lic") == 0);
        sleep_ms(50);
    }
    return NULL;
}

/* What came after the start keeps no backup waiting. */
static void saved_meanwhile(void)
{
    pthread_t saver;
    for (int i = 0; i < 2000; i++) {
        char path[64];
        snprintf(path, sizeof path, "busy/key-%04d.lic", i);
        write_noise(path, 1000, (uint64_t)i);
    }
    make_dir("busy-backups");
    CHECK(pthread_create(&saver, NULL, save, NULL) == 0);
    for (int i = 0; i < 8; i++) {
        uint32_t flags = LICBAK_WM_BACKUP_OVERWRITE | (i % 2 ? LICBAK_BACKUP_FULL : 0);
        CHECK_HR(backup("busy", "busy-backups", flags), LICBAK_S_OK);
        CHECK_HR(verify("busy-backups"), LICBAK_S_OK);
    }
    atomic_store(&stop, true);
    CHECK(pthread_join(saver, NULL) == 0);
    atomic_store(&stop, false);
}

/* -- many moves -------------------------------------------------------------------------------------------- */

enum {
    WRITERS = 3,
    OWN = 400,   /* files of a writer that are in the store all the time */
    NAMES = 504, /* of a writer, as many in each folder; some are free */
    HOT = 4,     /* that it uses most, for a while */
    NONE = -1,
    GUEST = OWN, /* a file that came later, and may go */
};

/* Some are read early, some late; the second of each pair is exchanged with the first. */
static const char *const folders[] = {"", "a", "z", "b/inner", "m", "b"};
enum { FOLDERS_OF_ALL = sizeof folders / sizeof folders[0] };

typedef struct writer {
    pthread_t thread;
    const char *store;
    int number;
    uint64_t random;
    int folders[FOLDERS_OF_ALL]; /* descriptors, which stay with their folders */
    int file[NAMES];             /* that has the name, or none */
    int names[OWN + 1];          /* of each file */
    int hot[HOT], hot_for, burst;
} writer;

/* What is in a file, which no other has in any part: as many lines of its own as its number
 * says. */
static size_t make_content(char content[4096], int writer, int file)
{
    size_t size = 0;
    for (int line = 0; line <= file % 100; line++) {
        size += (size_t)sprintf(content + size, "licence %d of writer %d\n", file, writer);
    }
    return size;
}

static int below(writer *w, int end)
{
    return (int)(next_random(&w->random) >> 33) % end;
}

static int folder_of(const writer *w, int name)
{
    return w->folders[name % FOLDERS_OF_ALL];
}

static const char *text_of_name(const writer *w, int name)
{
    static _Thread_local char texts[2][32];
    static _Thread_local unsigned next;
    char *text = texts[next++ % 2];
    snprintf(text, sizeof texts[0], "w%d-%03d.lic", w->number, name);
    return text;
}

static void write_in(int folder, const char *name, const char *content, size_t size)
{
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    CHECK(file >= 0 && write(file, content, size) == (ssize_t)size && close(file) == 0);
}

static void make_files_of(writer *w)
{
    char content[4096];
    for (int i = 0; i < FOLDERS_OF_ALL; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%s", w->store, folders[i]);
        make_dir(path);
        w->folders[i] = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        CHECK(w->folders[i] >= 0);
    }
    for (int name = 0; name < NAMES; name++) {
        w->file[name] = name < OWN ? name : NONE;
        if (name < OWN) {
            w->names[name] = 1;
            write_in(folder_of(w, name), text_of_name(w, name), content, make_content(content, w->number, name));
        }
    }
}

static void make_files(writer writers[WRITERS], const char *store)
{
    for (int i = 0; i < WRITERS; i++) {
        writers[i] = (writer){.store = store, .number = i, .random = 77 + (unsigned)i};
        make_files_of(&writers[i]);
    }
}

/* Gives the name to another file, or to none. */
static void set_file(writer *w, int name, int file)
{
    if (w->file[name] != NONE) {
        w->names[w->file[name]]--;
    }
    w->file[name] = file;
    if (file != NONE) {
        w->names[file]++;
    }
}

/* Whether no file that has to stay loses its last name with this one. */
static bool is_spare(const writer *w, int name)
{
    return w->file[name] == GUEST || (w->file[name] != NONE && w->names[w->file[name]] > 1);
}

static void rename_to(writer *w, int from, int to)
{
    CHECK(renameat(folder_of(w, from), text_of_name(w, from), folder_of(w, to), text_of_name(w, to)) == 0);
    set_file(w, to, w->file[from]);
    set_file(w, from, NONE);
}

static void exchange_names(writer *w, int one, int other)
{
    CHECK(exchange_at(folder_of(w, one), text_of_name(w, one), folder_of(w, other), text_of_name(w, other)));
    int file = w->file[one];
    w->file[one] = w->file[other];
    w->file[other] = file;
}

static void link_to(writer *w, int from, int to)
{
    CHECK(linkat(folder_of(w, from), text_of_name(w, from), folder_of(w, to), text_of_name(w, to), 0) == 0);
    set_file(w, to, w->file[from]);
}

static void unlink_name(writer *w, int name)
{
    CHECK(unlinkat(folder_of(w, name), text_of_name(w, name), 0) == 0);
    set_file(w, name, NONE);
}

static void save_as(writer *w, int name)
{
    char hidden[16];
    snprintf(hidden, sizeof hidden, ".new-%d", w->number);
    write_in(folder_of(w, name), hidden, "a guest", 7);
    CHECK(renameat(folder_of(w, name), hidden, folder_of(w, name), text_of_name(w, name)) == 0);
    set_file(w, name, GUEST);
}

/* A free name in the same folder. */
static int free_beside(const writer *w, int name)
{
    int free = name;
    do {
        free = (free + FOLDERS_OF_ALL) % NAMES;
    } while (free != name && w->file[free] != NONE);
    return free == name ? NONE : free;
}

/* Has two files change folders; neither folder has more or fewer for it. */
static void trade_by_links(writer *w, int one, int other)
{
    int beside_one = free_beside(w, one), beside_other = free_beside(w, other);
    if (beside_one == NONE || beside_other == NONE || beside_one == beside_other) {
        return;
    }
    link_to(w, one, beside_other);
    link_to(w, other, beside_one);
    unlink_name(w, one);
    unlink_name(w, other);
}

static void exchange_two_folders(writer *w)
{
    char left[64], right[64];
    int pair = 1 + 2 * below(w, 2);
    snprintf(left, sizeof left, "%s/%s", w->store, folders[pair]);
    snprintf(right, sizeof right, "%s/%s", w->store, folders[pair + 1]);
    exchange(left, right);
}

/* Some name, most often one of the few that are hot. */
static int pick(writer *w)
{
    return below(w, 4) != 0 ? w->hot[below(w, HOT)] : below(w, NAMES);
}

static void move_something(writer *w)
{
    if (w->hot_for-- == 0) {
        for (int i = 0; i < HOT; i++) {
            w->hot[i] = below(w, NAMES);
        }
        w->hot_for = 30;
    }
    int one = pick(w), other = pick(w), how = below(w, 8);
    if (w->number == 0 && below(w, 30) == 0) {
        exchange_two_folders(w);
    } else if (w->file[one] == NONE || one == other) {
        if (w->file[one] == NONE && how == 0) {
            save_as(w, one);
        }
    } else if (w->file[other] == NONE) {
        if (how < 4 || w->file[one] == GUEST) {
            rename_to(w, one, other);
        } else {
            link_to(w, one, other);
            if (how < 6) {
                unlink_name(w, one);
            }
        }
    } else if (w->file[one] == w->file[other] && w->file[one] != GUEST) {
        unlink_name(w, one); /* a rename would do nothing */
    } else if (is_spare(w, other) && how < 6) {
        if (how < 4) {
            rename_to(w, one, other);
        } else if (how < 5) {
            save_as(w, other);
        } else {
            unlink_name(w, other);
        }
    } else if (how < 2 && w->file[one] != GUEST && w->file[other] != GUEST) {
        trade_by_links(w, one, other);
    } else {
        exchange_names(w, one, other);
    }
}

static void *move_all(void *context)
{
    writer *w = context;
    while (!atomic_load(&stop)) {
        move_something(w);
        if (w->burst > 0) {
            w->burst--;
        } else {
            w->burst = below(w, 20) == 0 ? 20 : 0;
            /* Long enough for a tick of the kernel in which nobody moves anything. */
            usleep(below(w, 4) == 0 ? 5000 + (unsigned)below(w, 15000) : 300 + (unsigned)below(w, 3000));
        }
    }
    return NULL;
}

/* -- what is lost ------------------------------------------------------------------------------------------ */

typedef bool found[WRITERS][OWN];

/* A host that has no licence yet, and notes which it gets. */
static licbak_hresult LICBAK_CALL find_license(void *context, const licbak_license *license)
{
    found *all = context;
    char content[4096];
    int file, writer;
    if (license->content_size == 7 && memcmp(license->content, "a guest", 7) == 0) {
        return LICBAK_S_OK;
    }
    CHECK(license->content_size > 0 && license->content_size < sizeof content);
    memcpy(content, license->content, license->content_size);
    content[license->content_size] = '\0';
    CHECK_INT(sscanf(content, "licence %d of writer %d\n", &file, &writer), 2);
    CHECK(file >= 0 && file < OWN && writer >= 0 && writer < WRITERS);
    CHECK_INT(make_content(content, writer, file), license->content_size);
    CHECK(memcmp(license->content, content, license->content_size) == 0);
    (*all)[writer][file] = true;
    return LICBAK_S_OK;
}

/* How many files are in the backup in no part. */
static int lost_in(const char *backups)
{
    found all = {{false}};
    recorder rec = {0};
    licbak_store host = {sizeof host, &all, NULL, has_none, find_license, NULL};
    licbak_restorer *r = restorer_for("unused", backups);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_set_store(r, &host), LICBAK_S_OK);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    int lost = 0;
    for (int i = 0; i < WRITERS * OWN; i++) {
        lost += !all[i / OWN][i % OWN];
    }
    return lost;
}

static int backups_made, backups_whole, lost;

static void many_moves(writer writers[WRITERS])
{
    int made = 0, whole = 0;
    const int runs = torture() ? 2000 : 15;
    const char *store = writers[0].store;
    make_dir("backups");
    CHECK_HR(backup(store, "backups", 0), LICBAK_S_OK);
    for (int i = 0; i < WRITERS; i++) {
        CHECK(pthread_create(&writers[i].thread, NULL, move_all, &writers[i]) == 0);
    }
    for (; made < runs && lost == 0; made++) {
        uint32_t flags = LICBAK_WM_BACKUP_OVERWRITE | (made % 2 ? LICBAK_BACKUP_FULL : 0);
        licbak_hresult hr = backup(store, "backups", flags);
        if (hr == LICBAK_S_OK) {
            lost += lost_in("backups");
            whole++;
        } else {
            CHECK_HR(hr, LICBAK_HRESULT_ERROR_SHARING_VIOLATION);
        }
    }
    atomic_store(&stop, true);
    for (int i = 0; i < WRITERS; i++) {
        CHECK(pthread_join(writers[i].thread, NULL) == 0);
    }
    atomic_store(&stop, false);
    CHECK_INT(lost, 0);
    CHECK(2 * whole >= made);
    backups_made += made;
    backups_whole += whole;

    /* At rest again. */
    CHECK_HR(backup(store, "backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
    check_whole("backups", store);
    remove_tree("backups");
    for (int i = 0; i < WRITERS * FOLDERS_OF_ALL; i++) {
        CHECK(close(writers[i / FOLDERS_OF_ALL].folders[i % FOLDERS_OF_ALL]) == 0);
    }
}

int main(void)
{
    static writer in_memory[WRITERS], on_disk[WRITERS];
    begin("moves");
    bool memory = enter_memory();
    make_scenes();
    each_move(LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL);

    make_dir("disk");
    bool disk = memory && make_image("mkfs.ext4 -q -F") && mount_image("image", "disk", "ext4", "");
    make_scenes();
    make_files(in_memory, "many");
    make_files(on_disk, "disk/many");
    settle();
    each_move(LICBAK_WM_BACKUP_OVERWRITE);
    saved_meanwhile();
    many_moves(in_memory);
    if (disk) {
        many_moves(on_disk);
        CHECK(umount("disk") == 0);
    } else {
        skip("ext4", "it takes root, a kernel that knows it, and mkfs.ext4");
    }
    figure("backups %d, of them S_OK %d; lost %d", backups_made, backups_whole, lost);
    leave_memory(memory);
    return finish();
}
