/* A disk that refuses: preloaded into a process, it answers every write below REFUSING_FOLDER with the error number that
 * the file REFUSING_SWITCH holds, for as long as there is one. As the kernel does when it turns a file system read-only by
 * force: files that are open stay open, and what is there can be read. A negative number: the answer does not come. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, name))

static int switched(const char *name) {
    int number = 0, file = REAL("open", int (*)(const char *, int, ...))(name, O_RDONLY);
    if (file >= 0) {
        char text[16] = "";
        if (read(file, text, sizeof text - 1) > 0) number = atoi(text);
        close(file);
    }
    return number;
}

static int refused(const char *path) {
    const char *folder = getenv("REFUSING_FOLDER"), *name = getenv("REFUSING_SWITCH");
    if (folder == NULL || name == NULL || strncmp(path, folder, strlen(folder)) != 0) return 0;
    int was = errno, number;
    while ((number = switched(name)) < 0) usleep(20000);
    errno = was;
    return number;
}

static int refused_file(int file) {
    char name[32], path[4096];
    snprintf(name, sizeof name, "/proc/self/fd/%d", file);
    ssize_t length = readlink(name, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return refused(path);
}

#define ANSWER(number)          \
    do {                        \
        int error = (number);   \
        if (error) {            \
            errno = error;      \
            return -1;          \
        }                       \
    } while (0)

#define OPEN(name)                                                                          \
    int name(const char *path, int flags, ...) {                                            \
        va_list more;                                                                       \
        va_start(more, flags);                                                              \
        mode_t mode = va_arg(more, mode_t);                                                 \
        va_end(more);                                                                       \
        if (flags & (O_WRONLY | O_RDWR | O_CREAT)) ANSWER(refused(path));                   \
        return REAL(#name, int (*)(const char *, int, ...))(path, flags, mode);             \
    }
OPEN(open)
OPEN(open64)

#define OPENAT(name)                                                                        \
    int name(int folder, const char *path, int flags, ...) {                                \
        va_list more;                                                                       \
        va_start(more, flags);                                                              \
        mode_t mode = va_arg(more, mode_t);                                                 \
        va_end(more);                                                                       \
        if (flags & (O_WRONLY | O_RDWR | O_CREAT)) ANSWER(refused(path));                   \
        return REAL(#name, int (*)(int, const char *, int, ...))(folder, path, flags, mode); \
    }
OPENAT(openat)
OPENAT(openat64)

ssize_t write(int file, const void *bytes, size_t count) {
    ANSWER(refused_file(file));
    return REAL("write", ssize_t (*)(int, const void *, size_t))(file, bytes, count);
}

#define PWRITE(name)                                                                        \
    ssize_t name(int file, const void *bytes, size_t count, off_t at) {                     \
        ANSWER(refused_file(file));                                                         \
        return REAL(#name, ssize_t (*)(int, const void *, size_t, off_t))(file, bytes, count, at); \
    }
PWRITE(pwrite)
PWRITE(pwrite64)

#define TRUNCATE(name)                                                                      \
    int name(int file, off_t length) {                                                      \
        ANSWER(refused_file(file));                                                         \
        return REAL(#name, int (*)(int, off_t))(file, length);                              \
    }
TRUNCATE(ftruncate)
TRUNCATE(ftruncate64)

int unlink(const char *path) {
    ANSWER(refused(path));
    return REAL("unlink", int (*)(const char *))(path);
}

int rename(const char *from, const char *to) {
    ANSWER(refused(from));
    return REAL("rename", int (*)(const char *, const char *))(from, to);
}
