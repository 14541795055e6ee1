/* Backup over backup, many times, of a store that changes at random: after each the backup is what
 * a full one would be, whatever was carried along from how many generations, and not much larger.
 */
#include "../support/repeat.h"

enum { LICENSES = 2000, GENERATIONS = 40, ROOM = 4096, GROWTH = 300 };

/* More than this many times as large as a full backup, in hundredths, no repeated one is. */
enum { BOUND = 150 };

typedef struct entry {
    int folder;
    unsigned number;
} entry;

static entry store[ROOM];
static size_t count;
static unsigned next_number;
static uint64_t random_state = 20240229;

static size_t pick(size_t below)
{
    return (size_t)(next_random(&random_state) % below);
}

static const char *path_at(const entry *e)
{
    static _Thread_local char paths[2][128];
    static _Thread_local unsigned next;
    char *path = paths[next++ % 2];
    snprintf(path, sizeof paths[0], "store/%c/%c/key-%u.lic", 'a' + e->folder / 4, 'a' + e->folder % 4, e->number);
    return path;
}

/* Licences are alike, as those of one issuer are: what they compress to depends on the company they
 * are in. */
static void make_text(const char *path, unsigned number)
{
    char text[700];
    int length = snprintf(text, sizeof text, "<LICENSE number=\"%u\"><META>", number);
    for (int i = 0; i < 5; i++) {
        length += snprintf(text + length, sizeof text - (size_t)length,
                           "<ONACTION type=\"Play\"><CONDITION>counter-%d</CONDITION></ONACTION>\n", i);
    }
    snprintf(text + length, sizeof text - (size_t)length, "<KEY>%016llx%016llx</KEY></META></LICENSE",
             (unsigned long long)next_random(&random_state), (unsigned long long)next_random(&random_state));
    write_text(path, text);
    set_modified(path, 1600000000 + (int64_t)pick(100000000), (long)pick(1000000000));
}

static void write_one(const entry *e)
{
    make_text(path_at(e), e->number);
}

/* A name that is taken gets another content. */
static void add_one(void)
{
    entry new = {(int)pick(12), next_number++};
    if (!exists(path_at(&new))) {
        CHECK(count < ROOM);
        store[count++] = new;
    }
    write_one(&new);
}

static void remove_one(size_t at)
{
    CHECK(unlink(path_at(&store[at])) == 0);
    store[at] = store[--count];
}

/* Of what can become of a licence the first five leave its name; the others make frames anew. */
enum { STAYS = 5, ANYTHING = 8 };

/* Names come again, so that a new licence has an old one's. */
static void change_one(int kinds)
{
    size_t at = pick(count);
    entry old = store[at];
    char from[128];
    snprintf(from, sizeof from, "%s", path_at(&old));
    switch (pick((size_t)kinds)) {
    case 0:
    case 1:
    case 2:
        write_one(&old);
        break;
    case 3:
        set_modified(from, 1700000000 + (int64_t)pick(1000), 0);
        break;
    case 4:
        CHECK(chmod(from, pick(2) == 0 ? 0600 : 0640) == 0);
        break;
    case 5:
        old.folder = (int)pick(12);
        if (!exists(path_at(&old))) {
            store[at] = old;
            CHECK(rename(from, path_at(&old)) == 0);
        }
        break;
    case 6:
        remove_one(at);
        break;
    default:
        add_one();
        if (pick(3) == 0 && next_number > LICENSES) {
            next_number -= (unsigned)pick(3); /* the name of one that may be there, or have been */
        }
    }
}

/* How large the repeated backup is, in hundredths of a full one. */
static long long factor(const char *from, const char *backups)
{
    char path[64];
    snprintf(path, sizeof path, "%s/licenses.tar.zst", backups);
    remove_tree("full");
    make_dir("full");
    CHECK_HR(backup(from, "full", 0), LICBAK_S_OK);
    long long hundredths = size_of(path) * 100 / size_of("full/licenses.tar.zst");
    if (hundredths > BOUND) {
        check_fail(__FILE__, __LINE__, "%s: expected at most %d hundredths of a full backup, got %lld", from, BOUND,
                   hundredths);
    }
    return hundredths;
}

static size_t frames_in(const char *path)
{
    frames f = read_frames(path);
    size_t frames = f.count;
    free_frames(&f);
    return frames;
}

/* What has changed here and there comes into one frame, and not into one for each batch of
 * names. */
static void few_frames(void)
{
    size_t before = frames_in(BACKUP);
    for (size_t i = 0; i < count; i += 100) {
        write_one(&store[i]);
    }
    CHECK(repeat_read("store", "backups", 0) < count);
    CHECK_INT(frames_in(BACKUP), before + 1);
    check_whole("backups", "store");
}

static void generations(void)
{
    long long largest = 0;
    size_t partial = 0, most_frames = 0;
    for (int i = 0; i < GENERATIONS; i++) {
        size_t changes = i % 13 == 12 ? count / 3 : i % 3 == 2 ? 1 + pick(3) : 1 + pick(60);
        for (size_t n = 0; n < changes; n++) {
            change_one(i % 3 == 2 ? ANYTHING : STAYS);
        }
        partial += repeat_read("store", "backups", 0) < count;
        check_whole("backups", "store");
        check_salvaged("backups", "store");
        if (i % 4 == 3) { /* some thousand files each time */
            check_extracted("backups", "store");
        }
        char key_id[32];
        snprintf(key_id, sizeof key_id, "key-%u", store[pick(count)].number);
        CHECK_HR(restore_one("single", "backups", key_id), LICBAK_S_OK);
        long long now = factor("store", "backups");
        largest = now > largest ? now : largest;
        size_t frames = frames_in(BACKUP);
        most_frames = frames > most_frames ? frames : most_frames;
    }
    /* What is too young to be relied on is more on a fast machine, and less is taken over. */
    CHECK(partial > GENERATIONS / 8);
    figure("generations: %d, of them with something taken over %zu, at most %zu frames, at most %lld%% of a full backup",
           GENERATIONS, partial, most_frames, largest);
}

/* Licences that are old enough to be relied on when they come to the store: each comes with a
 * folder of its own. */
static void make_growth(void)
{
    static const char *const heaps[] = {"growth", "replacing"};
    for (unsigned i = 0; i < 2 * GROWTH; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/%03u/key-%u.lic", heaps[i / GROWTH], i % GROWTH, i % GROWTH);
        make_text(path, i);
    }
}

/* A licence more each time, and nothing else: no byte of an old version is ever carried along. */

static void slow_growth(void)
{
    make_dir("grown");
    CHECK(rename("growth/000", "grown/000") == 0);
    make_dir("grown-backups");
    for (int i = 0; i < GROWTH; i++) {
        char from[64], to[64];
        snprintf(from, sizeof from, "growth/%03d", i);
        snprintf(to, sizeof to, "grown/%03d", i);
        CHECK(i == 0 || rename(from, to) == 0);
        CHECK_HR(backup("grown", "grown-backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
        if (i < 50) { /* however many small frames there are, they stay where nothing comes to them */
            CHECK_INT(repeat_read("grown", "grown-backups", 0), 0);
        }
    }
    check_backup("grown-backups", "grown");
    figure("a licence more each time, %d times: %zu frames, %lld%% of a full backup", GROWTH,
           frames_in("grown-backups/licenses.tar.zst"), factor("grown", "grown-backups"));
}

/* Each licence gets another content in turn: old versions gather in a frame that is never made
 * anew, until they are too many. */
static void wear_out(void)
{
    long long largest = 0;
    const uint32_t full = LICBAK_WM_BACKUP_OVERWRITE | LICBAK_BACKUP_FULL;
    CHECK_HR(backup("grown", "grown-backups", full), LICBAK_S_OK);
    for (int i = 0; i < GROWTH; i++) {
        char from[64], to[64];
        snprintf(from, sizeof from, "replacing/%03d", i);
        snprintf(to, sizeof to, "grown/%03d", i);
        remove_tree(to);
        CHECK(rename(from, to) == 0);
        if (i % 10 == 9) {
            CHECK_HR(backup("grown", "grown-backups", LICBAK_WM_BACKUP_OVERWRITE), LICBAK_S_OK);
            check_backup("grown-backups", "grown");
            long long now = factor("grown", "grown-backups");
            largest = now > largest ? now : largest;
        }
    }
    CHECK(largest > 110); /* they do gather */
    figure("old versions: at most %lld%% of a full backup", largest);
}

int main(void)
{
    begin("repeat_generations");
    bool memory = enter_memory();
    for (int i = 0; i < LICENSES; i++) {
        add_one();
    }
    make_growth();
    make_dir("backups");
    settle();
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    few_frames();
    generations();
    slow_growth();
    wear_out();
    leave_memory(memory);
    return finish();
}
