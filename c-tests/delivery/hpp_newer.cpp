// A program that was compiled with a later header, in which the structs of events have grown: what the
// library that runs does not know is zero, and no byte behind its structs is read.
#include <licbak.hpp>

#include "../support/check.hpp"

#include <fstream>
#include <unistd.h>

namespace {

bool is_zero(const licbak_progress &figures)
{
    bool is_zero = true;
    for (const unsigned char byte : figures.later)
        is_zero = is_zero && byte == 0;
    return is_zero;
}

} // namespace

int main()
{
    char name[] = "licbak-hpp-newer-XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    const std::filesystem::path root = std::filesystem::absolute(name);
    std::filesystem::create_directories(root / "store");
    std::filesystem::create_directories(root / "backups");
    for (int i = 0; i < 100; i++)
        std::ofstream(root / "store" / std::to_string(i)) << i;

    licbak::restorer restorer;
    restorer.set_store_path(root / "store");
    restorer.set_backup_path(root / "backups");
    restorer.set_restore_path(root / "backups");
    int figures = 0, licenses = 0, asked = 0;
    licbak::listener told;
    told.on_progress = [&](const licbak_progress &now) {
        CHECK(is_zero(now));
        ++figures;
    };
    const licbak::result saved = restorer.backup({}, told).get();
    CHECK(saved.figures.licenses_done == 100 && is_zero(saved.figures));
    CHECK(restorer.progress().licenses_done == 100 && is_zero(restorer.progress()));
    restorer.list([&](const licbak::license &found) { licenses += !found.key_id.empty(); });
    restorer.set_authorizer([&](const licbak::backup_info &info) { asked += info.licenses == 100; });
    CHECK(restorer.restore().get().figures.licenses_done == 100);
    CHECK(restorer.info().licenses == 100);
    CHECK(figures > 0 && licenses == 100 && asked == 1);
    std::filesystem::remove_all(root);
    return finish("hpp_newer");
}
