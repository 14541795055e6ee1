/* An allocator that runs out of memory when a test wants it to.
 *
 * A program that includes this defines malloc and its kin for itself and for all that it is linked
 * with: the library with SQLite and zstd in it, and the C library. They pass on to glibc's own, but
 * for the calls that are to fail. Memory that is not given back is counted. Include it in one file
 * of a program, after check.h.
 */
#ifndef ALLOCATIONS_H
#define ALLOCATIONS_H

#include "check.h"

#include <execinfo.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *memory, size_t size);
void *__libc_memalign(size_t alignment, size_t size);
void __libc_free(void *memory);

/* Who has asked for memory: what a process that dies of it can leave to another. */
typedef struct memory_place {
    void *stack[24];
    int depth;
} memory_place;

static struct {
    atomic_bool on;       /* calls are counted, and one of them fails */
    atomic_long calls;    /* since it was switched on */
    atomic_long refused;  /* of these */
    long fails_at;        /* the number of the first call that fails; 0: none */
    bool for_ever;        /* and so do all after it */
    atomic_long blocks, bytes; /* asked for and not given back since then, but for the test's own */
    memory_place *place;  /* where it was that the first failed */
} memory;

/* How far out this thread is in the test's own code, for which there is always memory. */
static _Thread_local int memory_is_mine;

static bool memory_counts(void)
{
    return atomic_load(&memory.on) && memory_is_mine == 0;
}

static bool memory_refuses(void)
{
    if (!memory_counts()) {
        return false;
    }
    long call = atomic_fetch_add(&memory.calls, 1) + 1;
    if (memory.fails_at == 0 || call < memory.fails_at || (call > memory.fails_at && !memory.for_ever)) {
        return false;
    }
    if (atomic_fetch_add(&memory.refused, 1) == 0) {
        memory_is_mine++;
        memory.place->depth = backtrace(memory.place->stack, sizeof memory.place->stack / sizeof memory.place->stack[0]);
        memory_is_mine--;
    }
    errno = ENOMEM;
    return true;
}

static void *memory_given(void *block)
{
    if (block != NULL && memory_counts()) {
        atomic_fetch_add(&memory.blocks, 1);
        atomic_fetch_add(&memory.bytes, (long)malloc_usable_size(block));
    }
    return block;
}

static void memory_taken_back(void *block)
{
    if (block != NULL && memory_counts()) {
        atomic_fetch_sub(&memory.blocks, 1);
        atomic_fetch_sub(&memory.bytes, (long)malloc_usable_size(block));
    }
}

void *malloc(size_t size)
{
    return memory_refuses() ? NULL : memory_given(__libc_malloc(size));
}

void *calloc(size_t count, size_t size)
{
    return memory_refuses() ? NULL : memory_given(__libc_calloc(count, size));
}

void *realloc(void *block, size_t size)
{
    if (memory_refuses()) {
        return NULL;
    }
    memory_taken_back(block);
    void *moved = __libc_realloc(block, size);
    return memory_given(moved != NULL || size == 0 ? moved : block); /* where it fails the block stays */
}

void *memalign(size_t alignment, size_t size)
{
    return memory_refuses() ? NULL : memory_given(__libc_memalign(alignment, size));
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

int posix_memalign(void **block, size_t alignment, size_t size)
{
    void *given = memalign(alignment, size);
    if (given == NULL) {
        return ENOMEM;
    }
    *block = given;
    return 0;
}

void free(void *block)
{
    memory_taken_back(block);
    __libc_free(block);
}

/* Not the mappings of glibc itself: stacks, and what is behind a large malloc, which is counted
 * above. */
void *mmap64(void *address, size_t length, int protection, int flags, int fd, off64_t offset)
{
    if (memory_refuses()) {
        return MAP_FAILED;
    }
    return (void *)syscall(SYS_mmap, address, length, protection, flags, fd, offset);
}

/* From here on calls are counted; the one of the number `fails_at` fails, 0: none. */
static inline void memory_fails(long fails_at, bool for_ever, memory_place *place)
{
    memory.place = place;
    atomic_store(&memory.calls, 0);
    atomic_store(&memory.refused, 0);
    atomic_store(&memory.blocks, 0);
    atomic_store(&memory.bytes, 0);
    memory.fails_at = fails_at;
    memory.for_ever = for_ever;
    atomic_store(&memory.on, true);
}

/* From here on there is memory again. */
static inline void memory_suffices(void)
{
    atomic_store(&memory.on, false);
}

#endif
