/* A store whose backup cannot reach its end while the callback is held.
 *
 * An operation runs ahead of its callback, so holding the callback at BEGIN does not hold the
 * operation: a small backup may be done before a test cancels it. But at most 4,096 events wait;
 * this store has more links than that, each told by LEFT_OUT, so the operation waits too, and a
 * test knows that it comes in time.
 */
#ifndef STALL_H
#define STALL_H

#include "recorder.h"

#define STALLING "stalling"

enum { STALLING_LINKS = 5000 };

static inline void make_stalling_store(void)
{
    make_store(STALLING, 10);
    for (int i = 0; i < STALLING_LINKS; i++) {
        char path[64];
        snprintf(path, sizeof path, STALLING "/a-link-%04d", i);
        CHECK(symlink("nowhere", path) == 0);
    }
}

#endif
