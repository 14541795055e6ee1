/* Properties: what may be set, how it is read back, and how it is removed. */
#include "../support/recorder.h"

#define STRING LICBAK_WMT_TYPE_STRING
#define BINARY LICBAK_WMT_TYPE_BINARY
#define DWORD LICBAK_WMT_TYPE_DWORD

static const char *const paths[] = {"BackupPath", "RestorePath", "StorePath"};
static const char *const numbers[] = {"Threads", "CompressionLevel", "UnstatedRight"};

static licbak_restorer *bare(void)
{
    licbak_restorer *r = NULL;
    CHECK_HR(licbak_create(&r), LICBAK_S_OK);
    return r;
}

static licbak_hresult set(licbak_restorer *r, const char *name, licbak_datatype type, const void *value, size_t size)
{
    return licbak_set_prop(r, name, type, value, size);
}

static licbak_hresult set_number(licbak_restorer *r, const char *name, int64_t number)
{
    uint32_t value = (uint32_t)number;
    return set(r, name, DWORD, &value, sizeof value);
}

static void check_property(licbak_restorer *r, const char *name, licbak_datatype type, const void *value, size_t size)
{
    uint8_t buffer[256];
    size_t got = sizeof buffer;
    licbak_datatype got_type = 99;
    CHECK_HR(licbak_get_prop_by_name(r, name, &got_type, buffer, &got), LICBAK_S_OK);
    CHECK_INT(got_type, type);
    CHECK_INT(got, size);
    CHECK(memcmp(buffer, value, size) == 0);
}

static size_t count(licbak_restorer *r)
{
    size_t n = 99;
    CHECK_HR(licbak_get_prop_count(r, &n), LICBAK_S_OK);
    return n;
}

/* All of them, in the order in which they are counted. */
static const char *const in_order[] = {
    "BackupPath", "RestorePath", "StorePath", "Threads", "CompressionLevel", "MachineId", "UnstatedRight",
};
enum { ALL = sizeof in_order / sizeof in_order[0] };

static void names(void)
{
    licbak_restorer *r = bare();
    static const char *const unknown[] = {"", "Nonsense", "BackupPat", "BackupPath2", "backuppath"};
    size_t size = 0;
    licbak_datatype type;
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++) {
        CHECK_HR(licbak_set_prop_string(r, unknown[i], "x"), LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY);
        CHECK_HR(licbak_get_prop_by_name(r, unknown[i], &type, NULL, &size), LICBAK_NS_E_DRM_UNSUPPORTED_PROPERTY);
    }
    for (int i = 0; i < ALL; i++) {
        CHECK_HR(licbak_get_prop_by_name(r, in_order[i], &type, NULL, &size), LICBAK_NS_E_DRM_INVALID_PROPERTY);
    }
    CHECK_INT(count(r), 0);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Every type but the property's own is refused, and what was set before stays. */
static void types(void)
{
    licbak_restorer *r = bare();
    uint8_t zeros[16] = {0};
    for (int i = 0; i < 3; i++) {
        CHECK_HR(licbak_set_prop_string(r, paths[i], "kept"), LICBAK_S_OK);
        CHECK_HR(set_number(r, numbers[i], 1), LICBAK_S_OK);
        for (licbak_datatype type = 0; type < 9; type++) {
            size_t size = type == LICBAK_WMT_TYPE_WORD ? 2 : type == LICBAK_WMT_TYPE_QWORD ? 8
                        : type == LICBAK_WMT_TYPE_GUID ? 16 : 4;
            if (type != STRING && type != BINARY) {
                CHECK_HR(set(r, paths[i], type, zeros, size), LICBAK_E_INVALIDARG);
            }
            if (type != DWORD) {
                CHECK_HR(set(r, numbers[i], type, zeros, size), LICBAK_E_INVALIDARG);
            }
        }
        CHECK_HR(licbak_set_prop_string(r, numbers[i], "1"), LICBAK_E_INVALIDARG);
        check_property(r, paths[i], STRING, "kept", 5);
        check_property(r, numbers[i], DWORD, &(uint32_t){1}, 4);
    }
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Which machine this is may be any text, also one that is no path; bytes are none. */
static void machine(void)
{
    licbak_restorer *r = bare();
    CHECK_HR(licbak_set_prop_string(r, "MachineId", "sn://\xC3\xA9 7"), LICBAK_S_OK);
    for (licbak_datatype type = 0; type < 9; type++) {
        if (type != STRING) {
            CHECK_HR(set(r, "MachineId", type, "seat", 4), LICBAK_E_INVALIDARG);
        }
    }
    CHECK_HR(set(r, "MachineId", STRING, "a\0b", 3), LICBAK_E_INVALIDARG);
    CHECK_HR(set(r, "MachineId", STRING, "ab\0", 4), LICBAK_E_INVALIDARG);
    CHECK_HR(set(r, "MachineId", STRING, "\xFF", 1), LICBAK_E_INVALIDARG);
    check_property(r, "MachineId", STRING, "sn://\xC3\xA9 7", 10);
    CHECK_HR(set(r, "MachineId", STRING, "seat\0", 5), LICBAK_S_OK); /* one at the end is dropped */
    check_property(r, "MachineId", STRING, "seat", 5);
    CHECK_HR(licbak_set_prop_string(r, "MachineId", ""), LICBAK_S_OK); /* set, and as if it were not: info.c */
    check_property(r, "MachineId", STRING, "", 1);
    CHECK_INT(count(r), 1);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* A size counts without the NUL; one at the end is dropped, any other refused. */
static void strings(void)
{
    licbak_restorer *r = bare();
    CHECK_HR(set(r, "StorePath", STRING, "abcdef", 3), LICBAK_S_OK);
    check_property(r, "StorePath", STRING, "abc", 4);
    CHECK_HR(set(r, "StorePath", STRING, "xyz", 4), LICBAK_S_OK);
    check_property(r, "StorePath", STRING, "xyz", 4);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "Lizenzen für \xE6\xAD\x8C/\xF0\x9F\x8E\xB5"), LICBAK_S_OK);
    check_property(r, "StorePath", STRING, "Lizenzen für \xE6\xAD\x8C/\xF0\x9F\x8E\xB5", 23);

    static const struct {
        const char *bytes;
        size_t size;
    } bad[] = {
        {"ab\0", 4},           /* two NULs at the end */
        {"a\0b", 3},           /* one inside */
        {"\0b", 2},            /* one in front */
        {"\xFF", 1},           /* never in UTF-8 */
        {"a\xC3", 2},          /* cut off */
        {"\xC3(", 2},          /* no continuation */
        {"\x80", 1},           /* nothing but a continuation */
        {"\xC0\xAF", 2},       /* overlong */
        {"\xED\xA0\x80", 3},   /* half of a surrogate pair */
        {"\xF4\x90\x80\x80", 4}, /* beyond U+10FFFF */
        {"http://host/x", 13},
        {"://", 3},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (int p = 0; p < 3; p++) {
            CHECK_HR(set(r, paths[p], STRING, bad[i].bytes, bad[i].size), LICBAK_E_INVALIDARG);
        }
    }
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "caf\xE9"), LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "file:///store"), LICBAK_E_INVALIDARG);
    check_property(r, "StorePath", STRING, "Lizenzen für \xE6\xAD\x8C/\xF0\x9F\x8E\xB5", 23);
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "a:/b//c"), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Four bytes of any alignment, in native order. */
static void dwords(void)
{
    licbak_restorer *r = bare();
    uint8_t bytes[12] = {0};
    for (int shift = 0; shift < 4; shift++) {
        uint32_t value = 200 + (uint32_t)shift;
        memcpy(bytes + shift, &value, 4);
        CHECK_HR(licbak_set_prop(r, "Threads", DWORD, bytes + shift, 4), LICBAK_S_OK);
        check_property(r, "Threads", DWORD, &value, 4);

        uint8_t out[12];
        size_t size = 4;
        licbak_datatype type;
        memset(out, 0xAA, sizeof out);
        CHECK_HR(licbak_get_prop_by_name(r, "Threads", &type, out + shift, &size), LICBAK_S_OK);
        CHECK(memcmp(out + shift, &value, 4) == 0 && out[shift + 4] == 0xAA);
    }
    for (size_t size = 0; size < 9; size++) {
        if (size != 4) {
            CHECK_HR(set(r, "Threads", DWORD, bytes, size), LICBAK_E_INVALIDARG);
        }
    }
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

static void ranges(void)
{
    static const struct {
        const char *name;
        int64_t value;
        bool allowed;
    } cases[] = {
        {"Threads", 0, true},           {"Threads", 1, true},
        {"Threads", 256, true},         {"Threads", 257, false},
        {"Threads", 0xFFFFFFFF, false}, {"UnstatedRight", 0, true},
        {"UnstatedRight", 1, true},     {"UnstatedRight", 2, false},
        {"UnstatedRight", -1, false},   {"CompressionLevel", -1, true},
        {"CompressionLevel", 1, true},  {"CompressionLevel", 19, true},
        {"CompressionLevel", 22, true}, {"CompressionLevel", 23, false},
        {"CompressionLevel", INT32_MAX, false},
        {"CompressionLevel", INT32_MIN, false},
    };
    licbak_restorer *r = bare();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_HR(set_number(r, cases[i].name, cases[i].value), cases[i].allowed ? LICBAK_S_OK : LICBAK_E_INVALIDARG);
    }
    CHECK_INT(count(r), 3);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* A path in the system's own bytes, which need not be UTF-8, works like any other. */
static void binary_paths(void)
{
    static const char odd[] = "caf\xE9";
    recorder rec = {0};
    make_store(odd, 5);
    make_dir("b\xFF");
    licbak_restorer *r = bare();
    CHECK_HR(set(r, "StorePath", BINARY, odd, strlen(odd)), LICBAK_S_OK);
    CHECK_HR(set(r, "BackupPath", BINARY, "b\xFF", 2), LICBAK_S_OK);
    CHECK_HR(set(r, "RestorePath", BINARY, "b\xFF", 2), LICBAK_S_OK);
    CHECK_HR(set(r, "StorePath", BINARY, "s3://bucket", 11), LICBAK_E_INVALIDARG);
    check_property(r, "StorePath", BINARY, odd, strlen(odd));
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK(exists("b\xFF/licenses.tar.zst"));
    CHECK_HR(set(r, "StorePath", STRING, "restored", 8), LICBAK_S_OK);
    check_property(r, "StorePath", STRING, "restored", 9);
    CHECK_HR(run(licbak_restore_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_SAME_TREE("restored", odd);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Asking with NULL, too small, exact, and too large a buffer. */
static void buffers(void)
{
    licbak_restorer *r = bare();
    licbak_datatype type;
    char name[32];
    uint8_t value[32];
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "store"), LICBAK_S_OK);
    size_t name_size = 1000, size = 1000;
    CHECK_HR(licbak_get_prop_by_index(r, 0, NULL, &name_size, &type, NULL, &size), LICBAK_S_OK);
    CHECK_INT(name_size, sizeof "StorePath");
    CHECK_INT(size, sizeof "store");
    CHECK_INT(type, STRING);
    size = 0;
    CHECK_HR(licbak_get_prop_by_name(r, "StorePath", &type, NULL, &size), LICBAK_S_OK);
    CHECK_INT(size, sizeof "store");

    for (size_t room = 0; room < 12; room++) {
        for (size_t name_room = 0; name_room < 16; name_room++) {
            bool fits = room >= sizeof "store" && name_room >= sizeof "StorePath";
            memset(name, 0x5A, sizeof name);
            memset(value, 0x5A, sizeof value);
            name_size = name_room;
            size = room;
            CHECK_HR(licbak_get_prop_by_index(r, 0, name, &name_size, &type, value, &size),
                     fits ? LICBAK_S_OK : LICBAK_NS_E_DRM_BUFFER_TOO_SMALL);
            CHECK_INT(name_size, sizeof "StorePath");
            CHECK_INT(size, sizeof "store");
            if (fits) {
                CHECK_TEXT(name, "StorePath");
                CHECK_TEXT((const char *)value, "store");
            }
            for (size_t i = fits ? sizeof "StorePath" : 0; i < sizeof name; i++) {
                CHECK(name[i] == 0x5A); /* not a byte beyond what was said */
            }
            for (size_t i = fits ? sizeof "store" : 0; i < sizeof value; i++) {
                CHECK(value[i] == 0x5A);
            }
        }
        size = room;
        CHECK_HR(licbak_get_prop_by_name(r, "StorePath", &type, value, &size),
                 room >= sizeof "store" ? LICBAK_S_OK : LICBAK_NS_E_DRM_BUFFER_TOO_SMALL);
        CHECK_INT(size, sizeof "store");
    }

    CHECK_HR(set(r, "StorePath", BINARY, "store", 5), LICBAK_S_OK);
    size = 5; /* a BINARY has no NUL to count */
    CHECK_HR(licbak_get_prop_by_name(r, "StorePath", &type, value, &size), LICBAK_S_OK);
    CHECK_INT(size, 5);
    CHECK_HR(set_number(r, "Threads", 7), LICBAK_S_OK);
    size = 3;
    CHECK_HR(licbak_get_prop_by_name(r, "Threads", &type, value, &size), LICBAK_NS_E_DRM_BUFFER_TOO_SMALL);
    CHECK_INT(size, 4);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Checks the name and value of a property that has an index. */
static void check_index(licbak_restorer *r, size_t index, const char *expected)
{
    char name[32];
    uint8_t value[32];
    size_t name_size = sizeof name, size = sizeof value;
    licbak_datatype type;
    CHECK_HR(licbak_get_prop_by_index(r, index, name, &name_size, &type, value, &size), LICBAK_S_OK);
    CHECK_TEXT(name, expected);
    CHECK_INT(name_size, strlen(name) + 1);
    check_property(r, name, type, value, size);
}

static bool is_number(const char *name)
{
    for (int i = 0; i < 3; i++) {
        if (strcmp(name, numbers[i]) == 0) {
            return true;
        }
    }
    return false;
}

/* Each property that is set comes up under exactly one index, in an order that does not depend on
 * when it was set. */
static void enumeration(void)
{
    licbak_restorer *r = bare();
    for (int i = ALL; i-- > 0;) {
        CHECK_HR(is_number(in_order[i]) ? set_number(r, in_order[i], 1)
                                        : licbak_set_prop_string(r, in_order[i], in_order[i]), LICBAK_S_OK);
        CHECK_INT(count(r), ALL - i);
        check_index(r, 0, in_order[i]);
    }
    CHECK_HR(licbak_set_prop_string(r, "StorePath", "again"), LICBAK_S_OK);
    CHECK_INT(count(r), ALL);
    for (size_t index = 0; index < ALL; index++) {
        check_index(r, index, in_order[index]);
    }
    size_t name_size = 0, size = 0;
    licbak_datatype type;
    CHECK_HR(licbak_get_prop_by_index(r, ALL, NULL, &name_size, &type, NULL, &size), LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_get_prop_by_index(r, SIZE_MAX, NULL, &name_size, &type, NULL, &size), LICBAK_E_INVALIDARG);

    CHECK_HR(licbak_remove_prop(r, "Threads"), LICBAK_S_OK);
    CHECK_HR(licbak_remove_prop(r, "Threads"), LICBAK_S_OK); /* absent now */
    CHECK_INT(count(r), ALL - 1);
    check_index(r, 3, "CompressionLevel");
    CHECK_HR(licbak_get_prop_by_name(r, "Threads", &type, NULL, &size), LICBAK_NS_E_DRM_INVALID_PROPERTY);
    CHECK_HR(licbak_remove_all_props(r), LICBAK_S_OK);
    CHECK_HR(licbak_remove_all_props(r), LICBAK_S_OK);
    CHECK_INT(count(r), 0);
    CHECK_HR(licbak_get_prop_by_index(r, 0, NULL, &name_size, &type, NULL, &size), LICBAK_E_INVALIDARG);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* Two restorers share nothing, and properties outlive an operation. */
static void belong_to_a_restorer(void)
{
    recorder rec = {0};
    make_store("store", 3);
    make_dir("backups");
    licbak_restorer *r = restorer_for("store", "backups"), *other = bare();
    CHECK_INT(count(other), 0);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_S_OK);
    CHECK_INT(count(r), 3);
    check_property(r, "BackupPath", STRING, "backups", sizeof "backups");
    forget(&rec);
    CHECK_HR(licbak_destroy(other), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

int main(void)
{
    begin("props");
    names();
    types();
    machine();
    strings();
    dwords();
    ranges();
    binary_paths();
    buffers();
    enumeration();
    belong_to_a_restorer();
    return finish();
}
