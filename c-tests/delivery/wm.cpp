// licbak_wm.hpp below its names: the binary interface, references and identity, values, the store,
// and lifetimes. wm_client.cpp is what a client looks like; wm_other.cpp is the other half of this
// program.
#include <licbak_wm.hpp>

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <mutex>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace fs = std::filesystem;

// In wm_other.cpp, whose restorers have working getters and tell all statuses.
HRESULT create_in_the_other_unit(IWMLicenseBackup **backup);
std::uint64_t licenses_verified_by_the_other_unit(const char *backups);

namespace {

std::atomic<int> checks{0};
fs::path root; // a new directory, and the working directory

void check(bool condition, int line, const std::string &expression)
{
    ++checks;
    if (condition)
        return;
    std::cerr << __FILE__ << ':' << line << ": not so: " << expression << std::endl;
    fs::remove_all(root);
    std::_Exit(1); // a thread of the library may be here
}

#define CHECK(condition) check((condition), __LINE__, #condition)

void check_hr(HRESULT hr, HRESULT expected, int line, const char *expression)
{
    char got[16];
    std::snprintf(got, sizeof got, "0x%08X", static_cast<unsigned>(hr));
    check(hr == expected, line, std::string(expression) + " is " + licbak_hresult_name(hr) + ' ' + got);
}

#define CHECK_HR(call, expected) check_hr((call), (expected), __LINE__, #call)

// Waits for what must come soon; the limit is for what never comes.
template <class Condition>
void await(Condition &&has_come, int line, const char *expression)
{
    for (int i = 0; i < 20000 && !has_come(); i++)
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    check(has_come(), line, expression);
}

#define AWAIT(condition) await([&] { return condition; }, __LINE__, #condition)

void write(const fs::path &path, const std::string &text)
{
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    CHECK(fs::file_size(path) == text.size());
}

// A store of one licence, a directory for its backup, and a licence that must not be in it.
constexpr char rental[] = "<LICENSE version=\"2.0.0.0\"><LICENSORINFO><DATA><KID>ключ \U0001F511</KID></DATA>"
                          "</LICENSORINFO></LICENSE>";

void make_place()
{
    for (const char *directory : {"store", "backups"})
        fs::remove_all(directory);
    write("store/song.lic", "a song's");
    write("store/rental.xml", rental);
    fs::create_directory("backups");
}

struct event {
    WMT_STATUS status;
    HRESULT hr;
    WMT_ATTR_DATATYPE type;
    std::u16string text; // of a STRING
};

void check_individualization(const BYTE *value);

// A client's callback, whose references are counted and, if it is not on the heap, only counted.
class client final : public IWMStatusCallback {
public:
    std::function<HRESULT(WMT_STATUS)> on_status; // called without the lock

    explicit client(bool *deleted = nullptr) : deleted_(deleted) {}

    HRESULT STDMETHODCALLTYPE QueryInterface(REFIID iid, void **object) override
    {
        *object = iid == IID_IUnknown || iid == IID_IWMStatusCallback ? this : nullptr;
        if (*object == nullptr)
            return E_NOINTERFACE;
        AddRef();
        return S_OK;
    }

    ULONG STDMETHODCALLTYPE AddRef() override { return ++references_; }

    ULONG STDMETHODCALLTYPE Release() override
    {
        const ULONG left = --references_;
        if (left == 0 && deleted_ != nullptr) {
            *deleted_ = true;
            delete this;
        }
        return left;
    }

    HRESULT STDMETHODCALLTYPE OnStatus(WMT_STATUS status, HRESULT hr, WMT_ATTR_DATATYPE type, BYTE *value,
                                       void *context) override
    {
        CHECK(value != nullptr && context == nullptr && references_ > 0);
        event told{status, hr, type, {}};
        if (type == WMT_TYPE_STRING) {
            CHECK(reinterpret_cast<std::uintptr_t>(value) % alignof(WCHAR) == 0);
            told.text = reinterpret_cast<const WCHAR *>(value);
        }
        if (status == WMT_INDIVIDUALIZE) {
            CHECK(type == WMT_TYPE_BINARY);
            check_individualization(value);
        }
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            events_.push_back(told);
        }
        const HRESULT answer = on_status ? on_status(status) : S_OK;
        if (status == WMT_BACKUPRESTORE_END) {
            const std::lock_guard<std::mutex> lock(mutex_);
            ended_ = true;
            changed_.notify_all();
        }
        return answer;
    }

    // Waits for the end of what was started, and forgets that it has ended.
    HRESULT end()
    {
        std::unique_lock<std::mutex> lock(mutex_);
        changed_.wait(lock, [this] { return ended_; });
        ended_ = false;
        return events_.back().hr;
    }

    std::vector<event> take()
    {
        const std::lock_guard<std::mutex> lock(mutex_);
        return std::move(events_);
    }

    ULONG references() const { return references_; }

private:
    std::atomic<ULONG> references_{1};
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<event> events_;
    bool ended_ = false;
    bool *deleted_;
};

// The three interfaces of a new restorer.
struct object {
    IWMLicenseBackup *backup = nullptr;
    IWMLicenseRestore *restore = nullptr;
    IWMBackupRestoreProps *props = nullptr;

    explicit object(bool of_the_other_unit = false)
    {
        CHECK_HR(of_the_other_unit ? create_in_the_other_unit(&backup)
                                   : WMCreateBackupRestorer(nullptr, &backup),
                 S_OK);
        CHECK_HR(backup->QueryInterface(IID_IWMLicenseRestore, reinterpret_cast<void **>(&restore)), S_OK);
        CHECK_HR(backup->QueryInterface(IID_IWMBackupRestoreProps, reinterpret_cast<void **>(&props)), S_OK);
        set(u"BackupPath", u"backups");
        set(u"RestorePath", u"backups");
    }

    ~object()
    {
        if (props == nullptr)
            return;
        CHECK(props->Release() == 2);
        CHECK(restore->Release() == 1);
        CHECK(backup->Release() == 0); // nobody has kept one, and nobody gave back too many
    }

    object(const object &) = delete;
    object &operator=(const object &) = delete;

    void set(const WCHAR *name, const std::u16string &value)
    {
        const auto size = static_cast<WORD>((value.size() + 1) * sizeof(WCHAR));
        CHECK_HR(props->SetProp(name, WMT_TYPE_STRING, reinterpret_cast<const BYTE *>(value.c_str()), size), S_OK);
    }

    // Leaves one reference, that of `backup`.
    void keep_one()
    {
        CHECK(props->Release() == 2 && restore->Release() == 1);
        props = nullptr;
    }
};

// -- the binary interface

using bytes = const unsigned char[16];

// As the registry of IIDs has them, in memory: little-endian numbers first.
bytes unknown = {0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xC0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x46};
bytes callback_iid = {0x70, 0xDC, 0x7C, 0x6D, 0x88, 0x98, 0xD3, 0x11, 0x8E, 0xDC, 0x00, 0xC0, 0x4F, 0x61, 0x09, 0xCF};
bytes backup_iid = {0x9F, 0xAC, 0xE5, 0x05, 0xB6, 0x3F, 0x08, 0x45, 0xBB, 0x43, 0xA4, 0x06, 0x7B, 0xA1, 0xEB, 0xE8};
bytes restore_iid = {0x34, 0x63, 0x0B, 0xC7, 0x2E, 0xA2, 0xFB, 0x4E, 0xA2, 0x45, 0x15, 0xE6, 0x5A, 0x00, 0x4A, 0x13};
bytes props_iid = {0xA6, 0x0D, 0x8E, 0x3C, 0x6F, 0x99, 0xF3, 0x4F, 0xA1, 0xAF, 0x48, 0x38, 0xF9, 0x37, 0x7E, 0x2E};

void identifiers()
{
    CHECK(sizeof(IID) == 16 && std::memcmp(&IID_IUnknown, unknown, 16) == 0);
    CHECK(std::memcmp(&IID_IWMStatusCallback, callback_iid, 16) == 0);
    CHECK(std::memcmp(&IID_IWMLicenseBackup, backup_iid, 16) == 0);
    CHECK(std::memcmp(&IID_IWMLicenseRestore, restore_iid, 16) == 0);
    CHECK(std::memcmp(&IID_IWMBackupRestoreProps, props_iid, 16) == 0);
}

// Calls a function by its place in the table, as C and other languages do.
template <class... Arguments>
std::int32_t call(void *of, int place, Arguments... arguments)
{
    const auto *table = *static_cast<void *const *const *>(of);
    return reinterpret_cast<std::int32_t (*)(void *, Arguments...)>(table[place])(of, arguments...);
}

// A callback without C++: a pointer to a table of four functions.
struct plain_callback {
    void *const *table;
    std::atomic<std::uint32_t> references;
    std::atomic<int> told;
    std::atomic<bool> ended;
};

std::int32_t plain_query(void *, const void *, void **) { return E_NOINTERFACE; }

std::uint32_t plain_add(void *self)
{
    return ++static_cast<plain_callback *>(self)->references;
}

std::uint32_t plain_release(void *self)
{
    return --static_cast<plain_callback *>(self)->references;
}

std::int32_t plain_on_status(void *self, std::int32_t status, std::int32_t hr, std::int32_t type, std::uint8_t *value,
                             void *context)
{
    auto *callback = static_cast<plain_callback *>(self);
    CHECK(value != nullptr && context == nullptr);
    if (callback->told++ == 0)
        CHECK(status == 21 && hr == 0 && type == 0);
    if (status == 27) {
        CHECK_HR(hr, S_OK);
        callback->ended = true;
    }
    return 0;
}

void order_of_functions()
{
    make_place();
    object o(true);
    void *const table[] = {reinterpret_cast<void *>(plain_query), reinterpret_cast<void *>(plain_add),
                           reinterpret_cast<void *>(plain_release), reinterpret_cast<void *>(plain_on_status)};
    plain_callback callback{table, {0}, {0}, {false}};
    void *const as_callback = &callback;
    const auto run = [&](void *of) {
        callback.told = 0;
        callback.ended = false;
        CHECK_HR(call(of, 3, std::uint32_t{1} /* WM_BACKUP_OVERWRITE */, as_callback), S_OK);
        AWAIT(callback.references == 0);
        CHECK(callback.ended);
    };

    void *backup = nullptr, *restore = nullptr, *props = nullptr;
    const void *iid = backup_iid;
    CHECK(call(o.props, 0, iid, &backup) == 0 && backup == o.backup);
    CHECK(call(backup, 1) == 5);
    CHECK(call(backup, 2) == 4);
    iid = restore_iid;
    CHECK(call(backup, 0, iid, &restore) == 0 && restore == o.restore);
    iid = props_iid;
    CHECK(call(restore, 0, iid, &props) == 0 && props == o.props);

    const WCHAR name[] = u"StorePath", path[] = u"store";
    std::uint16_t before = 0, after = 0, name_length = 64, length = 64;
    std::int32_t type = -1;
    WCHAR found_name[64], found[64];
    const WCHAR *const asked = name;
    CHECK_HR(call(props, 3, &before), S_OK);
    const void *const value = path;
    CHECK_HR(call(props, 6, asked, std::int32_t{1}, value, std::uint16_t{sizeof path}), S_OK);
    CHECK_HR(call(props, 3, &after), S_OK);
    CHECK(after == before + 1);
    CHECK_HR(call(props, 5, asked, &type, static_cast<void *>(found), &length), S_OK);
    CHECK(type == 1 && length == sizeof path && std::u16string(found) == path);
    bool is_among_all = false;
    for (std::uint16_t i = 0; i < after; i++) {
        name_length = length = 64;
        CHECK_HR(call(props, 4, i, &found_name[0], &name_length, &type, static_cast<void *>(found), &length), S_OK);
        is_among_all |= std::u16string(found_name) == name && name_length == 10 && std::u16string(found) == path;
    }
    CHECK(is_among_all);

    run(backup);
    CHECK(call(backup, 4) == S_FALSE && fs::exists("backups/licenses.tar.zst"));
    fs::remove("store/song.lic");
    callback.told = 0;
    callback.ended = false;
    CHECK_HR(call(restore, 3, std::uint32_t{2} /* WM_RESTORE_INDIVIDUALIZE */, as_callback), S_OK);
    AWAIT(callback.references == 0);
    CHECK(callback.ended && fs::exists("store/song.lic") && call(restore, 4) == S_FALSE);

    CHECK_HR(call(props, 7, asked), S_OK);
    CHECK_HR(call(props, 5, asked, &type, static_cast<void *>(found), &length), NS_E_DRM_INVALID_PROPERTY);
    CHECK_HR(call(props, 3, &after), S_OK);
    CHECK(after == before && before == 2); // and no other
    CHECK_HR(call(props, 8), S_OK);
    CHECK_HR(call(props, 3, &after), S_OK);
    CHECK(after == 0);
    CHECK(call(props, 2) == 5 && call(restore, 2) == 4 && call(backup, 2) == 3);
}

// -- references and identity

void identity()
{
    object o;
    IUnknown *const interfaces[] = {o.backup, o.restore, o.props};
    const IID *const iids[] = {&IID_IWMLicenseBackup, &IID_IWMLicenseRestore, &IID_IWMBackupRestoreProps};
    void *found = nullptr, *first = nullptr;
    CHECK_HR(o.backup->QueryInterface(IID_IUnknown, &first), S_OK);
    o.backup->Release();
    for (IUnknown *one : interfaces) {
        CHECK_HR(one->QueryInterface(IID_IUnknown, &found), S_OK);
        CHECK(found == first && one->Release() == 3);
        for (std::size_t i = 0; i < 3; i++) { // from each to each, and to itself
            CHECK_HR(one->QueryInterface(*iids[i], &found), S_OK);
            CHECK(found == interfaces[i] && one->Release() == 3);
        }
        found = first;
        CHECK_HR(one->QueryInterface(IID_IWMStatusCallback, &found), E_NOINTERFACE);
        CHECK(found == nullptr);
        CHECK_HR(one->QueryInterface(IID_IUnknown, nullptr), E_POINTER);
    }
}

void creation()
{
    struct without_the_interface final : public IUnknown {
        HRESULT STDMETHODCALLTYPE QueryInterface(REFIID, void **object) override
        {
            *object = nullptr;
            return E_NOINTERFACE;
        }
        ULONG STDMETHODCALLTYPE AddRef() override { return 2; }
        ULONG STDMETHODCALLTYPE Release() override { return 1; }
    } stranger;
    IWMLicenseBackup *backup = nullptr;
    CHECK_HR(WMCreateBackupRestorer(nullptr, nullptr), E_POINTER);
    CHECK_HR(licbak::wm::create_backup_restorer(nullptr, &backup), S_OK);
    CHECK(backup->Release() == 0);
    CHECK_HR(WMCreateBackupRestorer(&stranger, &backup), E_NOINTERFACE);
    CHECK(backup == nullptr);
    client c;
    CHECK_HR(WMCreateBackupRestorer(&c, &backup), S_OK);
    CHECK(c.references() == 1); // or a client that owns its restorer would never go
    CHECK(licbak::wm::handle(&c) == nullptr && licbak::wm::handle(nullptr) == nullptr);
    CHECK(backup->Release() == 0);
}

void references_of_an_operation()
{
    make_place();
    object o;
    client c;
    CHECK_HR(o.backup->BackupLicenses(0, nullptr), E_INVALIDARG);
    CHECK_HR(o.restore->RestoreLicenses(0, nullptr), E_INVALIDARG);
    CHECK_HR(o.backup->BackupLicenses(0, &c), NS_E_DRM_INVALID_PROPERTY);
    CHECK(c.references() == 1);
    o.set(u"StorePath", u"store");
    CHECK_HR(o.backup->BackupLicenses(WM_RESTORE_INDIVIDUALIZE, &c), E_INVALIDARG);
    CHECK_HR(o.backup->BackupLicenses(LICBAK_CALL_IN_WAIT, &c), E_INVALIDARG);
    CHECK_HR(o.restore->RestoreLicenses(LICBAK_CALL_IN_WAIT, &c), E_INVALIDARG);
    CHECK(c.references() == 1 && c.take().empty());

    c.on_status = [&](WMT_STATUS) {
        CHECK(c.references() == 2);
        return S_OK;
    };
    CHECK_HR(o.backup->BackupLicenses(0, &c), S_OK);
    CHECK_HR(c.end(), S_OK);
    AWAIT(c.references() == 1); // given back when OnStatus has returned

    // The operation's is the only one.
    bool deleted = false;
    auto *alone = new client(&deleted);
    CHECK_HR(o.backup->BackupLicenses(WM_BACKUP_OVERWRITE, alone), S_OK);
    alone->Release();
    o.keep_one();
    CHECK(o.backup->Release() == 0);
    CHECK(deleted);
}

// -- events and values

void events()
{
    make_place();
    object o;
    o.set(u"StorePath", u"store");
    client c;
    CHECK_HR(o.backup->BackupLicenses(0, &c), S_OK);
    CHECK_HR(c.end(), S_OK);
    std::vector<event> told = c.take();
    CHECK(told.size() == 3); // none of ours, though there was progress and a licence was left out
    CHECK(told[0].status == WMT_BACKUPRESTORE_BEGIN && told[0].hr == S_OK && told[0].type == WMT_TYPE_DWORD);
    CHECK(told[1].status == WMT_RESTRICTED_LICENSE && SUCCEEDED(told[1].hr) && told[1].type == WMT_TYPE_STRING);
    CHECK(told[1].text == u"ключ \U0001F511");
    CHECK(told[2].status == WMT_BACKUPRESTORE_END && told[2].type == WMT_TYPE_BINARY);
    CHECK(licenses_verified_by_the_other_unit("backups") == 1);

    fs::remove_all("backups");
    CHECK_HR(o.restore->RestoreLicenses(0, &c), S_OK);
    CHECK_HR(c.end(), static_cast<HRESULT>(0x80070003)); // ERROR_PATH_NOT_FOUND
    told = c.take();
    CHECK(told.size() == 3 && told[1].status == WMT_ERROR && told[1].hr == told[2].hr);
    char sentence[512];
    std::size_t size = sizeof sentence;
    CHECK_HR(licbak_get_error_message(licbak::wm::handle(o.props), sentence, &size), S_OK);
    CHECK(told[1].text.size() > 10 && told[1].text == fs::path(sentence).u16string());

    object other(true);
    fs::create_directory("backups");
    other.set(u"StorePath", u"store");
    CHECK_HR(other.backup->BackupLicenses(0, &c), S_OK);
    CHECK_HR(c.end(), S_OK);
    write("store/bad\x01.lic", "its name can't be kept");
    CHECK_HR(other.backup->BackupLicenses(LICBAK_WM_BACKUP_OVERWRITE | LICBAK_KEEP_GOING, &c), E_INVALIDARG);
    fs::remove("backups/licenses.tar.zst");
    c.take();
    CHECK_HR(other.backup->BackupLicenses(LICBAK_KEEP_GOING, &c), S_OK);
    CHECK_HR(c.end(), S_FALSE);
    bool left_out = false, progress = false;
    for (const event &e : c.take()) {
        left_out |= e.status == static_cast<WMT_STATUS>(LICBAK_STATUS_LICENSE_LEFT_OUT) &&
                    e.text.rfind(u"rental.xml: ", 0) == 0;
        progress |= e.status == static_cast<WMT_STATUS>(LICBAK_STATUS_PROGRESS);
    }
    CHECK(left_out && progress);
}

// What the event comes with, as clients read it: a structure, whose text is empty, not NULL.
void check_individualization(const BYTE *value)
{
    const auto *told = reinterpret_cast<const WM_INDIVIDUALIZE_STATUS *>(value);
    CHECK_HR(told->hr, S_OK);
    CHECK(told->enIndiStatus == INDI_SUCCEED && *told->pszIndiRespUrl == 0 && told->dwHTTPReadTotal == 0);
}

bool was_told(const std::vector<event> &events, WMT_STATUS status)
{
    return std::any_of(events.begin(), events.end(), [&](const event &e) { return e.status == status; });
}

// A restore onto another machine needs consent.
void individualization()
{
    make_place();
    object o;
    client c;
    o.set(u"StorePath", u"store");
    o.set(u"MachineId", u"one");
    CHECK_HR(o.backup->BackupLicenses(0, &c), S_OK);
    CHECK_HR(c.end(), S_OK);
    fs::remove("store/song.lic");
    o.set(u"MachineId", u"two");
    CHECK(!was_told(c.take(), WMT_INDIVIDUALIZE));
    CHECK_HR(o.restore->RestoreLicenses(0, &c), S_OK);
    CHECK_HR(c.end(), NS_E_DRM_NEEDS_INDIVIDUALIZATION);
    std::vector<event> events = c.take();
    CHECK(was_told(events, WMT_NEEDS_INDIVIDUALIZATION) && !was_told(events, WMT_INDIVIDUALIZE));
    CHECK(!fs::exists("store/song.lic"));
    CHECK_HR(o.restore->RestoreLicenses(WM_RESTORE_INDIVIDUALIZE, &c), S_OK);
    CHECK_HR(c.end(), S_OK);
    events = c.take();
    CHECK(was_told(events, WMT_INDIVIDUALIZE) && !was_told(events, WMT_NEEDS_INDIVIDUALIZATION));
    CHECK(fs::exists("store/song.lic"));
}

void answers()
{
    make_place();
    object o;
    o.set(u"StorePath", u"store");
    client c;
    c.on_status = [](WMT_STATUS status) {
        return status == WMT_BACKUPRESTORE_BEGIN ? static_cast<HRESULT>(0x8004ABCD) : S_OK;
    };
    CHECK_HR(o.backup->BackupLicenses(0, &c), S_OK);
    CHECK_HR(c.end(), static_cast<HRESULT>(0x8004ABCD));
    CHECK(!fs::exists("backups/licenses.tar.zst"));

    std::cout.flush();
    const pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) { // an exception from OnStatus ends the process
        std::set_terminate([] { std::_Exit(42); });
        object inside;
        inside.set(u"StorePath", u"store");
        c.on_status = [](WMT_STATUS) -> HRESULT { throw 1; };
        inside.backup->BackupLicenses(0, &c);
        pause();
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 42);
}

// -- properties

HRESULT set(const object &o, const WCHAR *name, WMT_ATTR_DATATYPE type, const void *value, std::size_t size)
{
    return o.props->SetProp(name, type, static_cast<const BYTE *>(value), static_cast<WORD>(size));
}

void properties()
{
    object o(true);
    const auto value_of = [&](const WCHAR *name) {
        WCHAR value[64];
        WORD size = sizeof value;
        WMT_ATTR_DATATYPE type = WMT_TYPE_DWORD;
        CHECK_HR(o.props->GetPropByName(name, &type, reinterpret_cast<BYTE *>(value), &size), S_OK);
        CHECK(type == WMT_TYPE_STRING && size >= sizeof(WCHAR) && value[size / sizeof(WCHAR) - 1] == 0);
        return std::u16string(value, size / sizeof(WCHAR) - 1);
    };
    const std::u16string path = u"/медиа/\U0001F3B5 a";
    CHECK_HR(set(o, u"BackupPath", WMT_TYPE_STRING, path.c_str(), (path.size() + 1) * 2), S_OK);
    CHECK(value_of(u"BackupPath") == path);
    CHECK_HR(set(o, u"BackupPath", WMT_TYPE_STRING, u"without", 14), S_OK);
    CHECK(value_of(u"BackupPath") == u"without");
    CHECK_HR(set(o, u"BackupPath", WMT_TYPE_STRING, u"a\0\xD800 what the buffer had", 40), S_OK); // sizeof buffer
    CHECK(value_of(u"BackupPath") == u"a");
    char unaligned[1 + sizeof u"odd"];
    std::memcpy(unaligned + 1, u"odd", sizeof u"odd");
    CHECK_HR(set(o, u"BackupPath", WMT_TYPE_STRING, unaligned + 1, sizeof u"odd"), S_OK);
    CHECK(value_of(u"BackupPath") == u"odd");

    CHECK_HR(set(o, u"BackupPath", WMT_TYPE_STRING, u"ab", 3), E_INVALIDARG);
    for (const char16_t *half : {u"\xD83C", u"\xD83Cx", u"\xDFB5\xD83C", u"\xD83C\xD83C"})
        CHECK_HR(set(o, u"BackupPath", WMT_TYPE_STRING, half, std::u16string(half).size() * 2), E_INVALIDARG);
    CHECK_HR(set(o, u"BackupPath", WMT_TYPE_DWORD, u"ab", 4), E_INVALIDARG);
    CHECK_HR(set(o, u"BackupPath", WMT_TYPE_STRING, nullptr, 0), E_POINTER);
    CHECK_HR(set(o, nullptr, WMT_TYPE_STRING, u"", 2), E_POINTER);
    CHECK_HR(set(o, u"Backuppath", WMT_TYPE_STRING, u"a", 4), NS_E_DRM_UNSUPPORTED_PROPERTY);
    CHECK(value_of(u"BackupPath") == u"odd");
    CHECK_HR(o.props->RemoveProp(nullptr), E_POINTER);
    CHECK_HR(o.props->RemoveProp(u"Backuppath"), NS_E_DRM_UNSUPPORTED_PROPERTY);

    // The getters, of which a NULL asks for the size.
    WORD count = 0, length = 0, name_length = 0;
    WMT_ATTR_DATATYPE type = WMT_TYPE_GUID;
    CHECK_HR(o.props->GetPropByName(u"BackupPath", &type, nullptr, &length), S_OK);
    CHECK(type == WMT_TYPE_STRING && length == 8);
    WCHAR value[8], name[32];
    length = 7;
    auto *const value_bytes = reinterpret_cast<BYTE *>(value);
    CHECK_HR(o.props->GetPropByName(u"BackupPath", &type, value_bytes, &length), NS_E_DRM_BUFFER_TOO_SMALL);
    CHECK(length == 8);
    const DWORD threads = 3;
    CHECK_HR(o.props->RemoveAllProps(), S_OK);
    CHECK_HR(set(o, u"Threads", WMT_TYPE_DWORD, &threads, 4), S_OK);
    CHECK_HR(o.props->GetPropCount(&count), S_OK);
    CHECK(count == 1);
    CHECK_HR(o.props->GetPropByIndex(0, nullptr, &name_length, &type, nullptr, &length), S_OK);
    CHECK(name_length == 8 && length == 4 && type == WMT_TYPE_DWORD);
    name_length = 7;
    CHECK_HR(o.props->GetPropByIndex(0, name, &name_length, &type, value_bytes, &length), NS_E_DRM_BUFFER_TOO_SMALL);
    CHECK(name_length == 8 && length == 4);
    CHECK_HR(o.props->GetPropByIndex(0, name, &name_length, &type, value_bytes, &length), S_OK);
    CHECK(std::u16string(name) == u"Threads" && std::memcmp(value, &threads, 4) == 0);
    CHECK_HR(o.props->GetPropByIndex(1, name, &name_length, &type, nullptr, &length), E_INVALIDARG);
    CHECK_HR(o.props->GetPropByIndex(0, name, nullptr, &type, nullptr, &length), E_POINTER);
    CHECK_HR(o.props->GetPropByName(u"Threads", &type, nullptr, nullptr), E_POINTER);
    CHECK_HR(o.props->GetPropCount(nullptr), E_POINTER);
    // A path that is longer than a WORD can say.
    CHECK_HR(licbak_set_prop_string(licbak::wm::handle(o.backup), "BackupPath", std::string(32768, 'x').c_str()), S_OK);
    CHECK_HR(o.props->GetPropByName(u"BackupPath", &type, nullptr, &length), NS_E_DRM_BUFFER_TOO_SMALL);

    const object original; // as the original is, whatever it is asked
    CHECK_HR(original.props->GetPropCount(&count), E_NOTIMPL);
    CHECK_HR(original.props->GetPropCount(nullptr), E_NOTIMPL);
    CHECK_HR(original.props->GetPropByIndex(0, name, &name_length, &type, nullptr, &length), E_NOTIMPL);
    CHECK_HR(original.props->GetPropByName(u"BackupPath", &type, nullptr, &length), E_NOTIMPL);
}

// -- the store

void store()
{
    make_place();
    write("caf\xE9/of the environment.lic", "1"); // a name that is no text
    write("of the process/a.lic", "1");
    write("of the process/b.lic", "2");
    object o(true);
    client c;
    const auto licenses_backed_up = [&] {
        CHECK_HR(o.backup->BackupLicenses(WM_BACKUP_OVERWRITE, &c), S_OK);
        CHECK_HR(c.end(), S_OK);
        licbak_progress figures{};
        figures.struct_size = sizeof figures;
        CHECK_HR(licbak_get_progress(licbak::wm::handle(o.restore), &figures), S_OK);
        return figures.licenses_total;
    };
    const auto has_one_of_its_own = [&] {
        WORD size = 0;
        WMT_ATTR_DATATYPE type = WMT_TYPE_DWORD;
        return o.props->GetPropByName(u"StorePath", &type, nullptr, &size) != NS_E_DRM_INVALID_PROPERTY;
    };
    write("store/third.lic", "3");

    CHECK_HR(o.backup->BackupLicenses(0, &c), NS_E_DRM_INVALID_PROPERTY);
    setenv("LICBAK_STORE_PATH", "", 1);
    CHECK_HR(o.backup->BackupLicenses(0, &c), NS_E_DRM_INVALID_PROPERTY);
    setenv("LICBAK_STORE_PATH", "caf\xE9", 1);
    CHECK(licenses_backed_up() == 1 && !has_one_of_its_own());
    CHECK_HR(licbak::wm::set_store_path(u"\xD800"), E_INVALIDARG);
    CHECK_HR(licbak::wm::set_store_path(u"of the process"), S_OK);
    CHECK(licenses_backed_up() == 2 && !has_one_of_its_own());
    o.set(u"StorePath", u"store");
    CHECK(licenses_backed_up() == 3 && has_one_of_its_own());
    CHECK_HR(o.props->RemoveProp(u"StorePath"), S_OK);
    CHECK(licenses_backed_up() == 2);
    CHECK_HR(licbak::wm::set_store_path(nullptr), S_OK);
    CHECK(licenses_backed_up() == 1);
    fs::remove("caf\xE9/of the environment.lic");
    CHECK_HR(o.restore->RestoreLicenses(0, &c), S_OK);
    CHECK_HR(c.end(), S_OK);
    CHECK(fs::exists("caf\xE9/of the environment.lic"));
    unsetenv("LICBAK_STORE_PATH");
    CHECK_HR(licbak::wm::set_store_path(u""), S_OK);
    CHECK_HR(o.restore->RestoreLicenses(0, &c), NS_E_DRM_INVALID_PROPERTY);
}

// -- lifetimes

// Inside OnStatus: while the call that started the operation is not over, or when it is.
void last_release_inside(WMT_STATUS moment, bool waits)
{
    make_place();
    object o;
    o.set(u"StorePath", u"store");
    o.keep_one();
    client c;
    std::atomic<bool> started{false};
    c.on_status = [&](WMT_STATUS status) {
        if (status == moment) {
            AWAIT(!waits || started);
            const ULONG left = o.backup->Release();
            CHECK(left == 0 || (left == 1 && !waits));
        }
        return S_OK;
    };
    CHECK_HR(o.backup->BackupLicenses(0, &c), S_OK);
    started = true;
    const HRESULT hr = c.end();
    CHECK(moment != WMT_BACKUPRESTORE_BEGIN || !waits || hr == NS_E_DRM_OPERATION_CANCELED);
    CHECK(moment != WMT_BACKUPRESTORE_END || hr == S_OK);
    AWAIT(c.references() == 1);
}

// Beside OnStatus, which takes references meanwhile.
void last_release_beside()
{
    make_place();
    object o;
    o.set(u"StorePath", u"store");
    o.keep_one();
    client c;
    std::mutex mutex;
    std::condition_variable changed;
    bool begun = false;
    c.on_status = [&](WMT_STATUS status) {
        if (status == WMT_BACKUPRESTORE_BEGIN) {
            {
                const std::lock_guard<std::mutex> lock(mutex);
                begun = true;
            }
            changed.notify_all();
            AWAIT(o.backup->CancelLicenseBackup() == E_HANDLE); // the release waits
            void *found = nullptr;
            CHECK_HR(o.backup->QueryInterface(IID_IWMBackupRestoreProps, &found), S_OK);
            CHECK_HR(o.backup->BackupLicenses(0, &c), E_HANDLE);
            static_cast<IWMBackupRestoreProps *>(found)->Release();
        }
        return S_OK;
    };
    CHECK_HR(o.backup->BackupLicenses(0, &c), S_OK);
    {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [&] { return begun; });
    }
    CHECK(o.backup->Release() == 0);
    CHECK_HR(c.end(), NS_E_DRM_OPERATION_CANCELED); // told before Release returned
    CHECK(c.references() == 1);
}

void one_after_the_other()
{
    make_place();
    object o;
    o.set(u"StorePath", u"store");
    client c;
    std::atomic<int> ends{0};
    c.on_status = [&](WMT_STATUS status) {
        if (status == WMT_BACKUPRESTORE_BEGIN)
            CHECK_HR(o.restore->RestoreLicenses(0, &c), NS_E_DRM_BACKUPRESTORE_BUSY);
        if (status == WMT_BACKUPRESTORE_END && ++ends == 1)
            CHECK_HR(o.restore->RestoreLicenses(0, &c), S_OK); // which begins when this has returned
        return S_OK;
    };
    CHECK_HR(o.backup->BackupLicenses(0, &c), S_OK);
    AWAIT(ends == 2 && c.references() == 1);
}

} // namespace

int main()
{
    const fs::path before = fs::current_path();
    std::string directory = (fs::temp_directory_path() / "licbak-wm-XXXXXX").string();
    root = mkdtemp(directory.data());
    fs::current_path(root);
    alarm(100);
    identifiers();
    order_of_functions();
    identity();
    creation();
    references_of_an_operation();
    events();
    individualization();
    answers();
    properties();
    store();
    for (const WMT_STATUS moment : {WMT_BACKUPRESTORE_BEGIN, WMT_RESTRICTED_LICENSE, WMT_BACKUPRESTORE_END}) {
        last_release_inside(moment, true);
        last_release_inside(moment, false);
    }
    last_release_beside();
    one_after_the_other();
    fs::current_path(before);
    fs::remove_all(root);
    std::cout << "wm: " << checks << " checks passed\n";
}
