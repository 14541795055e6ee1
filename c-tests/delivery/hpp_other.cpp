// The second translation unit of hpp.cpp.
#include <licbak.hpp>
#include <licbak.hpp> // twice is as once

const std::error_category &category_of_the_other();
std::size_t licenses_listed_by_the_other(const std::filesystem::path &backups);

const std::error_category &category_of_the_other()
{
    return licbak::category();
}

std::size_t licenses_listed_by_the_other(const std::filesystem::path &backups)
{
    licbak::restorer restorer;
    restorer.set_restore_path(backups);
    std::size_t count = 0;
    restorer.list([&](const licbak::license &) { ++count; });
    return count;
}
