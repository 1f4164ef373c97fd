#pragma once

#include <stddef.h>
#include <sys/types.h>

/// What a child process may use.
typedef struct {
    unsigned long cpu_seconds_max;
    unsigned long memory_bytes_max;
} cprocess_limits;

typedef struct {
    pid_t pid;
    /// Where the child's output is read, without blocking. The caller closes it.
    int output;
} cprocess_child;

/// Starts the program at `path`, an absolute path, in a process group of its own, with `input` as its
/// standard input, a pipe as its standard output, no other files, an environment of our making, and
/// the limits. It writes no files and leaves no core. Returns 0, or the number of the system's error.
int cprocess_start(
    const char *path, char *const *arguments, const void *input, size_t count,
    cprocess_limits limits, cprocess_child *child);

/// Gives the child so long to end by itself, then ends it and all it has started. Returns what
/// `waitpid` says of it, or -1.
int cprocess_end(cprocess_child child, int milliseconds);

/// Waits up to `milliseconds` for output. Returns how many bytes were read, 0 at the end, -1 on an
/// error, -2 where nothing came in time.
long cprocess_read(cprocess_child child, unsigned char *bytes, size_t count, int milliseconds);
