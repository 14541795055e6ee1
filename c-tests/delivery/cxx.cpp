// The header in C++: a backup whose callback is a lambda and whose context an object, in C++11 and
// later.
#include <licbak.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

namespace {

int checks = 0;

void check(bool condition, int line, const char *expression)
{
    ++checks;
    if (!condition) {
        std::fprintf(stderr, "%s:%d: %s: expected true, got false\n", __FILE__, line, expression);
        std::exit(1);
    }
}

#define CHECK(condition) check((condition), __LINE__, #condition)

struct Host {
    std::vector<licbak_status> statuses;
    licbak_hresult outcome = LICBAK_E_FAIL;
    licbak_progress figures = {};
};

} // namespace

int main()
{
    char directory[] = "licbak-cxx-XXXXXX";
    CHECK(mkdtemp(directory) != nullptr);
    const std::string root = directory, store = root + "/store", file = store + "/key.lic";
    const std::string backup = root + "/licenses.tar.zst";
    CHECK(mkdir(store.c_str(), 0700) == 0);
    std::ofstream(file) << "a licence";

    licbak_restorer *restorer = nullptr;
    CHECK(licbak_create(&restorer) == LICBAK_S_OK);
    CHECK(licbak_set_prop_string(restorer, "StorePath", store.c_str()) == LICBAK_S_OK);
    CHECK(licbak_set_prop_string(restorer, "BackupPath", root.c_str()) == LICBAK_S_OK);

    Host host;
    const licbak_status_callback callback = [](licbak_status status, licbak_hresult hr, licbak_datatype,
                                               const uint8_t *value, size_t, void *context) -> licbak_hresult {
        Host &h = *static_cast<Host *>(context);
        h.statuses.push_back(status);
        if (status == LICBAK_WMT_BACKUPRESTORE_END) {
            h.outcome = hr;
            h.figures = *reinterpret_cast<const licbak_progress *>(value);
        }
        return LICBAK_S_OK;
    };
    CHECK(licbak_backup_licenses(restorer, 0, callback, &host) == LICBAK_S_OK);
    licbak_hresult outcome = LICBAK_E_FAIL;
    CHECK(licbak_wait(restorer, 0xFFFFFFFF, &outcome) == LICBAK_S_OK);
    CHECK(outcome == LICBAK_S_OK);
    CHECK(host.outcome == LICBAK_S_OK);
    CHECK(host.statuses.front() == LICBAK_WMT_BACKUPRESTORE_BEGIN);
    CHECK(host.statuses.back() == LICBAK_WMT_BACKUPRESTORE_END);
    CHECK(host.figures.licenses_done == 1);
    CHECK(host.figures.content_bytes == 9);
    CHECK(licbak_backup_licenses(restorer, 0, callback, &host) == LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK(licbak_hresult_name(LICBAK_NS_E_DRM_BACKUP_EXISTS) == std::string("LICBAK_NS_E_DRM_BACKUP_EXISTS"));
    CHECK(licbak_destroy(restorer) == LICBAK_S_OK);

    CHECK(unlink(backup.c_str()) == 0);
    CHECK(unlink(file.c_str()) == 0);
    CHECK(rmdir(store.c_str()) == 0);
    CHECK(rmdir(directory) == 0);
    std::printf("cxx: %d checks passed\n", checks);
}
