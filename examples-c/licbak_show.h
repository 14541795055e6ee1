/* What the user sees of an operation: on stderr how far it is and what it tells of single licences, on
 * stdout what came of it. */
#ifndef LICBAK_SHOW_H
#define LICBAK_SHOW_H

#include <licbak.h>
#include <stdbool.h>
#include <stdio.h>

/* Of one operation; the context of show_status. */
struct show {
    const char *working; /* what the working phase is called here */
    bool quiet, has_cursor;
    uint32_t told_phase; /* the last one told as a plain line */
    uint64_t left_out;
    licbak_progress progress; /* the newest */
};

struct show begin_show(const char *working, bool quiet);

licbak_hresult LICBAK_CALL show_status(licbak_status status, licbak_hresult hr,
                                       licbak_datatype type, const uint8_t *value, size_t size,
                                       void *context);

/* "Restored 30 licences": `done` is the first word. Of a whole backup also its size. A backup that has
 * replaced another says in a second line what of that one is gone. */
void tell_summary(const struct show *show, const char *done, bool is_whole);

/* Prints what may hold anything, and so also what would drive a terminal. */
void put_safely(FILE *stream, const char *text);

#endif
