/* SPDX-License-Identifier: MIT */
/* Small helpers shared by the peer benchmark programs: options, pinning,
 * a listening socket.  Every server takes the same options:
 *   -p PORT   listen on 127.0.0.1:PORT (default 7000)
 *   -c CPU    pin to this core (default 0; -1 = do not pin)
 *   -t N      number of threads, each with SO_REUSEPORT (where supported)
 *   -b BYTES  read buffer size (default 65536)
 *   -n COUNT  number of provided buffers (io_uring only)
 *   -x WORD   variant switches, server-specific (comma separated)
 */
#ifndef PEERS_COMMON_H
#define PEERS_COMMON_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

struct opts {
    int port, cpu, threads, bufsize, nbufs;
    const char *variant;
};

static inline void die(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static inline void pin(int cpu)
{
    if (cpu < 0)
        return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    if (sched_setaffinity(0, sizeof set, &set))
        die("sched_setaffinity");
}

static inline void raise_nofile(void)
{
    struct rlimit r;
    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        setrlimit(RLIMIT_NOFILE, &r);
    }
}

static inline struct opts parse_opts(int argc, char **argv)
{
    struct opts o = {.port = 7000, .cpu = 0, .threads = 1, .bufsize = 65536,
                     .nbufs = 1024, .variant = ""};
    int ch;
    while ((ch = getopt(argc, argv, "p:c:t:b:n:x:")) != -1) {
        switch (ch) {
        case 'p': o.port = atoi(optarg); break;
        case 'c': o.cpu = atoi(optarg); break;
        case 't': o.threads = atoi(optarg); break;
        case 'b': o.bufsize = atoi(optarg); break;
        case 'n': o.nbufs = atoi(optarg); break;
        case 'x': o.variant = optarg; break;
        default: exit(2);
        }
    }
    signal(SIGPIPE, SIG_IGN);
    raise_nofile();
    return o;
}

static inline int has(const struct opts *o, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = o->variant; (p = strstr(p, word)); p += n)
        if ((p == o->variant || p[-1] == ',') && (p[n] == 0 || p[n] == ','))
            return 1;
    return 0;
}

static inline int listen_tcp(int port, int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    if (fd < 0)
        die("socket");
    int one = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    /* accepted sockets inherit this */
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in a;
    memset(&a, 0, sizeof a);
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (bind(fd, (struct sockaddr *)&a, sizeof a))
        die("bind");
    if (listen(fd, 8192))
        die("listen");
    return fd;
}

static inline uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + t.tv_nsec;
}
#endif
