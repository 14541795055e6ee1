// wmvcore.dll: the DLL of the Windows Media Format SDK, with the backup restorer object alone.
//
// A program in any language that imports WMCreateBackupRestorer from wmvcore.dll gets the object of
// licbak_wm.hpp where this DLL lies beside it. The store is the property StorePath, or the
// environment variable LICBAK_STORE_PATH. wmvcore.def gives the function its name.
//
//     x86_64-w64-mingw32-g++ -std=c++17 -shared -static wmvcore.cpp wmvcore.def -o wmvcore.dll
//         $(pkg-config --static --cflags --libs licbak)
#include <licbak_wm.hpp>

// A thread of the library may still have something to do after the program has unloaded the DLL.
static bool stays_loaded()
{
    HMODULE here;
    return GetModuleHandleExW(GET_MODULE_HANDLE_EX_FLAG_PIN | GET_MODULE_HANDLE_EX_FLAG_FROM_ADDRESS,
                              reinterpret_cast<LPCWSTR>(&stays_loaded), &here) != 0;
}

extern "C" HRESULT STDMETHODCALLTYPE create_for_wmvcore(IUnknown *callback, IWMLicenseBackup **backup)
{
    static const bool stays = stays_loaded();
    return stays ? licbak::wm::create_backup_restorer(callback, backup) : E_UNEXPECTED;
}
