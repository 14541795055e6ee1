/* The keys of encrypted backups, as they come from the command line, from files and from a terminal. */
#ifndef LICBAK_KEYS_H
#define LICBAK_KEYS_H

#include <stdbool.h>
#include <stddef.h>

/* What a property takes at most, with a NUL. */
enum { KEYS_SIZE = 32768 + 1 };

struct keys {
    char recipients[KEYS_SIZE], identities[KEYS_SIZE], passphrase[KEYS_SIZE];
};

/* Each gives NULL, or says what is wrong. Lines are added to those that are there. */
const char *add_recipient(struct keys *keys, const char *recipient);
const char *add_recipients_file(struct keys *keys, const char *path);
const char *add_identity_file(struct keys *keys, const char *path);

/* Asks for the passphrase on the terminal; a new one is asked for twice. */
const char *ask_for_passphrase(struct keys *keys, bool is_new);

/* Wipes them from memory. */
void forget_keys(struct keys *keys);

#endif
