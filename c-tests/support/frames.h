/* The frames of a backup file, as its seek table has them (zstd's seekable format). */
#ifndef FRAMES_H
#define FRAMES_H

#include "tree.h"

typedef struct frame {
    size_t start, length;
} frame;

typedef struct frames {
    uint8_t *bytes; /* of the file */
    size_t size;
    size_t count, table; /* of frames; where the seek table begins */
    frame *all;
} frames;

static inline size_t little_endian(const uint8_t *bytes)
{
    return bytes[0] | (size_t)bytes[1] << 8 | (size_t)bytes[2] << 16 | (size_t)bytes[3] << 24;
}

/* The table: a header of 8 bytes, an entry a frame, a footer of 9: frames, flags, magic. */
static inline frames read_frames(const char *path)
{
    frames f = {0};
    f.bytes = read_file(path, &f.size);
    const uint8_t *footer = f.bytes + f.size - 9;
    size_t entry = footer[4] & 0x80 ? 12 : 8, start = 0;
    f.count = little_endian(footer);
    f.table = f.size - 9 - f.count * entry - 8;
    CHECK_INT(little_endian(f.bytes + f.table), 0x184D2A5E);
    CHECK_INT(little_endian(footer + 5), 0x8F92EAB1);
    f.all = calloc(f.count, sizeof *f.all);
    CHECK(f.all != NULL);
    for (size_t i = 0; i < f.count; i++) {
        f.all[i] = (frame){start, little_endian(f.bytes + f.table + 8 + i * entry)};
        CHECK_INT(little_endian(f.bytes + start), 0xFD2FB528);
        start += f.all[i].length;
    }
    CHECK_INT(start, f.table);
    return f;
}

static inline void free_frames(frames *f)
{
    free(f->bytes);
    free(f->all);
}

/* Two backups are the same but for what each says about itself: the last frame. */
static inline bool same_but_for_trailers(const char *left, const char *right)
{
    frames l = read_frames(left), r = read_frames(right);
    size_t end = l.all[l.count - 1].start;
    bool same = l.count == r.count && end == r.all[r.count - 1].start && memcmp(l.bytes, r.bytes, end) == 0;
    free_frames(&l);
    free_frames(&r);
    return same;
}

#endif
