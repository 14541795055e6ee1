// licbak.hpp as a host would use it, and where it could go wrong: lifetimes, exceptions, the moment
// between two operations. The other half of this program is hpp_other.cpp: the header must do in
// several translation units.
#include <licbak.hpp>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <optional>
#include <poll.h>
#include <set>
#include <thread>
#include <unistd.h>

namespace fs = std::filesystem;

// In hpp_other.cpp.
const std::error_category &category_of_the_other();
std::size_t licenses_listed_by_the_other(const fs::path &backups);

namespace {

std::atomic<int> checks{0};
fs::path root; // a new directory, and the working directory

[[noreturn]] void fail(int line, const std::string &text)
{
    std::cerr << __FILE__ << ':' << line << ": " << text << std::endl;
    fs::remove_all(root);
    std::_Exit(1); // a thread of the library may be here
}

void check(bool condition, int line, const char *expression)
{
    ++checks;
    if (!condition)
        fail(line, std::string(expression) + ": expected true, got false");
}

#define CHECK(condition) check((condition), __LINE__, #condition)

struct own_exception : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// What an expression throws, as one of `Exception`.
template <class Exception, class Call>
Exception caught(int line, Call &&call)
{
    ++checks;
    try {
        call();
    } catch (const Exception &e) {
        return e;
    } catch (const std::exception &e) {
        fail(line, std::string("another exception: ") + e.what());
    }
    fail(line, "nothing was thrown");
}

#define CAUGHT(Exception, expression) caught<Exception>(__LINE__, [&] { (void)(expression); })
#define CHECK_FAILS(expression, expected) CHECK(CAUGHT(licbak::error, expression).code() == licbak::errc::expected)

void write(const fs::path &path, std::string_view text)
{
    fs::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    CHECK(fs::file_size(path) == text.size());
}

std::string read(const fs::path &path)
{
    std::ifstream file(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
}

// A place of its own for a test: a store of three licences and a link, of which a backup gives
// notice, and a directory for the backup.
struct place {
    fs::path path, store = path / "store", backups = path / "backups";

    explicit place(const char *name) : path(root / name)
    {
        write(store / "a.lic", "one");
        write(store / "films/b.lic", "two");
        write(store / "films/c.lic", "three");
        fs::create_symlink("nowhere", store / "link");
        fs::create_directory(backups);
    }

    ~place() { fs::remove_all(path); }
    place(const place &) = delete;
    place &operator=(const place &) = delete;

    licbak::restorer restorer() const
    {
        licbak::restorer r;
        r.set_store_path(store);
        r.set_backup_path(backups);
        r.set_restore_path(backups);
        return r;
    }

    bool is_backed_up() const { return fs::exists(backups / "licenses.tar.zst"); }
};

// -- the main job

void gone()
{
    licbak::result replaced;
    CHECK(replaced.gone() == std::uint64_t{0});
    replaced.figures.licenses_gone = 3;
    CHECK(replaced.gone() == std::uint64_t{3});
    replaced.figures.licenses_gone = UINT64_MAX;
    CHECK(replaced.gone() == std::nullopt);
}

void round_trip()
{
    const place p("round_trip");
    licbak::restorer r = p.restorer();
    r.set_threads(2);
    r.set_compression_level(5);
    const licbak::result dry = r.backup(licbak::backup_flags::dry_run | licbak::backup_flags::full).get();
    CHECK(dry.figures.licenses_done == 3 && !p.is_backed_up());

    std::uint64_t last = 0;
    std::vector<std::string> left_out;
    licbak::listener told;
    told.on_progress = [&](const licbak_progress &figures) { last = figures.licenses_done; };
    told.on_notice = [&](licbak::notice what, std::string_view text) {
        CHECK(what == licbak::notice::left_out);
        left_out.emplace_back(text);
    };
    const licbak::result saved = r.backup({}, told).get();
    CHECK(saved.figures.licenses_done == 3 && last == 3);
    CHECK(saved.figures.content_bytes == 11 && r.progress().content_bytes == 11);
    CHECK(saved.figures.licenses_skipped == 0 && saved.gone() == std::uint64_t{0});
    CHECK(saved.left_out.size() == 1 && saved.left_out == left_out && saved.kept.empty());
    CHECK(saved.left_out[0].rfind("link: ", 0) == 0);
    CHECK(saved.skipped() == 0);
    CHECK(r.verify().get().figures.licenses_done == 3);

    std::map<std::string, std::size_t> listed;
    r.list([&](const licbak::license &found) {
        CHECK(found.content.empty() && found.backup_right == licbak::right::unstated);
        CHECK(found.modified.count() > 0 && !found.key_id.empty());
        listed[std::string(found.name)] = found.size;
    });
    CHECK(listed == (std::map<std::string, std::size_t>{{"a.lic", 3}, {"films/b.lic", 3}, {"films/c.lic", 5}}));
    CHECK(licenses_listed_by_the_other(p.backups) == 3);

    fs::remove(p.store / "films/b.lic");
    write(p.store / "a.lic", "newer");
    const licbak::result restored = r.restore().get();
    CHECK(restored.kept == std::vector<std::string>{"a.lic"} && restored.figures.licenses_kept == 1);
    CHECK(read(p.store / "a.lic") == "newer" && read(p.store / "films/b.lic") == "two");
    CHECK(r.restore(licbak::restore_flags::overwrite | licbak::restore_flags::dry_run).get().kept.empty());
    CHECK(read(p.store / "a.lic") == "newer");
    CHECK(r.restore(licbak::restore_flags::overwrite).get().kept.empty());
    CHECK(read(p.store / "a.lic") == "one");

    r.set_leave_out_unstated(true);
    CHECK_FAILS(r.backup(licbak::backup_flags::dry_run).get(), empty);
}

void kept_going()
{
    const place p("kept_going");
    licbak::restorer r = p.restorer();
    write(p.store / "a\x01.lic", "its name can't be kept");
    CHECK_FAILS(r.backup().get(), invalid_name);
    CHECK_FAILS(r.backup(licbak::backup_flags::keep_going | licbak::backup_flags::overwrite).get(), invalid_argument);
    const licbak::result saved = r.backup(licbak::backup_flags::keep_going).get();
    CHECK(saved.figures.licenses_done == 3 && saved.skipped() == 1 && saved.left_out.size() == 2);
    CHECK(saved.left_out[1].rfind("a\\u{1}.lic: ", 0) == 0);

    r.set_store_path(p.path / "other");
    fs::create_directories(p.path / "other/a.lic");
    CHECK_FAILS(r.restore().get(), invalid_name);
    const licbak::result restored = r.restore(licbak::restore_flags::keep_going).get();
    CHECK(restored.figures.licenses_done == 2 && restored.skipped() == 1 && restored.left_out.size() == 1);
    CHECK_FAILS(r.restore_license("a", licbak::restore_flags::keep_going).get(), invalid_name);
}

void a_name_that_is_no_text()
{
    const place p("caf\xE9");
    licbak::restorer r = p.restorer();
    CHECK(r.backup().get().figures.licenses_done == 3);
    CHECK(p.is_backed_up());
    r.set_store_path(p.path / "\xFF\xFE");
    CHECK(r.restore().get().figures.licenses_done == 3);
    CHECK(read(p.path / "\xFF\xFE" / "films/c.lic") == "three");
}

void one_license_and_what_is_left()
{
    const place p("one");
    licbak::restorer r = p.restorer();
    (void)r.backup().get();
    r.set_store_path(p.path / "restored");
    CHECK(r.restore_license("b").get().figures.licenses_total == 1);
    CHECK(read(p.path / "restored/films/b.lic") == "two" && !fs::exists(p.path / "restored/a.lic"));
    CHECK_FAILS(r.restore_license("z").get(), not_found);
    CHECK_FAILS(r.restore_license("").get(), invalid_argument);
    CHECK_FAILS(r.restore_license(std::string("b\0", 2)).get(), invalid_argument);

    const fs::path file = p.backups / "licenses.tar.zst";
    fs::resize_file(file, fs::file_size(file) - 1);
    CHECK_FAILS(r.restore().get(), backup_corrupt);
    CHECK(!fs::exists(p.path / "restored/a.lic"));
    CHECK_FAILS(r.restore(licbak::restore_flags::salvage).get(), backup_corrupt);
    CHECK(read(p.path / "restored/a.lic") == "one" && r.progress().licenses_done == 3);
}

void facts_about_a_backup()
{
    const place p("facts");
    licbak::restorer r = p.restorer();
    CHECK_FAILS(r.info(), file_not_found);
    r.set_machine_id("seat 7");
    const auto earliest = std::chrono::system_clock::now() - std::chrono::seconds(1);
    const licbak::result saved = r.backup().get();
    const licbak::backup_info first = r.info();
    CHECK(first.id.size() == 32 && first.generation == 1 && !first.encrypted);
    CHECK(first.created >= earliest.time_since_epoch() && first.machine == licbak::machine::same);
    CHECK(first.licenses == 3 && first.restricted == 0 && first.content_bytes == 11);
    CHECK(first.backup_bytes == fs::file_size(p.backups / "licenses.tar.zst"));
    CHECK(first.version_major == 1 && first.version_minor == 2);

    r.set_machine_id("seat 8");
    CHECK(r.info().machine == licbak::machine::other);
    r.set_machine_id("");
    CHECK(r.info().machine == licbak::machine::unknown);
    CHECK_FAILS(r.set_machine_id(std::string("a\0b", 3)), invalid_argument);
    (void)r.backup(licbak::backup_flags::overwrite | licbak::backup_flags::full).get();
    CHECK(r.info().id == first.id && r.info().generation == 2);

    licbak::restorer other = std::move(r);
    CHECK_FAILS(r.info(), handle);
    other.set_restore_path(p.path / "nowhere");
    const auto missing = CAUGHT(licbak::error, other.info());
    CHECK(missing.code() == licbak::errc::path_not_found);
    CHECK(std::string_view(missing.what()).find("nowhere") != std::string_view::npos);
}

// -- failures

void encrypted()
{
    const std::string recipient = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
    const std::string identity = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
    const place p("encrypted");
    licbak::restorer r = p.restorer();
    CHECK_FAILS(r.set_recipients("age1"), invalid_argument);
    r.set_recipients("# one\n" + recipient);
    (void)r.backup().get();
    CHECK(fs::exists(p.backups / "licenses.tar.zst.age"));
    CHECK_FAILS(r.info(), decryption_failed);
    CHECK_FAILS(r.verify().get(), decryption_failed);
    try {
        r.set_identities(identity + "\nnone");
        CHECK(false);
    } catch (const licbak::error &e) {
        CHECK(std::string(e.what()).find("SECRET") == std::string::npos);
    }
    r.set_identities(identity);
    CHECK(r.info().encrypted && r.verify().get().figures.licenses_done == 3);
    licbak::restorer other = p.restorer();
    other.set_passphrase("a passphrase");
    CHECK_FAILS(other.info(), decryption_failed);
}

void an_account_is_set_and_its_secrets_are_told_to_nobody()
{
    const place p("account");
    licbak::restorer r = p.restorer();
    r.set_backup_path("s3://bucket/host");
    r.set_restore_path("s3://bucket/host");
    CHECK_FAILS(r.info(), invalid_property);
    CHECK_FAILS(r.set_endpoint("localhost"), invalid_argument);
    CHECK_FAILS(r.set_region(""), invalid_argument);
    r.set_endpoint("http://localhost:9000");
    r.set_region("eu-west-1");
    for (const char *token : {"", "hidden\n"}) {
        try {
            r.set_access_key("AKIDEXAMPLE", *token ? "secret" : "hidden\n", token);
            CHECK(false);
        } catch (const licbak::error &e) {
            CHECK(e.code() == licbak::errc::invalid_argument);
            CHECK(std::string(e.what()).find("hidden") == std::string::npos);
        }
    }
    r.set_access_key("AKIDEXAMPLE", "secret", "token");
    r.set_access_key("AKIDEXAMPLE", "secret");
}

void failures_are_errors()
{
    const place p("failures");
    licbak::restorer r = p.restorer();
    CHECK_FAILS(r.verify().get(), file_not_found);
    CHECK_FAILS(r.list([](const licbak::license &) {}), file_not_found);
    (void)r.backup().get();
    const std::string before = read(p.backups / "licenses.tar.zst");

    // Refused at once, with the sentence that names the place.
    std::future<licbak::result> refused = r.backup();
    const auto exists = CAUGHT(licbak::error, refused.get());
    CHECK(exists.code() == licbak::errc::backup_exists && exists.code() == std::errc::file_exists);
    CHECK(exists.code().value() == LICBAK_NS_E_DRM_BACKUP_EXISTS);
    CHECK(std::string_view(exists.what()).find(p.backups.native()) != std::string_view::npos);
    CHECK(read(p.backups / "licenses.tar.zst") == before);
    // Begun, and ended so.
    r.set_store_path(p.path / "missing");
    const auto missing = CAUGHT(licbak::error, r.backup(licbak::backup_flags::overwrite).get());
    CHECK(missing.code() == licbak::errc::path_not_found);
    CHECK(missing.code() == std::errc::no_such_file_or_directory);
    CHECK(std::string_view(missing.what()).find("missing") != std::string_view::npos);
    CHECK(CAUGHT(std::system_error, r.backup().get()).code() == licbak::errc::backup_exists);

    // A setting that is not taken names itself, the value and the range.
    const auto threads = CAUGHT(licbak::error, r.set_threads(257));
    CHECK(threads.code() == licbak::errc::invalid_argument);
    CHECK(std::string("Threads can't be '257'. It takes 0 to 256.") == threads.what());
    r.set_threads(256);
    const auto level = CAUGHT(licbak::error, r.set_compression_level(23));
    CHECK(std::string("CompressionLevel can't be '23'. It takes -131072 to 22.") == level.what());
    CHECK_FAILS(r.set_compression_level(-131073), invalid_argument);
    r.set_compression_level(-131072);
    r.set_compression_level(22);
    const auto path = CAUGHT(licbak::error, r.set_store_path("s3://bucket"));
    CHECK(std::string_view(path.what()).find("StorePath can't be 's3://bucket'") == 0);
    CHECK(licbak_remove_prop(r.handle(), "StorePath") == LICBAK_S_OK);
    CHECK_FAILS(r.restore().get(), invalid_property);
    CHECK(!r.cancel());
}

void errors_and_conditions()
{
    using licbak::errc;
    const std::pair<errc, std::errc> equal[] = {
        {errc::access_denied, std::errc::permission_denied},
        {errc::disk_full, std::errc::no_space_on_device},
        {errc::out_of_memory, std::errc::not_enough_memory},
        {errc::operation_canceled, std::errc::operation_canceled},
        {errc::already_exists, std::errc::file_exists},
        {errc::write_protect, std::errc::read_only_file_system},
        {errc::read_fault, std::errc::io_error},
        {errc::directory, std::errc::not_a_directory},
        {errc::busy, std::errc::device_or_resource_busy},
    };
    for (const auto &[code, condition] : equal)
        CHECK(make_error_code(code) == condition);
    const std::error_code corrupt = errc::backup_corrupt;
    CHECK(corrupt.default_error_condition().category() == licbak::category());
    CHECK(corrupt == errc::backup_corrupt && corrupt != errc::backup_exists);
    CHECK(corrupt.message() == licbak_hresult_message(LICBAK_NS_E_DRM_BACKUP_CORRUPT));
    CHECK(std::string_view(licbak::category().name()) == "licbak");
    CHECK(licbak::category().message(0x12345) == "HRESULT 0x00012345");
    CHECK(licbak::category() == category_of_the_other());
    CHECK(licbak::error(errc::disk_full).what() == licbak::category().message(LICBAK_HRESULT_ERROR_DISK_FULL));
    const licbak::error said(errc::disk_full, "Full.");
    CHECK(std::string_view(licbak::error(said).what()) == "Full."); // not the general words too
    static_assert(std::is_nothrow_copy_constructible_v<licbak::error>);
}

// -- functions of the host that throw

void exceptions_leave_no_callback()
{
    const place p("exceptions");
    licbak::restorer r = p.restorer();
    int calls = 0;
    licbak::listener throwing;
    throwing.on_notice = [&](licbak::notice, std::string_view text) {
        ++calls;
        throw own_exception(std::string(text));
    };
    CHECK(std::string_view(CAUGHT(own_exception, r.backup({}, throwing).get()).what()).rfind("link: ", 0) == 0);
    CHECK(calls == 1 && !p.is_backed_up());

    (void)r.backup().get();
    write(p.store / "a.lic", "newer");
    CHECK(CAUGHT(own_exception, r.restore({}, throwing).get()).what() == std::string("a.lic"));

    // These may come too late to stop anything, but they come.
    licbak::listener looking;
    looking.on_progress = [](const licbak_progress &) { throw own_exception("seen enough"); };
    (void)CAUGHT(own_exception, r.verify(looking).get());
    looking.on_progress = [](const licbak_progress &) { throw 7; }; // no std::exception
    CHECK(caught<std::exception_ptr>(__LINE__, [&] {
        try {
            (void)r.verify(looking).get();
        } catch (int number) {
            CHECK(number == 7);
            throw std::exception_ptr();
        }
    }) == nullptr);
    CHECK(CAUGHT(own_exception, r.list([](const licbak::license &l) { throw own_exception(std::string(l.name)); }))
              .what() == std::string("a.lic"));
    CHECK(r.verify().get().figures.licenses_done == 3); // and nothing of it stays
}

// Licences in memory; the tests have it fail.
struct memory : licbak::store {
    struct entry {
        std::string key_id, content;
        std::int64_t modified;
        licbak::right right;

        bool operator==(const entry &other) const
        {
            return key_id == other.key_id && content == other.content && modified == other.modified &&
                   right == other.right;
        }
    };

    std::map<std::string, entry, std::less<>> entries;
    std::function<void(const std::string &function)> inside = [](const std::string &) {};

    static licbak::license view(const std::string &name, const entry &e)
    {
        licbak::license l;
        l.name = name;
        l.key_id = e.key_id;
        l.content = e.content;
        l.modified = std::chrono::nanoseconds(e.modified);
        l.backup_right = e.right;
        return l;
    }

    void enumerate(const licbak::license_function &emit) override
    {
        inside("enumerate");
        for (const auto &[name, e] : entries)
            emit(view(name, e));
    }

    void get(std::string_view name, const licbak::license_function &emit) override
    {
        inside("get");
        if (const auto found = entries.find(name); found != entries.end())
            emit(view(found->first, found->second));
    }

    void put(const licbak::license &given) override
    {
        inside("put");
        CHECK(given.size == given.content.size());
        entries[std::string(given.name)] = {std::string(given.key_id), std::string(given.content),
                                            given.modified.count(), given.backup_right};
    }
};

std::shared_ptr<memory> three_licenses()
{
    auto store = std::make_shared<memory>();
    store->entries["films/night"] = {"k1", std::string("\0\xFF two", 6), 1700000000000000001, licbak::right::allowed};
    store->entries["seat"] = {"k2", "", 0, licbak::right::unstated};
    store->entries["secret"] = {"k3", "x", 5, licbak::right::denied};
    return store;
}

void host_store()
{
    const place p("host_store");
    licbak::restorer r = p.restorer();
    const auto store = three_licenses();
    r.set_store(store);
    std::vector<licbak::notice> notices;
    licbak::listener told;
    told.on_notice = [&](licbak::notice what, std::string_view) { notices.push_back(what); };
    const licbak::result saved = r.backup({}, told).get();
    CHECK(saved.figures.licenses_done == 2 && saved.figures.licenses_restricted == 1);
    CHECK((notices == std::vector<licbak::notice>{licbak::notice::restricted, licbak::notice::left_out}));

    auto expected = store->entries;
    expected.erase("secret");
    store->entries.clear();
    CHECK(r.restore().get().figures.licenses_done == 2);
    CHECK(store->entries == expected);
    CHECK(r.restore().get().kept.empty()); // all the same

    r.set_store(nullptr);
    CHECK(store.use_count() == 1);
    CHECK(r.backup(licbak::backup_flags::overwrite).get().figures.licenses_done == 3);
}

// A store in which the shorter content wins.
struct shorter : memory {
    void merge(const licbak::license &mine, const licbak::license &theirs,
               const licbak::license_function &emit) override
    {
        inside("merge");
        if (theirs.content.size() < mine.content.size())
            emit(theirs);
    }
};

void host_store_that_merges()
{
    const place p("host_store_that_merges");
    licbak::restorer r = p.restorer();
    r.set_store(three_licenses());
    (void)r.backup().get();
    const auto store = std::make_shared<shorter>();
    r.set_store(store);
    (void)r.restore().get();
    const auto whole = store->entries;
    auto &[name, first] = *store->entries.begin();
    first.content += " and more";
    CHECK(r.restore(licbak::restore_flags::dry_run).get().kept.empty() && store->entries != whole);
    CHECK(r.restore().get().kept.empty() && store->entries == whole);
    first.content = "";
    CHECK((r.restore().get().kept == std::vector<std::string>{name}) && first.content.empty());
    store->inside = [](const std::string &function) {
        if (function == "merge")
            throw 7;
    };
    CHECK(CAUGHT(int, r.restore().get()) == 7);
    (void)r.restore(licbak::restore_flags::overwrite).get(); // which asks nobody
    CHECK(store->entries == whole);
}

void host_store_that_throws()
{
    const place p("host_store_that_throws");
    licbak::restorer r = p.restorer();
    const auto store = three_licenses();
    r.set_store(store);
    std::string failing = "enumerate";
    store->inside = [&](const std::string &function) {
        if (function == failing)
            throw own_exception(function);
    };
    CHECK(CAUGHT(own_exception, r.backup().get()).what() == failing);
    CHECK(!p.is_backed_up());
    failing = "";
    (void)r.backup().get();
    store->entries.erase("seat");
    for (const char *function : {"get", "put"}) {
        failing = function;
        CHECK(CAUGHT(own_exception, r.restore().get()).what() == failing);
    }
    failing = "";
    CHECK(r.restore().get().figures.licenses_done == 2);

    // What emit throws is no exception of the host's: the sentence is the library's, whatever the
    // host makes of it.
    store->entries["..\\bad"] = {"", "", 0, licbak::right::unstated};
    const auto invalid = CAUGHT(licbak::error, r.backup(licbak::backup_flags::overwrite).get());
    CHECK(invalid.code() == licbak::errc::invalid_name);
    CHECK(std::string_view(invalid.what()).find("bad") != std::string_view::npos);
    // C would take a part of it for the whole.
    store->entries = {{std::string("seat\0 2", 7), {"", "", 0, licbak::right::unstated}}};
    CHECK_FAILS(r.backup(licbak::backup_flags::overwrite).get(), invalid_name);
}

// With keep_going a licence that the store does not take is passed over, and else the operation ends.
void host_store_that_takes_some()
{
    const place p("takes_some");
    licbak::restorer r = p.restorer();
    r.set_store(three_licenses());
    (void)r.backup().get();
    struct picky : memory {
        std::set<std::string, std::less<>> refused{"seat"};
        void put(const licbak::license &given) override
        {
            if (refused.count(given.name) > 0)
                throw own_exception("not this one");
            memory::put(given);
        }
    };
    const auto store = std::make_shared<picky>();
    r.set_store(store);
    (void)CAUGHT(own_exception, r.restore().get());
    const licbak::result some = r.restore(licbak::restore_flags::keep_going).get();
    CHECK(some.skipped() == 1 && some.left_out.size() == 1 && some.left_out[0].rfind("seat: ", 0) == 0);
    CHECK(store->entries.size() == 1);
    store->entries.clear();
    store->refused.insert("films/night");
    (void)CAUGHT(own_exception, r.restore(licbak::restore_flags::keep_going).get());
}

// Goes on where a licence was not taken.
struct stubborn : licbak::store {
    std::vector<std::string> names;

    void enumerate(const licbak::license_function &emit) override
    {
        for (const std::string &name : names) {
            licbak::license l;
            l.name = name;
            try {
                emit(l);
            } catch (const std::exception &) {
            }
        }
    }
    void get(std::string_view, const licbak::license_function &) override {}
    void put(const licbak::license &) override {}
};

void no_license_is_missing_silently()
{
    const place p("stubborn");
    licbak::restorer r = p.restorer();
    auto store = std::make_shared<stubborn>();
    r.set_store(store);
    for (const std::string &bad : {std::string("b\0c", 3), std::string("../bad"), std::string("a")}) {
        store->names = {"a", bad, "d"};
        const auto error = CAUGHT(licbak::error, r.backup().get());
        CHECK(error.code() == (bad == "a" ? licbak::errc::already_exists : licbak::errc::invalid_name));
        CHECK(!p.is_backed_up());
    }
}

// An authorizer: what it is told, what its exceptions do, and how long it lives.
void authorizer()
{
    const place p("authorizer");
    licbak::restorer r = p.restorer();
    r.set_machine_id("seat 7");
    (void)r.backup().get();
    const licbak::backup_info facts = r.info();
    const auto alive = std::make_shared<int>(0);
    std::string asked;
    r.set_authorizer([&asked, alive](const licbak::backup_info &info) {
        asked = info.id + (info.machine == licbak::machine::same ? " same" : "");
        if (++*alive == 1)
            throw licbak::refusal(licbak::errc::restore_fraud, "Enough.", "https://example.com/");
        if (*alive == 2)
            throw 7;
    });
    const auto refused = CAUGHT(licbak::refusal, r.restore().get());
    CHECK(refused.code() == licbak::errc::restore_fraud && refused.address() == "https://example.com/");
    CHECK(std::string("Enough.") == refused.what());
    CHECK(asked == facts.id + " same");
    CHECK(CAUGHT(int, r.restore().get()) == 7);
    CHECK(r.restore(licbak::restore_flags::dry_run).get().figures.licenses_done > 0 && *alive == 2);
    (void)r.restore().get();
    CHECK(*alive == 3);
    r.set_machine_id("seat 8");
    CHECK_FAILS(r.restore().get(), needs_individualization);
    CHECK(*alive == 3);
    (void)r.restore(licbak::restore_flags::individualize).get();
    CHECK(*alive == 4);
    r.set_authorizer(nullptr);
    CHECK(alive.use_count() == 1);
    (void)r.restore(licbak::restore_flags::individualize).get();
}

// What was started by the C functions is waited for no longer than a moment.
void started_in_c()
{
    const place p("in_c");
    licbak::restorer r = p.restorer();
    (void)r.backup().get();
    std::promise<void> open;
    const auto hold = [](licbak_status, licbak_hresult, licbak_datatype, const std::uint8_t *, std::size_t,
                         void *gate) -> licbak_hresult {
        static_cast<std::shared_future<void> *>(gate)->wait();
        return LICBAK_S_OK;
    };
    std::shared_future<void> gate = open.get_future().share();
    licbak_hresult outcome = LICBAK_E_FAIL;
    CHECK(licbak_wait(r.handle(), LICBAK_WAIT_FOREVER, &outcome) == LICBAK_S_OK);
    CHECK(licbak_verify_backup(r.handle(), 0, hold, &gate) == LICBAK_S_OK);
    CHECK_FAILS(r.verify().get(), busy);
    open.set_value();
    CHECK(licbak_wait(r.handle(), LICBAK_WAIT_FOREVER, &outcome) == LICBAK_S_OK && outcome == LICBAK_S_OK);
}

// -- the end, told

void told_of_the_end()
{
    const place p("told");
    licbak::restorer r = p.restorer();
    const auto owned = std::make_shared<int>(0);
    std::promise<std::uint64_t> verified;
    licbak::listener told;
    told.on_end = [&, owned](std::exception_ptr failure, const licbak::result &outcome) {
        CHECK(failure == nullptr && outcome.figures.licenses_done == 3 && outcome.left_out.size() == 1);
        ++*owned;
        // The next operation is started here, and nobody waits.
        licbak::listener next;
        next.on_end = [&verified](std::exception_ptr, const licbak::result &whole) {
            verified.set_value(whole.figures.licenses_done);
        };
        (void)r.verify(std::move(next));
    };
    std::future<licbak::result> saved = r.backup({}, std::move(told));
    CHECK(verified.get_future().get() == 3);
    CHECK(saved.get().figures.licenses_done == 3);
    CHECK(*owned == 1 && owned.use_count() == 1);

    // A failure that was begun, one at once, and a cancel: each is told once, and the future says it too.
    int failures = 0;
    const auto expect = [&](licbak::errc expected) {
        licbak::listener failing;
        failing.on_end = [&failures, expected](std::exception_ptr failure, const licbak::result &) {
            try {
                std::rethrow_exception(failure);
            } catch (const licbak::error &e) {
                failures += e.code() == expected;
            }
        };
        return failing;
    };
    r.set_store_path(p.path / "missing");
    CHECK_FAILS(r.backup(licbak::backup_flags::overwrite, expect(licbak::errc::path_not_found)).get(), path_not_found);
    CHECK(failures == 1);
    std::future<licbak::result> refused = r.backup({}, expect(licbak::errc::backup_exists));
    CHECK(failures == 2); // at once
    CHECK_FAILS(refused.get(), backup_exists);

    // What on_end throws the future throws, after what was thrown before.
    licbak::listener throwing;
    throwing.on_end = [](std::exception_ptr, const licbak::result &) { throw own_exception("at the end"); };
    CHECK(std::string_view(CAUGHT(own_exception, r.verify(throwing).get()).what()) == "at the end");
    CHECK_FAILS(r.backup({}, throwing).get(), backup_exists);

    // It may destroy the restorer.
    std::optional<licbak::restorer> last(p.restorer());
    throwing.on_end = [&last](std::exception_ptr, const licbak::result &) { last.reset(); };
    CHECK(last->verify(throwing).get().figures.licenses_done == 3);
    CHECK(!last.has_value());
}

// -- lifetimes

// Emits until it is told to stop.
struct endless : licbak::store {
    std::promise<void> entered;

    void enumerate(const licbak::license_function &emit) override
    {
        entered.set_value();
        for (int i = 0;; i++) {
            const std::string name = std::to_string(i);
            licbak::license l;
            l.name = name;
            emit(l);
            std::this_thread::sleep_for(std::chrono::milliseconds(1));
        }
    }
    void get(std::string_view, const licbak::license_function &) override {}
    void put(const licbak::license &) override {}
};

// Starts what runs until it is stopped, and returns when it does run.
std::future<licbak::result> start_endless(licbak::restorer &r)
{
    auto store = std::make_shared<endless>();
    std::future<void> entered = store->entered.get_future();
    r.set_store(std::move(store));
    std::future<licbak::result> future = r.backup();
    entered.get();
    return future;
}

void cancel()
{
    const place p("cancel");
    licbak::restorer r = p.restorer();
    std::future<licbak::result> running = start_endless(r);
    CHECK_FAILS(r.verify().get(), busy); // it does not wait for what runs
    CHECK_FAILS(r.set_store(nullptr), busy);
    std::thread([&] { CHECK(r.cancel()); }).join();
    const auto canceled = CAUGHT(licbak::error, running.get());
    CHECK(canceled.code() == std::errc::operation_canceled && canceled.what()[0] != '\0');
    CHECK(!p.is_backed_up());
}

void destroyed_while_it_runs()
{
    const place p("destroyed");
    std::future<licbak::result> future;
    {
        licbak::restorer r = p.restorer();
        future = start_endless(r);
    }
    CHECK(future.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
    CHECK_FAILS(future.get(), operation_canceled);
    CHECK(!p.is_backed_up());
}

void destroyed_inside()
{
    const place p("destroyed_inside");
    std::optional<licbak::restorer> r(p.restorer());
    licbak::listener told;
    auto owned = std::make_shared<int>(0);
    told.on_notice = [&r, owned](licbak::notice, std::string_view) {
        ++*owned;
        r.reset();
        ++*owned; // and what the operation owns is still there
    };
    std::future<licbak::result> future = r->backup({}, std::move(told));
    told = {};
    CHECK_FAILS(future.get(), operation_canceled);
    CHECK(!r.has_value() && *owned == 2);
    CHECK(owned.use_count() == 1); // when the future is ready the functions are gone

    r.emplace(p.restorer());
    auto store = three_licenses();
    store->inside = [&](const std::string &) { r.reset(); };
    r->set_store(store);
    future = r->backup();
    const std::weak_ptr<licbak::store> kept = std::exchange(store, nullptr);
    CHECK_FAILS(future.get(), operation_canceled);
    CHECK(kept.expired());

    r.emplace(p.restorer());
    (void)r->backup().get();
    CHECK_FAILS(r->list([&](const licbak::license &) { r.reset(); }), handle);
}

void dropped_future()
{
    const place p("dropped");
    licbak::restorer r = p.restorer();
    const auto sentinel = std::make_shared<int>();
    licbak::listener told;
    told.on_progress = [sentinel](const licbak_progress &) { throw own_exception("for nobody"); };
    (void)start_endless(r); // does not block, or this test never ends
    CHECK(r.cancel());
    licbak_hresult outcome = LICBAK_S_OK;
    CHECK(licbak_wait(r.handle(), LICBAK_WAIT_FOREVER, &outcome) == LICBAK_S_OK);
    CHECK(outcome == LICBAK_NS_E_DRM_OPERATION_CANCELED);
    r.set_store(nullptr);
    (void)r.backup({}, std::move(told));
    told = {};
    CHECK(licbak_wait(r.handle(), LICBAK_WAIT_FOREVER, &outcome) == LICBAK_S_OK);
    CHECK(sentinel.use_count() == 1);
}

void moved()
{
    const place p("moved");
    licbak::restorer first = p.restorer();
    std::future<licbak::result> future = start_endless(first);
    licbak::restorer second(std::move(first));
    CHECK_FAILS(first.verify().get(), handle); // NOLINT: of one that was moved from
    CHECK_FAILS(first.cancel(), handle);
    CHECK_FAILS(first.set_store(nullptr), handle);
    CHECK(second.cancel());
    CHECK_FAILS(future.get(), operation_canceled);

    future = start_endless(second);
    second = p.restorer(); // what ran there is canceled, and its end waited for
    CHECK(future.wait_for(std::chrono::seconds(0)) == std::future_status::ready);
    CHECK_FAILS(future.get(), operation_canceled);
    first = std::move(second);
    CHECK(first.backup().get().figures.licenses_done == 3);
    static_assert(!std::is_copy_constructible_v<licbak::restorer>);
    static_assert(std::is_nothrow_move_constructible_v<licbak::restorer>);
}

// -- a host that is called on its own thread

bool is_ready(const std::future<licbak::result> &future)
{
    return future.wait_for(std::chrono::seconds(0)) == std::future_status::ready;
}

// A restorer whose functions are called in a wait, with a store that sees to it.
licbak::restorer restorer_in_wait(const place &p, const std::shared_ptr<memory> &store)
{
    licbak::restorer r = p.restorer();
    store->inside = [own = std::this_thread::get_id()](const std::string &) {
        CHECK(std::this_thread::get_id() == own);
    };
    r.set_store(store);
    r.set_call_in_wait(true);
    return r;
}

void called_in_wait()
{
    const place p("in_wait");
    licbak::restorer r = restorer_in_wait(p, three_licenses());
    const auto own = std::this_thread::get_id();
    int notices = 0, figures = 0;
    licbak::listener told;
    told.on_progress = [&](const licbak_progress &) { figures += std::this_thread::get_id() == own; };
    told.on_notice = [&](licbak::notice, std::string_view) { notices += std::this_thread::get_id() == own; };
    std::future<licbak::result> future = r.backup({}, told);
    pollfd polled{static_cast<int>(r.wait_descriptor()), POLLIN, 0};
    do {
        CHECK(!is_ready(future));
        CHECK(poll(&polled, 1, 10000) == 1);
    } while (!r.wait(0));
    CHECK(is_ready(future) && future.get().figures.licenses_done == 2);
    CHECK(notices == 2 && figures > 0); // that one is restricted, and left out
    CHECK(poll(&polled, 1, 0) == 0);

    r = restorer_in_wait(p, std::make_shared<memory>());
    r.set_authorizer([&](const licbak::backup_info &) { CHECK(std::this_thread::get_id() == own); });
    future = r.restore();
    CHECK(r.wait());
    CHECK(future.get().figures.licenses_done == 2);
    told = {};
    told.on_progress = [](const licbak_progress &) { throw own_exception("seen enough"); };
    told.on_end = [&](std::exception_ptr, const licbak::result &) { CHECK(std::this_thread::get_id() == own); };
    future = r.verify(told);
    CHECK(r.wait());
    (void)CAUGHT(own_exception, future.get());
    CHECK(r.wait()); // for nothing

    r.set_call_in_wait(false);
    CHECK(r.verify().get().figures.licenses_done == 2);
}

// Whoever has not waited is told of the end by the destructor, on its own thread.
void destroyed_without_a_wait()
{
    const place p("without_a_wait");
    const auto sentinel = std::make_shared<int>();
    std::future<licbak::result> future;
    licbak::listener told;
    told.on_notice = [sentinel](licbak::notice, std::string_view) {};
    {
        licbak::restorer r = restorer_in_wait(p, three_licenses());
        future = r.backup({}, told);
        licbak::restorer other = std::move(r);
        CHECK(!is_ready(future));
    }
    told = {};
    CHECK(is_ready(future) && sentinel.use_count() == 1);
    CHECK_FAILS(future.get(), operation_canceled);
    CHECK(!p.is_backed_up());
}

void destroyed_in_a_wait()
{
    const place p("in_a_wait"), elsewhere("elsewhere");
    std::optional<licbak::restorer> r(restorer_in_wait(p, three_licenses()));
    std::future<licbak::result> future = r->backup({}, {{}, [&](licbak::notice, std::string_view) { r.reset(); }, {}});
    licbak::restorer &waiting = *r;
    CHECK_FAILS(waiting.wait(), handle);
    CHECK_FAILS(future.get(), operation_canceled);

    // In a function of another restorer, where nothing can be waited for.
    const auto sentinel = std::make_shared<int>();
    r.emplace(restorer_in_wait(p, three_licenses()));
    future = r->backup({}, {{}, [sentinel](licbak::notice, std::string_view) {}, {}});
    licbak::restorer outside = elsewhere.restorer();
    (void)outside.backup({}, {{}, [&](licbak::notice, std::string_view) { r.reset(); }, {}}).get();
    CHECK(is_ready(future) && sentinel.use_count() == 1);
    CHECK_FAILS(future.get(), operation_canceled);
}

// -- the moment between two operations

void many_in_a_row(const place &p, int rounds)
{
    licbak::restorer r = p.restorer();
    for (int i = 0; i < rounds; i++) {
        CHECK(r.backup(licbak::backup_flags::overwrite).get().figures.licenses_done == 3);
        CHECK(r.verify().get().figures.licenses_done == 3);
        r.set_store(nullptr);
        CHECK(r.restore(licbak::restore_flags::dry_run).get().figures.licenses_done == 3);
    }
}

void in_a_row()
{
    const place p("in_a_row");
    many_in_a_row(p, 300);

    // Also inside a function of another restorer, where licbak_wait is refused.
    const place other("in_a_row_outside");
    licbak::restorer outside = other.restorer();
    licbak::listener told;
    told.on_notice = [&](licbak::notice, std::string_view) {
        many_in_a_row(p, 100);
        CHECK_FAILS(outside.verify().get(), busy);
    };
    CHECK(outside.backup({}, told).get().figures.licenses_done == 3);
}

} // namespace

int main()
{
    char directory[] = "licbak-hpp-XXXXXX";
    CHECK(mkdtemp(directory) != nullptr);
    root = fs::absolute(directory);
    try {
        gone();
        round_trip();
        kept_going();
    a_name_that_is_no_text();
        one_license_and_what_is_left();
        facts_about_a_backup();
        encrypted();
        an_account_is_set_and_its_secrets_are_told_to_nobody();
        failures_are_errors();
        errors_and_conditions();
        exceptions_leave_no_callback();
        host_store();
        host_store_that_merges();
        host_store_that_throws();
        host_store_that_takes_some();
        no_license_is_missing_silently();
        authorizer();
        started_in_c();
        told_of_the_end();
        cancel();
        destroyed_while_it_runs();
        destroyed_inside();
        dropped_future();
        moved();
        called_in_wait();
        destroyed_without_a_wait();
        destroyed_in_a_wait();
        in_a_row();
    } catch (const std::exception &e) {
        fail(__LINE__, std::string("an exception that no test expects: ") + e.what());
    }
    CHECK(fs::remove(root)); // each test has cleaned up
    std::cout << "hpp: " << checks << " checks passed\n";
}
