/* The account of an object store: which values it takes, what lacks at the call, and that its secrets are
 * wiped. What is done in a bucket is tested in objects/.
 */
#include "../support/recorder.h"
#include "../support/secret.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

static const char *const secrets[] = {"SecretAccessKey", "SessionToken"};

static void set(licbak_restorer *r, const char *name, const char *value)
{
    CHECK_HR(licbak_set_prop_string(r, name, value), LICBAK_S_OK);
}

static licbak_restorer *bare(void)
{
    licbak_restorer *r = NULL;
    CHECK_HR(licbak_create(&r), LICBAK_S_OK);
    return r;
}

static void values(void)
{
    static const char *const good[][2] = {
        {"BackupPath", "s3://bucket"}, {"RestorePath", "s3://bucket/"}, {"BackupPath", "s3://my-bucket.1/a b/\xC3\xBC"},
        {"RestorePath", "s3://bucket//a/../b?c#d%20"}, {"Endpoint", "http://localhost:9000"},
        {"Endpoint", "https://[::1]:9000/base"}, {"Region", "eu-west-1"}, {"Region", "auto"}, {"AccessKeyId", "AKIDEXAMPLE"},
        {"SecretAccessKey", "a+b/c="}, {"SessionToken", "a b"},
    };
    static const char *const bad[][2] = {
        {"StorePath", "s3://bucket/store"}, {"BackupPath", "s3://"}, {"BackupPath", "s3://ab"}, {"BackupPath", "S3://bucket"},
        {"RestorePath", "s3://bucket name/a"}, {"RestorePath", "s3://bucket/a\nb"}, {"RestorePath", "gs://bucket"},
        {"Endpoint", ""}, {"Endpoint", "localhost:9000"}, {"Endpoint", "ftp://localhost"}, {"Endpoint", "https://a/b?c"},
        {"Endpoint", "https://user@host"}, {"Endpoint", "https://host:99999"}, {"Region", ""}, {"Region", "a b"},
        {"Region", "a/b"}, {"AccessKeyId", ""}, {"AccessKeyId", "a\r\nb"}, {"SecretAccessKey", ""}, {"SessionToken", ""},
        {"SessionToken", "a\nb"}, {"SessionToken", "\xC3\xBC"},
    };
    licbak_restorer *r = bare();
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        set(r, good[i][0], good[i][1]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK_HR(licbak_set_prop_string(r, bad[i][0], bad[i][1]), LICBAK_E_INVALIDARG);
    }
    CHECK_HR(licbak_set_prop(r, "BackupPath", LICBAK_WMT_TYPE_BINARY, (const uint8_t *)"s3://bucket/a", 13), LICBAK_S_OK);
    for (size_t i = 0; i < 2; i++) {
        char text[16] = "x";
        size_t size = sizeof text;
        licbak_datatype type = 9;
        CHECK_HR(licbak_get_prop_by_name(r, secrets[i], &type, (uint8_t *)text, &size), LICBAK_S_FALSE);
        CHECK_INT(size, 0);
        CHECK_INT(type, LICBAK_WMT_TYPE_STRING);
        CHECK_TEXT(text, "x");
    }
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* What an operation in a bucket needs is told at its call; what it needs not, is not asked for. */
static void missing(void)
{
    static const char *const needed[][2] = {
        {"Region", "eu-west-1"}, {"AccessKeyId", "AKIDEXAMPLE"}, {"SecretAccessKey", "secret"},
    };
    recorder rec = {0};
    make_store("store", 3);
    for (size_t lacks = 0; lacks < 3; lacks++) {
        licbak_restorer *r = bare();
        set(r, "StorePath", "store");
        set(r, "BackupPath", "s3://bucket/a");
        set(r, "RestorePath", "s3://bucket/a");
        for (size_t i = 0; i < 3; i++) {
            if (i != lacks) {
                set(r, needed[i][0], needed[i][1]);
            }
        }
        CHECK_HR(licbak_backup_licenses(r, 0, record, &rec), LICBAK_NS_E_DRM_INVALID_PROPERTY);
        CHECK_HR(licbak_verify_backup(r, 0, record, &rec), LICBAK_NS_E_DRM_INVALID_PROPERTY);
        licbak_backup_info info = {.struct_size = sizeof info};
        CHECK_HR(licbak_get_backup_info(r, &info), LICBAK_NS_E_DRM_INVALID_PROPERTY);
        char message[300];
        size_t size = sizeof message;
        CHECK_HR(licbak_get_error_message(r, message, &size), LICBAK_S_OK);
        CHECK(strstr(message, needed[lacks][0]) == message);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
    }
    /* A directory asks for none of it. */
    make_dir("backups");
    licbak_restorer *r = restorer_for("store", "backups");
    CHECK_HR(run(licbak_backup_licenses, r, 0, &rec), LICBAK_S_OK);
    forget(&rec);
    CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
}

/* A process that refuses whatever it is asked, until it is killed: its memory is not ours. */
static pid_t start_refusing(char *address, size_t size)
{
    static const char answer[] = "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n";
    struct sockaddr_in place = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof place;
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    CHECK(listening >= 0 && bind(listening, (struct sockaddr *)&place, sizeof place) == 0);
    CHECK(listen(listening, 8) == 0 && getsockname(listening, (struct sockaddr *)&place, &length) == 0);
    snprintf(address, size, "http://127.0.0.1:%d", ntohs(place.sin_port));
    pid_t child = fork();
    CHECK(child >= 0);
    while (child == 0) {
        char request[8192];
        size_t got = 0;
        int connection = accept(listening, NULL, NULL);
        for (ssize_t more = 1; more > 0; got = 0) {
            while ((more = read(connection, request + got, sizeof request - 1 - got)) > 0) {
                request[got += (size_t)more] = '\0';
                if (strstr(request, "\r\n\r\n") != NULL) {
                    break;
                }
            }
            if (more > 0 && write(connection, answer, sizeof answer - 1) < 0) {
                break;
            }
        }
        close(connection);
    }
    close(listening);
    return child;
}

static void secrets_are_wiped(void)
{
    for (size_t i = 0; i < 2; i++) {
        char address[64];
        size_t dumped = 0;
        pid_t server = start_refusing(address, sizeof address);
        licbak_restorer *r = bare();
        set(r, "RestorePath", "s3://bucket/a");
        set(r, "StorePath", "store");
        set(r, "BackupPath", "s3://bucket/a");
        set(r, "Endpoint", address);
        set(r, "AccessKeyId", "AKIDEXAMPLE");
        set(r, "SecretAccessKey", "secret");
        CHECK_INT(copies(&dumped), 0);
        set_secret(r, secrets[i]);
        CHECK_INT(copies(&dumped), 1);
        recorder rec = {0};
        CHECK_HR(run(licbak_verify_backup, r, 0, &rec), LICBAK_E_ACCESSDENIED);
        CHECK_HR(run(licbak_backup_licenses, r, LICBAK_WM_BACKUP_OVERWRITE, &rec), LICBAK_E_ACCESSDENIED);
        licbak_backup_info info = {.struct_size = sizeof info};
        CHECK_HR(licbak_get_backup_info(r, &info), LICBAK_E_ACCESSDENIED);
        CHECK_INT(copies(&dumped), 1);
        CHECK_INT(dumped, 0);
        CHECK_HR(licbak_remove_prop(r, secrets[i]), LICBAK_S_OK);
        CHECK_INT(copies(&dumped), 0);
        forget(&rec);
        CHECK_HR(licbak_destroy(r), LICBAK_S_OK);
        kill(server, SIGKILL);
        CHECK(waitpid(server, NULL, 0) == server);
    }
}

int main(void)
{
    begin("account");
    values();
    missing();
    secrets_are_wiped();
    return finish();
}
