/* SPDX-License-Identifier: MIT */
/* What this machine charges for the primitives: the floor under every server.
 * One thread on one core unless said otherwise; prints name and ns. */
#include "common.h"
#include <liburing.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>

static void show(const char *n, uint64_t t0, uint64_t ops)
{
    printf("%-44s %10.1f ns\n", n, (double)(now_ns() - t0) / ops);
    fflush(stdout);
}

static void pair(int fd[2])
{
    int ls = listen_tcp(0, 0), one = 1;
    struct sockaddr_in a;
    socklen_t l = sizeof a;
    getsockname(ls, (struct sockaddr *)&a, &l);
    fd[0] = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd[0], (struct sockaddr *)&a, sizeof a))
        die("connect");
    setsockopt(fd[0], IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fd[1] = accept(ls, NULL, NULL);
    close(ls);
}

static void tcp_pair(int size)
{
    int fd[2], n = size > 8192 ? 20000 : 200000;
    char *b = malloc(size), name[64];
    memset(b, 1, size);
    pair(fd);
    for (int rep = 0; rep < 2; rep++) {
        uint64_t t = now_ns();
        for (int i = 0; i < n; i++) {
            if (send(fd[i & 1], b, size, 0) != size)
                die("send");
            for (int got = 0, r; got < size; got += r)
                if ((r = recv(fd[~i & 1], b, size, 0)) <= 0)
                    die("recv");
        }
        snprintf(name, sizeof name, "TCP send+recv %d B, same thread", size);
        if (rep)
            show(name, t, n);
    }
    close(fd[0]);
    close(fd[1]);
    free(b);
}

/* K pairs; K sends in one enter, then K recvs in one enter */
static void uring_pair(int size, int k, int direct)
{
    struct io_uring r;
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    if (io_uring_queue_init_params(1024, &r, &p))
        die("uring");
    io_uring_register_ring_fd(&r);
    int fds[512];
    char *b = malloc((size_t)size * k), name[80];
    memset(b, 1, (size_t)size * k);
    for (int i = 0; i < k; i++)
        pair(fds + 2 * i);
    if (direct && io_uring_register_files(&r, fds, 2 * k))
        die("files");
    int rounds = 200000 / k;
    for (int rep = 0; rep < 2; rep++) {
        uint64_t t = now_ns();
        for (int i = 0; i < rounds; i++) {
            for (int phase = 0; phase < 2; phase++) {
                for (int j = 0; j < k; j++) {
                    struct io_uring_sqe *q = io_uring_get_sqe(&r);
                    int end = 2 * j + ((i ^ phase) & 1), fd = direct ? end : fds[end];
                    if (phase == 0)
                        io_uring_prep_send(q, fd, b + (size_t)j * size, size, MSG_WAITALL);
                    else
                        io_uring_prep_recv(q, fd, b + (size_t)j * size, size, MSG_WAITALL);
                    if (direct)
                        q->flags |= IOSQE_FIXED_FILE;
                }
                io_uring_submit_and_wait(&r, k);
                io_uring_cq_advance(&r, k);
            }
        }
        snprintf(name, sizeof name, "io_uring send+recv %d B, batch %d%s", size, k, direct ? ", direct" : "");
        if (rep)
            show(name, t, (uint64_t)rounds * k);
    }
    for (int i = 0; i < 2 * k; i++)
        close(fds[i]);
    io_uring_queue_exit(&r);
    free(b);
}

static int pf[2], pg[2];
static volatile int flag_spin;
static void *pong(void *arg)
{
    pin((int)(long)arg);
    char c;
    while (read(pf[0], &c, 1) == 1 && c)
        if (write(pg[1], &c, 1) != 1)
            break;
    return NULL;
}
static void *pong_spin(void *arg)
{
    pin((int)(long)arg);
    for (int last = 0;;) {
        int v = __atomic_load_n(&flag_spin, __ATOMIC_ACQUIRE);
        if (v < 0)
            return NULL;
        if (v != last && (v & 1)) {
            last = v + 1;
            __atomic_store_n(&flag_spin, last, __ATOMIC_RELEASE);
        }
    }
}

int main(int argc, char **argv)
{
    struct opts o = parse_opts(argc, argv);
    pin(o.cpu);
    uint64_t t;
    int n = 1000000;
    t = now_ns();
    for (int i = 0; i < n; i++)
        syscall(SYS_getppid);
    show("getppid", t, n);
    t = now_ns();
    for (int i = 0; i < n; i++)
        now_ns();
    show("clock_gettime", t, n);
    int ev = eventfd(0, EFD_NONBLOCK), ep = epoll_create1(0);
    struct epoll_event e = {.events = EPOLLIN}, out[8];
    epoll_ctl(ep, EPOLL_CTL_ADD, ev, &e);
    t = now_ns();
    for (int i = 0; i < n; i++)
        epoll_wait(ep, out, 8, 0);
    show("epoll_wait, nothing ready", t, n);
    uint64_t one = 1;
    if (write(ev, &one, 8) != 8)
        die("eventfd");
    t = now_ns();
    for (int i = 0; i < n; i++)
        epoll_wait(ep, out, 8, 0);
    show("epoll_wait, one ready (level)", t, n);
    struct io_uring r;
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    io_uring_queue_init_params(256, &r, &p);
    for (int k = 1; k <= 64; k *= 8) {
        char nm[64];
        snprintf(nm, sizeof nm, "io_uring nop, batch %d (unregistered ring)", k);
        for (int reg = 0; reg < (k == 64 ? 2 : 1); reg++) {
            if (reg) {
                io_uring_register_ring_fd(&r);
                snprintf(nm, sizeof nm, "io_uring nop, batch %d (registered ring)", k);
            }
            t = now_ns();
            for (int i = 0; i < n / k; i++) {
                for (int j = 0; j < k; j++)
                    io_uring_prep_nop(io_uring_get_sqe(&r));
                io_uring_submit_and_wait(&r, k);
                io_uring_cq_advance(&r, k);
            }
            show(nm, t, n / k * k);
        }
    }
    io_uring_queue_exit(&r);
    int sizes[] = {64, 1024, 16384, 65536};
    for (int i = 0; i < 4; i++)
        tcp_pair(sizes[i]);
    uring_pair(64, 1, 1);
    uring_pair(64, 16, 1);
    uring_pair(64, 128, 0);
    uring_pair(64, 128, 1);
    uring_pair(1024, 128, 1);
    uring_pair(16384, 16, 1);
    int sv[2];
    char c = 1;
    socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
    t = now_ns();
    for (int i = 0; i < n / 4; i++)
        if (send(sv[0], &c, 1, 0) != 1 || recv(sv[1], &c, 1, 0) != 1)
            die("unix");
    show("UNIX send+recv 1 B, same thread", t, n / 4);
    /* another core: sleep and wake, then shared-memory spinning */
    pthread_t th;
    if (pipe(pf) || pipe(pg))
        die("pipe");
    pthread_create(&th, NULL, pong, (void *)(long)(o.cpu ^ 1));
    usleep(10000);
    t = now_ns();
    for (int i = 0; i < 20000; i++)
        if (write(pf[1], &c, 1) != 1 || read(pg[0], &c, 1) != 1)
            die("pong");
    show("pipe ping-pong between cores (sleeping)", t, 20000);
    c = 0;
    if (write(pf[1], &c, 1) != 1)
        die("pong");
    pthread_join(th, NULL);
    pthread_create(&th, NULL, pong_spin, (void *)(long)(o.cpu ^ 1));
    usleep(10000);
    t = now_ns();
    for (int i = 0; i < 200000; i++) {
        int v = 2 * i + 1;
        __atomic_store_n(&flag_spin, v, __ATOMIC_RELEASE);
        while (__atomic_load_n(&flag_spin, __ATOMIC_ACQUIRE) == v)
            ;
    }
    show("cache line ping-pong between cores (spinning)", t, 200000);
    flag_spin = -1;
    pthread_join(th, NULL);
    /* memory */
    size_t big = 256u << 20;
    char *m = mmap(NULL, big, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    madvise(m, big, MADV_NOHUGEPAGE);
    for (int rep = 0; rep < 2; rep++) {
        t = now_ns();
        for (size_t i = 0; i < big; i += 4096)
            m[i] = 1;
        show(rep ? "page fault, memory the guest had before" : "page fault, first ever", t, big / 4096);
        if (!rep)
            madvise(m, big, MADV_DONTNEED);
    }
    static const size_t sz[] = {16 << 10, 256 << 10, 16 << 20, 128 << 20};
    for (int i = 0; i < 4; i++) {
        int k = (1u << 30) / sz[i];
        char *d = m, *s = m + big / 2;
        memcpy(d, s, sz[i] > big / 2 ? big / 2 : sz[i]);
        t = now_ns();
        for (int j = 0; j < k; j++) {
            memcpy(d, s, sz[i]);
            __asm__ volatile("" ::: "memory");
        }
        double ns = now_ns() - t;
        printf("memcpy %6zu KiB blocks %31.2f GB/s\n", sz[i] >> 10, (double)k * sz[i] / ns);
    }
    return 0;
}
