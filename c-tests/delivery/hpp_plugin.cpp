// A shared object that hides its names, and throws: hpp_host.cpp catches it.
#include <licbak.hpp>

extern "C" __attribute__((visibility("default"))) void verify_nothing();
extern "C" __attribute__((visibility("default"))) void refuse();

void verify_nothing()
{
    licbak::restorer restorer;
    restorer.set_restore_path("no such folder");
    (void)restorer.verify().get();
}

void refuse()
{
    throw licbak::refusal(licbak::errc::restore_fraud, "Enough.", "https://example.com/");
}
