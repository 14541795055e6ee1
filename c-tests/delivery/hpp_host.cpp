// Failures that another shared object has thrown, which is named by the argument: they are caught as
// what they are, and compare as if they were its own.
#include <licbak.hpp>

#include "../support/check.hpp"

#include <dlfcn.h>

namespace {

using function = void (*)();

function find(void *plugin, const char *name)
{
    void *const found = dlsym(plugin, name);
    return reinterpret_cast<function>(found);
}

} // namespace

int main(int count, char **arguments)
{
    void *const plugin = count == 2 ? dlopen(arguments[1], RTLD_NOW | RTLD_LOCAL) : nullptr;
    CHECK(plugin != nullptr);
    if (plugin == nullptr)
        return 1;
    try {
        find(plugin, "verify_nothing")();
        CHECK(!"nothing was thrown");
    } catch (const licbak::error &e) {
        CHECK(e.code() == licbak::errc::path_not_found && licbak::errc::path_not_found == e.code());
        CHECK(!(e.code() != licbak::errc::path_not_found) && !(licbak::errc::path_not_found != e.code()));
        CHECK(e.code() != licbak::errc::file_not_found && licbak::errc::file_not_found != e.code());
        CHECK(e.code() == std::errc::no_such_file_or_directory);
        // The same number of another category is another code.
        CHECK(std::error_code(e.code().value(), std::generic_category()) != licbak::errc::path_not_found);
    }
    try {
        find(plugin, "refuse")();
        CHECK(!"nothing was thrown");
    } catch (const licbak::refusal &e) {
        CHECK(e.code() == licbak::errc::restore_fraud && e.address() == "https://example.com/");
    }
    dlclose(plugin);
    return finish("hpp_host");
}
