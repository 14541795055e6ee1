/* Processes that do the same at the same time. */
#ifndef RACE_H
#define RACE_H

#include "recorder.h"

enum { RACERS = 4 };

/* Starts the racers on a line and gives how many ended with `hr`; any other outcome but `also` is a
 * failure. */
static inline int race(operation op, const char *store, const char *backups, uint32_t flags, licbak_hresult hr,
                       licbak_hresult also)
{
    int line[2], winners = 0;
    pid_t racers[RACERS];
    CHECK(pipe(line) == 0);
    fflush(NULL);
    for (int i = 0; i < RACERS; i++) {
        racers[i] = fork();
        CHECK(racers[i] >= 0);
        if (racers[i] == 0) {
            char c;
            alarm(60);
            close(line[1]);
            CHECK(read(line[0], &c, 1) == 0); /* until the parent closes it */
            licbak_hresult outcome = run_once(op, store, backups, flags);
            if (outcome != hr && outcome != also) {
                check_fail(__FILE__, __LINE__, "a racer: expected %s, got %s", licbak_hresult_name(hr),
                           hresult_name(outcome));
            }
            _exit(outcome == hr ? 0 : 2);
        }
    }
    close(line[0]);
    close(line[1]);
    for (int i = 0; i < RACERS; i++) {
        int status = 0;
        CHECK(waitpid(racers[i], &status, 0) == racers[i]);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) != 1);
        winners += WEXITSTATUS(status) == 0;
    }
    return winners;
}

#endif
