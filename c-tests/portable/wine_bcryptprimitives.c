/* bcryptprimitives.dll for Wine before 9, which has none, and no random numbers for Rust's standard
 * library then. It lies beside the programs that are tested there, and is never delivered. */
#include <windows.h>

#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(unsigned char *bytes, SIZE_T size)
{
    while (size > 0) {
        const ULONG part = size < 65536 ? (ULONG)size : 65536;
        if (!RtlGenRandom(bytes, part)) {
            return FALSE;
        }
        bytes += part;
        size -= part;
    }
    return TRUE;
}
