/* Encrypted backups: who opens them, what stands in whose place, what a repeat does, and what is left of
 * a damaged one. format/age.py lets other programs open them.
 */
#include "../support/recorder.h"
#include "../support/secret.h"

#define PLAIN "backups/licenses.tar.zst"
#define ENCRYPTED "backups/licenses.tar.zst.age"
#define OVERWRITE LICBAK_WM_BACKUP_OVERWRITE
#define FAILED LICBAK_HRESULT_ERROR_DECRYPTION_FAILED
#define CORRUPT LICBAK_NS_E_DRM_BACKUP_CORRUPT

#define OTHER_IDENTITY "AGE-SECRET-KEY-1XMWWC06LY3EE5RYTXM9MFLAZ2U56JJJ36S0MYPDRWSVLUL66MV4QX3S7F6"
#define OTHER_RECIPIENT "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
#define PASSPHRASE "Gänsefüßchen, and a blank"

static void set(licbak_restorer *r, const char *name, const char *value)
{
    CHECK_HR(licbak_set_prop_string(r, name, value), LICBAK_S_OK);
}

/* Ends with NULL: names of properties, each with its value. */
static licbak_restorer *restorer_with(const char *store, const char *const *properties)
{
    licbak_restorer *r = restorer_for(store, "backups");
    for (; *properties != NULL; properties += 2) {
        set(r, properties[0], properties[1]);
    }
    return r;
}

#define WITH(...) ((const char *const[]){__VA_ARGS__, NULL})
#define NO_KEYS ((const char *const[]){NULL})
#define TO_RECIPIENT WITH("Recipients", RECIPIENT)
#define BY_IDENTITY WITH("Identities", IDENTITY)
#define BY_BOTH WITH("Recipients", RECIPIENT, "Identities", IDENTITY)
#define BY_PASSPHRASE WITH("Passphrase", PASSPHRASE)

static licbak_hresult do_with(operation op, const char *store, uint32_t flags, const char *const *properties)
{
    licbak_restorer *r = restorer_with(store, properties);
    recorder rec = {0};
    licbak_hresult hr = run(op, r, flags, &rec);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return hr;
}

static licbak_hresult back_up(const char *store, uint32_t flags, const char *const *properties)
{
    return do_with(licbak_backup_licenses, store, flags, properties);
}

static licbak_hresult count_license(const licbak_license *license, void *context)
{
    CHECK(license->content == NULL);
    ++*(int *)context;
    return LICBAK_S_OK;
}

static licbak_hresult info_with(licbak_backup_info *info, const char *const *properties)
{
    licbak_restorer *r = restorer_with("store", properties);
    info->struct_size = sizeof *info;
    licbak_hresult hr = licbak_get_backup_info(r, info);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    return hr;
}

/* Demands of every reader this outcome, or where it is S_OK all of the store's 30 licences. */
static void read_all(const char *path, licbak_hresult expected, const char *const *properties)
{
    licbak_restorer *r = restorer_with("restored", properties);
    set(r, "RestorePath", path);
    recorder rec = {0};
    licbak_backup_info info = {.struct_size = sizeof info};
    int count = 0;
    CHECK_HR(licbak_get_backup_info(r, &info), expected);
    CHECK_HR(licbak_list_backup(r, count_license, &count), expected);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), expected);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), expected);
    if (expected == LICBAK_S_OK) {
        CHECK_INT(count, 30);
        CHECK_SAME_TREE("restored", "store");
        remove_tree("restored");
    }
    CHECK(!exists("restored"));
    make_dir("one");
    set(r, "StorePath", "one");
    forget(&rec);
    CHECK_HR(licbak_restore_license(r, "key-0007", 0, record, &rec), LICBAK_S_OK);
    CHECK_HR(end(r, &rec), expected);
    CHECK_TEXT(entries("one"), expected == LICBAK_S_OK ? "music" : "");
    remove_tree("one");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void begin_again(void)
{
    remove_tree("backups");
    make_dir("backups");
}

/* -- who opens it ---------------------------------------------------------------------------------------- */

static void to_recipients(void)
{
    begin_again();
    CHECK_HR(back_up("store", 0, WITH("Recipients", "# both\n" OTHER_RECIPIENT "\n\n " RECIPIENT "\r\n")), LICBAK_S_OK);
    CHECK_TEXT(entries("backups"), "licenses.tar.zst.age");
    CHECK_INT(mode_of(ENCRYPTED), 0600);
    licbak_backup_info info;
    CHECK_HR(info_with(&info, BY_IDENTITY), LICBAK_S_OK);
    CHECK_INT(info.encrypted, 1);
    CHECK_INT(info.licenses, 30);
    CHECK_INT(info.generation, 1);
    CHECK_INT(info.backup_bytes, size_of(ENCRYPTED));
    read_all("backups", LICBAK_S_OK, BY_IDENTITY);
    read_all(ENCRYPTED, LICBAK_S_OK, WITH("Identities", "# two\n" OTHER_IDENTITY "\n" IDENTITY "\n"));
    read_all("backups", LICBAK_S_OK, WITH("Identities", IDENTITY, "Passphrase", PASSPHRASE));
    CHECK(rename(ENCRYPTED, "any name") == 0);
    read_all("any name", LICBAK_S_OK, BY_IDENTITY);
    CHECK(rename("any name", ENCRYPTED) == 0);
    read_all("backups", FAILED, NO_KEYS);
    read_all("backups", FAILED, TO_RECIPIENT);
    read_all("backups", FAILED, BY_PASSPHRASE);
    read_all("backups", FAILED, WITH("Identities", OTHER_IDENTITY));
}

static void by_passphrase(void)
{
    begin_again();
    CHECK_HR(back_up("store", 0, BY_PASSPHRASE), LICBAK_S_OK);
    licbak_backup_info info;
    CHECK_HR(info_with(&info, BY_PASSPHRASE), LICBAK_S_OK);
    CHECK_INT(info.encrypted, 1);
    CHECK_HR(do_with(licbak_verify_backup, "store", 0, BY_PASSPHRASE), LICBAK_S_OK);
    CHECK_HR(info_with(&info, NO_KEYS), FAILED);
    CHECK_HR(info_with(&info, BY_IDENTITY), FAILED);
    CHECK_HR(info_with(&info, WITH("Passphrase", PASSPHRASE " ")), FAILED);

    /* The work that the file asks for stands behind its salt: "-> scrypt SALT 18". */
    size_t size;
    uint8_t *bytes = read_file(ENCRYPTED, &size);
    char *work = strstr((char *)bytes, " 18\n");
    CHECK(work != NULL);
    work[1] = '2';
    work[2] = '1';
    write_file(ENCRYPTED, bytes, size);
    CHECK_HR(info_with(&info, BY_PASSPHRASE), LICBAK_HRESULT_ERROR_NOT_SUPPORTED);
    free(bytes);

    /* Recipients come first. */
    begin_again();
    CHECK_HR(back_up("store", 0, WITH("Recipients", RECIPIENT, "Passphrase", PASSPHRASE)), LICBAK_S_OK);
    CHECK_HR(info_with(&info, BY_PASSPHRASE), FAILED);
    CHECK_HR(info_with(&info, BY_IDENTITY), LICBAK_S_OK);
}

/* -- the other kind -------------------------------------------------------------------------------------- */

static void one_kind_never_takes_the_place_of_the_other(void)
{
    begin_again();
    CHECK_HR(back_up("store", 0, NO_KEYS), LICBAK_S_OK);
    uint64_t before = digest(PLAIN);
    const uint32_t flags[] = {0, OVERWRITE, OVERWRITE | LICBAK_BACKUP_FULL};
    for (size_t i = 0; i < 3; i++) {
        CHECK_HR(back_up("store", flags[i], BY_BOTH), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    }
    CHECK_TEXT(entries("backups"), "licenses.tar.zst");
    CHECK_INT(digest(PLAIN), before);
    /* With keys nobody slips a plain one in. */
    read_all("backups", FAILED, BY_IDENTITY);
    read_all(PLAIN, FAILED, BY_PASSPHRASE);
    read_all("backups", LICBAK_S_OK, TO_RECIPIENT);

    CHECK(rename(PLAIN, "plain") == 0);
    CHECK_HR(back_up("store", OVERWRITE, TO_RECIPIENT), LICBAK_S_OK);
    before = digest(ENCRYPTED);
    for (size_t i = 0; i < 3; i++) {
        CHECK_HR(back_up("store", flags[i], NO_KEYS), LICBAK_NS_E_DRM_BACKUP_EXISTS);
    }
    CHECK_TEXT(entries("backups"), "licenses.tar.zst.age");
    CHECK_INT(digest(ENCRYPTED), before);

    CHECK(rename("plain", PLAIN) == 0);
    read_all("backups", LICBAK_HRESULT_ERROR_ALREADY_EXISTS, BY_IDENTITY);
    read_all("backups", LICBAK_HRESULT_ERROR_ALREADY_EXISTS, NO_KEYS);
    read_all(ENCRYPTED, LICBAK_S_OK, BY_IDENTITY);
    read_all(PLAIN, LICBAK_S_OK, NO_KEYS);
    CHECK_HR(back_up("store", OVERWRITE, TO_RECIPIENT), LICBAK_NS_E_DRM_BACKUP_EXISTS);

    /* A plain backup by the name of an encrypted one. */
    CHECK(rename(PLAIN, ENCRYPTED) == 0);
    read_all("backups", FAILED, BY_IDENTITY);
    read_all("backups", LICBAK_S_OK, NO_KEYS);
}

/* The other kind comes while a backup is made. */
static licbak_hresult put_plain(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_BACKUPRESTORE_BEGIN) {
        write_text(PLAIN, rec->other);
    }
    return LICBAK_S_OK;
}

static void the_other_kind_meanwhile(void)
{
    for (int i = 0; i < 2; i++) {
        begin_again();
        licbak_restorer *r = restorer_with("store", TO_RECIPIENT);
        recorder rec = {.react = put_plain, .other = "another"};
        CHECK_HR(run(licbak_backup_licenses, r, i ? OVERWRITE : 0, &rec), LICBAK_NS_E_DRM_BACKUP_EXISTS);
        CHECK_TEXT(entries("backups"), "licenses.tar.zst");
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
}

/* -- properties ------------------------------------------------------------------------------------------ */

static void values(void)
{
    static const char *const bad[][2] = {
        {"Recipients", ""}, {"Recipients", "# none\n"}, {"Recipients", RECIPIENT "x"},
        {"Recipients", RECIPIENT "\nage1"}, {"Recipients", IDENTITY}, {"Recipients", RECIPIENT " " RECIPIENT},
        {"Passphrase", ""}, {"Identities", ""}, {"Identities", RECIPIENT}, {"Identities", IDENTITY "\nx"},
    };
    /* As many recipients as a value has room for. */
    static char many[32768];
    for (size_t i = 0; (i + 1) * sizeof RECIPIENT < sizeof many; i++) {
        strcat(strcat(many + i * sizeof RECIPIENT, RECIPIENT), "\n");
    }
    begin_again();
    const char *const to_many[] = {"Recipients", many, NULL};
    CHECK_HR(back_up("store", 0, to_many), LICBAK_S_OK);
    read_all("backups", LICBAK_S_OK, BY_IDENTITY);

    licbak_restorer *r = restorer_with("store", NO_KEYS);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_HR(licbak_set_prop_string(r, bad[i][0], bad[i][1]), LICBAK_E_INVALIDARG);
    }
    uint32_t number = 1;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CHECK_HR(licbak_set_prop(r, bad[i][0], LICBAK_WMT_TYPE_DWORD, (uint8_t *)&number, 4), LICBAK_E_INVALIDARG);
        CHECK_HR(licbak_set_prop(r, bad[i][0], LICBAK_WMT_TYPE_BINARY, (const uint8_t *)IDENTITY, 74),
                 LICBAK_E_INVALIDARG);
    }
    set(r, "Recipients", RECIPIENT);
    set(r, "Passphrase", PASSPHRASE);
    set(r, "Identities", IDENTITY);
    char text[100];
    size_t size = sizeof text;
    licbak_datatype type = 9;
    CHECK_HR(licbak_get_prop_by_name(r, "Recipients", &type, (uint8_t *)text, &size), LICBAK_S_OK);
    CHECK_TEXT(text, RECIPIENT);
    for (size_t i = 0; i < 2; i++) {
        const char *name = i ? "Passphrase" : "Identities";
        for (size_t room = 0; room < 2; room++) {
            memset(text, 'x', sizeof text);
            size = room ? sizeof text : 0, type = 9;
            CHECK_HR(licbak_get_prop_by_name(r, name, &type, (uint8_t *)text, &size), LICBAK_S_FALSE);
            CHECK_INT(size, 0);
            CHECK_INT(type, LICBAK_WMT_TYPE_STRING);
            CHECK(text[0] == 'x');
        }
    }
    size_t count = 0, secrets = 0;
    CHECK_HR(licbak_get_prop_count(r, &count), LICBAK_S_OK);
    for (size_t i = 0; i < count; i++) {
        char name[64], value[PATH_MAX];
        size_t name_size = sizeof name;
        size = sizeof value;
        licbak_hresult hr = licbak_get_prop_by_index(r, i, name, &name_size, &type, (uint8_t *)value, &size);
        CHECK(hr == LICBAK_S_OK || (hr == LICBAK_S_FALSE && size == 0));
        secrets += hr == LICBAK_S_FALSE;
    }
    CHECK_INT(secrets, 2);
    CHECK_HR(licbak_remove_prop(r, "Identities"), LICBAK_S_OK);
    CHECK_HR(licbak_get_prop_by_name(r, "Identities", &type, NULL, &size), LICBAK_NS_E_DRM_INVALID_PROPERTY);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* -- repeats --------------------------------------------------------------------------------------------- */

/* The bytes that two files have alike at the same place. */
static size_t alike(const uint8_t *a, size_t a_size, const uint8_t *b, size_t b_size)
{
    size_t count = 0;
    for (size_t i = 0; i < a_size && i < b_size; i++) {
        count += a[i] == b[i];
    }
    return count;
}

/* 300 small licences, and some that hardly pack. */
static void make_large_store(const char *store, int count, size_t size)
{
    make_store(store, 300);
    for (int i = 0; i < count; i++) {
        char path[64];
        snprintf(path, sizeof path, "%s/noise-%02d.lic", store, i);
        write_noise(path, size, (uint64_t)i);
    }
}

static void repeats(void)
{
    make_large_store("changing", 20, 200000);
    begin_again();
    CHECK_HR(back_up("changing", 0, TO_RECIPIENT), LICBAK_S_OK);
    licbak_backup_info first, next;
    CHECK_HR(info_with(&first, BY_IDENTITY), LICBAK_S_OK);
    size_t size, later_size;
    uint8_t *bytes = read_file(ENCRYPTED, &size);

    /* Nothing has changed: nothing is written. */
    CHECK_HR(back_up("changing", OVERWRITE, BY_BOTH), LICBAK_S_OK);
    CHECK_HR(info_with(&next, BY_IDENTITY), LICBAK_S_OK);
    CHECK_INT(next.generation, 1);

    /* Of another set of recipients all is encrypted anew. */
    const char *const more[] = {"Recipients", OTHER_RECIPIENT "\n" RECIPIENT, "Identities", IDENTITY, NULL};
    CHECK_HR(back_up("changing", OVERWRITE, more), LICBAK_S_OK);
    CHECK_HR(info_with(&next, BY_IDENTITY), LICBAK_S_OK);
    CHECK_INT(next.generation, 2);
    CHECK_TEXT(next.id, first.id);
    CHECK_HR(back_up("changing", OVERWRITE, BY_BOTH), LICBAK_S_OK);

    /* A licence has changed: most is taken over, and no chunk is as it was. */
    write_text("changing/key-0000.lic", "changed");
    CHECK_HR(back_up("changing", OVERWRITE, BY_BOTH), LICBAK_S_OK);
    CHECK_HR(info_with(&next, BY_IDENTITY), LICBAK_S_OK);
    CHECK_INT(next.generation, 4);
    CHECK_HR(do_with(licbak_verify_backup, "changing", 0, BY_IDENTITY), LICBAK_S_OK);
    CHECK_HR(do_with(licbak_restore_licenses, "again", 0, BY_IDENTITY), LICBAK_S_OK);
    CHECK_SAME_TREE("again", "changing");
    uint8_t *later = read_file(ENCRYPTED, &later_size);
    CHECK(alike(bytes, size, later, later_size) < size / 128);
    free(bytes);
    free(later);

    /* Without a key to the old one all is read. */
    licbak_restorer *r = restorer_with("changing", TO_RECIPIENT);
    recorder rec = {0};
    CHECK_HR(run(licbak_backup_licenses, r, OVERWRITE, &rec), LICBAK_S_OK);
    CHECK(final_figures(&rec).licenses_gone == UINT64_MAX);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_HR(info_with(&next, BY_IDENTITY), LICBAK_S_OK);
    CHECK_INT(next.generation, 1);
    CHECK(strcmp(next.id, first.id) != 0);

    /* A passphrase that stays the same, and one that is changed. */
    begin_again();
    CHECK_HR(back_up("store", 0, BY_PASSPHRASE), LICBAK_S_OK);
    CHECK_HR(info_with(&first, BY_PASSPHRASE), LICBAK_S_OK);
    CHECK_HR(back_up("store", OVERWRITE, BY_PASSPHRASE), LICBAK_S_OK);
    CHECK_HR(info_with(&next, BY_PASSPHRASE), LICBAK_S_OK);
    CHECK_INT(next.generation, 1);
    CHECK_TEXT(next.id, first.id);
    CHECK_HR(back_up("store", OVERWRITE, WITH("Recipients", RECIPIENT, "Passphrase", PASSPHRASE)), LICBAK_S_OK);
    CHECK_HR(info_with(&next, BY_IDENTITY), LICBAK_S_OK);
    CHECK_INT(next.generation, 2);
    remove_tree("changing");
    remove_tree("again");
}

/* -- damage ---------------------------------------------------------------------------------------------- */

/* Demands that the damaged backup is told for what it is, and never taken. */
static void check_told(const char *what, size_t at, size_t header)
{
    licbak_backup_info info;
    licbak_hresult told = info_with(&info, BY_IDENTITY);
    licbak_hresult verified = do_with(licbak_verify_backup, "store", 0, BY_IDENTITY);
    bool is_told = verified == CORRUPT || (at < header && verified == FAILED);
    if (!is_told || (told != LICBAK_S_OK && told != verified)) {
        check_fail(__FILE__, __LINE__, "%s at %zu: info %s, verify %s", what, at, hresult_name(told),
                   hresult_name(verified));
    }
}

/* Demands that a backup over the damaged one has all, whatever was taken over from that. */
static void check_mended(const char *what, size_t at)
{
    licbak_hresult made = back_up("store", OVERWRITE, BY_BOTH);
    licbak_hresult restored = do_with(licbak_restore_licenses, "again", 0, BY_IDENTITY);
    if (made != LICBAK_S_OK || restored != LICBAK_S_OK) {
        check_fail(__FILE__, __LINE__, "%s at %zu: a backup over it %s, a restore %s", what, at, hresult_name(made),
                   hresult_name(restored));
    }
    CHECK_SAME_TREE("again", "store");
    remove_tree("again");
}

static void damage(void)
{
    begin_again();
    CHECK_HR(back_up("store", 0, TO_RECIPIENT), LICBAK_S_OK);
    size_t size;
    uint8_t *bytes = read_file(ENCRYPTED, &size);
    const size_t header = (size_t)(strstr((char *)bytes, "\n--- ") - (char *)bytes) + 5 + 43 + 1;
    const size_t each = 16; /* of so many is backed up over */
    size_t tried = 0, mended = 0;
    for (size_t bit = 0; bit < size * 8; bit += torture() ? 1 : bit < header * 8 ? 7 : 211) {
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        write_file(ENCRYPTED, bytes, size);
        check_told("a bit", bit / 8, header);
        if (tried % each == 0) {
            check_mended("a bit", bit / 8);
            mended++;
        }
        bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
        tried++;
    }
    for (size_t length = 0; length < size; length += torture() ? 1 : length < header + 40 ? 5 : 53) {
        write_file(ENCRYPTED, bytes, length);
        check_told("a cut", length, 0);
        if (tried % each == 0) {
            check_mended("a cut", length);
            mended++;
        }
        tried++;
    }
    write_file(ENCRYPTED, bytes, size);
    CHECK_HR(do_with(licbak_verify_backup, "store", 0, BY_IDENTITY), LICBAK_S_OK);
    free(bytes);
    figure("damaged backups: %zu, accepted: 0; made anew: %zu, lost 0", tried, mended);
}

/* Of a backup of several chunks one is lost, then all behind one: the rest is salvaged. */
static void salvage(void)
{
    make_large_store("large", 30, 300000);
    begin_again();
    CHECK_HR(back_up("large", 0, TO_RECIPIENT), LICBAK_S_OK);
    size_t size;
    uint8_t *bytes = read_file(ENCRYPTED, &size);
    bytes[size / 2] ^= 1;
    write_file(ENCRYPTED, bytes, size);
    CHECK_HR(do_with(licbak_restore_licenses, "saved", 0, BY_IDENTITY), CORRUPT);
    CHECK(!exists("saved"));
    CHECK_HR(do_with(licbak_restore_licenses, "saved", LICBAK_RESTORE_SALVAGE, BY_IDENTITY), CORRUPT);
    CHECK(exists("saved/noise-00.lic") && exists("saved/noise-29.lic") && exists("saved/key-0000.lic"));
    CHECK(same_file("saved/noise-29.lic", "large/noise-29.lic"));
    remove_tree("saved");
    CHECK_HR(do_with(licbak_restore_licenses, "saved", LICBAK_RESTORE_SALVAGE, NO_KEYS), FAILED);
    bytes[size / 2] ^= 1;
    write_file(ENCRYPTED, bytes, size - size / 4);
    CHECK_HR(do_with(licbak_restore_licenses, "saved", LICBAK_RESTORE_SALVAGE, BY_IDENTITY), CORRUPT);
    CHECK(exists("saved/key-0000.lic") && same_file("saved/noise-00.lic", "large/noise-00.lic"));
    free(bytes);
    remove_tree("saved");

    /* Out of a plain one that has been damaged nobody slips anything in. */
    begin_again();
    CHECK_HR(back_up("large", 0, NO_KEYS), LICBAK_S_OK);
    bytes = read_file(PLAIN, &size);
    bytes[0] ^= 1;
    write_file(PLAIN, bytes, size);
    free(bytes);
    make_dir("saved");
    CHECK_HR(do_with(licbak_restore_licenses, "saved", LICBAK_RESTORE_SALVAGE, BY_IDENTITY), CORRUPT);
    licbak_restorer *r = restorer_with("saved", BY_IDENTITY);
    recorder rec = {0};
    CHECK_HR(licbak_restore_license(r, "noise-29", 0, record, &rec), LICBAK_S_OK);
    CHECK_HR(end(r, &rec), CORRUPT);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_TEXT(entries("saved"), "");
    CHECK_HR(do_with(licbak_restore_licenses, "saved", LICBAK_RESTORE_SALVAGE, NO_KEYS), CORRUPT);
    CHECK(same_file("saved/noise-29.lic", "large/noise-29.lic"));
    remove_tree("saved");
    remove_tree("large");
}

/* -- secrets --------------------------------------------------------------------------------------------- */

static void secrets_are_wiped(void)
{
    begin_again();
    size_t dumped = 0;
    licbak_restorer *r = restorer_with("store", NO_KEYS);
    CHECK_INT(copies(&dumped), 0);
    set_secret(r, "Passphrase");
    CHECK_INT(copies(&dumped), 1);
    CHECK_INT(dumped, 0);
    recorder rec = {0};
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(copies(&dumped), 1);
    CHECK_INT(dumped, 0);
    set(r, "Passphrase", "another");
    CHECK_INT(copies(&dumped), 0);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), FAILED);
    set_secret(r, "Passphrase");
    CHECK_HR(licbak_remove_prop(r, "Passphrase"), LICBAK_S_OK);
    CHECK_INT(copies(&dumped), 0);
    set_secret(r, "Passphrase");
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_INT(copies(&dumped), 0);
}

static char letter_at(size_t place)
{
    return IDENTITY[place];
}

/* A byte of the key that the letters of the identity stand for, five bits each. */
static char key_at(size_t place)
{
    static const char letters[] = "QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L";
    const char *data = IDENTITY + strlen("AGE-SECRET-KEY-1");
    unsigned byte = 0;
    for (size_t bit = 8 * place; bit < 8 * place + 8; bit++) {
        size_t value = (size_t)(strchr(letters, data[bit / 5]) - letters);
        byte = byte << 1 | (value >> (4 - bit % 5) & 1);
    }
    return (char)byte;
}

/* When a backup has been opened, its key is in no memory but the property's. */
static void check_core(const char *when)
{
    const secret text = {strlen(IDENTITY), letter_at}, key = {32, key_at};
    size_t dumped = 0, keys = copies_of(key, &dumped), texts = copies_of(text, &dumped);
    char told[100], expected[100];
    snprintf(told, sizeof told, "%s: texts %zu, in a core %zu, keys %zu", when, texts, dumped, keys);
    snprintf(expected, sizeof expected, "%s: texts 1, in a core 0, keys 0", when);
    CHECK_TEXT(told, expected);
}

static licbak_hresult look_meanwhile(const licbak_license *license, void *context)
{
    (void)license;
    if ((*(int *)context)++ == 0) {
        check_core("a list");
    }
    return LICBAK_S_OK;
}

static licbak_hresult look_at_end(recorder *rec, const event *e)
{
    if (e->status == LICBAK_WMT_BACKUPRESTORE_END) {
        check_core(rec->other);
    }
    return LICBAK_S_OK;
}

static void identities_are_wiped(void)
{
    begin_again();
    size_t dumped = 0;
    CHECK_HR(back_up("store", 0, TO_RECIPIENT), LICBAK_S_OK);
    CHECK_INT(copies_of((secret){strlen(IDENTITY), letter_at}, &dumped), 0);
    licbak_restorer *r = restorer_with("store", BY_BOTH);
    int listed = 0;
    CHECK_HR(licbak_list_backup(r, look_meanwhile, &listed), LICBAK_S_OK);
    CHECK_INT(listed, 30);
    recorder rec = {.react = look_at_end, .other = "a verification"};
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    rec.other = "a repeat";
    CHECK_HR(run(licbak_backup_licenses, r, OVERWRITE, &rec), LICBAK_S_OK);
    rec.other = "a restore";
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    CHECK_INT(copies_of((secret){strlen(IDENTITY), letter_at}, &dumped), 0);
}

int main(void)
{
    begin("encryption");
    make_store("store", 30);
    make_dir("backups");
    values();
    to_recipients();
    by_passphrase();
    one_kind_never_takes_the_place_of_the_other();
    the_other_kind_meanwhile();
    repeats();
    damage();
    salvage();
    secrets_are_wiped();
    identities_are_wiped();
    return finish();
}
