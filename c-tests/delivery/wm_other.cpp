// The second translation unit of wm.cpp. It chooses other options, and has both headers for C++.
#define LICBAK_WORKING_GETTERS
#define LICBAK_ALL_STATUSES
#include <licbak_wm.hpp>

#include <licbak.hpp>
#include <licbak_wm.hpp> // twice is as once

HRESULT create_in_the_other_unit(IWMLicenseBackup **backup)
{
    return WMCreateBackupRestorer(nullptr, backup);
}

std::uint64_t licenses_verified_by_the_other_unit(const char *backups)
{
    licbak::restorer restorer;
    restorer.set_restore_path(backups);
    return restorer.verify().get().figures.licenses_done;
}
