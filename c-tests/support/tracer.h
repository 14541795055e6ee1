/* The system calls of a child, seen one by one: recorded, made to fail or to do less than was
 * asked, or the child's last. The child is this program, forked, with all its threads; nothing else
 * is needed on the machine.
 *
 * Only calls on files below the working directory are seen, so that what the C library or a test
 * does for itself does not count.
 */
#ifndef TRACER_H
#define TRACER_H

#include "recorder.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>

#if defined(__x86_64__)
#define CAN_TRACE 1
#else
#define CAN_TRACE 0 /* registers are known of no other machine */
#endif

typedef struct call {
    int number;
    unsigned long long args[6];
    char path[PATH_MAX]; /* of what it is about, from the working directory on; of two names the new one */
    char from[PATH_MAX]; /* of two names the old one */
    pid_t thread;
    unsigned long long flags; /* of an open */
} call;

typedef enum deed {
    RECORD,
    FAIL,
    SHORTEN, /* to half of what was asked */
    KILL,    /* before the call is made */
} deed;

typedef struct plan {
    deed deed;
    int nth; /* of the calls that count, from 0 */
    int error;
    bool again;                                      /* and all that follow */
    bool no_unnamed;                                 /* the file system has no files without a name */
    bool syncs;                                      /* what is to be brought to the disk is */
    bool (*counts)(const call *c, int error);        /* NULL: all */
    void (*see)(const call *c, long result, void *); /* each call when it has been made */
    void *seer;
} plan;

typedef struct traced {
    int calls; /* that count */
    bool fired;
    call hit;
    bool killed, hung;
    int exit_code;
} traced;

/* -- which calls are seen -------------------------------------------------------------------------------- */

/* How a call tells what it is about. */
typedef enum subject { BY_FD, BY_PATH, BY_DIR, BY_TWO_DIRS, BY_TWO_PATHS } subject;

static const struct seen {
    int number;
    const char *name;
    subject subject;
    int count; /* the argument that says how many bytes, where fewer may be done */
} seen_calls[] = {
#if CAN_TRACE
    {SYS_open, "open", BY_PATH, 0},
    {SYS_openat, "openat", BY_DIR, 0},
    {SYS_openat2, "openat2", BY_DIR, 0},
    {SYS_read, "read", BY_FD, 2},
    {SYS_pread64, "pread64", BY_FD, 2},
    {SYS_write, "write", BY_FD, 2},
    {SYS_pwrite64, "pwrite64", BY_FD, 2},
    {SYS_ftruncate, "ftruncate", BY_FD, 0},
    {SYS_fallocate, "fallocate", BY_FD, 0},
    {SYS_fsync, "fsync", BY_FD, 0},
    {SYS_fdatasync, "fdatasync", BY_FD, 0},
    {SYS_syncfs, "syncfs", BY_FD, 0},
    {SYS_linkat, "linkat", BY_TWO_DIRS, 0},
    {SYS_rename, "rename", BY_TWO_PATHS, 0},
    {SYS_renameat, "renameat", BY_TWO_DIRS, 0},
    {SYS_renameat2, "renameat2", BY_TWO_DIRS, 0},
    {SYS_unlink, "unlink", BY_PATH, 0},
    {SYS_unlinkat, "unlinkat", BY_DIR, 0},
    {SYS_rmdir, "rmdir", BY_PATH, 0},
    {SYS_mkdir, "mkdir", BY_PATH, 0},
    {SYS_mkdirat, "mkdirat", BY_DIR, 0},
    {SYS_chmod, "chmod", BY_PATH, 0},
    {SYS_fchmod, "fchmod", BY_FD, 0},
    {SYS_fchmodat, "fchmodat", BY_DIR, 0},
    {SYS_fchown, "fchown", BY_FD, 0},
    {SYS_utimensat, "utimensat", BY_DIR, 0},
    {SYS_flock, "flock", BY_FD, 0},
    {SYS_fcntl, "fcntl", BY_FD, 0},
    {SYS_stat, "stat", BY_PATH, 0},
    {SYS_lstat, "lstat", BY_PATH, 0},
    {SYS_fstat, "fstat", BY_FD, 0},
    {SYS_newfstatat, "newfstatat", BY_DIR, 0},
    {SYS_statx, "statx", BY_DIR, 0},
    {SYS_fstatfs, "fstatfs", BY_FD, 0},
    {SYS_access, "access", BY_PATH, 0},
    {SYS_faccessat, "faccessat", BY_DIR, 0},
    {SYS_getdents64, "getdents64", BY_FD, 0},
    {SYS_lseek, "lseek", BY_FD, 0},
#endif
    {-1, "", BY_FD, 0},
};

static inline const struct seen *seen_call(int number)
{
    const struct seen *s = seen_calls;
    while (s->number != -1 && s->number != number) {
        s++;
    }
    return s;
}

static inline const char *call_name(const call *c)
{
    return seen_call(c->number)->name;
}

static inline bool is_call(const call *c, const char *name)
{
    return strcmp(call_name(c), name) == 0;
}

/* -- what they do ---------------------------------------------------------------------------------------- */

static inline bool is_one_of(const call *c, const char *names)
{
    char word[40];
    snprintf(word, sizeof word, " %s ", call_name(c));
    return strstr(names, word) != NULL;
}

static inline bool opens(const call *c)
{
    return is_one_of(c, " open openat openat2 ");
}

static inline bool makes(const call *c)
{
    return (opens(c) && (c->flags & (O_CREAT | O_TMPFILE) & ~O_DIRECTORY) != 0) ||
           is_one_of(c, " linkat rename renameat renameat2 mkdir mkdirat ");
}

static inline bool reads(const call *c)
{
    return is_one_of(c, " read pread64 getdents64 ");
}

static inline bool writes(const call *c)
{
    return is_one_of(c, " write pwrite64 ");
}

static inline bool changes_facts(const call *c)
{
    return is_one_of(c, " unlink unlinkat rmdir chmod fchmod fchmodat fchown utimensat ");
}

static inline bool asks(const call *c)
{
    return is_one_of(c, " stat lstat newfstatat statx access faccessat ");
}

static inline bool is_sync(const call *c)
{
    return is_one_of(c, " fsync fdatasync syncfs ");
}

/* Whether what is on the disk can be another after it. */
static inline bool changes_disk(const call *c, int unused)
{
    (void)unused;
    return makes(c) || writes(c) || changes_facts(c) || is_sync(c) || is_call(c, "ftruncate");
}

/* -- the child ------------------------------------------------------------------------------------------- */

enum { CANNOT_TRACE = 77, HANGS_AFTER = 30 };

#if CAN_TRACE

static inline bool show_calls(void)
{
    enum { SEEN = sizeof seen_calls / sizeof seen_calls[0] - 1 };
    struct sock_filter filter[SEEN + 6];
    unsigned short n = 0;
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, SEEN + 1);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < SEEN; i++) {
        filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)seen_calls[i].number,
                                                   (unsigned char)(SEEN - i), 0);
    }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
    struct sock_fprog program = {n, filter};
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

static inline _Noreturn void be_traced(int go, void (*body)(void *), void *argument)
{
    char byte;
    alarm(HANGS_AFTER);
    if (read(go, &byte, 1) != 1 || !show_calls()) {
        _exit(CANNOT_TRACE);
    }
    body(argument);
    _exit(0);
}

/* -- what a call is about -------------------------------------------------------------------------------- */

static inline bool read_text(pid_t thread, unsigned long long address, char text[PATH_MAX])
{
    size_t length = 0;
    while (length < PATH_MAX) { /* page by page: the next one may not be there */
        size_t part = 4096 - (address + length) % 4096;
        part = part < PATH_MAX - length ? part : PATH_MAX - length;
        struct iovec to = {text + length, part};
        struct iovec from = {(void *)(uintptr_t)(address + length), part};
        if (process_vm_readv(thread, &to, 1, &from, 1, 0) != (ssize_t)part) {
            return false;
        }
        if (memchr(text + length, '\0', part) != NULL) {
            return true;
        }
        length += part;
    }
    return false;
}

static inline bool descriptor_path(pid_t thread, int fd, char path[PATH_MAX])
{
    char link[64];
    if (fd == AT_FDCWD) {
        snprintf(link, sizeof link, "/proc/%d/cwd", thread);
    } else {
        snprintf(link, sizeof link, "/proc/%d/fd/%d", thread, fd);
    }
    ssize_t length = readlink(link, path, PATH_MAX - 1);
    path[length < 0 ? 0 : length] = '\0';
    return length >= 0;
}

/* Makes a path relative to the working directory; false where it leads elsewhere. */
static inline bool is_below(char path[PATH_MAX])
{
    char here[PATH_MAX];
    CHECK(getcwd(here, sizeof here) != NULL);
    size_t length = strlen(here);
    if (strncmp(path, here, length) != 0 || path[length] != '/') {
        return false;
    }
    memmove(path, path + length + 1, strlen(path + length + 1) + 1);
    for (char *dot; (dot = strstr(path, "/./")) != NULL;) {
        memmove(dot, dot + 2, strlen(dot + 2) + 1);
    }
    if (strncmp(path, "./", 2) == 0) {
        memmove(path, path + 2, strlen(path + 2) + 1);
    }
    return true;
}

/* The working directory itself counts only where it is brought to the disk: names in it are below it. */
static inline bool is_here(const char *path)
{
    char here[PATH_MAX];
    CHECK(getcwd(here, sizeof here) != NULL);
    return strcmp(path, here) == 0;
}

static inline bool named_path(pid_t thread, int fd, unsigned long long name, char path[PATH_MAX])
{
    char text[PATH_MAX], directory[PATH_MAX];
    if (name == 0 || !read_text(thread, name, text)) {
        return name == 0 && descriptor_path(thread, fd, path);
    }
    if (text[0] == '/') {
        memcpy(path, text, sizeof text);
        return true;
    }
    if (!descriptor_path(thread, fd, directory)) {
        return false;
    }
    if (text[0] == '\0' || strcmp(text, ".") == 0) {
        memcpy(path, directory, sizeof directory);
        return true;
    }
    return (size_t)snprintf(path, PATH_MAX, "%s/%s", directory, text) < PATH_MAX;
}

/* How an open is made, also by openat2's struct. */
static inline unsigned long long open_flags(const call *c)
{
    unsigned long long flags = 0;
    struct iovec to = {&flags, sizeof flags}, from = {(void *)(uintptr_t)c->args[2], sizeof flags};
    if (is_call(c, "openat2")) {
        return process_vm_readv(c->thread, &to, 1, &from, 1, 0) == sizeof flags ? flags : 0;
    }
    return is_call(c, "openat") ? c->args[2] : is_call(c, "open") ? c->args[1] : 0;
}

/* What the stopped thread is about to call; false where that is none of the test's business. */
static inline bool look(pid_t thread, const struct user_regs_struct *regs, call *c)
{
    *c = (call){.number = (int)regs->orig_rax,
                .args = {regs->rdi, regs->rsi, regs->rdx, regs->r10, regs->r8, regs->r9},
                .thread = thread};
    int first = (int)c->args[0], third = (int)c->args[2];
    bool found = false;
    switch (seen_call(c->number)->subject) {
    case BY_FD:
        found = descriptor_path(thread, first, c->path);
        break;
    case BY_PATH:
        found = named_path(thread, AT_FDCWD, c->args[0], c->path);
        break;
    case BY_DIR:
        found = named_path(thread, first, c->args[1], c->path);
        break;
    case BY_TWO_DIRS:
        found = named_path(thread, first, c->args[1], c->from) && named_path(thread, third, c->args[3], c->path);
        is_below(c->from);
        break;
    case BY_TWO_PATHS:
        found = named_path(thread, AT_FDCWD, c->args[0], c->from) &&
                named_path(thread, AT_FDCWD, c->args[1], c->path);
        is_below(c->from);
        break;
    }
    c->flags = open_flags(c);
    return found && (is_below(c->path) || (is_sync(c) && is_here(c->path)));
}

/* -- what is done about it ------------------------------------------------------------------------------- */

/* The thread's call is not made, and has this result. */
static inline void answer(pid_t thread, struct user_regs_struct *regs, long result)
{
    regs->orig_rax = (unsigned long long)-1;
    regs->rax = (unsigned long long)result;
    CHECK(ptrace(PTRACE_SETREGS, thread, NULL, regs) == 0);
}

/* Sets how much is asked for. A call leaves the registers of its arguments as they are, so the
 * caller's own count is put back when it has been made. */
static inline void ask_for(pid_t thread, struct user_regs_struct *regs, int argument, unsigned long long count)
{
    *(argument == 2 ? &regs->rdx : &regs->r8) = count;
    CHECK(ptrace(PTRACE_SETREGS, thread, NULL, regs) == 0);
}

/* Acts on a call, and tells whether the child goes on with it. */
static inline bool act(pid_t child, struct user_regs_struct *regs, const call *c, const plan *p, traced *t)
{
    const struct seen *s = seen_call(c->number);
    if (p->no_unnamed && (c->flags & O_TMPFILE) == O_TMPFILE) {
        answer(c->thread, regs, -EOPNOTSUPP);
        return true;
    }
    bool counts = p->counts == NULL || p->counts(c, p->error);
    if (p->deed == SHORTEN) {
        counts = counts && s->count != 0 && c->args[s->count] > 1;
    }
    int number = t->calls;
    t->calls += counts;
    if (!counts || p->deed == RECORD || number < p->nth || (number > p->nth && !p->again)) {
        if (is_sync(c) && !p->syncs) {
            answer(c->thread, regs, 0); /* no power is cut here: to wait for the disk would show nothing */
        }
        return true;
    }
    if (!t->fired) {
        t->hit = *c;
    }
    t->fired = true;
    switch (p->deed) {
    case FAIL:
        answer(c->thread, regs, -p->error);
        return true;
    case SHORTEN:
        ask_for(c->thread, regs, s->count, (c->args[s->count] + 1) / 2);
        return true;
    default:
        CHECK(kill(child, SIGKILL) == 0);
        return false;
    }
}

/* The child and who traces it take turns; to hand over within one processor is faster. */
static inline void stay_on_one_processor(void)
{
    cpu_set_t one;
    int processor = sched_getcpu();
    CPU_ZERO(&one);
    CPU_SET(processor < 0 ? 0 : processor, &one);
    sched_setaffinity(0, sizeof one, &one); /* where it can't, it is slower */
}

/* Runs `body` in a child and does to its calls what is planned. */
static inline traced trace(void (*body)(void *), void *argument, const plan *p)
{
    enum { THREADS = 16 };
    static call current[THREADS]; /* that are being made, and looked at when they have been */
    traced t = {0};
    int go[2], status;
    for (int i = 0; i < THREADS; i++) {
        current[i].thread = 0;
    }
    stay_on_one_processor();
    fflush(NULL);
    CHECK(pipe2(go, O_CLOEXEC) == 0);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(go[1]);
        be_traced(go[0], body, argument);
    }
    close(go[0]);
    long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD;
    if (ptrace(PTRACE_SEIZE, child, NULL, (void *)options) == 0) {
        CHECK(write(go[1], "", 1) == 1);
    }
    close(go[1]);
    for (;;) {
        pid_t thread = waitpid(-1, &status, __WALL);
        CHECK(thread > 0);
        if (!WIFSTOPPED(status)) {
            if (thread == child) {
                break;
            }
            continue;
        }
        int event = status >> 16, signal = WSTOPSIG(status), request = PTRACE_CONT;
        struct user_regs_struct regs;
        if (event == PTRACE_EVENT_SECCOMP) {
            call c;
            signal = 0;
            if (ptrace(PTRACE_GETREGS, thread, NULL, &regs) == 0 && look(thread, &regs, &c)) {
                if (!act(child, &regs, &c, p, &t)) {
                    continue;
                }
                bool wants_end = p->see != NULL || p->deed == SHORTEN;
                for (int i = 0; wants_end && i < THREADS && request == PTRACE_CONT; i++) {
                    if (current[i].thread == 0) {
                        current[i] = c;
                        request = PTRACE_SYSCALL;
                    }
                }
            }
        } else if (signal == (SIGTRAP | 0x80)) {
            signal = 0;
            for (int i = 0; i < THREADS; i++) {
                if (current[i].thread == thread && ptrace(PTRACE_GETREGS, thread, NULL, &regs) == 0) {
                    int count = seen_call(current[i].number)->count;
                    if (count != 0) {
                        ask_for(thread, &regs, count, current[i].args[count]);
                    }
                    if (p->see != NULL) {
                        p->see(&current[i], (long)regs.rax, p->seer);
                    }
                    current[i].thread = 0;
                }
            }
        } else if (event != 0) {
            signal = 0; /* a thread begins */
        }
        ptrace(request, thread, NULL, (void *)(long)signal); /* it may have been killed */
    }
    t.killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
    t.hung = WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM;
    t.exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : t.killed ? 0 : 128 + WTERMSIG(status);
    return t;
}

#else

static inline traced trace(void (*body)(void *), void *argument, const plan *p)
{
    (void)body, (void)argument, (void)p;
    return (traced){.exit_code = CANNOT_TRACE};
}

#endif

static inline void nothing(void *unused)
{
    (void)unused;
}

/* Whether this machine lets a program trace its own children, and the calls are known. */
static inline bool can_trace(void)
{
    plan p = {0};
    traced t = trace(nothing, NULL, &p);
    CHECK(t.exit_code == 0 || t.exit_code == CANNOT_TRACE);
    return t.exit_code == 0;
}

/* Memory that a child shares with the test: what a traced operation came to. */
static inline void *shared_memory(size_t size)
{
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    return memory;
}

#endif
