/* An operation as JSON; see licbak_json.h. */
#include "licbak_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "licbak_show.h"

void put_json_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\')
            printf("\\%c", *text);
        else if ((unsigned char)*text < 0x20)
            printf("\\u%04x", (unsigned)*text);
        else
            putchar(*text);
    }
    putchar('"');
}

struct json begin_json(void)
{
    struct json json = {0};
    memset(&json.progress, 0xFF, sizeof json.progress);
    return json;
}

/* Prints the words of an event as one, since scripts compare it. */
static void put_event(const char *name)
{
    fputs("{\"event\":\"", stdout);
    for (; *name != '\0'; name++)
        putchar(*name == ' ' ? '_' : *name);
    putchar('"');
}

static void print_event(struct json *json, licbak_status status, const char *text)
{
    put_event(event_name(status));
    /* The text of what is left out is its name and the reason. */
    fputs(status == LICBAK_STATUS_LICENSE_LEFT_OUT ? ",\"text\":" : ",\"name\":", stdout);
    put_json_text(text);
    if (*json->restricted != '\0') {
        fputs(",\"key_id\":", stdout);
        put_json_text(json->restricted);
        *json->restricted = '\0';
    }
    puts("}");
}

licbak_hresult LICBAK_CALL json_status(licbak_status status, licbak_hresult hr,
                                       licbak_datatype type, const uint8_t *value, size_t size,
                                       void *context)
{
    struct json *json = context;
    (void)hr, (void)type;
    if (status == LICBAK_STATUS_PROGRESS || status == LICBAK_WMT_BACKUPRESTORE_END)
        memcpy(&json->progress, value,
               size < sizeof json->progress ? size : sizeof json->progress);
    else if (status == LICBAK_WMT_RESTRICTED_LICENSE)
        snprintf(json->restricted, sizeof json->restricted, "%s", (const char *)value);
    else if (event_name(status) != NULL)
        print_event(json, status, (const char *)value);
    return LICBAK_S_OK;
}

static void put_figure(const char *name, uint64_t figure)
{
    if (figure == UINT64_MAX) /* it is not known */
        printf(",\"%s\":null", name);
    else
        printf(",\"%s\":%" PRIu64, name, figure);
}

void print_json_end(const struct json *json, const char *command, licbak_hresult hr,
                    const char *message)
{
    const licbak_progress *progress = &json->progress;
    printf("{\"event\":\"end\",\"operation\":\"%s\",\"outcome\":\"%s\"", command,
           licbak_hresult_name(hr));
    printf(",\"code\":\"0x%08" PRIX32 "\",\"message\":", (uint32_t)hr);
    if (message != NULL)
        put_json_text(message);
    else
        fputs("null", stdout);
    put_figure("licenses", progress->licenses_done);
    put_figure("restricted", progress->licenses_restricted);
    put_figure("kept", progress->licenses_kept);
    put_figure("damaged", progress->licenses_damaged);
    put_figure("skipped", progress->licenses_skipped);
    put_figure("gone", hr < 0 ? UINT64_MAX : progress->licenses_gone); /* none was replaced */
    put_figure("content_bytes", progress->content_bytes);
    put_figure("backup_bytes", progress->backup_bytes);
    puts("}");
    fflush(stdout); /* before the next text on stderr */
}
