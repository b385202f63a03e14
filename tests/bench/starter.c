/* Start a program, wait for it, and print its wall time and processor time in microseconds, its peak
 * memory in KiB and its exit code: starter PROGRAM ARGUMENTS... Static and small, because the peak
 * memory of a child is never reported below that of the process which started it (getrusage(2)). */
#include <fcntl.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static long long now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000LL + now.tv_nsec / 1000;
}

static long long us(struct timeval part) { return part.tv_sec * 1000000LL + part.tv_usec; }

int main(int count, char **words) {
    if (count < 2)
        return 64;
    int null = open("/dev/null", O_RDWR);
    long long began = now_us();
    pid_t child = vfork();
    if (child == 0) {
        for (int number = 0; number < 3; number++)
            dup2(null, number);
        execvp(words[1], words + 1);
        _exit(127);
    }
    int status;
    struct rusage used;
    if (child < 0 || wait4(child, &status, 0, &used) != child)
        return 71;
    long long took = now_us() - began;
    printf("%lld %lld %ld %d\n", took, us(used.ru_utime) + us(used.ru_stime), used.ru_maxrss,
           WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    return 0;
}
