/* What is done while memory runs out: every operation, on every kind of store, with licences of
 * every format. */
#ifndef MEMORY_SCENES_H
#define MEMORY_SCENES_H

#include "allocations.h"
#include "host.h"
#include "repeat.h"

/* -- licences --------------------------------------------------------------------------------------------- */

#define WMDRM(key_id, inner) \
    "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>" key_id "</KID>" inner "</DATA></LICENSORINFO></LICENSE>"
#define ALLOWED "<ONACTION type=\"&#66;ackup\"><CONDITION>true</CONDITION></ONACTION>"
#define RIGHTS(permission) \
    "<r:rights xmlns:r='http://odrl.net/1.1/ODRL-EX' xmlns='http://odrl.net/1.1/ODRL-DD'><r:agreement><r:asset>" \
    "<r:context><uid>cid:1@x</uid></r:context></r:asset><r:permission><play>" permission "</play></r:permission>" \
    "</r:agreement></r:rights>"
#define COUNTED "<r:constraint><count>3</count></r:constraint>"

enum { HOSTILE = MIB - 64 }; /* the largest content that is looked into has a MiB */

static inline void write_utf16(const char *path, const char *text)
{
    size_t size = 2 + 2 * strlen(text);
    uint8_t *bytes = calloc(size, 1);
    CHECK(bytes != NULL);
    bytes[0] = 0xFF;
    bytes[1] = 0xFE;
    for (size_t i = 0; text[i] != '\0'; i++) {
        bytes[2 + 2 * i] = (uint8_t)text[i];
    }
    write_file(path, bytes, size);
    free(bytes);
}

static inline void make_licenses(const char *store)
{
    static const uint8_t xmr[] = "XMR\0\0\0\0\3\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\17\0\1\0\12\0\0\0\x18"
                                 "KKKKKKKKKKKKKKK";
    make_dir(store);
    CHECK(chdir(store) == 0);
    write_text("albums/one/allowed.xml", WMDRM("allowed", ALLOWED));
    write_utf16("albums/one/wide.xml", WMDRM("wide", ALLOWED "<META><SID>past</SID></META>"));
    write_text("albums/two/denied.xml", WMDRM("denied", ""));
    write_file("binary.xmr", xmr, sizeof xmr);
    write_text("book.lcpl", "{\"provider\":\"https:\\/\\/p.example\",\"id\":\"urn:\\u0061\",\"issued\":\"\","
                            "\"encryption\":{\"profile\":\"p\"},\"links\":[[{}]]}");
    write_text("gone.lic", "gone");
    CHECK(symlink("opaque.lic", "link") == 0);
    write_text("opaque.lic", "SERVER x");
    write_text("restricted later.xml", WMDRM("r", ALLOWED));
    write_text("rights/free.dr", RIGHTS(""));
    write_text("rights/counted.dr", RIGHTS(COUNTED));
    write_text("work/changing.lic", "as it was");
    write_text("wrapped.xml", "<LICENSE version=\"3.0.0.0\">\r\nWE1SAAAAAAMPDw8PDw8PDw8PDw8PDw8P\r\n"
                              "AAEACgAAABhLS0tLS0tLS0tLS0tLS0tL</LICENSE>");
    /* In three frames, of which the last can be taken over. */
    write_noise("noise/one", 1100 << 10, 1);
    write_noise("noise/two", 1100 << 10, 2);
    write_noise("video/three", 1100 << 10, 3);
    CHECK(chdir("..") == 0);
}

static inline void change_licenses(const char *store)
{
    CHECK(chdir(store) == 0);
    write_text("work/changing.lic", "changed");
    write_text("work/new.lic", "new");
    write_text("restricted later.xml", WMDRM("r", ""));
    CHECK(unlink("gone.lic") == 0);
    CHECK(chdir("..") == 0);
}

/* Writes `head`, as many `middle` as there is room for, and `tail`. */
static inline void write_large(const char *path, const char *head, const char *middle, const char *tail)
{
    size_t size = strlen(head), part = strlen(middle), end = strlen(tail);
    char *text = malloc(MIB);
    CHECK(text != NULL);
    memcpy(text, head, size);
    for (; size + part + end <= HOSTILE; size += part) {
        memcpy(text + size, middle, part);
    }
    memcpy(text + size, tail, end);
    write_file(path, text, size + end);
    free(text);
}

#define XML2 "<LICENSE version='2.0.0.0'>"
#define OMA "<rights xmlns='http://odrl.net/1.1/ODRL-EX' "

/* Contents that make a reader of XML or JSON ask for as much memory as they have bytes, and
 * more. */
static inline void make_hostile(const char *store)
{
    make_dir(store);
    CHECK(chdir(store) == 0);
    write_large("element name", "<", "x", "/>");
    write_large("end name", XML2 "</", "x", ">");
    write_large("inner name", XML2 "<", "x", "/></LICENSE>");
    write_large("quoted name", XML2 "<a'>", "x", "'/></LICENSE>");
    write_large("quoted end name", XML2 "</a '>", "x", "'></LICENSE>");
    write_large("form feed", XML2 "<a\f", "x", "/></LICENSE>");
    write_large("attribute", "<LICENSE version='", "&lt;", "'/>");
    write_large("action", XML2 "<LICENSORINFO><DATA><ONACTION type='", "&lt;", "'/></DATA></LICENSORINFO></LICENSE>");
    write_large("text", XML2 "<LICENSORINFO><DATA><KID>", "a\r", "</KID></DATA></LICENSORINFO></LICENSE>");
    write_large("character data", XML2 "<![CDATA[", "a\r", "]]></LICENSE>");
    write_large("base64", "<LICENSE version='3.0.0.0'>", "AAA\r", "</LICENSE>");
    write_large("reference", XML2 "&", "\r", ";</LICENSE>");
    write_large("deep", XML2 "<META>", "<a>", "");
    write_large("attributes", "<LICENSE ", "a='' ", "version='2.0.0.0'/>");
    write_large("namespace", OMA "xmlns:a='", "u", "'/>");
    write_large("prefix", OMA "xmlns:", "p", "='u'/>");
    write_large("unknown prefix", "<", "p", ":rights/>");
    write_large("namespaces", OMA, "xmlns:a='u' ", "/>");
    write_large("entity", "<!DOCTYPE a [<!ENTITY b '", "b", "'>]>" XML2 "&b;</LICENSE>");
    write_large("string", "{\"id\":\"", "\\n", "\",\"issued\":\"\",\"provider\":\"\",\"encryption\":{}}");
    write_large("key", "{\"", "\\n", "\":1,\"id\":\"k\",\"issued\":\"\",\"provider\":\"\",\"encryption\":{}}");
    write_large("brackets", "{\"links\":", "[", "");
    write_large("number", "{\"id\":", "1", "}");
    CHECK(chdir("..") == 0);
}

/* -- scenes ------------------------------------------------------------------------------------------------ */

enum { FACTS = 1 };

typedef struct scene scene;
struct scene {
    const char *name;
    operation start; /* NULL: a list, or with FACTS what the backup says about itself */
    uint32_t flags;
    const char *store, *backups; /* no store: a host's own */
    licbak_hresult outcome; /* where there is memory */
    bool partial; /* what was done stays where it fails */
    bool full_form; /* too slow for each build */
    void (*prepare)(void);
    char *(*tell)(void); /* what has been done, line by line; the caller frees it */
};

static host shelf;       /* that is restored into */
static host collection;  /* that is backed up */
static const char *listing; /* what the last list has told, or how many licences an operation was about */

static inline char *copy_of(const char *text)
{
    char *copy = strdup(text);
    CHECK(copy != NULL);
    return copy;
}

/* -- before and after -- */

static inline void nothing_there(void)
{
    remove_tree("out");
    make_dir("out");
}

static inline void copy_file(const char *from, const char *to)
{
    size_t size;
    uint8_t *bytes = read_file(from, &size);
    write_file(to, bytes, size);
    free(bytes);
}

static inline void old_backup_there(void)
{
    nothing_there();
    copy_file("old/licenses.tar.zst", "out/licenses.tar.zst");
}

/* What comes out of a backup that is whole: its bytes have random parts. */
static inline char *what_is_there(void)
{
    const char *names = entries("out");
    if (strcmp(names, "licenses.tar.zst") != 0) {
        return copy_of(names);
    }
    CHECK_HR(verify("out"), LICBAK_S_OK);
    return restored_text("out", 0, true, LICBAK_S_OK);
}

static inline void old_sealed_backup_there(void)
{
    remove_tree("sealed out");
    make_dir("sealed out");
    copy_file("sealed old/licenses.tar.zst.age", "sealed out/licenses.tar.zst.age");
}

static inline char *what_is_sealed_there(void)
{
    CHECK_TEXT(entries("sealed out"), "licenses.tar.zst.age");
    remove_tree("unsealed");
    CHECK_HR(restore("unsealed", "sealed out", 0), LICBAK_S_OK);
    return tree("unsealed");
}

static inline void no_store_there(void)
{
    remove_tree("target");
}

static inline void other_store_there(void)
{
    no_store_there();
    write_text("target/book.lcpl", "another");
    write_text("target/rights/free.dr", "another");
    write_text("target/own.lic", "own");
    set_modified("target/book.lcpl", 1, 1);
    set_modified("target/rights/free.dr", 1, 1);
    set_modified("target/own.lic", 1, 1);
}

/* The folders that a restore makes have the time of the restore, and are not told. */
static inline char *what_is_in_the_store(void)
{
    return exists("target") ? tree("target") : copy_of("");
}

static inline void no_database_there(void)
{
    unlink("target.db");
    unlink("target.db-wal");
    unlink("target.db-shm");
}

static inline void other_database_there(void)
{
    no_database_there();
    copy_file("other.db", "target.db");
}

/* A backup of it says all; -wal and -shm are SQLite's own. */
static inline char *what_is_in_the_database(void)
{
    if (!exists("target.db")) {
        CHECK(!exists("target.db-wal") && !exists("target.db-shm") && !exists("target.db-journal"));
        return copy_of("");
    }
    remove_tree("peek");
    make_dir("peek");
    CHECK_HR(backup("target.db", "peek", 0), LICBAK_S_OK);
    return restored_text("peek", 0, false, LICBAK_S_OK);
}

static inline void shelf_is_empty(void)
{
    host_forget(&shelf);
    shelf.merge = NULL;
}

/* The host's authorizer: it answers what the scene is to end with. */
static inline licbak_hresult LICBAK_CALL allow_or_refuse(const licbak_backup_info *info, char *url, size_t url_size,
                                                         void *context)
{
    const scene *s = context;
    CHECK(info->id[0] != '\0' && url_size > 64);
    strcpy(url, "https://example.com/");
    return s->outcome;
}

static inline licbak_hresult theirs_wins(host *h, const licbak_license *mine, const licbak_license *theirs,
                                         licbak_license_callback emit, void *emit_context)
{
    (void)h, (void)mine;
    return emit(theirs, emit_context);
}

static inline void shelf_has_versions(void)
{
    host_forget(&shelf);
    host_add(&shelf, "book.lcpl", NULL, "another", 1, 0);
    shelf.merge = theirs_wins;
}

static inline void shelf_has_others(void)
{
    host_forget(&shelf);
    shelf.merge = NULL;
    host_add(&shelf, "book.lcpl", NULL, "another", 1, 0);
    host_add(&shelf, "own.lic", NULL, "own", 1, 0);
}

static inline char *what_is_on_the_shelf(void)
{
    return host_text(&shelf, true);
}

static inline void nothing_told(void)
{
    listing = "";
}

static inline char *what_was_told(void)
{
    return copy_of(listing);
}

static inline licbak_hresult LICBAK_CALL list_one(const licbak_license *license, void *context)
{
    memory_is_mine++;
    licbak_hresult answer = host_list_one(license, context);
    memory_is_mine--;
    return answer;
}

/* What a scene without an operation does. */
static inline licbak_hresult read_backup(licbak_restorer *r, uint32_t flags, growing_text *told)
{
    if (flags != FACTS) {
        return licbak_list_backup(r, list_one, told);
    }
    licbak_backup_info info = {.struct_size = sizeof info};
    licbak_hresult hr = licbak_set_prop_string(r, "MachineId", "seat 7");
    hr = hr < 0 ? hr : licbak_get_backup_info(r, &info);
    if (hr >= 0) {
        memory_is_mine++;
        add_text(told, "%s %llu: %llu licences\n", info.id, (unsigned long long)info.generation,
                 (unsigned long long)info.licenses);
        memory_is_mine--;
    }
    return hr;
}

static inline licbak_hresult LICBAK_CALL restore_key(licbak_restorer *r, uint32_t flags, licbak_status_callback callback,
                                                     void *context)
{
    return licbak_restore_license(r, "urn:a", flags, callback, context);
}

#define BACK_UP licbak_backup_licenses
#define RESTORE licbak_restore_licenses
#define VERIFY licbak_verify_backup
#define IN_WAIT LICBAK_CALL_IN_WAIT
#define NEW LICBAK_WM_BACKUP_OVERWRITE
#define OVER LICBAK_RESTORE_OVERWRITE
#define SALVAGE LICBAK_RESTORE_SALVAGE
#define CORRUPT LICBAK_NS_E_DRM_BACKUP_CORRUPT
#define FRAUD LICBAK_NS_E_DRM_RESTORE_FRAUD
#define CONSENT LICBAK_WM_RESTORE_INDIVIDUALIZE

static const scene scenes[] = {
    {"backup", BACK_UP, 0, "store", "out", 0, false, false, nothing_there, what_is_there},
    {"repeated backup", BACK_UP, NEW, "store", "out", 0, false, false, old_backup_there, what_is_there},
    {"repeated backup of a moved store", BACK_UP, NEW, "moved", "out", 0, false, false, old_backup_there,
     what_is_there},
    {"full backup", BACK_UP, NEW | LICBAK_BACKUP_FULL, "store", "out", 0, false, true, old_backup_there, what_is_there},
    {"encrypted backup", BACK_UP, NEW, "store", "sealed out", 0, false, false, old_sealed_backup_there,
     what_is_sealed_there},
    {"hostile contents", BACK_UP, LICBAK_DRY_RUN, "hostile", "out", 0, false, false, nothing_told, what_was_told},
    {"backup of a database", BACK_UP, 0, "full.db", "out", 0, false, false, nothing_there, what_is_there},
    {"backup of a copied database", BACK_UP, 0, "rollback.db", "out", 0, false, false, nothing_there, what_is_there},
    {"backup of a host", BACK_UP, NEW, NULL, "out", 0, false, false, old_backup_there, what_is_there},
    {"backup in wait", BACK_UP, IN_WAIT, "store", "out", 0, false, true, nothing_there, what_is_there},
    {"backup of a host in wait", BACK_UP, NEW | IN_WAIT, NULL, "out", 0, false, false, old_backup_there, what_is_there},
    {"restore", RESTORE, 0, "target", "full", 0, true, false, no_store_there, what_is_in_the_store},
    {"restore of an encrypted backup", RESTORE, 0, "target", "sealed", 0, true, false, no_store_there,
     what_is_in_the_store},
    {"restore over others", RESTORE, OVER, "target", "full", 0, true, false, other_store_there, what_is_in_the_store},
    {"restore beside others", RESTORE, 0, "target", "full", 0, true, true, other_store_there, what_is_in_the_store},
    {"restore to a new database", RESTORE, 0, "target.db", "full", 0, false, false, no_database_there,
     what_is_in_the_database},
    {"restore to a database", RESTORE, OVER, "target.db", "full", 0, false, false, other_database_there,
     what_is_in_the_database},
    {"restore to a host", RESTORE, 0, NULL, "full", 0, true, false, shelf_is_empty, what_is_on_the_shelf},
    {"restore to a host in wait", RESTORE, IN_WAIT, NULL, "full", 0, true, false, shelf_is_empty, what_is_on_the_shelf},
    {"restore to a host with others", RESTORE, OVER, NULL, "full", 0, true, true, shelf_has_others,
     what_is_on_the_shelf},
    {"restore to a host that merges", RESTORE, 0, NULL, "full", 0, true, false, shelf_has_versions,
     what_is_on_the_shelf},
    {"refused restore", RESTORE, CONSENT, "target", "named", FRAUD, false, false, no_store_there, what_is_in_the_store},
    {"one licence", restore_key, 0, "target", "full", 0, true, false, no_store_there, what_is_in_the_store},
    {"one licence to a database", restore_key, 0, "target.db", "full", 0, false, true, no_database_there,
     what_is_in_the_database},
    {"one licence to a host", restore_key, 0, NULL, "full", 0, true, true, shelf_is_empty, what_is_on_the_shelf},
    {"salvage", RESTORE, SALVAGE, "target", "damaged", CORRUPT, true, true, no_store_there, what_is_in_the_store},
    {"salvage of a ruin", RESTORE, SALVAGE, "target", "ruin", CORRUPT, true, true, no_store_there,
     what_is_in_the_store},
    {"verify", VERIFY, 0, "store", "full", 0, false, false, nothing_told, what_was_told},
    {"list", NULL, 0, "store", "full", 0, false, false, nothing_told, what_was_told},
    {"info", NULL, FACTS, "store", "full", 0, false, false, nothing_told, what_was_told},
};

enum { SCENES = sizeof scenes / sizeof scenes[0] };

/* -- all that the scenes need -- */

/* Databases with a write-ahead log say so in two bytes of their headers. */
static inline void leave_wal_mode(const char *database)
{
    FILE *file = fopen(database, "r+b");
    CHECK(file != NULL && fseek(file, 18, SEEK_SET) == 0);
    CHECK(fwrite("\1\1", 1, 2, file) == 2 && fclose(file) == 0);
}

static inline void make_all(void *unused)
{
    (void)unused;
    static const char *const folders[] = {"old", "full", "named", "damaged", "ruin", "sealed", "sealed old",
                                          "sealed out", "unsealed"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        make_dir(folders[i]);
    }
    make_hostile("hostile");
    make_licenses("store");
    settle();
    CHECK_HR(backup("store", "old", 0), LICBAK_S_OK);
    CHECK_HR(backup("store", "sealed old", 0), LICBAK_S_OK);
    change_licenses("store");
    SHELL("cp -a store moved");
    settle();
    CHECK_HR(backup("store", "full", 0), LICBAK_S_OK);
    CHECK_HR(backup("store", "sealed", 0), LICBAK_S_OK);

    licbak_restorer *r = restorer_for("store", "named");
    recorder rec = {0};
    CHECK_HR(licbak_set_prop_string(r, "MachineId", "seat 7"), LICBAK_S_OK);
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    forget(&rec);

    frames f = read_frames("full/licenses.tar.zst");
    CHECK(f.count > 4);
    f.bytes[f.all[0].start + f.all[0].length / 2] ^= 1;
    write_file("damaged/licenses.tar.zst", f.bytes, f.size);
    write_file("ruin/licenses.tar.zst", f.bytes, f.all[2].start);
    free_frames(&f);

    CHECK_HR(restore("full.db", "full", 0), LICBAK_S_OK);
    copy_file("full.db", "rollback.db");
    leave_wal_mode("rollback.db");
    other_store_there();
    remove_tree("peek");
    make_dir("peek");
    CHECK_HR(backup("target", "peek", 0), LICBAK_S_OK);
    CHECK_HR(restore("other.db", "peek", 0), LICBAK_S_OK);
}

#endif
