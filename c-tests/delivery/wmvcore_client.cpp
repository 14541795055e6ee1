// A program for Windows that knows nothing of licbak: it imports WMCreateBackupRestorer from
// wmvcore.dll, and declares what it uses of the original as the original's header does. It backs the
// licences of LICBAK_STORE_PATH up into a folder, and restores them:
//
//     wmvcore_client FOLDER
#include <cstdio>
#include <unknwn.h>

enum WMT_STATUS {
    WMT_ERROR = 0,
    WMT_BACKUPRESTORE_BEGIN = 21,
    WMT_BACKUPRESTORE_END = 27,
    WMT_RESTRICTED_LICENSE = 31,
};

enum WMT_ATTR_DATATYPE {
    WMT_TYPE_DWORD = 0,
    WMT_TYPE_STRING = 1,
    WMT_TYPE_BINARY = 2,
};

#define WM_BACKUP_OVERWRITE ((DWORD)0x00000001)
#define WM_RESTORE_INDIVIDUALIZE ((DWORD)0x00000002)
#define NS_E_DRM_BACKUP_EXISTS ((HRESULT)0xC00D2742L)

MIDL_INTERFACE("6d7cdc70-9888-11d3-8edc-00c04f6109cf")
IWMStatusCallback : public IUnknown
{
    virtual HRESULT STDMETHODCALLTYPE OnStatus(WMT_STATUS Status, HRESULT hr, WMT_ATTR_DATATYPE dwType, BYTE *pValue,
                                               void *pvContext) = 0;
};

MIDL_INTERFACE("05E5AC9F-3FB6-4508-BB43-A4067BA1EBE8")
IWMLicenseBackup : public IUnknown
{
    virtual HRESULT STDMETHODCALLTYPE BackupLicenses(DWORD dwFlags, IWMStatusCallback * pCallback) = 0;
    virtual HRESULT STDMETHODCALLTYPE CancelLicenseBackup() = 0;
};

MIDL_INTERFACE("C70B6334-A22E-4EFB-A245-15E65A004A13")
IWMLicenseRestore : public IUnknown
{
    virtual HRESULT STDMETHODCALLTYPE RestoreLicenses(DWORD dwFlags, IWMStatusCallback * pCallback) = 0;
    virtual HRESULT STDMETHODCALLTYPE CancelLicenseRestore() = 0;
};

MIDL_INTERFACE("3C8E0DA6-996F-4FF3-A1AF-4838F9377E2E")
IWMBackupRestoreProps : public IUnknown
{
    virtual HRESULT STDMETHODCALLTYPE GetPropCount(WORD * pcProps) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetPropByIndex(WORD wIndex, LPWSTR pwszName, WORD * pcchNameLen,
                                                     WMT_ATTR_DATATYPE * pType, BYTE * pValue, WORD * pcbLength) = 0;
    virtual HRESULT STDMETHODCALLTYPE GetPropByName(LPCWSTR pszName, WMT_ATTR_DATATYPE * pType, BYTE * pValue,
                                                    WORD * pcbLength) = 0;
    virtual HRESULT STDMETHODCALLTYPE SetProp(LPCWSTR pszName, WMT_ATTR_DATATYPE Type, const BYTE *pValue,
                                              WORD cbLength) = 0;
    virtual HRESULT STDMETHODCALLTYPE RemoveProp(LPCWSTR pcwszName) = 0;
    virtual HRESULT STDMETHODCALLTYPE RemoveAllProps() = 0;
};

extern "C" HRESULT STDMETHODCALLTYPE WMCreateBackupRestorer(IUnknown *pCallback, IWMLicenseBackup **ppBackup);

static const IID IID_Callback = {0x6D7CDC70, 0x9888, 0x11D3, {0x8E, 0xDC, 0x00, 0xC0, 0x4F, 0x61, 0x09, 0xCF}};
static const IID IID_Restore = {0xC70B6334, 0xA22E, 0x4EFB, {0xA2, 0x45, 0x15, 0xE6, 0x5A, 0x00, 0x4A, 0x13}};
static const IID IID_Props = {0x3C8E0DA6, 0x996F, 0x4FF3, {0xA1, 0xAF, 0x48, 0x38, 0xF9, 0x37, 0x7E, 0x2E}};

static unsigned g_checks = 0;

#define CHECK(condition)                                                            \
    do {                                                                            \
        ++g_checks;                                                                 \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            ExitProcess(1);                                                         \
        }                                                                           \
    } while (0)

class CCallback : public IWMStatusCallback
{
public:
    CCallback() : m_hEnded(CreateEventW(NULL, FALSE, FALSE, NULL)) {}
    ~CCallback() { CloseHandle(m_hEnded); }

    HRESULT End(HRESULT hrStarted)
    {
        if (FAILED(hrStarted))
            return hrStarted;
        CHECK(WaitForSingleObject(m_hEnded, 60000) == WAIT_OBJECT_0);
        return m_hr;
    }

    STDMETHODIMP QueryInterface(REFIID riid, void **ppv)
    {
        const bool bKnown = IsEqualIID(riid, IID_Callback);
        *ppv = bKnown ? this : NULL;
        return bKnown ? S_OK : E_NOINTERFACE;
    }
    STDMETHODIMP_(ULONG) AddRef() { return 2; } // it is on the stack
    STDMETHODIMP_(ULONG) Release() { return 1; }

    STDMETHODIMP OnStatus(WMT_STATUS Status, HRESULT hr, WMT_ATTR_DATATYPE dwType, BYTE *, void *)
    {
        if (Status == WMT_RESTRICTED_LICENSE && dwType == WMT_TYPE_STRING)
            ++m_cRestricted;
        if (Status == WMT_BACKUPRESTORE_END) {
            m_hr = hr;
            SetEvent(m_hEnded);
        }
        return S_OK;
    }

    int m_cRestricted = 0;

private:
    HANDLE m_hEnded;
    HRESULT m_hr = S_OK;
};

int wmain(int argc, wchar_t **argv)
{
    CHECK(argc == 2);
    const WORD cbPath = (WORD)((wcslen(argv[1]) + 1) * sizeof(WCHAR));
    CCallback callback;
    IWMLicenseBackup *pBackup = NULL;
    IWMLicenseRestore *pRestore = NULL;
    IWMBackupRestoreProps *pProps = NULL;
    CHECK(WMCreateBackupRestorer(&callback, NULL) == E_POINTER);
    CHECK(WMCreateBackupRestorer(&callback, &pBackup) == S_OK);
    CHECK(pBackup->QueryInterface(IID_Restore, (void **)&pRestore) == S_OK);
    CHECK(pBackup->QueryInterface(IID_Props, (void **)&pProps) == S_OK);
    WORD cProps = 0;
    CHECK(pProps->GetPropCount(&cProps) == E_NOTIMPL); // as in the original
    CHECK(pProps->SetProp(L"BackupPath", WMT_TYPE_STRING, (const BYTE *)argv[1], cbPath) == S_OK);
    CHECK(pProps->SetProp(L"RestorePath", WMT_TYPE_STRING, (const BYTE *)argv[1], cbPath) == S_OK);

    CHECK(callback.End(pBackup->BackupLicenses(0, &callback)) == S_OK);
    CHECK(callback.m_cRestricted == 4); // see examples-c/README.md
    CHECK(callback.End(pBackup->BackupLicenses(0, &callback)) == NS_E_DRM_BACKUP_EXISTS);
    CHECK(callback.End(pBackup->BackupLicenses(WM_BACKUP_OVERWRITE, &callback)) == S_OK);
    CHECK(SetEnvironmentVariableW(L"LICBAK_STORE_PATH", L"wiederhergestellt ♪"));
    CHECK(callback.End(pRestore->RestoreLicenses(WM_RESTORE_INDIVIDUALIZE, &callback)) == S_OK);
    CHECK(pBackup->CancelLicenseBackup() == S_FALSE);

    CHECK(pProps->Release() == 2 && pRestore->Release() == 1 && pBackup->Release() == 0);
    printf("wmvcore_client: %u checks passed\n", g_checks);
    return 0;
}
