/* An operation as JSON Lines on stdout, for scripts. */
#ifndef LICBAK_JSON_H
#define LICBAK_JSON_H

#include <licbak.h>

/* The context of json_status. */
struct json {
    char restricted[1025]; /* the key ID of the licence whose name is told next, or "" */
    licbak_progress progress; /* the newest; all ones: not known */
};

struct json begin_json(void);

/* Prints an object for each event about a licence. */
licbak_hresult LICBAK_CALL json_status(licbak_status status, licbak_hresult hr,
                                       licbak_datatype type, const uint8_t *value, size_t size,
                                       void *context);

/* Prints the last object: the outcome, its message (NULL for success), and the figures. */
void print_json_end(const struct json *json, const char *command, licbak_hresult hr,
                    const char *message);

/* Prints a text of UTF-8 as a string of JSON. */
void put_json_text(const char *text);

#endif
