/* The keys of encrypted backups; see licbak_keys.h. */
#include "licbak_keys.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "licbak_system.h"

/* By volatile bytes, which no compiler takes for useless. */
static void wipe(void *memory, size_t size)
{
    volatile unsigned char *byte = memory;
    while (size-- > 0)
        *byte++ = 0;
}

void forget_keys(struct keys *keys)
{
    wipe(keys, sizeof *keys);
}

static const char *add_line(char *lines, const char *line)
{
    const size_t length = strlen(lines), more = strlen(line);
    if (length + more + 2 > KEYS_SIZE)
        return "is more than the library takes, 32,768 bytes";
    memcpy(lines + length, line, more);
    memcpy(lines + length + more, "\n", 2);
    return NULL;
}

static const char *add_file(char *lines, const char *path)
{
    char text[KEYS_SIZE] = "";
    FILE *file = open_file(path);
    size_t size = 0;
    if (file != NULL) {
        setvbuf(file, NULL, _IONBF, 0); /* a buffer would keep a copy */
        size = fread(text, 1, sizeof text, file);
        fclose(file);
    }
    const char *wrong = size == 0              ? "can't be read, or is empty"
                        : size == sizeof text  ? "is larger than the library takes, 32,768 bytes"
                        : strlen(text) != size ? "is not a text"
                                               : add_line(lines, text);
    wipe(text, sizeof text);
    return wrong;
}

const char *add_recipient(struct keys *keys, const char *recipient)
{
    return *recipient == '\0' ? "needs an age recipient" : add_line(keys->recipients, recipient);
}

const char *add_recipients_file(struct keys *keys, const char *path)
{
    return *path == '\0' ? "needs a file" : add_file(keys->recipients, path);
}

const char *add_identity_file(struct keys *keys, const char *path)
{
    return *path == '\0' ? "needs a file" : add_file(keys->identities, path);
}

const char *ask_for_passphrase(struct keys *keys, bool is_new)
{
    static const char no_terminal[] = "there is no terminal to ask for it";
    char again[KEYS_SIZE];
    if (!ask_secret("Passphrase: ", keys->passphrase, sizeof keys->passphrase))
        return no_terminal;
    if (*keys->passphrase == '\0')
        return "it must not be empty";
    if (!is_new)
        return NULL;
    const bool asked = ask_secret("The same again: ", again, sizeof again);
    const bool is_same = asked && strcmp(again, keys->passphrase) == 0;
    wipe(again, sizeof again);
    return !asked ? no_terminal : is_same ? NULL : "both were not the same";
}
