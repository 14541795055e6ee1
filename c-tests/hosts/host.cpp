// A host in C++ with a loop of its own, in which poll waits for licbak beside all else.
#include <licbak.hpp>

#include <iostream>
#include <map>
#include <poll.h>

// Goes on with the host's loop until the operation has ended; throws what it has failed with.
licbak::result loop(licbak::restorer &restorer, std::future<licbak::result> future)
{
    while (!restorer.wait(0)) {
        pollfd polled{static_cast<int>(restorer.wait_descriptor()), POLLIN, 0}; // beside the host's others
        poll(&polled, 1, -1);
    }
    return future.get();
}

const licbak::listener told{
    [](const licbak_progress &figures) {
        std::cout << figures.licenses_done << " of " << figures.licenses_total << '\n';
    },
    [](licbak::notice notice, std::string_view text) {
        if (notice == licbak::notice::left_out)
            std::cout << "left out: " << text << '\n';
    },
};

licbak::result back_up(licbak::restorer &restorer, const char *store, const char *directory)
{
    restorer.set_call_in_wait(true);
    restorer.set_store_path(store);
    restorer.set_backup_path(directory);
    return loop(restorer, restorer.backup(licbak::backup_flags::none, told));
}

// -- a store of its own, in memory --

struct memory : licbak::store {
    std::map<std::string, std::string, std::less<>> licenses;

    void enumerate(const licbak::license_function &emit) override
    {
        for (const auto &[name, content] : licenses)
            emit({name, {}, content});
    }

    void get(std::string_view name, const licbak::license_function &emit) override
    {
        if (const auto found = licenses.find(name); found != licenses.end())
            emit({found->first, {}, found->second});
    }

    void put(const licbak::license &given) override { licenses[std::string(given.name)] = given.content; }
};

// -- what all hosts of the tests do --

int main(int argc, char **argv)
{
    if (argc != 5)
        return 2;
    licbak::restorer restorer;
    const auto tell = [](const char *what) { std::cout << what << ": LICBAK_S_OK\n"; };
    back_up(restorer, argv[1], argv[2]);
    tell("backup");
    try {
        back_up(restorer, argv[1], argv[2]);
    } catch (const licbak::error &e) {
        std::cout << "again: " << licbak_hresult_name(e.code().value()) << ": " << e.what() << '\n';
    }
    restorer.set_store_path(argv[3]);
    restorer.set_restore_path(argv[2]);
    loop(restorer, restorer.restore(licbak::restore_flags::none, told));
    tell("restore");
    restorer.set_store(std::make_shared<memory>());
    loop(restorer, restorer.restore(licbak::restore_flags::none, told));
    tell("into own");
    back_up(restorer, argv[1], argv[4]);
    tell("from own");
}
