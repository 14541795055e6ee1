/* The list of a backup and the facts about it, see licbak_list.h. Rows of a list are printed as they
 * come, however many there are. Its columns are as wide as most licences need; a longer key ID only
 * moves the name to the right. */
#include "licbak_list.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "licbak_json.h"
#include "licbak_show.h"
#include "licbak_system.h"

/* The words are the same as in the licenses.jsonl of a backup. */

static const char *format_word(uint32_t format)
{
    switch (format) {
    case LICBAK_FORMAT_WMDRM: return "wmdrm";
    case LICBAK_FORMAT_XMR: return "xmr";
    case LICBAK_FORMAT_LCP: return "lcp";
    case LICBAK_FORMAT_OMA: return "oma";
    case LICBAK_FORMAT_WMDRM1: return "wmdrm1";
    case LICBAK_FORMAT_KEYGEN: return "keygen";
    default: return "opaque"; /* also for a format that only a later library knows */
    }
}

static const char *right_word(uint32_t right)
{
    switch (right) {
    case LICBAK_RIGHT_ALLOWED: return "allowed";
    case LICBAK_RIGHT_DENIED: return "denied";
    default: return "unstated";
    }
}

/* ---- Times ---------------------------------------------------------------------------- */

struct moment {
    struct tm utc;
    int nanoseconds;
};

/* Takes nanoseconds since 1970 apart. Gives false for 0, which means that the time is not known. A
 * time before 1970 is negative, but its nanoseconds still count forwards. */
static bool find_moment(int64_t time, struct moment *at)
{
    enum { second = 1000000000 };
    at->nanoseconds = (int)((time % second + second) % second);
    return time != 0 && find_utc((time - at->nanoseconds) / second, &at->utc);
}

/* ---- Columns -------------------------------------------------------------------------- */

enum {
    key_id_width = 40,
    row_max = 64 + 1024 + key_id_width + 4000 /* columns, and the longest key ID and name */
};

/* Puts blanks up to the width of a column, which some texts exceed, and two more. */
static char *end_column(char *end, ptrdiff_t left)
{
    const size_t blanks = 2 + (left > 0 ? (size_t)left : 0);
    memset(end, ' ', blanks);
    return end + blanks;
}

static char *put_word(char *to, const char *word, ptrdiff_t width)
{
    const size_t length = strlen(word);
    memcpy(to, word, length);
    return end_column(to + length, width - (ptrdiff_t)length);
}

static char *put_text(char *to, const char *text, ptrdiff_t width)
{
    const size_t length = strlen(text);
    if (behind_plain(text, length) == text + length) {
        memcpy(to, text, length);
        return end_column(to + length, width - (ptrdiff_t)length);
    }
    char *end = copy_safely(to, text);
    /* The width on a terminal is about one column for each character of UTF-8. */
    for (const char *at = to; at < end; at++)
        width -= ((unsigned char)*at & 0xC0) != 0x80;
    return end_column(end, width);
}

static char *put_size(char *to, size_t size)
{
    enum { width = 8, most = 20 };
    char digits[most];
    int first = most;
    do
        digits[--first] = (char)('0' + size % 10);
    while ((size /= 10) > 0);
    while (first > most - width)
        digits[--first] = ' ';
    memcpy(to, digits + first, (size_t)(most - first));
    return end_column(to + (most - first), 0);
}

/* Rows that are not printed yet: a list may have millions, and a call for each is dear. A terminal
 * gets each as it comes. */
struct rows {
    bool at_once;
    size_t size;
    char bytes[1 << 16];
};

static void print_rows(struct rows *rows)
{
    fwrite(rows->bytes, 1, rows->size, stdout);
    rows->size = 0;
}

static licbak_hresult LICBAK_CALL put_row(const licbak_license *license, void *context)
{
    struct rows *rows = context;
    char *end = rows->bytes + rows->size;
    end = put_word(end, format_word(license->format), 6);
    end = put_word(end, right_word(license->backup_right), 8);
    end = put_size(end, license->content_size);
    end = put_text(end, license->key_id, key_id_width);
    end = copy_safely(end, license->name);
    *end++ = '\n';
    rows->size = (size_t)(end - rows->bytes);
    if (rows->at_once || sizeof rows->bytes - rows->size < row_max)
        print_rows(rows);
    return LICBAK_S_OK;
}

licbak_hresult list_columns(licbak_restorer *restorer)
{
    static struct rows rows;
    rows.at_once = is_terminal(stdout);
    if (rows.at_once) /* a pipe gets only licences */
        printf("%-6s  %-8s  %8s  %-*s  %s\n", "FORMAT", "RIGHT", "SIZE", key_id_width, "KEY ID",
               "NAME");
    const licbak_hresult hr = licbak_list_backup(restorer, put_row, &rows);
    print_rows(&rows);
    return hr;
}

/* ---- JSON ----------------------------------------------------------------------------- */

static void put_json_time(int64_t nanoseconds)
{
    struct moment at;
    char text[32];
    if (!find_moment(nanoseconds, &at)) {
        fputs("null", stdout);
        return;
    }
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &at.utc);
    printf("\"%s.%09dZ\"", text, at.nanoseconds);
}

static licbak_hresult LICBAK_CALL print_object(const licbak_license *license, void *context)
{
    (void)context;
    fputs("{\"name\":", stdout);
    put_json_text(license->name);
    fputs(",\"key_id\":", stdout);
    put_json_text(license->key_id);
    printf(",\"format\":\"%s\",\"right\":\"%s\",\"size\":%zu,\"modified\":",
           format_word(license->format), right_word(license->backup_right),
           license->content_size);
    put_json_time(license->modified);
    puts("}");
    return LICBAK_S_OK;
}

licbak_hresult list_json(licbak_restorer *restorer)
{
    static char objects[1 << 16];
    if (!is_terminal(stdout)) /* a pipe gets many at a time */
        setvbuf(stdout, objects, _IOFBF, sizeof objects);
    return licbak_list_backup(restorer, print_object, NULL);
}

/* ---- What can't be read --------------------------------------------------------------- */

/* The formats whose licences have rights, by the names of their roots. */
static const struct kind {
    const char *roots[3], *one, *many;
} kinds[] = {
    {{"LICENSE", "XMR", NULL}, "file looks like a Windows Media licence",
     "files look like Windows Media licences"},
    {{"o-ex:rights", "roap:ro", "roap:protectedRO"}, "file looks like an OMA rights object",
     "files look like OMA rights objects"},
};
enum { kind_count = sizeof kinds / sizeof *kinds };

struct unread {
    const char *store;
    uint64_t counts[kind_count];
};

/* Keeps the ASCII of a text, which is enough to know it by, and which UTF-16 has NULs between. */
static void keep_ascii(char *text, size_t size)
{
    char *end = text;
    for (size_t i = 0; i < size; i++)
        if (text[i] > 0)
            *end++ = text[i];
    *end = '\0';
}

/* Finds the name of the root, behind declarations and comments; "" of what is not XML. */
static const char *find_root(const char *text)
{
    const char *at = text + strspn(text, " \t\r\n");
    if (*at != '<')
        return "";
    while (*at == '<' && (at[1] == '?' || at[1] == '!')) {
        const char *next = strchr(at + 1, '<');
        if (next == NULL)
            return "";
        at = next;
    }
    return at + 1;
}

static bool is_root(const char *at, const char *root)
{
    const size_t length = strlen(root);
    return strncmp(at, root, length) == 0 && strchr(" \t\r\n/>", at[length]) != NULL;
}

static licbak_hresult LICBAK_CALL count_unread(const licbak_license *license, void *context)
{
    struct unread *unread = context;
    char text[1024];
    if (interrupting_signal() != 0)
        return LICBAK_NS_E_DRM_OPERATION_CANCELED;
    if (license->format != LICBAK_FORMAT_OPAQUE || license->content_size == 0)
        return LICBAK_S_OK;
    const size_t size = read_beginning(unread->store, license->name, text, sizeof text - 1);
    const bool is_xmr = size >= 4 && memcmp(text, "XMR", 4) == 0; /* with the NUL */
    keep_ascii(text, size);
    const char *root = is_xmr ? "XMR" : find_root(text);
    for (size_t kind = 0; kind < kind_count; kind++)
        for (size_t i = 0; i < 3 && kinds[kind].roots[i] != NULL; i++)
            if (is_root(root, kinds[kind].roots[i])) {
                unread->counts[kind]++;
                return LICBAK_S_OK;
            }
    return LICBAK_S_OK;
}

licbak_hresult tell_unread(licbak_restorer *restorer, const char *store)
{
    struct unread unread = {.store = store};
    const licbak_hresult hr = licbak_list_backup(restorer, count_unread, &unread);
    if (hr < 0)
        return hr;
    for (size_t kind = 0; kind < kind_count; kind++) {
        const uint64_t count = unread.counts[kind];
        if (count > 0)
            printf("%" PRIu64 " %s and can't be read.\n", count,
                   count == 1 ? kinds[kind].one : kinds[kind].many);
    }
    fflush(stdout); /* before the next text on stderr */
    return hr;
}

/* ---- The facts ------------------------------------------------------------------------ */

static const char *machine_word(uint32_t machine)
{
    switch (machine) {
    case LICBAK_MACHINE_SAME: return "same";
    case LICBAK_MACHINE_OTHER: return "other";
    default: return "unknown";
    }
}

licbak_hresult info_columns(licbak_restorer *restorer)
{
    licbak_backup_info info = {.struct_size = sizeof info};
    const licbak_hresult hr = licbak_get_backup_info(restorer, &info);
    struct moment at;
    char created[32] = "unknown";
    if (hr < 0)
        return hr;
    if (find_moment(info.created, &at))
        strftime(created, sizeof created, "%Y-%m-%d %H:%M:%S UTC", &at.utc);
    printf("id          %s\n", info.id);
    printf("generation  %" PRIu64 "\n", info.generation);
    printf("created     %s\n", created);
    printf("machine     %s\n", machine_word(info.machine));
    printf("licences    %" PRIu64 "\n", info.licenses);
    printf("restricted  %" PRIu64 "\n", info.restricted);
    printf("content     %" PRIu64 " bytes\n", info.content_bytes);
    printf("backup      %" PRIu64 " bytes\n", info.backup_bytes);
    printf("encrypted   %s\n", info.encrypted ? "yes" : "no");
    printf("version     %" PRIu32 ".%" PRIu32 "\n", info.version_major, info.version_minor);
    return hr;
}

licbak_hresult info_json(licbak_restorer *restorer)
{
    licbak_backup_info info = {.struct_size = sizeof info};
    const licbak_hresult hr = licbak_get_backup_info(restorer, &info);
    if (hr < 0)
        return hr;
    printf("{\"id\":\"%s\",\"generation\":%" PRIu64 ",\"created\":", info.id, info.generation);
    put_json_time(info.created);
    printf(",\"machine\":\"%s\",\"licenses\":%" PRIu64 ",\"restricted\":%" PRIu64,
           machine_word(info.machine), info.licenses, info.restricted);
    printf(",\"content_bytes\":%" PRIu64 ",\"backup_bytes\":%" PRIu64, info.content_bytes,
           info.backup_bytes);
    printf(",\"encrypted\":%s,\"version\":[%" PRIu32 ",%" PRIu32 "]}\n",
           info.encrypted ? "true" : "false", info.version_major, info.version_minor);
    return hr;
}
