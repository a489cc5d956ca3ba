/* Faults for the reliability tests, preloaded into the real program: the program knows nothing of it.
 *
 *     cc -shared -fPIC -O1 -o shim.so shim.c -ldl
 *     LD_PRELOAD=shim.so FAULT_DIR=/some/run FAULT_COUNTS=counts FAULT_KIND=write FAULT_AT=3 FAULT_DO=ENOSPC distill …
 *
 * It counts the calls that change files below FAULT_DIR (and those that open or read files there), by kind, and at
 * the FAULT_AT-th call of FAULT_KIND (counted from 1) does what FAULT_DO says:
 *
 *     ENOSPC, EIO, EACCES, ENOSYS, ENOTSUP, ENOLCK
 *                              the call fails with this error; with FAULT_STICKY=1 so do all later ones of the kind
 *     swap, rewrite            before the call, the file FAULT_WITH takes the place of the one that the call is about,
 *                              or its content that of what is in it; the call itself succeeds
 *     before, middle, after    the process is killed by SIGKILL: before the call, after half of a write, after the call
 *
 * Kinds: write (write, writev, pwrite), fsync (fsync, fdatasync), rename, open (for writing), read_open (for reading),
 * read, mkdir, remove (unlink, rmdir), truncate, flock, and change: all that change files (write, fsync, rename, open,
 * mkdir, remove, truncate) in one count.
 *
 * FAULT_COUNTS names a file of KINDS 64-bit numbers, the calls so far, then one more that is 1 once the fault has
 * happened, then the path of the file that it happened to. It is mapped, so that it is right however the process ends. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { WRITE, FSYNC, RENAME, OPEN, READ_OPEN, READ, MKDIR, REMOVE, TRUNCATE, CHANGE, FLOCK, KINDS };
static const char *const NAMES[KINDS] = {"write", "fsync",  "rename",   "open",  "read_open",
                                         "read",  "mkdir", "remove", "truncate", "change", "flock"};
static const struct {
    const char *name;
    int number;
} ERRORS[] = {{"ENOSPC", ENOSPC}, {"EIO", EIO},         {"EACCES", EACCES},
              {"ENOSYS", ENOSYS}, {"ENOTSUP", ENOTSUP}, {"ENOLCK", ENOLCK}};
enum action { NOTHING, FAIL, BEFORE, MIDDLE, AFTER, SWAP, REWRITE };

static char directory[PATH_MAX];
static size_t directory_length;
static int armed_kind = -1, sticky, failure;
static uint64_t armed_at;
static const char *instead;
static enum action armed;
static volatile uint64_t *counts;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static void die(void) {
    syscall(SYS_kill, syscall(SYS_getpid), SIGKILL);
    for (;;) pause();
}

__attribute__((constructor)) static void start(void) {
    const char *below = getenv("FAULT_DIR"), *file = getenv("FAULT_COUNTS"), *kind = getenv("FAULT_KIND");
    const char *at = getenv("FAULT_AT"), *what = getenv("FAULT_DO");
    if (!below || !realpath(below, directory)) return;
    directory_length = strlen(directory);
    if (file) {
        int fd = (int)syscall(SYS_openat, AT_FDCWD, file, O_RDWR | O_CREAT, 0644);
        if (fd >= 0 && syscall(SYS_ftruncate, fd, 8192) == 0) {
            void *map = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            if (map != MAP_FAILED) counts = map;
        }
        if (fd >= 0) syscall(SYS_close, fd);
    }
    if (!counts || !kind || !at || !what) return;
    for (int i = 0; i < KINDS; i++)
        if (!strcmp(kind, NAMES[i])) armed_kind = i;
    armed_at = strtoull(at, NULL, 10);
    sticky = getenv("FAULT_STICKY") != NULL;
    for (size_t i = 0; i < sizeof ERRORS / sizeof *ERRORS; i++)
        if (!strcmp(what, ERRORS[i].name)) failure = ERRORS[i].number;
    instead = getenv("FAULT_WITH");
    armed = failure                  ? FAIL
            : !strcmp(what, "swap")   ? SWAP
            : !strcmp(what, "rewrite") ? REWRITE
            : !strcmp(what, "before") ? BEFORE
            : !strcmp(what, "middle") ? MIDDLE
            : !strcmp(what, "after")  ? AFTER
                                      : NOTHING;
}

/* What to do about a call of this kind on this path. */
static enum action count_one(int kind, const char *path) {
    uint64_t nth = __atomic_add_fetch(&counts[kind], 1, __ATOMIC_SEQ_CST);
    if (kind != armed_kind || (sticky && armed == FAIL ? nth < armed_at : nth != armed_at)) return NOTHING;
    if (!counts[KINDS]) {
        strncpy((char *)(counts + KINDS + 1), path, PATH_MAX - 1);
        counts[KINDS] = 1;
    }
    return armed;
}

/* Another file takes the name, or its content takes the place of what is in the file. */
static void change(const char *path, enum action how) {
    if (!instead) die();
    if (how == SWAP) {
        if (syscall(SYS_renameat2, AT_FDCWD, instead, AT_FDCWD, path, 0)) die();
        return;
    }
    char bytes[65536];
    int from = (int)syscall(SYS_openat, AT_FDCWD, instead, O_RDONLY);
    int to = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_TRUNC);
    for (long length; (length = syscall(SYS_read, from, bytes, sizeof bytes)) > 0;)
        if (syscall(SYS_write, to, bytes, length) != length) die();
    if (from < 0 || to < 0) die();
    syscall(SYS_close, from);
    syscall(SYS_close, to);
}

static enum action count(int kind, const char *path) {
    if (!counts || !directory_length) return NOTHING;
    if (strncmp(path, directory, directory_length) || (path[directory_length] && path[directory_length] != '/'))
        return NOTHING;
    enum action one = count_one(kind, path);
    enum action any = kind == READ_OPEN || kind == READ || kind == FLOCK ? NOTHING : count_one(CHANGE, path);
    enum action found = one != NOTHING ? one : any;
    if (found == BEFORE) die();
    if (found == SWAP || found == REWRITE) {
        change(path, found);
        return NOTHING;
    }
    return found;
}

static enum action count_fd(int kind, int fd) {
    char link[64], path[PATH_MAX];
    if (!counts || fd <= 2) return NOTHING;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0 || path[0] != '/') return NOTHING;
    path[length] = 0;
    return count(kind, path);
}

static enum action count_at(int kind, int at, const char *name) {
    char path[PATH_MAX * 2], link[64];
    if (!counts) return NOTHING;
    if (name[0] == '/') return count(kind, name);
    if (at == AT_FDCWD) {
        if (!getcwd(path, PATH_MAX)) return NOTHING;
    } else {
        snprintf(link, sizeof link, "/proc/self/fd/%d", at);
        ssize_t length = readlink(link, path, PATH_MAX - 1);
        if (length <= 0) return NOTHING;
        path[length] = 0;
    }
    if (strcmp(name, ".")) {
        strcat(path, "/");
        strncat(path, name, PATH_MAX - 1);
    }
    return count(kind, path);
}

#define AROUND(found, call)                                                                                            \
    do {                                                                                                               \
        enum action what_ = (found);                                                                                   \
        if (what_ == FAIL) {                                                                                           \
            errno = failure;                                                                                           \
            return -1;                                                                                                 \
        }                                                                                                              \
        __auto_type result_ = (call);                                                                                  \
        if (what_ != NOTHING) die();                                                                                   \
        return result_;                                                                                                \
    } while (0)

ssize_t write(int fd, const void *bytes, size_t length) {
    enum action found = count_fd(WRITE, fd);
    AROUND(found, REAL(write)(fd, bytes, found == MIDDLE ? length / 2 : length));
}

ssize_t writev(int fd, const struct iovec *parts, int count_) {
    enum action found = count_fd(WRITE, fd);
    AROUND(found, REAL(writev)(fd, parts, found == MIDDLE ? (count_ + 1) / 2 : count_));
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t at) {
    enum action found = count_fd(WRITE, fd);
    AROUND(found, REAL(pwrite64)(fd, bytes, found == MIDDLE ? length / 2 : length, at));
}

ssize_t read(int fd, void *bytes, size_t length) { AROUND(count_fd(READ, fd), REAL(read)(fd, bytes, length)); }

ssize_t pread64(int fd, void *bytes, size_t length, off64_t at) {
    AROUND(count_fd(READ, fd), REAL(pread64)(fd, bytes, length, at));
}

int fsync(int fd) { AROUND(count_fd(FSYNC, fd), REAL(fsync)(fd)); }

int fdatasync(int fd) { AROUND(count_fd(FSYNC, fd), REAL(fdatasync)(fd)); }

int ftruncate64(int fd, off64_t length) { AROUND(count_fd(TRUNCATE, fd), REAL(ftruncate64)(fd, length)); }

int rename(const char *from, const char *to) { AROUND(count_at(RENAME, AT_FDCWD, to), REAL(rename)(from, to)); }

int renameat(int at, const char *from, int to_at, const char *to) {
    AROUND(count_at(RENAME, to_at, to), REAL(renameat)(at, from, to_at, to));
}

int renameat2(int at, const char *from, int to_at, const char *to, unsigned flags) {
    AROUND(count_at(RENAME, to_at, to), REAL(renameat2)(at, from, to_at, to, flags));
}

int flock(int fd, int operation) { AROUND(count_fd(FLOCK, fd), REAL(flock)(fd, operation)); }

int mkdir(const char *path, mode_t mode) { AROUND(count_at(MKDIR, AT_FDCWD, path), REAL(mkdir)(path, mode)); }

int unlink(const char *path) { AROUND(count_at(REMOVE, AT_FDCWD, path), REAL(unlink)(path)); }

int unlinkat(int at, const char *path, int flags) {
    AROUND(count_at(REMOVE, at, path), REAL(unlinkat)(at, path, flags));
}

int rmdir(const char *path) { AROUND(count_at(REMOVE, AT_FDCWD, path), REAL(rmdir)(path)); }

static int kind_of_open(int flags) {
    return (flags & O_ACCMODE) != O_RDONLY || (flags & (O_CREAT | O_TRUNC)) ? OPEN : READ_OPEN;
}

#define OPEN_FUNCTION(name)                                                                                            \
    int name(const char *path, int flags, ...) {                                                                       \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                      \
        va_end(rest);                                                                                                  \
        AROUND(count_at(kind_of_open(flags), AT_FDCWD, path), REAL(name)(path, flags, mode));                          \
    }
OPEN_FUNCTION(open)
OPEN_FUNCTION(open64)

#define OPENAT_FUNCTION(name)                                                                                          \
    int name(int at, const char *path, int flags, ...) {                                                               \
        va_list rest;                                                                                                  \
        va_start(rest, flags);                                                                                         \
        mode_t mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                      \
        va_end(rest);                                                                                                  \
        AROUND(count_at(kind_of_open(flags), at, path), REAL(name)(at, path, flags, mode));                            \
    }
OPENAT_FUNCTION(openat)
OPENAT_FUNCTION(openat64)
