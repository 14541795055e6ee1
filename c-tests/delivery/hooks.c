/* zstd calls functions by these names wherever the process has some, and they would get what is the
 * library's own: the library's zstd calls none of a host's.
 */
#include "../support/recorder.h"

static atomic_int calls;

unsigned long long ZSTD_trace_compress_begin(const void *context);
void ZSTD_trace_compress_end(unsigned long long trace, const void *what);
unsigned long long ZSTD_trace_decompress_begin(const void *context);
void ZSTD_trace_decompress_end(unsigned long long trace, const void *what);

unsigned long long ZSTD_trace_compress_begin(const void *context)
{
    (void)context;
    atomic_fetch_add(&calls, 1);
    return 1;
}

void ZSTD_trace_compress_end(unsigned long long trace, const void *what)
{
    (void)trace, (void)what;
    atomic_fetch_add(&calls, 1);
}

unsigned long long ZSTD_trace_decompress_begin(const void *context)
{
    return ZSTD_trace_compress_begin(context);
}

void ZSTD_trace_decompress_end(unsigned long long trace, const void *what)
{
    ZSTD_trace_compress_end(trace, what);
}

int main(void)
{
    begin("hooks");
    make_store("store", 10);
    make_dir("backups");
    CHECK_HR(backup("store", "backups", 0), LICBAK_S_OK);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK_INT(atomic_load(&calls), 0);
    return finish();
}
