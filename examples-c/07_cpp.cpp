/* 07: the same in C++.
 *
 * The idea: <licbak.hpp> makes an operation a std::future. The result of the operation is the
 * future's value, and a failure is an exception. So "back up, then check the backup" needs no
 * callback, no context and no cleaning up. The program handles one failure by its code. For all
 * others, what() is the library's own sentence.
 *
 * The functions of a listener run on a thread of the library while this thread waits in get().
 *
 *     c++ -std=c++17 -pthread 07_cpp.cpp -o 07_cpp $(pkg-config --cflags --libs licbak)
 *     ./07_cpp STORE BACKUP_DIR [--overwrite]
 */
#include <licbak.hpp>

#include <cstring>
#include <iostream>

static licbak::result back_up_and_verify(const char *store, const char *directory,
                                         licbak::backup_flags flags)
{
    licbak::restorer restorer;
    restorer.set_store_path(store);
    restorer.set_backup_path(directory);
    restorer.set_restore_path(directory);

    licbak::listener listener;
    listener.on_progress = [](const licbak_progress &now) {
        if (now.phase == LICBAK_PHASE_WORKING)
            std::cerr << now.phase_done << " of " << now.phase_total << '\n';
    };
    const licbak::result saved = restorer.backup(flags, listener).get();
    restorer.verify().get();
    return saved;
}

int main(int argc, char **argv)
{
    const bool overwrite = argc == 4 && std::strcmp(argv[3], "--overwrite") == 0;

    if (argc != 3 && !overwrite) {
        std::cerr << "usage: 07_cpp STORE BACKUP_DIR [--overwrite]\n";
        return 2;
    }
    try {
        const licbak::result saved =
            back_up_and_verify(argv[1], argv[2], overwrite ? licbak::backup_flags::overwrite
                                                           : licbak::backup_flags::none);
        std::cout << saved.figures.licenses_done << " licences saved and found right\n";
        for (const std::string &name_and_reason : saved.left_out)
            std::cout << "left out: " << name_and_reason << '\n';
        return 0;
    } catch (const licbak::error &e) {
        std::cerr << e.what() << '\n';
        if (e.code() == licbak::errc::backup_exists)
            std::cerr << "Use --overwrite to replace it.\n";
    } catch (const std::exception &e) {
        std::cerr << "unexpected: " << e.what() << '\n';
    }
    return 1;
}
