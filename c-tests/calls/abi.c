/* What a program that was compiled with another version of the header relies on, a line each: how
 * large each struct is, where its members are, how the other types look. `abi.txt` has it as it
 * was; see abi.rs. */
#include <licbak.h>

#include <stdio.h>

#define ALIGNMENT(type) offsetof(struct { char first; type second; }, second)
#define TYPE(type) printf("type %s: size %zu, alignment %zu\n", #type, sizeof(type), ALIGNMENT(type));
#define MEMBER(type, member) \
    printf("type %s: %s at %zu, size %zu\n", #type, #member, offsetof(type, member), sizeof(((type *)0)->member));

int main(void)
{
    TYPE(licbak_hresult)
    TYPE(licbak_status)
    TYPE(licbak_datatype)
    TYPE(licbak_progress)
    MEMBER(licbak_progress, struct_size)
    MEMBER(licbak_progress, licenses_total)
    MEMBER(licbak_progress, licenses_done)
    MEMBER(licbak_progress, licenses_restricted)
    MEMBER(licbak_progress, licenses_kept)
    MEMBER(licbak_progress, licenses_damaged)
    MEMBER(licbak_progress, content_bytes)
    MEMBER(licbak_progress, backup_bytes)
    MEMBER(licbak_progress, phase_done)
    MEMBER(licbak_progress, phase_total)
    MEMBER(licbak_progress, phase)
    MEMBER(licbak_progress, reserved)
    MEMBER(licbak_progress, licenses_skipped)
    MEMBER(licbak_progress, licenses_gone)
    TYPE(licbak_license)
    MEMBER(licbak_license, struct_size)
    MEMBER(licbak_license, name)
    MEMBER(licbak_license, key_id)
    MEMBER(licbak_license, content)
    MEMBER(licbak_license, content_size)
    MEMBER(licbak_license, modified)
    MEMBER(licbak_license, backup_right)
    MEMBER(licbak_license, format)
    TYPE(licbak_backup_info)
    MEMBER(licbak_backup_info, struct_size)
    MEMBER(licbak_backup_info, created)
    MEMBER(licbak_backup_info, generation)
    MEMBER(licbak_backup_info, licenses)
    MEMBER(licbak_backup_info, restricted)
    MEMBER(licbak_backup_info, content_bytes)
    MEMBER(licbak_backup_info, backup_bytes)
    MEMBER(licbak_backup_info, version_major)
    MEMBER(licbak_backup_info, version_minor)
    MEMBER(licbak_backup_info, machine)
    MEMBER(licbak_backup_info, encrypted)
    MEMBER(licbak_backup_info, id)
    MEMBER(licbak_backup_info, reserved)
    TYPE(licbak_store)
    MEMBER(licbak_store, struct_size)
    MEMBER(licbak_store, context)
    MEMBER(licbak_store, enumerate)
    MEMBER(licbak_store, get)
    MEMBER(licbak_store, put)
    MEMBER(licbak_store, merge)
    return 0;
}
