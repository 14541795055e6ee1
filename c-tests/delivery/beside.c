/* A program that has liblicbak.a in it, and besides an SQLite, a zstd and a library in Rust of its
 * own: each calls its own, and all of them work.
 */
#include "../support/recorder.h"

#include <sqlite3.h>
#include <zstd.h>

/* Of the other library in Rust: whether it has caught its own panic. */
bool other_catches(void);

static void execute(sqlite3 *database, const char *statements)
{
    char *message = NULL;
    sqlite3_exec(database, statements, NULL, NULL, &message);
    CHECK_TEXT(message != NULL ? message : "", "");
}

static sqlite3 *open_database(const char *path)
{
    sqlite3 *database = NULL;
    CHECK_INT(sqlite3_open(path, &database), SQLITE_OK);
    return database;
}

static long long count_of_licenses(const char *path)
{
    sqlite3 *database = open_database(path);
    sqlite3_stmt *statement = NULL;
    const char *query = "SELECT count(*) FROM license";
    CHECK_INT(sqlite3_prepare_v2(database, query, -1, &statement, NULL), SQLITE_OK);
    CHECK_INT(sqlite3_step(statement), SQLITE_ROW);
    long long count = sqlite3_column_int64(statement, 0);
    CHECK_INT(sqlite3_finalize(statement), SQLITE_OK);
    CHECK_INT(sqlite3_close(database), SQLITE_OK);
    return count;
}

/* What the program's own zstd finds in the first frames of a backup. */
static void check_zstd(const char *path)
{
    static uint8_t content[1 << 20];
    size_t size;
    uint8_t *file = read_file(path, &size);
    ZSTD_inBuffer in = {file, size, 0};
    ZSTD_outBuffer out = {content, sizeof content, 0};
    ZSTD_DCtx *context = ZSTD_createDCtx();
    while (in.pos < in.size && out.pos < out.size) {
        CHECK(!ZSTD_isError(ZSTD_decompressStream(context, &out, &in)));
    }
    CHECK(out.pos > 512);
    CHECK_TEXT((const char *)content + 257, "ustar"); /* as a header of tar has it */
    ZSTD_freeDCtx(context);
    free(file);
}

int main(void)
{
    begin("beside");
    CHECK_INT(sqlite3_libversion_number(), SQLITE_VERSION_NUMBER);
    CHECK_INT(ZSTD_versionNumber(), ZSTD_VERSION_NUMBER);
    CHECK(other_catches());

    sqlite3 *database = open_database("store.db");
    execute(database, "CREATE TABLE license(name TEXT PRIMARY KEY, content BLOB NOT NULL);"
                      "INSERT INTO license VALUES('one.lic', x'01'), ('two.lic', x'02')");
    CHECK_INT(sqlite3_close(database), SQLITE_OK);
    sqlite3 *kept = open_database(":memory:"); /* meanwhile */
    make_dir("backups");
    CHECK_HR(backup("store.db", "backups", 0), LICBAK_S_OK);
    CHECK_HR(restore("restored.db", "backups", 0), LICBAK_S_OK);
    execute(kept, "CREATE TABLE other(number)");
    CHECK_INT(sqlite3_close(kept), SQLITE_OK);
    CHECK_INT(count_of_licenses("restored.db"), 2);
    check_zstd("backups/licenses.tar.zst");
    CHECK(other_catches());
    return finish();
}
