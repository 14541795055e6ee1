/* Damaged backups: whatever byte is altered and wherever the file ends, verify and restore say
 * CORRUPT and the store is untouched. */
#include "../support/frames.h"
#include "../support/recorder.h"

static int tried, accepted;

static void try_damaged(const uint8_t *bytes, size_t size, const char *what, size_t at)
{
    static const operation operations[] = {licbak_verify_backup, licbak_restore_licenses};
    write_file("damaged/licenses.tar.zst", bytes, size);
    tried++;
    for (int i = 0; i < 2; i++) {
        licbak_hresult hr = run_once(operations[i], "target", "damaged", 0);
        accepted += hr >= 0;
        if (hr != LICBAK_NS_E_DRM_BACKUP_CORRUPT) {
            check_fail(__FILE__, __LINE__, "%s of a backup %s %zu: expected LICBAK_NS_E_DRM_BACKUP_CORRUPT, got %s",
                       i == 0 ? "verify" : "restore", what, at, hresult_name(hr));
        }
    }
}

/* Alters and cuts the backup at every `step` bytes, and at each of the last 64, where the lengths
 * are. */
static void damage(const char *backups, size_t step)
{
    char path[64];
    size_t size;
    snprintf(path, sizeof path, "%s/licenses.tar.zst", backups);
    uint8_t *bytes = read_file(path, &size);
    CHECK(size > 64);
    char *before = tree("target");
    for (size_t at = 0; at < size; at += at + 64 >= size ? 1 : at + step + 64 > size ? size - 64 - at : step) {
        bytes[at] ^= 0xFF;
        try_damaged(bytes, size, "altered at byte", at);
        bytes[at] ^= 0xFF;
        try_damaged(bytes, at, "cut to bytes", at);
        char *after = tree("target");
        CHECK_TEXT(after, before);
        free(after);
    }
    CHECK_HR(verify(backups), LICBAK_S_OK);
    free(before);
    free(bytes);
}

static void flip(uint8_t *bytes, size_t size, size_t at, int bit)
{
    bytes[at] ^= (uint8_t)(1 << bit);
    try_damaged(bytes, size, "with a bit flipped in byte", at);
    bytes[at] ^= (uint8_t)(1 << bit);
}

/* Single bits: a hundred anywhere, and each one where no digest of the backup reaches, which is the
 * header of the last frame and the seek table. Some of those bits a decoder of zstd ignores; a
 * backup must not. */
static void flip_bits(const char *backups)
{
    char path[64];
    uint64_t state = 88172645463325252u;
    snprintf(path, sizeof path, "%s/licenses.tar.zst", backups);
    frames f = read_frames(path);
    for (int i = 0; i < 100; i++) {
        uint64_t random = next_random(&state);
        flip(f.bytes, f.size, (size_t)(random >> 8) % f.size, random & 7);
    }
    size_t last_frame = f.all[f.count - 1].start;
    for (size_t at = last_frame; at < f.size; at = at == last_frame + 17 ? f.table : at + 1) {
        for (int bit = 0; bit < 8; bit++) {
            flip(f.bytes, f.size, at, bit);
        }
    }
    free_frames(&f);
}

/* Of an altered frame the sentence says just that, whatever unpacking it came to. */
static void tells_what_was_altered(const char *backups)
{
    char path[64];
    snprintf(path, sizeof path, "%s/licenses.tar.zst", backups);
    frames f = read_frames(path);
    for (size_t at = 0; at < f.all[0].length; at += 99) {
        f.bytes[f.all[0].start + at] ^= 0xFF;
        write_file("damaged/licenses.tar.zst", f.bytes, f.size);
        f.bytes[f.all[0].start + at] ^= 0xFF;
        CHECK_HR(verify("damaged"), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
        CHECK(strstr(check_said, "a frame has been altered") != NULL);
    }
    free_frames(&f);
}

/* A store that is not there yet is not made for a backup that is damaged. */
static void makes_no_store(void)
{
    write_text("damaged/licenses.tar.zst", "nothing of a backup");
    CHECK_HR(restore("not-yet", "damaged", 0), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK_HR(restore("not-yet", "damaged", LICBAK_DRY_RUN), LICBAK_NS_E_DRM_BACKUP_CORRUPT);
    CHECK(!exists("not-yet"));
}

int main(void)
{
    begin("damage");
    make_store("store", 300);
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);

    /* Ten licences of noise, so that there is more than one frame. */
    for (int i = 0; i < 10; i++) {
        char path[64];
        snprintf(path, sizeof path, "frames/%d.lic", i);
        write_noise(path, 700000, (uint64_t)i);
    }
    make_dir("frames-backups");
    CHECK_HR(backup("frames", "frames-backups", 0), LICBAK_S_OK);

    write_text("target/key-0000.lic", "a version in use");
    write_text("target/own.lic", "not in the backup");
    damage("backups", 100);
    flip_bits("backups");
    damage("frames-backups", 200003);
    tells_what_was_altered("backups");
    makes_no_store();
    figure("backups with a byte altered, a bit flipped or an end missing: tried %d, accepted %d", tried, accepted);
    CHECK_INT(accepted, 0);
    return finish();
}
