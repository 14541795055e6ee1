/* A damaged backup: it is told, changes nothing, and gives what is intact when asked to. */
#include "../support/frames.h"
#include "../support/recorder.h"

static recorder rec;
static licbak_restorer *r;

static void write_damaged(const frames *f, size_t start, size_t length, size_t size)
{
    uint8_t *bytes = malloc(f->size);
    uint64_t noise = 1 + start;
    CHECK(bytes != NULL);
    memcpy(bytes, f->bytes, f->size);
    for (size_t i = start; i < start + length; i++) {
        bytes[i] = (uint8_t)next_random(&noise);
    }
    write_file("backups/licenses.tar.zst", bytes, size);
    free(bytes);
}

static licbak_hresult LICBAK_CALL restore_b(licbak_restorer *of, uint32_t flags, licbak_status_callback callback,
                                            void *context)
{
    return licbak_restore_license(of, "b", flags, callback, context);
}

/* Of the second of three licences, each in a frame of its own. */
static void a_frame(const frames *f)
{
    write_damaged(f, f->all[1].start, f->all[1].length, f->size);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_DAMAGED, "b.lic"), 1);
    CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_DAMAGED), 1);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK(!exists("restored") || entries("restored")[0] == '\0');

    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_SALVAGE | LICBAK_DRY_RUN, &rec),
             LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(final_figures(&rec).licenses_done, 2);
    CHECK(!exists("restored") || entries("restored")[0] == '\0');
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_SALVAGE, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_INT(final_figures(&rec).licenses_done, 2);
    CHECK_INT(final_figures(&rec).licenses_damaged, 1);
    CHECK_TEXT(entries("restored"), "a.lic c.lic");
    CHECK(same_file("restored/a.lic", "store/a.lic") && same_file("restored/c.lic", "store/c.lic"));
    CHECK_HR(run(restore_b, r, LICBAK_RESTORE_SALVAGE, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_TEXT(entries("restored"), "a.lic c.lic");
    remove_tree("restored");
}

/* Without the end there are no names, and versions in use are not replaced. */
static void the_end(const frames *f)
{
    write_damaged(f, 0, 0, f->all[3].start);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    write_text("restored/a.lic", "in use");
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_SALVAGE | LICBAK_RESTORE_OVERWRITE, &rec),
             LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_TEXT(entries("restored"), "a.lic b.lic c.lic");
    CHECK_INT(size_of("restored/a.lic"), 6);
    CHECK(same_file("restored/b.lic", "store/b.lic") && same_file("restored/c.lic", "store/c.lic"));
    remove_tree("restored");
}

/* Nothing that a damaged backup could say makes a restore of something else out of it. */
static void anywhere(const frames *f)
{
    for (size_t start = 0; start < f->size - 16; start += f->size / 40) {
        write_damaged(f, start, 16, f->size);
        CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
        CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
        CHECK(!exists("restored") || entries("restored")[0] == '\0');
    }
}

int main(void)
{
    begin("portable_salvage");
    write_noise("store/a.lic", 1500000, 1);
    write_noise("store/b.lic", 1500000, 2);
    write_noise("store/c.lic", 1500000, 3);
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    frames f = read_frames("backups/licenses.tar.zst");
    r = restorer_for("restored", "backups");
    a_frame(&f);
    the_end(&f);
    anywhere(&f);

    write_damaged(&f, 0, 0, f.size); /* whole again */
    CHECK_HR(run(licbak_restore_licenses, r, LICBAK_RESTORE_SALVAGE, &rec), LICBAK_S_OK);
    CHECK_SAME_TREE("restored", "store");
    free_frames(&f);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);
    return finish();
}
