// The headers of C++ after those of others, whose macros take common words: Qt's, those of X11 and of
// Windows, and the makeshift ones of many a program. Not a warning of any kind.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

// Qt's qtmetamacros.h and qforeach.h
#define emit
#define signals public
#define slots
#define foreach for
#define forever for (;;)

// X11's X.h and Xlib.h
#define None 0L
#define Success 0
#define Always 2
#define Above 0
#define Below 1
#define Complex 0
#define Status int
#define Bool int
#define True 1
#define False 0
#define KeyPress 2
#define Unsorted 0

// Those of Windows
#define ERROR 0
#define NO_ERROR 0L
#define DELETE 1
#define IN
#define OUT
#define OPTIONAL
#define CONST const
#define near
#define far
#define small char
#define interface struct
#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))

// sys/sysmacros.h, and compilers that speak GNU's C++
#define major(number) (number)
#define minor(number) (number)
#undef unix
#define unix 1
#undef linux
#define linux 1

#define DEBUG 1
#define INFO 1
#define TRUE 1
#define FALSE 0
#define CHECK(condition) condition
#define _ 1

#include <licbak.hpp>

// Every part of it that is a template or inline.
int main()
{
    licbak::listener told;
    told.on_end = [](std::exception_ptr, const licbak::result &) {};
    licbak::restorer restorer;
    restorer.set_store(nullptr);
    restorer.set_authorizer([](const licbak::backup_info &) {});
    restorer.set_machine_id("this one");
    restorer.set_threads(0);
    restorer.set_compression_level(3);
    restorer.set_leave_out_unstated(false);
    restorer.set_store_path("no such folder");
    restorer.set_restore_path("no such folder");
    try {
        restorer.list([](const licbak::license &) {});
        return 1;
    } catch (const licbak::error &e) {
        if (e.code() != licbak::errc::path_not_found)
            return 1;
    }
    try {
        (void)restorer.restore(licbak::restore_flags::overwrite | licbak::restore_flags::dry_run, told).get();
        return 1;
    } catch (const licbak::error &e) {
        if (e.code() != std::errc::no_such_file_or_directory)
            return 1;
    }
    std::cout << "hpp_beside: 2 checks passed\n";
}
