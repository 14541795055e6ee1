/* Files and directory trees: making them, and saying what is in them as text that CHECK_TEXT
 * compares. */
#ifndef TREE_H
#define TREE_H

#include "check.h"

/* -- making ---------------------------------------------------------------------------------------------- */

/* Makes a directory and those above it. */
static inline void make_dir(const char *path)
{
    char part[PATH_MAX];
    for (size_t i = 0; i < sizeof part; i++) {
        part[i] = '\0';
        if (i > 0 && (path[i] == '/' || path[i] == '\0')) {
            CHECK(make_folder(part));
        }
        if (path[i] == '\0') {
            return;
        }
        part[i] = path[i];
    }
    check_fail(__FILE__, __LINE__, "too long a path: %s", path);
}

/* Writes a file, making the directories above it. */
static inline void write_file(const char *path, const void *bytes, size_t size)
{
    const char *slash = strrchr(path, '/');
    if (slash != NULL) {
        char parent[PATH_MAX];
        snprintf(parent, sizeof parent, "%.*s", (int)(slash - path), path);
        make_dir(parent);
    }
    FILE *file = open_file(path, "wb");
    CHECK(file != NULL);
    CHECK(size == 0 || fwrite(bytes, 1, size, file) == size);
    CHECK(fclose(file) == 0);
}

static inline void write_text(const char *path, const char *text)
{
    write_file(path, text, strlen(text));
}

/* Writes bytes that no compressor makes smaller. */
static inline void write_noise(const char *path, size_t size, uint64_t seed)
{
    uint64_t state = seed * 2 + 1;
    uint8_t *bytes = malloc(size + 8);
    CHECK(bytes != NULL);
    for (size_t i = 0; i < size; i += 8) {
        uint64_t word = next_random(&state);
        memcpy(bytes + i, &word, 8);
    }
    write_file(path, bytes, size);
    free(bytes);
}

static inline void set_modified(const char *path, int64_t seconds, long nanoseconds)
{
    CHECK(set_modified_time(path, seconds, nanoseconds));
}

/* Fills a store with `count` small text licences in three folders, each with a time of its own. */
static inline void make_store(const char *directory, int count)
{
    static const char *const folders[] = {"", "music/", "video/films/"};
    for (int i = 0; i < count; i++) {
        char path[PATH_MAX], text[160];
        uint64_t state = (uint64_t)i * 2654435761u + 1;
        uint64_t key = next_random(&state), signature = next_random(&state);
        snprintf(path, sizeof path, "%s/%skey-%04d.lic", directory, folders[i % 3], i);
        snprintf(text, sizeof text, "licence %d\nkey %016llx\nsignature %016llx\n", i,
                 (unsigned long long)key, (unsigned long long)signature);
        write_text(path, text);
        set_modified(path, 1600000000 + i * 1000, i * 1237 + 1);
    }
}

static inline void remove_tree(const char *directory)
{
    empty_folder(directory);
    CHECK(remove_folder(directory));
}

/* -- a text that grows ----------------------------------------------------------------------------------- */

typedef struct growing_text {
    char *bytes;
    size_t size, room;
} growing_text;

static inline growing_text empty_text(void)
{
    growing_text text = {calloc(1, 1024), 0, 1024};
    CHECK(text.bytes != NULL);
    return text;
}

static inline void add_text(growing_text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    CHECK(length >= 0);
    if (text->size + (size_t)length >= text->room) {
        text->room = text->room * 2 + (size_t)length;
        text->bytes = realloc(text->bytes, text->room);
        CHECK(text->bytes != NULL);
    }
    va_start(arguments, format);
    vsnprintf(text->bytes + text->size, text->room - text->size, format, arguments);
    va_end(arguments);
    text->size += (size_t)length;
}

/* -- reading --------------------------------------------------------------------------------------------- */

/* Gives a whole file, with a NUL behind it; the caller frees it. */
static inline uint8_t *read_file(const char *path, size_t *size)
{
    FILE *file = open_file(path, "rb");
    if (file == NULL) {
        check_fail(__FILE__, __LINE__, "%s: expected to be there, got %s", path, strerror(errno));
    }
    CHECK(fseek(file, 0, SEEK_END) == 0);
    const long length = ftell(file);
    CHECK(length >= 0 && fseek(file, 0, SEEK_SET) == 0);
    uint8_t *bytes = malloc((size_t)length + 1);
    CHECK(bytes != NULL);
    *size = fread(bytes, 1, (size_t)length, file);
    CHECK(*size == (size_t)length);
    bytes[*size] = '\0';
    fclose(file);
    return bytes;
}

static inline bool same_file(const char *left, const char *right)
{
    size_t left_size, right_size;
    uint8_t *a = read_file(left, &left_size), *b = read_file(right, &right_size);
    bool same = left_size == right_size && memcmp(a, b, left_size) == 0;
    free(a);
    free(b);
    return same;
}

static inline bool exists(const char *path)
{
    file_facts facts;
    return facts_of(path, &facts);
}

static inline long long size_of(const char *path)
{
    file_facts facts;
    CHECK(facts_of(path, &facts));
    return facts.size;
}

#ifndef _WIN32
static inline int mode_of(const char *path)
{
    struct stat st;
    CHECK(lstat(path, &st) == 0);
    return (int)(st.st_mode & 07777);
}
#endif

/* The names in a directory, hidden ones too, sorted, with a space between two. */
static inline const char *entries(const char *directory)
{
    static char text[65536];
    folder_names names = {0};
    CHECK(read_folder(directory, &names));
    text[0] = '\0';
    for (size_t i = 0; i < names.count; i++) {
        CHECK(strlen(text) + strlen(names.all[i]) + 2 <= sizeof text);
        if (i > 0) {
            strcat(text, " ");
        }
        strcat(text, names.all[i]);
    }
    free_names(&names);
    return text;
}

static inline uint64_t digest(const char *path)
{
    size_t size;
    uint8_t *bytes = read_file(path, &size);
    uint64_t hash = 0xcbf29ce484222325u; /* FNV-1a */
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    free(bytes);
    return hash;
}

static inline void tree_below(growing_text *text, const char *directory, size_t root_length, bool has_times)
{
    folder_names names = {0};
    CHECK(read_folder(directory, &names));
    for (size_t i = 0; i < names.count; i++) {
        char path[PATH_MAX];
        file_facts facts;
        CHECK((size_t)snprintf(path, sizeof path, "%s/%s", directory, names.all[i]) < sizeof path);
        CHECK(facts_of(path, &facts));
        if (facts.kind == A_FOLDER) {
            add_text(text, "%s/\n", path + root_length);
            tree_below(text, path, root_length, has_times);
        } else if (facts.kind == A_FILE) {
            add_text(text, "%s: %lld bytes, ", path + root_length, facts.size);
            if (has_times) {
                add_text(text, "modified %lld.%09ld, ", (long long)facts.seconds, facts.nanoseconds);
            }
            add_text(text, "%016llx\n", (unsigned long long)digest(path));
        } else {
            add_text(text, "%s: special\n", path + root_length);
        }
    }
    free_names(&names);
}

static inline char *tree_text(const char *directory, bool has_times)
{
    growing_text text = empty_text();
    tree_below(&text, directory, strlen(directory) + 1, has_times);
    return text.bytes;
}

/* Everything below a directory, a line each: name, size, time to the nanosecond, digest. The caller
 * frees it. Equal texts mean equal trees; modes are not part of it, as a restore does not bring
 * them back. */
static inline char *tree(const char *directory)
{
    return tree_text(directory, true);
}

#define CHECK_SAME_TREE(directory, expected) \
    check_same_text(tree(directory), tree(expected), __FILE__, __LINE__, #directory)

/* Without the times, which a database does not keep. */
#define CHECK_SAME_CONTENTS(directory, expected) \
    check_same_text(tree_text(directory, false), tree_text(expected, false), __FILE__, __LINE__, #directory)

/* Frees both. */
static inline void check_same_text(char *left, char *right, const char *file, int line, const char *expression)
{
    check_text(left, right, file, line, expression);
    free(left);
    free(right);
}

#endif
