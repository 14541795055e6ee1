/* The display of an operation; see licbak_show.h. */
#include "licbak_show.h"

#include <inttypes.h>
#include <string.h>

#include "licbak_system.h"

/* ---- Words and numbers ---------------------------------------------------------------- */

/* The number of bytes of a character that has an effect on a terminal but to be seen; 0 for others.
 * Control characters command it, those called C1 by two bytes in UTF-8. Others can't be seen and
 * turn the order of what follows, or end the line: the same that the library escapes in its
 * sentences. */
static size_t effect_length(const unsigned char *at)
{
    const unsigned char second = at[0] < 0xC2 ? 0 : at[1];
    const unsigned char third = at[0] < 0xE1 || second == 0 ? 0 : at[2];
    switch (at[0]) {
    case 0xC2: return second >= 0x80 && second < 0xA0 ? 2 : 0;
    case 0xD8: return second == 0x9C ? 2 : 0; /* U+061C */
    case 0xE1: return second == 0xA0 && third == 0x8E ? 3 : 0; /* U+180E */
    case 0xE2:
        if (second == 0x80) /* U+200B, U+200E, U+200F, U+2028 to U+202E */
            return third == 0x8B || third == 0x8E || third == 0x8F ||
                           (third >= 0xA8 && third <= 0xAE) ? 3 : 0;
        return second == 0x81 && third >= 0xA0 && third <= 0xAF ? 3 : 0; /* U+2060 to U+206F */
    case 0xEF: /* U+FEFF, U+FFF9 to U+FFFB */
        return (second == 0xBB && third == 0xBF) ||
                       (second == 0xBF && third >= 0xB9 && third <= 0xBB) ? 3 : 0;
    case 0xF3: /* U+E0000 to U+E007F */
        return second == 0xA0 && (third == 0x80 || third == 0x81) && at[3] != 0 ? 4 : 0;
    default: return at[0] < 0x20 || at[0] == 0x7F;
    }
}

/* Whether all bytes of a word are from a space to a tilde. */
static bool is_plain(const char *text)
{
    const uint64_t each = UINT64_MAX / 0xFF;
    uint64_t word;
    memcpy(&word, text, sizeof word);
    /* This sets the highest bit of the first byte that is not. */
    return ((word | (word - each * ' ') | (word + each)) & each * 0x80) == 0;
}

const char *behind_plain(const char *text, size_t length)
{
    const char *const end = text + length;
    if (length < sizeof(uint64_t))
        return text;
    for (; end - text >= (ptrdiff_t)sizeof(uint64_t); text += sizeof(uint64_t))
        if (!is_plain(text))
            return text;
    return is_plain(end - sizeof(uint64_t)) ? end : text;
}

/* Gives how much of the text can be shown as it is; the NUL at its end has an effect, too. */
static size_t safe_length(const char *text)
{
    const unsigned char *at = (const unsigned char *)behind_plain(text, strlen(text));
    while ((unsigned char)(*at - 0x20) < 0x7F - 0x20 || effect_length(at) == 0)
        at++;
    return (size_t)(at - (const unsigned char *)text);
}

static const char *behind_effect(const char *text)
{
    return text + effect_length((const unsigned char *)text);
}

void put_safely(FILE *stream, const char *text)
{
    for (;; text = behind_effect(text), fputc('?', stream)) {
        const size_t length = safe_length(text);
        fwrite(text, 1, length, stream);
        text += length;
        if (*text == '\0')
            return;
    }
}

char *copy_safely(char *to, const char *text)
{
    for (;; text = behind_effect(text), *to++ = '?') {
        const size_t length = safe_length(text);
        memcpy(to, text, length);
        to += length;
        text += length;
        if (*text == '\0')
            return to;
    }
}

static const char *licenses_word(uint64_t count)
{
    return count == 1 ? "licence" : "licences";
}

static const char *format_bytes(uint64_t bytes, char text[16])
{
    static const char units[] = "KMGTPE";
    double amount = (double)bytes / 1024;
    size_t unit = 0;
    for (; amount >= 1024; unit++)
        amount /= 1024;
    if (bytes < 1024)
        snprintf(text, 16, "%u B", (unsigned)bytes);
    else
        snprintf(text, 16, "%.1f %ciB", amount, units[unit]);
    return text;
}

/* ---- The bar, or lines for a log ------------------------------------------------------- */

struct show begin_show(const char *working, bool quiet)
{
    return (struct show){.working = working, .quiet = quiet, .has_cursor = stderr_has_cursor()};
}

static void clear_bar(const struct show *show)
{
    if (show->has_cursor && !show->quiet)
        fputs("\r\033[K", stderr);
    fflush(stderr);
}

/* Not every system has streams that write whole lines. */
static void end_line(void)
{
    fputc('\n', stderr);
    fflush(stderr);
}

static const char *phase_name(const struct show *show)
{
    static const char *const names[] = {"starting", "listing", "checking", NULL, "committing"};
    const uint32_t phase = show->progress.phase;
    const bool is_own = phase >= sizeof names / sizeof *names || names[phase] == NULL;
    return is_own ? show->working : names[phase];
}

/* The share of the phase that is done, 0 to 1; 0 also while the total is not known. */
static double share_done(const licbak_progress *progress)
{
    if (progress->phase_total == 0 || progress->phase_done > progress->phase_total)
        return progress->phase_total == 0 ? 0 : 1;
    return (double)progress->phase_done / (double)progress->phase_total;
}

/* " 53%, 16 of 30 licences, 12.3 KiB", without the figures that are not known yet. */
static void describe_progress(const licbak_progress *progress, char *text, size_t capacity)
{
    char percent[16] = "", total[32] = "", bytes[16];
    if (progress->phase_total > 0)
        snprintf(percent, sizeof percent, "%3d%%, ", (int)(100 * share_done(progress)));
    if (progress->licenses_total > 0)
        snprintf(total, sizeof total, " of %" PRIu64, progress->licenses_total);
    snprintf(text, capacity, "%s%" PRIu64 "%s %s, %s", percent, progress->licenses_done, total,
             licenses_word(progress->licenses_total), format_bytes(progress->content_bytes, bytes));
}

/* One line, never wider than the terminal. If there is too little room, the bar is left out. */
static void draw_bar(const struct show *show)
{
    enum { widest = 40, narrowest = 8 };
    static const char full[] = "########################################";
    static const char empty[] = "----------------------------------------";
    const int columns = stderr_columns() - 1; /* a line that fills the last column might wrap */
    char text[128], bar[128] = "", line[384];
    describe_progress(&show->progress, text, sizeof text);
    int width = columns - (int)(strlen(phase_name(show)) + strlen(text) + strlen(" [] "));
    if (width > widest)
        width = widest;
    if (width >= narrowest && show->progress.phase_total > 0) {
        const int filled = (int)(share_done(&show->progress) * width);
        snprintf(bar, sizeof bar, "[%.*s%.*s] ", filled, full, width - filled, empty);
    }
    snprintf(line, sizeof line, "%s %s%s", phase_name(show), bar, text);
    fprintf(stderr, "\r%.*s\033[K", columns, line);
    fflush(stderr);
}

/* For a log: one line when a phase begins. */
static void tell_phase(struct show *show)
{
    if (show->progress.phase == show->told_phase)
        return;
    show->told_phase = show->progress.phase;
    fprintf(stderr, "%s", phase_name(show));
    if (show->progress.licenses_total > 0)
        fprintf(stderr, ": %" PRIu64 " %s", show->progress.licenses_total,
                licenses_word(show->progress.licenses_total));
    end_line();
}

static void take_progress(struct show *show, const uint8_t *value, size_t size)
{
    /* A later library has a larger struct: take the part that this program knows. */
    if (size > sizeof show->progress)
        size = sizeof show->progress;
    memcpy(&show->progress, value, size);
}

const char *event_name(licbak_status status)
{
    switch (status) {
    case LICBAK_STATUS_LICENSE_LEFT_OUT: return "left out";
    case LICBAK_STATUS_LICENSE_KEPT: return "kept";
    case LICBAK_STATUS_LICENSE_DAMAGED: return "damaged";
    default: return NULL;
    }
}

static void tell_event(struct show *show, licbak_status status, const uint8_t *value)
{
    if (status == LICBAK_STATUS_LICENSE_LEFT_OUT)
        show->left_out++;
    if (status == LICBAK_WMT_RESTRICTED_LICENSE)
        snprintf(show->restricted, sizeof show->restricted, "%s", (const char *)value);
    if (event_name(status) == NULL ||
        (show->quiet && status != LICBAK_STATUS_LICENSE_DAMAGED))
        return;
    clear_bar(show);
    fprintf(stderr, "%s: ", event_name(status));
    put_safely(stderr, (const char *)value);
    if (*show->restricted != '\0') { /* for the issuer */
        fputs(" (key ID ", stderr);
        put_safely(stderr, show->restricted);
        fputc(')', stderr);
        *show->restricted = '\0';
    }
    end_line();
}

licbak_hresult LICBAK_CALL show_status(licbak_status status, licbak_hresult hr,
                                       licbak_datatype type, const uint8_t *value, size_t size,
                                       void *context)
{
    struct show *show = context;
    (void)hr, (void)type;
    if (status == LICBAK_STATUS_PROGRESS) {
        take_progress(show, value, size);
        if (!show->quiet && show->has_cursor)
            draw_bar(show);
        else if (!show->quiet)
            tell_phase(show);
    } else if (status == LICBAK_WMT_NEEDS_INDIVIDUALIZATION) {
        show->lacks_consent = true;
    } else if (status == LICBAK_WMT_BACKUPRESTORE_END) {
        take_progress(show, value, size);
        clear_bar(show);
    } else {
        tell_event(show, status, value); /* WMT_ERROR's sentence stays with the restorer */
    }
    return LICBAK_S_OK;
}

/* ---- The result ----------------------------------------------------------------------- */

/* Prints nothing if the new backup has all licences of the old one, or if there was no old one. */
static void tell_gone(uint64_t count)
{
    if (count == UINT64_MAX)
        puts("It can't be told how many licences of the old backup are not in the store any more.");
    else if (count > 0)
        printf("%" PRIu64 " %s of the old backup %s not in the store any more.\n", count,
               licenses_word(count), count == 1 ? "is" : "are");
}

void tell_summary(const struct show *show, const char *done, bool is_whole)
{
    const licbak_progress *progress = &show->progress;
    char bytes[16];
    printf("%s %" PRIu64 " %s (%s", done, progress->licenses_done,
           licenses_word(progress->licenses_done), format_bytes(progress->content_bytes, bytes));
    if (is_whole && progress->backup_bytes > 0)
        printf(", %s compressed", format_bytes(progress->backup_bytes, bytes));
    putchar(')');
    if (show->left_out > progress->licenses_skipped)
        printf("; %" PRIu64 " left out", show->left_out - progress->licenses_skipped);
    if (progress->licenses_skipped > 0)
        printf("; %" PRIu64 " passed over", progress->licenses_skipped);
    if (progress->licenses_kept > 0)
        printf("; %" PRIu64 " kept", progress->licenses_kept);
    if (progress->licenses_damaged > 0)
        printf("; %" PRIu64 " lost", progress->licenses_damaged);
    putchar('\n');
    if (show->lacks_consent)
        puts("The backup is of another machine: restore it with --individualize.");
    tell_gone(progress->licenses_gone);
    fflush(stdout); /* before the next text on stderr */
}
