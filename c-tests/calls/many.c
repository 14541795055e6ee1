/* A call takes as long beside 80,000 restorers as beside one, and a restorer takes little memory: in
 * instructions, which Valgrind counts, and in bytes. */
#include "../support/check.h"

#include <unistd.h>

enum { ROUNDS = 500, MEMORY_MAX = 1024 };
static const int counts[] = {1, 1000, 80000};
static const char *const calls[] = {"nothing", "make and destroy", "destroy and make again", "ask"};
enum call { NOTHING, MAKE, AGAIN, ASK, CALLS };

static licbak_restorer *all[80000];

static long resident(void)
{
    long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    CHECK(file != NULL && fscanf(file, "%ld %ld", &size, &pages) == 2);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

/* Makes so many restorers, and does a call to some of them again and again. */
static void call_beside(int count, enum call call)
{
    for (int i = 0; i < count; i++) {
        CHECK_HR(licbak_create(&all[i]), LICBAK_S_OK);
    }
    for (int i = 0; i < ROUNDS && call != NOTHING; i++) {
        licbak_restorer **one = &all[(size_t)i * 7919 % (size_t)count], *other;
        size_t properties;
        switch (call) {
        case MAKE:
            CHECK_HR(licbak_create(&other), LICBAK_S_OK);
            CHECK_HR(licbak_destroy(other), LICBAK_S_OK);
            break;
        case AGAIN:
            CHECK_HR(licbak_destroy(*one), LICBAK_S_OK);
            CHECK_HR(licbak_create(one), LICBAK_S_OK);
            break;
        default:
            CHECK_HR(licbak_get_prop_count(*one, &properties), LICBAK_S_OK);
        }
    }
}

/* The instructions of this program with these arguments; 0 without Valgrind. */
static long long instructions(int count, enum call call)
{
    char command[256], line[256];
    long long collected = 0;
    snprintf(command, sizeof command,
             "valgrind --tool=callgrind --callgrind-out-file=/dev/null /proc/%ld/exe %d %d 2>&1", (long)getpid(), count,
             (int)call);
    FILE *output = popen(command, "r");
    CHECK(output != NULL);
    while (fgets(line, sizeof line, output) != NULL) {
        const char *number = strstr(line, "Collected : ");
        if (number != NULL) {
            collected = atoll(number + strlen("Collected : "));
        }
    }
    pclose(output);
    return collected;
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        call_beside(atoi(argv[1]), (enum call)atoi(argv[2]));
        return 0;
    }
    begin("many");
    long long alone[CALLS] = {0};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        long long before = instructions(counts[i], NOTHING);
        if (before == 0) {
            skip("instructions of a call", "valgrind is not installed");
            break;
        }
        for (enum call call = MAKE; call < CALLS; call++) {
            long long each = (instructions(counts[i], call) - before) / ROUNDS;
            alone[call] = i == 0 ? each : alone[call];
            figure("%s beside %d: instructions %lld", calls[call], counts[i], each);
            CHECK(each > 0 && each <= alone[call] + alone[call] / 4);
        }
    }
    long before = resident();
    call_beside(80000, NOTHING);
    long each = (resident() - before) / 80000;
    figure("80000 restorers: bytes of memory each %ld", each);
    CHECK(each < MEMORY_MAX);
    for (int i = 0; i < 80000; i++) {
        CHECK_HR(licbak_destroy(all[i]), LICBAK_S_OK);
    }
    return finish();
}
