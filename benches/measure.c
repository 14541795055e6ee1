/* measure FIGURES PROGRAM [ARGUMENT]...: runs the program and writes into the file FIGURES what it
 * cost: CPU of it and of all that it waited for (user and system, in microseconds), wall time (in
 * nanoseconds), and the peak memory of the largest of its processes (in KiB).
 *
 * In C, since the kernel counts the memory of whoever starts a program as that program's: this one
 * is smaller than all that it measures. Its exit code is the program's.
 */
#define _DEFAULT_SOURCE

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void fail(const char *what)
{
    perror(what);
    exit(125);
}

static long long microseconds(struct timeval time)
{
    return time.tv_sec * 1000000LL + time.tv_usec;
}

static long long now_ns(void)
{
    struct timespec now;
    if (clock_gettime(CLOCK_MONOTONIC, &now) != 0)
        fail("measure: clock_gettime");
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(int argc, char **argv)
{
    struct rusage used;
    int status;
    if (argc < 3) {
        fputs("usage: measure FIGURES PROGRAM [ARGUMENT]...\n", stderr);
        return 125;
    }
    const long long start = now_ns();
    const pid_t child = fork();
    if (child < 0)
        fail("measure: fork");
    if (child == 0) {
        execvp(argv[2], argv + 2);
        perror(argv[2]);
        _exit(127);
    }
    if (wait4(child, &status, 0, &used) != child)
        fail("measure: wait4");
    const long long wall = now_ns() - start;
    FILE *figures = fopen(argv[1], "w");
    if (figures == NULL)
        fail(argv[1]);
    fprintf(figures, "%lld %lld %lld %ld\n", microseconds(used.ru_utime),
            microseconds(used.ru_stime), wall, used.ru_maxrss);
    if (fclose(figures) != 0)
        fail(argv[1]);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
