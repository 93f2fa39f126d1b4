/* SPDX-License-Identifier: MIT */
/* Echo server: raw epoll, the shortest path a careful C programmer writes.
 * Level-triggered, non-blocking sockets, read then write at once; output that
 * does not fit is kept and EPOLLOUT is armed.  A short read skips the second
 * read() that would only say EAGAIN.  One shared buffer per thread: an idle
 * connection owns no user memory but its table entry. */
#include "common.h"
#include <pthread.h>
#include <sys/epoll.h>

struct conn {
    char *pend;          /* unsent output, or NULL */
    size_t off, len;
};
static struct opts o;
static struct conn *conns;
static int nconns;

static void drop(int fd)
{
    free(conns[fd].pend);
    conns[fd].pend = NULL;
    close(fd);
}

/* 1: done or kept for later, 0: connection is dead */
static int echo(int ep, int fd, char *buf, size_t n)
{
    ssize_t w = send(fd, buf, n, MSG_NOSIGNAL);
    if (w == (ssize_t)n)
        return 1;
    if (w < 0) {
        if (errno != EAGAIN)
            return 0;
        w = 0;
    }
    struct conn *c = &conns[fd];
    c->len = n - w;
    c->off = 0;
    c->pend = malloc(c->len);
    memcpy(c->pend, buf + w, c->len);
    struct epoll_event ev = {.events = EPOLLOUT, .data.fd = fd};
    epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
    return 1;
}

static int flush(int ep, int fd)
{
    struct conn *c = &conns[fd];
    ssize_t w = send(fd, c->pend + c->off, c->len - c->off, MSG_NOSIGNAL);
    if (w < 0)
        return errno == EAGAIN;
    c->off += w;
    if (c->off == c->len) {
        free(c->pend);
        c->pend = NULL;
        struct epoll_event ev = {.events = EPOLLIN, .data.fd = fd};
        epoll_ctl(ep, EPOLL_CTL_MOD, fd, &ev);
    }
    return 1;
}

static void *serve(void *arg)
{
    pin(o.cpu < 0 ? -1 : o.cpu + (int)(long)arg);
    int ls = listen_tcp(o.port, SOCK_NONBLOCK);
    int ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = ls}, evs[512];
    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &ev);
    char *buf = malloc(o.bufsize);
    for (;;) {
        int n = epoll_wait(ep, evs, 512, -1);
        for (int i = 0; i < n; i++) {
            int fd = evs[i].data.fd;
            if (fd == ls) {
                int c;
                while ((c = accept4(ls, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    if (c >= nconns) {
                        close(c);
                        continue;
                    }
                    struct epoll_event e = {.events = EPOLLIN, .data.fd = c};
                    epoll_ctl(ep, EPOLL_CTL_ADD, c, &e);
                }
                continue;
            }
            if (conns[fd].pend) {
                if (!flush(ep, fd))
                    drop(fd);
                continue;
            }
            for (;;) {
                ssize_t r = recv(fd, buf, o.bufsize, 0);
                if (r > 0) {
                    if (!echo(ep, fd, buf, r)) {
                        drop(fd);
                        break;
                    }
                    if (r < o.bufsize || conns[fd].pend)
                        break;
                } else {
                    if (r == 0 || errno != EAGAIN)
                        drop(fd);
                    break;
                }
            }
        }
    }
    return NULL;
}

int main(int argc, char **argv)
{
    o = parse_opts(argc, argv);
    struct rlimit r;
    getrlimit(RLIMIT_NOFILE, &r);
    nconns = r.rlim_cur > 1100000 ? 1100000 : (int)r.rlim_cur;
    conns = calloc(nconns, sizeof *conns);
    for (long i = 1; i < o.threads; i++) {
        pthread_t t;
        pthread_create(&t, NULL, serve, (void *)i);
    }
    serve(NULL);
}
