/* portable.h on POSIX. */
#ifndef POSIX_SYSTEM_H
#define POSIX_SYSTEM_H

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* -- files ----------------------------------------------------------------------------------------------- */

static inline FILE *open_file(const char *path, const char *mode)
{
    return fopen(path, mode);
}

static inline bool remove_file(const char *path)
{
    return unlink(path) == 0;
}

/* Gives true where the folder was there already. */
static inline bool make_folder(const char *path)
{
    return mkdir(path, 0755) == 0 || errno == EEXIST;
}

/* Gives true where there is no such folder. */
static inline bool remove_folder(const char *path)
{
    return rmdir(path) == 0 || errno == ENOENT;
}

static inline bool facts_of(const char *path, file_facts *facts)
{
    struct stat st;
    *facts = (file_facts){0};
    if (lstat(path, &st) != 0) {
        return false;
    }
    facts->kind = S_ISREG(st.st_mode) ? A_FILE : S_ISDIR(st.st_mode) ? A_FOLDER : A_SPECIAL;
    facts->size = st.st_size;
    facts->seconds = st.st_mtim.tv_sec;
    facts->nanoseconds = st.st_mtim.tv_nsec;
    return true;
}

static inline bool set_modified_time(const char *path, int64_t seconds, long nanoseconds)
{
    struct timespec times[2] = {{0, UTIME_OMIT}, {(time_t)seconds, nanoseconds}};
    return utimensat(AT_FDCWD, path, times, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline bool set_read_only(const char *path, bool read_only)
{
    return chmod(path, read_only ? 0400 : 0600) == 0;
}

/* Whether nobody but its owner can read a file. */
static inline bool is_private(const char *path)
{
    struct stat st;
    return stat(path, &st) == 0 && (st.st_mode & 077) == 0;
}

typedef struct folder_reader {
    DIR *directory;
} folder_reader;

static inline bool open_folder(folder_reader *reader, const char *path)
{
    reader->directory = opendir(path);
    return reader->directory != NULL;
}

static inline const char *next_in_folder(folder_reader *reader)
{
    struct dirent *entry = readdir(reader->directory);
    return entry == NULL ? NULL : entry->d_name;
}

static inline void close_folder(folder_reader *reader)
{
    if (reader->directory != NULL) {
        closedir(reader->directory);
    }
}

static inline int remove_visited(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    if (ftw->level > 0 && remove(path) != 0) {
        return -1;
    }
    return 0;
}

/* Empties a folder, whatever a test has left in it. */
static inline void empty_folder(const char *path)
{
    nftw(path, remove_visited, 16, FTW_DEPTH | FTW_PHYS);
}

/* The whole path of what exists, in a buffer of PATH_MAX. */
static inline bool whole_path(const char *path, char *whole)
{
    return realpath(path, whole) != NULL;
}

/* A path in the system's own units, as a BINARY property has it; gives its size. */
static inline size_t system_units(const char *path, uint8_t *units, size_t room)
{
    size_t size = strlen(path);
    memcpy(units, path, size < room ? size : room);
    return size < room ? size : room;
}

/* -- the working folder ---------------------------------------------------------------------------------- */

static inline bool enter_folder(const char *path)
{
    return chdir(path) == 0;
}

/* Makes an empty folder for a program, and says where. */
static inline bool make_new_folder(char *path, size_t size, const char *program)
{
    const char *parent = getenv("TMPDIR");
    int length = snprintf(path, size, "%s/licbak-%s-XXXXXX",
                          parent != NULL && parent[0] != '\0' ? parent : "/tmp", program);
    return length > 0 && (size_t)length < size && mkdtemp(path) != NULL;
}

/* Leaves the folder, so that it can be removed. */
static inline bool leave_folder(const char *path)
{
    (void)path;
    return chdir("/") == 0;
}

/* -- processes ------------------------------------------------------------------------------------------- */

typedef pid_t process;

static inline long process_number(void)
{
    return getpid();
}

/* Runs this program once more, in the working folder, with these arguments (ASCII without blanks;
 * NULL ends them); by the command in LICBAK_RUNNER, if the system can't run it by itself. */
static inline bool start_self(process *started, const char *const *arguments)
{
    char self[PATH_MAX] = "", runner[256] = "", *list[24];
    int count = 0;
    if (getenv("LICBAK_RUNNER") != NULL) {
        snprintf(runner, sizeof runner, "%s", getenv("LICBAK_RUNNER"));
    }
    for (char *word = strtok(runner, " "); word != NULL && count < 8; word = strtok(NULL, " ")) {
        list[count++] = word;
    }
    list[count++] = self;
    for (int i = 0; i < 14 && arguments[i] != NULL; i++) {
        list[count++] = (char *)arguments[i];
    }
    list[count] = NULL;
    if (readlink("/proc/self/exe", self, sizeof self - 1) < 0) {
        return false;
    }
    fflush(NULL);
    *started = fork();
    if (*started == 0) {
        execvp(list[0], list);
        _exit(127);
    }
    return *started > 0;
}

/* Waits for its end, and gives its exit status; -1 for one that was killed. */
static inline int wait_process(process waited)
{
    int status = 0;
    while (waitpid(waited, &status, 0) < 0 && errno == EINTR) {
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static inline bool kill_process(process killed)
{
    return kill(killed, SIGKILL) == 0;
}

/* Ends this process if it still runs then. */
static inline void die_after(unsigned seconds)
{
    alarm(seconds);
}

/* How many entries a folder has that the system makes; 0 where it makes none. */
static inline long count_entries(const char *path)
{
    DIR *directory = opendir(path);
    long count = 0;
    while (directory != NULL && readdir(directory) != NULL) {
        count++;
    }
    if (directory != NULL) {
        closedir(directory);
    }
    return count;
}

/* What this process has open, in files and other objects of the system. */
static inline long open_handles(void)
{
    return count_entries("/proc/self/fd");
}

static inline long running_threads(void)
{
    return count_entries("/proc/self/task");
}

/* -- threads --------------------------------------------------------------------------------------------- */

typedef pthread_t thread;
typedef sem_t semaphore;

static inline bool start_thread(thread *started, void *(*body)(void *), void *argument)
{
    return pthread_create(started, NULL, body, argument) == 0;
}

static inline bool join_thread(thread joined)
{
    return pthread_join(joined, NULL) == 0;
}

/* Lets a thread end by itself. */
static inline bool detach_thread(thread detached)
{
    return pthread_detach(detached) == 0;
}

typedef pthread_t thread_number;

static inline thread_number this_thread(void)
{
    return pthread_self();
}

static inline bool same_thread(thread_number left, thread_number right)
{
    return pthread_equal(left, right) != 0;
}

static inline bool make_semaphore(semaphore *made)
{
    return sem_init(made, 0, 0) == 0;
}

static inline bool post_semaphore(semaphore *posted)
{
    return sem_post(posted) == 0;
}

static inline bool wait_semaphore(semaphore *waited)
{
    int result;
    while ((result = sem_wait(waited)) != 0 && errno == EINTR) {
    }
    return result == 0;
}

static inline void sleep_ms(unsigned milliseconds)
{
    struct timespec t = {milliseconds / 1000, (long)(milliseconds % 1000) * 1000000};
    nanosleep(&t, NULL);
}

/* Whether a descriptor of licbak_get_wait_descriptor becomes ready in that time. */
static inline bool becomes_ready(ptrdiff_t descriptor, int timeout_ms)
{
    struct pollfd polled = {(int)descriptor, POLLIN, 0};
    return poll(&polled, 1, timeout_ms) == 1;
}

#endif
