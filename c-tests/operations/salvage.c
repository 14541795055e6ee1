/* What is left of a damaged backup: with any part of it destroyed, every licence of the other
 * frames comes back, and each lost one is told by name where the end of the file still has the
 * names. */
#include "../support/frames.h"
#include "../support/host.h"

enum { FOLDERS = 50, PER_FOLDER = 512, ALL = FOLDERS * PER_FOLDER };

/* -- a host whose licences fill a frame a folder ---------------------------------------------------------- */

struct shelf {
    bool has[ALL];
    size_t count;
};

static void make_license(int number, char name[32], char content[64])
{
    snprintf(name, 32, "f%02d/n%03d.lic", number / PER_FOLDER, number % PER_FOLDER);
    snprintf(content, 64, "licence %d, key %08x", number, (unsigned)number * 2654435761u);
}

static licbak_hresult LICBAK_CALL enumerate(void *context, licbak_license_callback emit, void *emit_context)
{
    licbak_hresult hr = LICBAK_S_OK;
    (void)context;
    for (int i = 0; i < ALL && hr >= 0; i++) {
        char name[32], content[64];
        make_license(i, name, content);
        licbak_license license = {.struct_size = sizeof license, .name = name, .content = (const uint8_t *)content,
                                  .content_size = strlen(content)};
        hr = emit(&license, emit_context);
    }
    return hr;
}

static licbak_hresult LICBAK_CALL get_none(void *context, const char *name, licbak_license_callback emit,
                                           void *emit_context)
{
    (void)context, (void)name, (void)emit, (void)emit_context;
    return LICBAK_S_OK;
}

static licbak_hresult LICBAK_CALL put(void *context, const licbak_license *license)
{
    struct shelf *shelf = context;
    char name[32], content[64];
    int folder, number;
    CHECK_INT(sscanf(license->name, "f%d/n%d", &folder, &number), 2);
    number += folder * PER_FOLDER;
    CHECK(number >= 0 && number < ALL && !shelf->has[number]);
    make_license(number, name, content);
    CHECK_TEXT(license->name, name);
    CHECK(license->content_size == strlen(content) && memcmp(license->content, content, strlen(content)) == 0);
    shelf->has[number] = true;
    shelf->count++;
    return LICBAK_S_OK;
}

static const char *key_id; /* of the one licence to restore; NULL: all */

static licbak_hresult LICBAK_CALL restore_some(licbak_restorer *r, uint32_t flags, licbak_status_callback callback,
                                               void *context)
{
    return key_id == NULL ? licbak_restore_licenses(r, flags, callback, context)
                          : licbak_restore_license(r, key_id, flags, callback, context);
}

static licbak_hresult restore_to(struct shelf *shelf, const char *backups, uint32_t flags, recorder *rec)
{
    licbak_store store = {sizeof store, shelf, enumerate, get_none, put, NULL};
    licbak_restorer *r = restorer_for("unused", backups);
    memset(shelf, 0, sizeof *shelf);
    CHECK_HR(licbak_set_store(r, &store), LICBAK_S_OK);
    licbak_hresult hr = run(restore_some, r, flags, rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return hr;
}

/* -- destroying ------------------------------------------------------------------------------------------ */

static uint64_t noise = 1;
static int destroyed, lost;

static void write_damaged(const frames *f, size_t start, size_t length, size_t size)
{
    uint8_t *bytes = malloc(f->size);
    CHECK(bytes != NULL);
    memcpy(bytes, f->bytes, f->size);
    for (size_t i = start; i < start + length; i++) {
        bytes[i] = (uint8_t)next_random(&noise);
    }
    write_file("damaged/licenses.tar.zst", bytes, size);
    free(bytes);
}

/* Restores what is left, and checks that nothing is missing but the licences of one folder, or none
 * (-1), of those that the file still has. */
static void check_salvaged(int missing, size_t told_by_name, size_t folders_left)
{
    struct shelf *shelf = malloc(sizeof *shelf);
    recorder rec = {0};
    CHECK(shelf != NULL);
    destroyed++;
    CHECK_HR(restore_to(shelf, "damaged", 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(shelf->count, 0); /* unless it is asked for, nothing */
    CHECK_HR(restore_to(shelf, "damaged", LICBAK_RESTORE_SALVAGE, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    for (int i = 0; i < (int)folders_left * PER_FOLDER; i++) {
        lost += shelf->has[i] != (i / PER_FOLDER != missing);
    }
    CHECK_INT(lost, 0);
    CHECK_INT(shelf->count, (folders_left - (missing >= 0)) * PER_FOLDER);
    CHECK_INT(final_figures(&rec).licenses_done, shelf->count);
    CHECK_INT(final_figures(&rec).licenses_damaged, told_by_name);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_DAMAGED), told_by_name);
    if (told_by_name > 0) {
        char folder[32];
        snprintf(folder, sizeof folder, "f%02d/", missing);
        CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_DAMAGED, folder), told_by_name);
    }
    forget(&rec);
    free(shelf);
}

static void each_frame(const frames *f)
{
    for (int i = 0; i < (int)f->count; i++) {
        bool is_license = i < FOLDERS;
        write_damaged(f, f->all[i].start, f->all[i].length, f->size);
        check_salvaged(is_license ? i : -1, is_license ? PER_FOLDER : 0, FOLDERS);
    }
}

static void each_structure_of_the_tail(const frames *f)
{
    const size_t tail = f->all[FOLDERS].start;
    const frame parts[] = {
        {f->table, 8},                    /* the table's header */
        {f->table + 8, 4},                /* a length */
        {f->size - 12, 4},                /* the last one's content */
        {f->size - 9, 4},                 /* how many */
        {f->size - 4, 4},                 /* the footer's magic */
        {f->table, f->size - f->table},   /* the table */
        {tail, f->table - tail},          /* all members behind the licences */
        {tail, f->size - tail},           /* and the table */
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        write_damaged(f, parts[i].start, parts[i].length, f->size);
        check_salvaged(-1, 0, FOLDERS);
    }
    write_damaged(f, 0, 0, tail); /* cut where the licences end */
    check_salvaged(-1, 0, FOLDERS);
    write_damaged(f, 0, 0, f->all[20].start + f->all[20].length / 2); /* and within a frame */
    check_salvaged(-1, 0, 20);
    write_damaged(f, f->all[7].start, f->all[7].length, tail); /* the end and a frame: no names are left */
    check_salvaged(7, 0, FOLDERS);
    write_damaged(f, f->all[7].start, 4, tail); /* where a frame's beginning is lost, the next one is looked for */
    check_salvaged(7, 0, FOLDERS);
}

/* One licence: out of an intact frame of a damaged backup, out of a destroyed one, and one that was
 * never there. */
static void one_license(const frames *f)
{
    struct shelf *shelf = malloc(sizeof *shelf);
    recorder rec = {0};
    CHECK(shelf != NULL);
    key_id = "n005"; /* one in each folder */
    write_damaged(f, f->all[7].start, f->all[7].length, f->size);
    CHECK_HR(restore_to(shelf, "damaged", 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(shelf->count, 0);
    CHECK_HR(restore_to(shelf, "damaged", LICBAK_RESTORE_SALVAGE, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(shelf->count, FOLDERS - 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_DAMAGED, "f07/n005.lic"), 1);
    write_damaged(f, f->all[7].start, f->size - f->all[7].start, f->size);
    CHECK_HR(restore_to(shelf, "damaged", LICBAK_RESTORE_SALVAGE, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(shelf->count, 7);
    CHECK(shelf->has[5] && shelf->has[6 * PER_FOLDER + 5]);
    key_id = "nowhere";
    CHECK_HR(restore_to(shelf, "damaged", LICBAK_RESTORE_SALVAGE, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(shelf->count, 0);
    CHECK_HR(restore_to(shelf, "backups", LICBAK_RESTORE_SALVAGE, &rec), LICBAK_HRESULT_ERROR_NOT_FOUND);
    key_id = NULL;
    CHECK_HR(restore_to(shelf, "backups", LICBAK_RESTORE_SALVAGE, &rec), LICBAK_S_OK); /* nothing is damaged */
    CHECK_INT(shelf->count, ALL);
    forget(&rec);
    free(shelf);
}

/* -- a directory ----------------------------------------------------------------------------------------- */

static void into_a_directory(void)
{
    recorder rec = {0};
    write_noise("store/a.lic", 1500000, 1);
    write_noise("store/b.lic", 1500000, 2);
    write_noise("store/c.lic", 1500000, 3);
    set_modified("store/c.lic", 1600000000, 123456789);
    make_dir("directory-backups");
    CHECK_HR(backup("store", "directory-backups", 0), LICBAK_S_OK);
    frames f = read_frames("directory-backups/licenses.tar.zst");
    write_damaged(&f, f.all[1].start + 1000, 1000, f.size);
    write_text("restored/a.lic", "in use");

    licbak_restorer *r = restorer_for("restored", "damaged");
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_SALVAGE | LICBAK_DRY_RUN, &rec),
             LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK(!exists("restored/c.lic"));
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_SALVAGE, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_KEPT, "a.lic"), 1);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_DAMAGED, "b.lic"), 1);
    CHECK_INT(final_figures(&rec).licenses_done, 1);
    CHECK(!exists("restored/b.lic"));
    CHECK_INT(system("cmp store/c.lic restored/c.lic"), 0);
    struct stat st;
    CHECK(stat("restored/c.lic", &st) == 0 && st.st_mtim.tv_nsec == 123456789);
    CHECK_HAS(error_message(r), "damaged");

    /* Without its end the backup's versions may be old ones: the store's stay, whatever the
     * flags. */
    write_damaged(&f, f.all[3].start, f.size - f.all[3].start, f.size);
    const uint32_t both = LICBAK_RESTORE_SALVAGE | LICBAK_RESTORE_OVERWRITE;
    CHECK_HR(run(licbak_restore_licenses, r, both, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_KEPT, "a.lic"), 1);
    CHECK_INT(system("cmp store/b.lic restored/b.lic"), 0);
    CHECK(unlink("restored/c.lic") == 0);
    CHECK_HR(run(licbak_restore_licenses, r, both, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK(stat("restored/c.lic", &st) == 0 && st.st_mtim.tv_sec == 1600000000);

    /* With it, they are as good as ever. */
    write_damaged(&f, f.all[1].start, 100, f.size);
    CHECK_HR(run(licbak_restore_licenses, r, both, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(system("cmp store/a.lic restored/a.lic"), 0);

    write_damaged(&f, 0, f.size, f.size); /* and where nothing is left, nothing is done */
    CHECK_HR(run(licbak_restore_licenses, r, both, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(final_figures(&rec).licenses_done, 0);
    forget(&rec);
    free_frames(&f);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    begin("salvage");
    make_dir("backups");
    licbak_store store = {sizeof store, NULL, enumerate, get_none, put, NULL};
    licbak_restorer *r = restorer_for("unused", "backups");
    recorder rec = {0};
    CHECK_HR(licbak_set_store(r, &store), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);

    frames f = read_frames("backups/licenses.tar.zst");
    CHECK(f.count > FOLDERS + 5);
    each_frame(&f);
    each_structure_of_the_tail(&f);
    one_license(&f);
    free_frames(&f);
    into_a_directory();

    figure("backups of which a part is destroyed: parts %d, licences of the others lost %d", destroyed, lost);
    return finish();
}
