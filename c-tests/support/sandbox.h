/* A sandbox: a system call of this process answers an error from now on, by a seccomp filter, which
 * nobody takes back.
 */
#ifndef SANDBOX_H
#define SANDBOX_H

#include "check.h"

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

/* The lower half of an argument; the filter sees no memory. */
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define LOW_HALF(argument) (offsetof(struct seccomp_data, args) + 8 * (argument))
#else
#define LOW_HALF(argument) (offsetof(struct seccomp_data, args) + 8 * (argument) + 4)
#endif

/* Has `number` answer `error`, where all `bits` of its argument are set; 0: always. Error 0 is
 * success, and nothing done. False where there are no filters. */
static inline bool deny(int number, int argument, unsigned bits, int error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)number, 0, 4),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)LOW_HALF((unsigned)argument)),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, bits),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, bits, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

#endif
