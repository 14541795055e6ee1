// A client of the original, as such clients are written: it uses the original's names only, and
// nothing in it but this include says that there is anything else than Wmsdk.h below it. It is
// compiled with -fshort-wchar, for its literals, and finds its licences by LICBAK_STORE_PATH.
#include <licbak_wm.hpp>

#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

static unsigned g_checks = 0;

#define CHECK(condition)                                                          \
    do {                                                                          \
        ++g_checks;                                                               \
        if (!(condition)) {                                                       \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            _exit(1);                                                             \
        }                                                                         \
    } while (0)

// An event that stays signalled until it is reset, for systems without CreateEvent.
class CEvent
{
public:
    void Set()
    {
        std::lock_guard<std::mutex> lock(m_mutex);
        m_bSet = true;
        m_changed.notify_all();
    }

    void Reset()
    {
        std::lock_guard<std::mutex> lock(m_mutex);
        m_bSet = false;
    }

    void Wait()
    {
        std::unique_lock<std::mutex> lock(m_mutex);
        m_changed.wait(lock, [this] { return m_bSet; });
    }

private:
    std::mutex m_mutex;
    std::condition_variable m_changed;
    bool m_bSet = false;
};

static bool IsSameText(const WCHAR *pwszOne, const WCHAR *pwszOther)
{
    while (*pwszOne && *pwszOne == *pwszOther)
        ++pwszOne, ++pwszOther;
    return *pwszOne == *pwszOther;
}

class CLicenseMover : public IWMStatusCallback
{
public:
    CLicenseMover() : m_cRef(1), m_pBackup(NULL), m_pRestore(NULL), m_pProps(NULL) {}

    HRESULT Init()
    {
        HRESULT hr = WMCreateBackupRestorer(this, &m_pBackup);
        if (FAILED(hr))
            return hr;
        hr = m_pBackup->QueryInterface(IID_IWMLicenseRestore, (void **)&m_pRestore);
        if (FAILED(hr))
            return hr;
        return m_pBackup->QueryInterface(IID_IWMBackupRestoreProps, (void **)&m_pProps);
    }

    void Close()
    {
        if (m_pProps)
            m_pProps->Release();
        if (m_pRestore)
            m_pRestore->Release();
        if (m_pBackup)
            m_pBackup->Release();
        m_pProps = NULL;
        m_pRestore = NULL;
        m_pBackup = NULL;
    }

    HRESULT SetPath(const WCHAR *pwszName, const WCHAR *pwszPath)
    {
        WORD cch = 0;
        while (pwszPath[cch])
            ++cch;
        return m_pProps->SetProp(pwszName, WMT_TYPE_STRING, (const BYTE *)pwszPath, (WORD)((cch + 1) * sizeof(WCHAR)));
    }

    HRESULT Backup(DWORD dwFlags)
    {
        Begin();
        HRESULT hr = m_pBackup->BackupLicenses(dwFlags, this);
        return FAILED(hr) ? hr : End();
    }

    HRESULT Restore(DWORD dwFlags)
    {
        Begin();
        HRESULT hr = m_pRestore->RestoreLicenses(dwFlags, this);
        return FAILED(hr) ? hr : End();
    }

    // Cancels from another thread than that of OnStatus, which waits for it.
    HRESULT BackupAndCancel()
    {
        Begin();
        m_bHold = true;
        HRESULT hr = m_pBackup->BackupLicenses(WM_BACKUP_OVERWRITE, this);
        if (FAILED(hr))
            return hr;
        m_begun.Wait();
        CHECK(m_pRestore->CancelLicenseRestore() == S_FALSE); // it is a backup
        CHECK(m_pBackup->CancelLicenseBackup() == S_OK);
        m_go.Set();
        return End();
    }

    STDMETHODIMP QueryInterface(REFIID riid, void **ppv)
    {
        if (!ppv)
            return E_POINTER;
        *ppv = NULL;
        if (riid == IID_IUnknown || IsEqualIID(riid, IID_IWMStatusCallback))
            *ppv = static_cast<IWMStatusCallback *>(this);
        else
            return E_NOINTERFACE;
        AddRef();
        return S_OK;
    }

    STDMETHODIMP_(ULONG) AddRef() { return (ULONG)InterlockedIncrement(&m_cRef); }

    STDMETHODIMP_(ULONG) Release()
    {
        ULONG cRef = (ULONG)InterlockedDecrement(&m_cRef);
        if (cRef == 0)
            delete this;
        return cRef;
    }

    STDMETHODIMP OnStatus(WMT_STATUS Status, HRESULT hr, WMT_ATTR_DATATYPE dwType, BYTE *pValue, void *pvContext)
    {
        CHECK(pvContext == NULL && pValue != NULL);
        m_told.push_back(Status);
        switch (Status)
        {
        case WMT_BACKUPRESTORE_BEGIN:
            CHECK(hr == S_OK && dwType == WMT_TYPE_DWORD && *(DWORD *)pValue == 0);
            m_begun.Set();
            if (m_bHold)
                m_go.Wait();
            break;
        case WMT_RESTRICTED_LICENSE:
            CHECK(dwType == WMT_TYPE_STRING);
            m_bRestricted = IsSameText((const WCHAR *)pValue, L"a2V5");
            break;
        case WMT_ERROR:
            CHECK(FAILED(hr));
            break;
        case WMT_BACKUPRESTORE_END:
            m_hr = hr;
            m_ended.Set();
            break;
        default:
            CHECK(false); // no status of the backup restorer
        }
        return S_OK;
    }

    bool WasTold(WMT_STATUS Status) const
    {
        for (WMT_STATUS told : m_told)
            if (told == Status)
                return true;
        return false;
    }

    bool m_bRestricted = false; // the licence of that key ID

private:
    virtual ~CLicenseMover() {}

    void Begin()
    {
        m_begun.Reset();
        m_ended.Reset();
        m_told.clear();
        m_bHold = false;
        m_hr = E_UNEXPECTED;
    }

    HRESULT End()
    {
        m_ended.Wait();
        CHECK(m_told.front() == WMT_BACKUPRESTORE_BEGIN && m_told.back() == WMT_BACKUPRESTORE_END);
        return m_hr;
    }

    LONG m_cRef;
    IWMLicenseBackup *m_pBackup;
    IWMLicenseRestore *m_pRestore;
    IWMBackupRestoreProps *m_pProps;
    CEvent m_begun, m_go, m_ended;
    bool m_bHold = false;
    HRESULT m_hr = S_OK;
    std::vector<WMT_STATUS> m_told;
};

static void WriteText(const char *pszPath, const char *pszText)
{
    FILE *file = fopen(pszPath, "w");
    CHECK(file && fputs(pszText, file) >= 0 && fclose(file) == 0);
}

static bool HasText(const char *pszPath, const char *pszText)
{
    char text[256] = "";
    FILE *file = fopen(pszPath, "r");
    if (!file)
        return false;
    text[fread(text, 1, sizeof text - 1, file)] = 0;
    fclose(file);
    return std::string(text) == pszText;
}

static int Run()
{
    CLicenseMover *pMover = new CLicenseMover;
    CHECK(SUCCEEDED(pMover->Init()));
    CHECK(pMover->Backup(0) == NS_E_DRM_INVALID_PROPERTY); // no BackupPath yet
    CHECK(pMover->SetPath(L"BackupPath", L"backups") == S_OK);
    CHECK(pMover->SetPath(L"RestorePath", L"backups") == S_OK);
    CHECK(pMover->SetPath(L"NoSuchPath", L"backups") == NS_E_DRM_UNSUPPORTED_PROPERTY);

    CHECK(pMover->Backup(0) == S_OK);
    CHECK(pMover->WasTold(WMT_RESTRICTED_LICENSE) && pMover->m_bRestricted);
    CHECK(pMover->Backup(0) == NS_E_DRM_BACKUP_EXISTS);
    CHECK(pMover->Backup(WM_BACKUP_OVERWRITE) == S_OK);
    CHECK(pMover->BackupAndCancel() == NS_E_DRM_OPERATION_CANCELED);
    CHECK(!pMover->WasTold(WMT_ERROR));

    CHECK(remove("store/song.lic") == 0);
    CHECK(pMover->Restore(WM_RESTORE_INDIVIDUALIZE) == S_OK);
    CHECK(HasText("store/song.lic", "a song's"));

    CHECK(truncate("backups/licenses.tar.zst", 100) == 0);
    CHECK(pMover->Restore(0) == NS_E_DRM_BACKUP_CORRUPT);
    CHECK(pMover->WasTold(WMT_ERROR));

    pMover->Close();
    CHECK(pMover->AddRef() == 2); // all others have been given back
    pMover->Release();
    CHECK(pMover->Release() == 0);
    return 0;
}

int main()
{
    CHECK(mkdir("store", 0700) == 0 && mkdir("backups", 0700) == 0);
    WriteText("store/song.lic", "a song's");
    WriteText("store/rental.xml",
              "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>a2V5</KID></DATA></LICENSORINFO></LICENSE>");
    int result = Run();
    CHECK(remove("store/song.lic") == 0 && remove("store/rental.xml") == 0 && rmdir("store") == 0);
    CHECK(remove("backups/licenses.tar.zst") == 0 && rmdir("backups") == 0);
    printf("wm_client: %u checks passed\n", g_checks);
    return result;
}
