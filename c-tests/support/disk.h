/* File systems of a test's own: mounted where nobody else sees them, and gone with the process that
 * mounted them. For a child of in_child(): however it ends, nothing stays mounted. */
#ifndef DISK_H
#define DISK_H

#include "tree.h"

#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>

/* From here on mounts are this process's and its children's alone. */
static inline bool own_mounts(void)
{
    return unshare(CLONE_NEWNS) == 0 && mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
}

static inline bool mount_tmpfs(const char *where, const char *options)
{
    make_dir(where);
    return own_mounts() && mount("tmpfs", where, "tmpfs", 0, options) == 0;
}

/* A block device whose blocks are those of a file, gone when nobody has it open or mounted any
 * more. Gives its descriptor and its path; -1 where there is none to be had. */
static inline int loop_device(const char *image, char path[32])
{
    struct loop_info64 info = {.lo_flags = LO_FLAGS_AUTOCLEAR};
    int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC), file = open(image, O_RDWR | O_CLOEXEC), device = -1;
    for (int tries = 0; control >= 0 && file >= 0 && device < 0 && tries < 100; tries++) {
        int number = ioctl(control, LOOP_CTL_GET_FREE);
        snprintf(path, 32, "/dev/loop%d", number);
        device = number < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
        if (device >= 0 && ioctl(device, LOOP_SET_FD, file) != 0) {
            close(device); /* another was faster */
            device = -1;
        }
    }
    if (device >= 0) {
        CHECK(ioctl(device, LOOP_SET_STATUS64, &info) == 0);
    }
    int error = errno; /* for a skip to tell */
    close(control);
    close(file);
    errno = error;
    return device;
}

/* Makes a file system in the file `image` by a command that takes its name; false where that does
 * not work. */
static inline bool make_image(const char *make)
{
    char command[128];
    CHECK(truncate("image", 0) == 0 || errno == ENOENT);
    snprintf(command, sizeof command, "truncate -s 320M image && %s image >/dev/null 2>&1", make);
    return system(command) == 0;
}

/* Mounts the file system in an image, by the kernel's own driver; false, with errno, where it has
 * none. */
static inline bool mount_image(const char *image, const char *where, const char *type, const char *options)
{
    char path[32];
    int device = loop_device(image, path);
    bool mounted = device >= 0 && mount(path, where, type, 0, options) == 0;
    int error = errno;
    close(device); /* a mount keeps it */
    errno = error;
    return mounted;
}

/* Mounts it by a program that serves it in user space, as `server -d device where` does; gives the
 * program's process, -1 where it does not work. It has to outlive the mount, or whoever ends last
 * waits for it for ever. */
static inline pid_t mount_image_by(const char *server, const char *image, const char *where)
{
    char path[32];
    struct stat before, after;
    int device = loop_device(image, path);
    CHECK(stat(where, &before) == 0);
    pid_t pid = device < 0 ? -1 : fork();
    if (pid == 0) {
        int nowhere = open("/dev/null", O_RDWR);
        setsid(); /* who ends the test at its time limit spares it */
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
        execlp(server, server, "-d", path, where, NULL);
        _exit(127);
    }
    while (pid > 0 && stat(where, &after) == 0 && after.st_dev == before.st_dev) {
        if (waitpid(pid, NULL, WNOHANG) == pid) {
            pid = -1;
        }
        sleep_ms(5);
    }
    close(device);
    return pid;
}

#endif
