/* Operations that call the host's functions inside licbak_wait. */
#ifndef IN_WAIT_H
#define IN_WAIT_H

#include "host.h"

#include <poll.h>

#define IN_WAIT LICBAK_CALL_IN_WAIT
#define CANCELED LICBAK_NS_E_DRM_OPERATION_CANCELED

/* The status callback of a host that is called on no thread but one that waits. */
static inline licbak_hresult LICBAK_CALL hear(licbak_status status, licbak_hresult hr, licbak_datatype type,
                                              const uint8_t *value, size_t size, void *rec)
{
    CHECK(waits);
    return record(status, hr, type, value, size, rec);
}

/* The same of its store: what is `inside` each function. */
static inline licbak_hresult while_waiting(host *h, const char *function, const char *name)
{
    (void)h, (void)function, (void)name;
    CHECK(waits);
    return LICBAK_S_OK;
}

static inline void begin_in_wait(operation op, licbak_restorer *r, uint32_t flags, recorder *rec)
{
    forget(rec);
    rec->restorer = r;
    CHECK_HR(op(r, flags | IN_WAIT, hear, rec), LICBAK_S_OK);
}

static inline int descriptor_of(licbak_restorer *r)
{
    intptr_t descriptor = -1, again = -1;
    CHECK_HR(licbak_get_wait_descriptor(r, &descriptor), LICBAK_S_OK);
    CHECK_HR(licbak_get_wait_descriptor(r, &again), LICBAK_S_OK);
    CHECK_INT(descriptor, again);
    CHECK(fcntl((int)descriptor, F_GETFD) & FD_CLOEXEC);
    return (int)descriptor;
}

static inline bool is_readable(int descriptor, int timeout_ms)
{
    struct pollfd polled = {descriptor, POLLIN, 0};
    int count = poll(&polled, 1, timeout_ms);
    CHECK(count >= 0);
    return count == 1;
}

/* Something becomes due, however slow this machine is. */
static inline void until_due(int descriptor)
{
    CHECK(is_readable(descriptor, 30000));
}

/* Sees an operation to its end as an event loop does, and gives its outcome. */
static inline licbak_hresult end_by_polling(licbak_restorer *r, int descriptor)
{
    licbak_hresult hr, outcome = LICBAK_E_UNEXPECTED;
    do {
        until_due(descriptor);
        hr = licbak_wait(r, 0, &outcome);
    } while (hr == LICBAK_S_FALSE);
    return hr < 0 ? hr : outcome;
}

#endif
