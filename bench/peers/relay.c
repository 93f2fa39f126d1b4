/* SPDX-License-Identifier: MIT */
/* TCP relay: epoll, one thread, both directions.
 *   relay -p LISTEN -q TARGET -c CPU -m rw|splice -b BYTES
 * rw: read into one buffer and write (the unsent rest stays in the buffer);
 * splice: through a pipe per direction, no copy.  Level-triggered; interest is
 * changed only when a side blocks. */
#include "common.h"
#include <sys/epoll.h>

static int port = 7200, target = 7000, cpu, use_splice;
static size_t bsz = 65536;
static int ep;
static char *shared;

struct dir {                      /* one direction: from -> to */
    int pipe[2];
    size_t held;                  /* bytes in the pipe or in keep */
    size_t off;
    char *keep;
    int eof;
};
struct link;
struct side { struct link *l; int fd; uint32_t want; };
struct link { struct side s[2]; struct dir d[2]; int dead; struct link *next; };
static struct link *grave;

static void want(struct side *s, uint32_t ev)
{
    if (s->want == ev)
        return;
    struct epoll_event e = {.events = ev, .data.ptr = s};
    epoll_ctl(ep, EPOLL_CTL_MOD, s->fd, &e);
    s->want = ev;
}

static void bury(struct link *l)
{
    if (l->dead)
        return;
    l->dead = 1;
    for (int i = 0; i < 2; i++) {
        close(l->s[i].fd);
        free(l->d[i].keep);
        if (l->d[i].pipe[1] > 0) {
            close(l->d[i].pipe[0]);
            close(l->d[i].pipe[1]);
        }
    }
    l->next = grave;
    grave = l;
}

/* move what can be moved from side i to the other; 0: link died */
static int move(struct link *l, int i)
{
    struct dir *d = &l->d[i];
    int in = l->s[i].fd, out = l->s[!i].fd;
    for (int turns = 0; turns < 16; turns++) {
        if (!d->held && !d->eof) {
            ssize_t n;
            if (use_splice) {
                if (!d->pipe[1]) {
                    if (pipe2(d->pipe, O_NONBLOCK | O_CLOEXEC))
                        return 0;
                    fcntl(d->pipe[1], F_SETPIPE_SZ, (int)bsz);
                }
                n = splice(in, NULL, d->pipe[1], NULL, bsz, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
            } else {
                n = recv(in, shared, bsz, MSG_DONTWAIT);
            }
            if (n < 0)
                return errno == EAGAIN;
            if (n == 0) {
                d->eof = 1;
                shutdown(out, SHUT_WR);
                if (l->d[!i].eof)
                    return 0;
                return 1;
            }
            d->held = n;
            d->off = 0;
            if (!use_splice) {
                ssize_t w = send(out, shared, n, MSG_DONTWAIT | MSG_NOSIGNAL);
                if (w < 0 && errno != EAGAIN)
                    return 0;
                if (w == n) {
                    d->held = 0;
                    if ((size_t)n < bsz)
                        return 1;
                    continue;
                }
                w = w < 0 ? 0 : w;
                if (!d->keep)
                    d->keep = malloc(bsz);
                memcpy(d->keep, shared + w, n - w);
                d->held = n - w;
                return 1;
            }
        }
        if (!d->held)
            return 1;
        ssize_t w = use_splice ? splice(d->pipe[0], NULL, out, NULL, d->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK)
                               : send(out, d->keep + d->off, d->held, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (w < 0)
            return errno == EAGAIN;
        d->held -= w;
        d->off += w;
        if (d->held)
            return 1;
    }
    return 1;
}

static void interest(struct link *l)
{
    for (int i = 0; i < 2; i++) {
        struct dir *out = &l->d[!i], *in = &l->d[i];
        want(&l->s[i], (in->held || in->eof ? 0 : EPOLLIN) | (out->held ? EPOLLOUT : 0));
    }
}

int main(int argc, char **argv)
{
    int ch;
    while ((ch = getopt(argc, argv, "p:q:c:m:b:")) != -1) {
        switch (ch) {
        case 'p': port = atoi(optarg); break;
        case 'q': target = atoi(optarg); break;
        case 'c': cpu = atoi(optarg); break;
        case 'm': use_splice = !strcmp(optarg, "splice"); break;
        case 'b': bsz = atol(optarg); break;
        default: return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    raise_nofile();
    pin(cpu);
    shared = malloc(bsz);
    int ls = listen_tcp(port, SOCK_NONBLOCK), one = 1;
    ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = NULL}, evs[256];
    epoll_ctl(ep, EPOLL_CTL_ADD, ls, &e);
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(target),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (;;) {
        int n = epoll_wait(ep, evs, 256, -1);
        for (int i = 0; i < n; i++) {
            struct side *s = evs[i].data.ptr;
            if (!s) {
                int c;
                while ((c = accept4(ls, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
                    int u = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
                    setsockopt(u, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
                    if (connect(u, (struct sockaddr *)&a, sizeof a) && errno != EINPROGRESS) {
                        close(c);
                        close(u);
                        continue;
                    }
                    struct link *l = calloc(1, sizeof *l);
                    int fds[2] = {c, u};
                    for (int k = 0; k < 2; k++) {
                        l->s[k] = (struct side){l, fds[k], EPOLLIN};
                        struct epoll_event x = {.events = EPOLLIN, .data.ptr = &l->s[k]};
                        epoll_ctl(ep, EPOLL_CTL_ADD, fds[k], &x);
                    }
                }
                continue;
            }
            struct link *l = s->l;
            if (l->dead)
                continue;
            int k = s == &l->s[1], ok = 1;
            uint32_t ev = evs[i].events;
            if (ev & EPOLLOUT)
                ok = move(l, !k);
            if (ok && ev & (EPOLLIN | EPOLLHUP | EPOLLERR))
                ok = !(ev & EPOLLERR) && (l->d[k].held || l->d[k].eof || move(l, k));
            if (ok)
                interest(l);
            else
                bury(l);
        }
        while (grave) {
            struct link *l = grave;
            grave = l->next;
            free(l);
        }
    }
}
