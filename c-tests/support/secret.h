/* A secret, and the search for its copies in the memory of this process. */
#ifndef SECRET_H
#define SECRET_H

#include "check.h"

#include <fcntl.h>
#include <licbak.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A secret that stands as a whole nowhere where memory can be written, so that each copy of it is one of
 * the library's. */
typedef struct {
    size_t length;
    char (*at)(size_t place);
} secret;

enum { SECRET = 40 };

static char secret_at(size_t place)
{
    return (char)('a' + place * 11 % 26);
}

/* The copies of a secret in memory that can be written; `dumped` of them would be in a core file. */
static size_t copies_of(secret sought, size_t *dumped)
{
    static bool told;
    if (emulated() && !told) {
        skip("what would be in a core file", "the emulator's /proc/self/smaps does not tell");
        told = true;
    }
    static uint8_t part[1 << 20];
    char line[512];
    int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
    FILE *maps = fopen("/proc/self/smaps", "r");
    CHECK(memory >= 0 && maps != NULL);
    size_t count = 0, here = 0;
    *dumped = 0;
    while (fgets(line, sizeof line, maps) != NULL) {
        unsigned long start, end;
        char access[8];
        if (sscanf(line, "%lx-%lx %7s", &start, &end, access) == 3 && strchr(line, '-') < strchr(line, ' ')) {
            here = 0;
            for (unsigned long at = start; access[1] == 'w' && at < end; at += sizeof part - sought.length) {
                size_t room = end - at < sizeof part ? end - at : sizeof part;
                ssize_t got = pread(memory, part, room, (off_t)at);
                for (ssize_t i = 0; i + (ssize_t)sought.length <= got; i++) {
                    size_t same = 0;
                    while (same < sought.length && part[i + (ssize_t)same] == (uint8_t)sought.at(same)) {
                        same++;
                    }
                    bool is_own = (uint8_t *)at + i >= part && (uint8_t *)at + i < part + sizeof part;
                    here += same == sought.length && !is_own;
                }
            }
            count += here;
        } else if (!emulated() && strncmp(line, "VmFlags:", 8) == 0 && strstr(line, " dd") == NULL) {
            *dumped += here;
            here = 0;
        }
    }
    fclose(maps);
    close(memory);
    return count;
}

static size_t copies(size_t *dumped)
{
    return copies_of((secret){SECRET, secret_at}, dumped);
}

/* Sets the property to the secret, of which only the library has a copy then. */
static void set_secret(licbak_restorer *r, const char *property)
{
    char text[SECRET + 1];
    for (size_t i = 0; i < SECRET; i++) {
        text[i] = secret_at(i);
    }
    text[SECRET] = '\0';
    CHECK_HR(licbak_set_prop_string(r, property, text), LICBAK_S_OK);
    for (volatile char *byte = text; byte < text + SECRET; byte++) {
        *byte = '\0';
    }
}

#endif
