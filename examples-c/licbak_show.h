/* The display of an operation: its progress and events on stderr, its result on stdout. */
#ifndef LICBAK_SHOW_H
#define LICBAK_SHOW_H

#include <licbak.h>
#include <stdbool.h>
#include <stdio.h>

/* The display of one operation; the context of show_status. */
struct show {
    const char *working; /* the name of the working phase */
    bool quiet, has_cursor;
    uint32_t told_phase; /* the last phase that was printed as a plain line */
    uint64_t left_out;
    char restricted[1025]; /* the key ID of the licence whose name is told next, or "" */
    bool lacks_consent; /* to a restore of another machine's backup */
    licbak_progress progress; /* the newest */
};

struct show begin_show(const char *working, bool quiet);

licbak_hresult LICBAK_CALL show_status(licbak_status status, licbak_hresult hr,
                                       licbak_datatype type, const uint8_t *value, size_t size,
                                       void *context);

/* Gives the word for an event about a licence, or NULL for another one. */
const char *event_name(licbak_status status);

/* Prints "Restored 30 licences"; `done` is the first word. For a whole backup it also prints the
 * size. Of a dry run it says what the restore would need. If the backup has replaced another one, a
 * second line says how many licences of that one are not in the store any more. */
void tell_summary(const struct show *show, const char *done, bool is_whole);

/* Prints a text that may have any characters, with ? for those that would control a terminal
 * or turn the order of what it shows. */
void put_safely(FILE *stream, const char *text);

/* Does the same to a buffer, and gives the end of what it put there; no NUL. */
char *copy_safely(char *to, const char *text);

/* Passes over most of what is from a space to a tilde at the beginning of a text: most of a text is. */
const char *behind_plain(const char *text, size_t length);

#endif
