/* A store of the host's own: it gives its licences, gets them back, and chooses between versions. */
#include "../support/host.h"

static recorder rec;

/* All that a host knows of a licence comes back. */
static void there_and_back(void)
{
    host h = {0}, restored = {0};
    fill(&h);
    make_dir("backups");
    CHECK_HR(run_host(licbak_backup_licenses, &h, "backups", 0, &rec), LICBAK_S_OK);
    CHECK_INT(h.enumerations, 1);
    CHECK_HR(verify("backups"), LICBAK_S_OK);
    CHECK_HR(run_host(licbak_restore_licenses, &restored, "backups", LICBAK_DRY_RUN, &rec), LICBAK_S_OK);
    CHECK_INT(restored.puts, 0);
    CHECK_HR(run_host(licbak_restore_licenses, &restored, "backups", 0, &rec), LICBAK_S_OK);
    CHECK_INT(restored.puts, h.count);
    licbak_restorer *r = restorer_of(&restored, "backups");
    CHECK_LISTED(r, &restored);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_INT(restored.count, h.count);
    for (size_t i = 0; i < h.count; i++) {
        const licbak_license *was = &h.licenses[i], *is = host_find(&restored, was->name);
        CHECK(is != NULL && is->modified == was->modified && is->content_size == was->content_size);
        CHECK(memcmp(is->content, was->content, was->content_size) == 0);
        if (was->key_id != NULL) {
            CHECK_TEXT(is->key_id, was->key_id);
        }
        if (was->backup_right != LICBAK_RIGHT_UNSTATED) {
            CHECK_INT(is->backup_right, was->backup_right);
        }
    }
    CHECK_HR(run_host(licbak_restore_licenses, &restored, "backups", 0, &rec), LICBAK_S_OK);
    CHECK_INT(restored.puts, h.count); /* what it has is not put again */
    host_forget(&h);
    host_forget(&restored);
}

static void denied(void)
{
    host h = {0};
    host_add(&h, "a.lic", "a", "allowed", 0, LICBAK_RIGHT_ALLOWED);
    host_add(&h, "d.lic", "d", "denied", 0, LICBAK_RIGHT_DENIED);
    make_dir("denied");
    CHECK_HR(run_host(licbak_backup_licenses, &h, "denied", 0, &rec), LICBAK_S_OK);
    CHECK_INT(final_figures(&rec).licenses_restricted, 1);
    CHECK_INT(told(&rec, LICBAK_WMT_RESTRICTED_LICENSE, "d"), 1);
    host_forget(&h);
}

/* -- two versions ---------------------------------------------------------------------------------------- */

static int plays(const licbak_license *license)
{
    char text[32] = "";
    CHECK(license->content_size < sizeof text);
    memcpy(text, license->content, license->content_size);
    return atoi(text);
}

/* The lower count wins. */
static licbak_hresult merge_plays(host *h, const licbak_license *mine, const licbak_license *theirs,
                                  licbak_license_callback emit, void *emit_context)
{
    (void)h;
    return plays(theirs) < plays(mine) ? emit(theirs, emit_context) : LICBAK_S_OK;
}

static void versions(void)
{
    host h = {0};
    host_add(&h, "played.lic", NULL, "12", 1, LICBAK_RIGHT_ALLOWED);
    make_dir("played");
    CHECK_HR(run_host(licbak_backup_licenses, &h, "played", 0, &rec), LICBAK_S_OK);

    host_add(&h, "played.lic", NULL, "3", 2, LICBAK_RIGHT_ALLOWED);
    CHECK_HR(run_host(licbak_restore_licenses, &h, "played", 0, &rec), LICBAK_S_OK);
    CHECK_INT(told(&rec, LICBAK_STATUS_LICENSE_KEPT, "played.lic"), 1);
    CHECK_INT(plays(h.licenses), 3);
    CHECK_HR(run_host(licbak_restore_licenses, &h, "played", LICBAK_RESTORE_OVERWRITE, &rec), LICBAK_S_OK);
    CHECK_INT(plays(h.licenses), 12);

    h.merge = merge_plays;
    for (int round = 0; round < 2; round++) {
        host_add(&h, "played.lic", NULL, round == 0 ? "3" : "99", 2, LICBAK_RIGHT_ALLOWED);
        CHECK_HR(run_host(licbak_restore_licenses, &h, "played", 0, &rec), LICBAK_S_OK);
        CHECK_INT(count_of(&rec, LICBAK_STATUS_LICENSE_KEPT), round == 0);
        CHECK_INT(plays(h.licenses), round == 0 ? 3 : 12);
    }
    CHECK_INT(h.merges, 2);
    host_forget(&h);
}

/* -- what fails ------------------------------------------------------------------------------------------ */

static licbak_hresult fail_inside(host *h, const char *function, const char *name)
{
    (void)name;
    return strcmp(function, h->other) == 0 ? OWN_FAILURE : LICBAK_S_OK;
}

static void failures(void)
{
    static const char *const names[] = {"", "/a", "a/", "a//b", "..", "a/../b", ".hidden", "a\\b", "a\nb", "\xFF"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        host h = {0};
        host_add(&h, names[i], "key", "content", 0, LICBAK_RIGHT_ALLOWED);
        make_dir("names");
        licbak_hresult hr = run_host(licbak_backup_licenses, &h, "names", 0, &rec);
        CHECK(hr == LICBAK_HRESULT_ERROR_INVALID_NAME || hr == LICBAK_E_INVALIDARG);
        CHECK_TEXT(entries("names"), "");
        host_forget(&h);
    }
    host h = {.inside = fail_inside, .other = "enumerate"};
    fill(&h);
    CHECK_HR(run_host(licbak_backup_licenses, &h, "names", 0, &rec), OWN_FAILURE);
    host restored = {.inside = fail_inside, .other = "put"};
    CHECK_HR(run_host(licbak_restore_licenses, &restored, "backups", 0, &rec), OWN_FAILURE);
    restored.other = "get";
    CHECK_HR(run_host(licbak_restore_licenses, &restored, "backups", 0, &rec), OWN_FAILURE);
    CHECK_INT(restored.count, 0);
    host_forget(&h);
    host_forget(&restored);
}

/* A folder's licences into a host, and a host's into a folder. */
static void of_other_kinds(void)
{
    host h = {0};
    make_store("store", 20);
    make_dir("of-folder");
    CHECK_HR(backup("store", "of-folder", 0), LICBAK_S_OK);
    CHECK_HR(run_host(licbak_restore_licenses, &h, "of-folder", 0, &rec), LICBAK_S_OK);
    CHECK_INT(h.count, 20);
    make_dir("of-host");
    CHECK_HR(run_host(licbak_backup_licenses, &h, "of-host", 0, &rec), LICBAK_S_OK);
    CHECK_HR(restore("restored", "of-host", 0), LICBAK_S_OK);
    CHECK_SAME_TREE("restored", "store"); /* times too */
    host_forget(&h);
}

int main(void)
{
    begin("portable_host_store");
    there_and_back();
    denied();
    versions();
    failures();
    of_other_kinds();
    forget(&rec);
    return finish();
}
