/* The layout of each struct, by the header alone: a word is as large as a pointer, and what has 64 bits may begin at
 * each word, or at each 8 bytes only. See abi.rs, which compiles this for processors of both kinds. */
#include <licbak.h>

#define WORD sizeof(void *)
#define START_OF_64 offsetof(struct { char first; uint64_t second; }, second)
#define UP(offset) (((offset) + START_OF_64 - 1) / START_OF_64 * START_OF_64)

#define SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#define MEMBER(type, member, offset, size)                                                                           \
    _Static_assert(offsetof(type, member) == (offset) && sizeof(((type *)0)->member) == (size), #type "." #member)

SIZE(licbak_hresult, 4);
SIZE(licbak_status, 4);
SIZE(licbak_datatype, 4);

MEMBER(licbak_progress, struct_size, 0, WORD);
MEMBER(licbak_progress, licenses_total, UP(WORD), 8);
MEMBER(licbak_progress, licenses_done, UP(WORD) + 8, 8);
MEMBER(licbak_progress, licenses_restricted, UP(WORD) + 16, 8);
MEMBER(licbak_progress, licenses_kept, UP(WORD) + 24, 8);
MEMBER(licbak_progress, licenses_damaged, UP(WORD) + 32, 8);
MEMBER(licbak_progress, content_bytes, UP(WORD) + 40, 8);
MEMBER(licbak_progress, backup_bytes, UP(WORD) + 48, 8);
MEMBER(licbak_progress, phase_done, UP(WORD) + 56, 8);
MEMBER(licbak_progress, phase_total, UP(WORD) + 64, 8);
MEMBER(licbak_progress, phase, UP(WORD) + 72, 4);
MEMBER(licbak_progress, reserved, UP(WORD) + 76, 4);
MEMBER(licbak_progress, licenses_skipped, UP(WORD) + 80, 8);
MEMBER(licbak_progress, licenses_gone, UP(WORD) + 88, 8);
SIZE(licbak_progress, UP(WORD) + 96);

MEMBER(licbak_license, struct_size, 0, WORD);
MEMBER(licbak_license, name, WORD, WORD);
MEMBER(licbak_license, key_id, 2 * WORD, WORD);
MEMBER(licbak_license, content, 3 * WORD, WORD);
MEMBER(licbak_license, content_size, 4 * WORD, WORD);
MEMBER(licbak_license, modified, UP(5 * WORD), 8);
MEMBER(licbak_license, backup_right, UP(5 * WORD) + 8, 4);
MEMBER(licbak_license, format, UP(5 * WORD) + 12, 4);
SIZE(licbak_license, UP(5 * WORD) + 16);

MEMBER(licbak_backup_info, struct_size, 0, WORD);
MEMBER(licbak_backup_info, created, UP(WORD), 8);
MEMBER(licbak_backup_info, generation, UP(WORD) + 8, 8);
MEMBER(licbak_backup_info, licenses, UP(WORD) + 16, 8);
MEMBER(licbak_backup_info, restricted, UP(WORD) + 24, 8);
MEMBER(licbak_backup_info, content_bytes, UP(WORD) + 32, 8);
MEMBER(licbak_backup_info, backup_bytes, UP(WORD) + 40, 8);
MEMBER(licbak_backup_info, version_major, UP(WORD) + 48, 4);
MEMBER(licbak_backup_info, version_minor, UP(WORD) + 52, 4);
MEMBER(licbak_backup_info, machine, UP(WORD) + 56, 4);
MEMBER(licbak_backup_info, encrypted, UP(WORD) + 60, 4);
MEMBER(licbak_backup_info, id, UP(WORD) + 64, 33);
MEMBER(licbak_backup_info, reserved, UP(WORD) + 97, 7);
SIZE(licbak_backup_info, UP(WORD) + 104);

MEMBER(licbak_store, struct_size, 0, WORD);
MEMBER(licbak_store, context, WORD, WORD);
MEMBER(licbak_store, enumerate, 2 * WORD, WORD);
MEMBER(licbak_store, get, 3 * WORD, WORD);
MEMBER(licbak_store, put, 4 * WORD, WORD);
MEMBER(licbak_store, merge, 5 * WORD, WORD);
SIZE(licbak_store, 6 * WORD);

_Static_assert(10 * WORD + START_OF_64 == MODEL, "not a processor of the kind that was asked for");
