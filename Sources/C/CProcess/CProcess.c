#define _GNU_SOURCE
#include "CProcess.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

/// The bytes as a file that has no name; -1 where there is no room for it.
static int unnamed_file(const unsigned char *bytes, size_t count) {
#ifdef __linux__
    int file = memfd_create("document", MFD_CLOEXEC);
#else
    FILE *stream = tmpfile();
    int file = stream == NULL ? -1 : fcntl(fileno(stream), F_DUPFD_CLOEXEC, 3);
    if (stream != NULL) fclose(stream);
#endif
    while (file >= 0 && count > 0) {
        ssize_t written = write(file, bytes, count);
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) {
            close(file);
            return -1;
        }
        bytes += written;
        count -= (size_t)written;
    }
    if (file >= 0) lseek(file, 0, SEEK_SET);
    return file;
}

static void limit(int resource, rlim_t most) {
    struct rlimit both = {.rlim_cur = most, .rlim_max = most};
    setrlimit(resource, &both);
}

/// Between fork and exec: only what is safe there, so no allocation and no lock.
static _Noreturn void become(
    const char *path, char *const *arguments, int input, int output, int errors,
    cprocess_limits limits
) {
    static char *const environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C.UTF-8", "HOME=/", NULL};
    setpgid(0, 0);
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
#endif
    struct sigaction standard = {.sa_handler = SIG_DFL};
    for (int number = 1; number < NSIG; number++) sigaction(number, &standard, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    if (dup2(input, 0) < 0 || dup2(output, 1) < 0 || dup2(errors, 2) < 0) _exit(126);
    int closed = -1;
#if defined(__linux__) && defined(SYS_close_range)
    closed = (int)syscall(SYS_close_range, 3u, ~0u, 0u);
#endif
    for (int file = 3; closed != 0 && file < 4096; file++) close(file);

    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_NOFILE, 64);
    // A second apart, or Linux sends SIGKILL and nobody learns why it ended.
    struct rlimit seconds = {
        .rlim_cur = limits.cpu_seconds_max, .rlim_max = limits.cpu_seconds_max + 1};
    setrlimit(RLIMIT_CPU, &seconds);
    limit(RLIMIT_AS, limits.memory_bytes_max);
    nice(10);
    execve(path, arguments, environment);
    _exit(127);
}

int cprocess_start(
    const char *path, char *const *arguments, const void *input, size_t count,
    cprocess_limits limits, cprocess_child *child
) {
    int file = unnamed_file(input, count);
    if (file < 0) return errno != 0 ? errno : EIO;
    int errors = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int pipes[2];
#ifdef __linux__
    int piped = errors < 0 ? -1 : pipe2(pipes, O_CLOEXEC);
#else
    int piped = errors < 0 ? -1 : pipe(pipes);
#endif
    if (errors < 0 || piped != 0) {
        int reason = errno;
        close(file);
        if (errors >= 0) close(errors);
        return reason;
    }
    // Ends below 3 would be in the way of the child's own.
    int reading = fcntl(pipes[0], F_DUPFD_CLOEXEC, 3);
    int writing = fcntl(pipes[1], F_DUPFD_CLOEXEC, 3);
    close(pipes[0]);
    close(pipes[1]);
    pid_t pid = reading < 0 || writing < 0 ? -1 : fork();
    int reason = errno;
    if (pid == 0) become(path, arguments, file, writing, errors, limits);
    close(file);
    close(errors);
    if (writing >= 0) close(writing);
    if (pid < 0) {
        if (reading >= 0) close(reading);
        return reason != 0 ? reason : EAGAIN;
    }
    setpgid(pid, pid);
    fcntl(reading, F_SETFL, fcntl(reading, F_GETFL) | O_NONBLOCK);
    child->pid = pid;
    child->output = reading;
    return 0;
}

int cprocess_end(cprocess_child child, int milliseconds) {
    close(child.output);
    // Looked at without being reaped: until then nobody else gets its number.
    siginfo_t state = {0};
    for (int waited = 0; waited < milliseconds; waited += 2) {
        if (waitid(P_PID, (id_t)child.pid, &state, WEXITED | WNOHANG | WNOWAIT) != 0) break;
        if (state.si_pid != 0) break;
        usleep(2000);
    }
    kill(-child.pid, SIGKILL);
    int status = -1;
    while (waitpid(child.pid, &status, 0) < 0) {
        if (errno != EINTR) return -1;
    }
    return status;
}

long cprocess_read(cprocess_child child, unsigned char *bytes, size_t count, int milliseconds) {
    struct pollfd waiting = {.fd = child.output, .events = POLLIN};
    int ready = poll(&waiting, 1, milliseconds);
    if (ready == 0 || (ready < 0 && errno == EINTR)) return -2;
    if (ready < 0) return -1;
    ssize_t got = read(child.output, bytes, count);
    if (got < 0) return errno == EAGAIN || errno == EINTR ? -2 : -1;
    return (long)got;
}
