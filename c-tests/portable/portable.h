/* What the suites need and C does not have: files by UTF-8 names, processes, threads, and waiting
 * for a descriptor. There is one implementation for POSIX and one for Windows.
 *
 * Programs that use nothing but C, this header and what ../support builds on it (check.h, tree.h,
 * frames.h, recorder.h, host.h, functions.h) run on both. Paths have '/' between their parts.
 * Functions that can fail give false, and check nothing themselves.
 */
#ifndef PORTABLE_H
#define PORTABLE_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* What a path leads to; a link is not followed. */
typedef struct file_facts {
    enum { A_FILE, A_FOLDER, A_SPECIAL } kind;
    long long size;
    int64_t seconds; /* of the last modification, since 1970 */
    long nanoseconds;
} file_facts;

#ifdef _WIN32
#include "windows_system.h"
#else
#include "posix_system.h"
#endif

/* The names in a folder, hidden ones too, sorted by their bytes. */
typedef struct folder_names {
    char **all;
    size_t count;
} folder_names;

static inline int compare_names(const void *left, const void *right)
{
    return strcmp(*(char *const *)left, *(char *const *)right);
}

/* Fills empty names; free_names frees them. */
static inline bool read_folder(const char *path, folder_names *names)
{
    folder_reader reader;
    const char *name;
    bool whole = open_folder(&reader, path);
    while (whole && (name = next_in_folder(&reader)) != NULL) {
        if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0) {
            continue;
        }
        if (names->count % 64 == 0) {
            char **larger = realloc(names->all, (names->count + 64) * sizeof *larger);
            whole = larger != NULL;
            names->all = whole ? larger : names->all;
        }
        if (whole) {
            names->all[names->count] = strdup(name);
            whole = names->all[names->count] != NULL;
            names->count += whole;
        }
    }
    close_folder(&reader);
    if (names->count > 1) {
        qsort(names->all, names->count, sizeof *names->all, compare_names);
    }
    return whole;
}

static inline void free_names(folder_names *names)
{
    for (size_t i = 0; i < names->count; i++) {
        free(names->all[i]);
    }
    free(names->all);
    *names = (folder_names){0};
}

#endif
