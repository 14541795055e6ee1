// wmvcore.dll: the DLL of the Windows Media Format SDK, with the backup restorer object alone.
//
// A program in any language that imports WMCreateBackupRestorer from wmvcore.dll gets the object of
// licbak_wm.hpp where this DLL lies beside it. The store is the property StorePath, or the
// environment variable LICBAK_STORE_PATH. wmvcore.def gives the function its name.
//
//     x86_64-w64-mingw32-g++ -std=c++17 -shared -static wmvcore.cpp wmvcore.def -o wmvcore.dll
//         $(pkg-config --static --cflags --libs licbak)
#include <licbak_wm.hpp>

extern "C" HRESULT STDMETHODCALLTYPE create_for_wmvcore(IUnknown *callback, IWMLicenseBackup **backup)
{
    return licbak::wm::create_backup_restorer(callback, backup);
}
