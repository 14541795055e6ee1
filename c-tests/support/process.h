/* What a process has: descriptors, threads, mappings, memory. */
#ifndef PROCESS_H
#define PROCESS_H

#include "tree.h"

/* Every open descriptor and what it leads to, a line each. The caller frees it. */
static inline char *descriptors(void)
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    CHECK(stream != NULL);
    for (int fd = 0; fd < 1024; fd++) {
        char path[64], target[PATH_MAX];
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target);
        if (length >= 0) {
            fprintf(stream, "%d %.*s\n", fd, (int)length, target);
        }
    }
    fclose(stream);
    return text;
}

static inline int lines_of(const char *text)
{
    int count = 0;
    for (; *text != '\0'; text++) {
        count += *text == '\n';
    }
    return count;
}

static inline int descriptor_count(void)
{
    char *text = descriptors();
    int count = lines_of(text);
    free(text);
    return count;
}

static inline int threads(void)
{
    DIR *directory = opendir("/proc/self/task");
    CHECK(directory != NULL);
    int count = emulated() ? -3 : -2; /* . and .., and qemu has one of its own */
    while (readdir(directory) != NULL) {
        count++;
    }
    closedir(directory);
    return count;
}

/* The threads, when there are `expected` or after a second: the kernel lists one that has been
 * joined for a moment still. */
static inline int threads_settled(int expected)
{
    for (int i = 0; i < 1000 && threads() != expected; i++) {
        sleep_ms(1);
    }
    return threads();
}

/* The threads of a program that runs no operation. */
#ifdef THREAD_SANITIZER /* sanitizers.sh: it keeps one of its own, from the second on */
enum { THREADS_AT_REST = 2 };
#else
enum { THREADS_AT_REST = 1 };
#endif

static inline int mappings(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    CHECK(file != NULL);
    int count = 0;
    for (int c = getc(file); c != EOF; c = getc(file)) {
        count += c == '\n';
    }
    fclose(file);
    return count;
}

static inline long resident_bytes(void)
{
    long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%*d %ld", &resident) == 1);
    fclose(file);
    return resident * sysconf(_SC_PAGESIZE);
}

#endif
