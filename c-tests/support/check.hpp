// Checks of a small program in C++, which goes on after a failure and tells it in the end.
#ifndef CHECK_HPP
#define CHECK_HPP

#include <iostream>

inline int checks = 0, failures = 0;

inline void check(bool condition, const char *file, int line, const char *expression)
{
    ++checks;
    if (!condition) {
        std::cerr << file << ':' << line << ": " << expression << ": expected true, got false\n";
        ++failures;
    }
}

#define CHECK(condition) check((condition), __FILE__, __LINE__, #condition)

// What `main` returns.
inline int finish(const char *name)
{
    if (failures == 0)
        std::cout << name << ": " << checks << " checks passed\n";
    return failures != 0;
}

#endif
