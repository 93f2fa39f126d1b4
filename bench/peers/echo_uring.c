/* SPDX-License-Identifier: MIT */
/* Echo server: raw io_uring in its best known shape, every piece switchable
 * so that its worth can be measured.  Base configuration:
 *   SINGLE_ISSUER + DEFER_TASKRUN, registered ring fd, multishot accept into
 *   direct descriptors, multishot recv from one provided buffer ring, sends
 *   straight from the received buffer, one io_uring_enter per batch.
 * Variant words (-x a,b,c):
 *   plain    no COOP/DEFER task run at all      coop     COOP_TASKRUN only
 *   nomulti  re-arm a single-shot recv          nodirect ordinary descriptors
 *   nobufs   single-shot recv into a buffer owned by the connection
 *   bundle   recv bundles (kernel 6.10+)        inc      incremental buffers (6.12+)
 *   zc       send_zc instead of send            sqpoll   kernel submission thread
 *   spin     never sleep in io_uring_enter      pollfirst  recv polls first
 *   ring4k   keep SQ/CQ at 4096 entries (default 1024/16384)
 *   accept4  readiness and accept(2) calls instead of multishot accept
 *   call     send(2) calls instead of requests
 * The last two need nodirect: calls know ordinary descriptors only. */
#include "common.h"
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/uio.h>

/* newer than Debian 12's liburing 2.3 */
#ifndef IORING_RECVSEND_BUNDLE
#define IORING_RECVSEND_BUNDLE (1U << 4)
#endif
#ifndef IOU_PBUF_RING_INC
#define IOU_PBUF_RING_INC 2
#endif
#ifndef IORING_CQE_F_BUF_MORE
#define IORING_CQE_F_BUF_MORE (1U << 4)
#endif

enum { OP_ACCEPT, OP_RECV, OP_SEND, OP_CLOSE };
enum { MAXIOV = 64 };

struct seg {                       /* a received range waiting to be echoed */
    uint32_t next, len;
    char *ptr;
    uint32_t bid;
};
struct conn {
    uint32_t head, tail;           /* queued segs, 0 = none */
    uint32_t fly, flylast;         /* segs of the send in flight */
    uint32_t flylen, flyoff;
    uint8_t open, eof, dirty, starved, zcwait;
    char *own;                     /* -x nobufs */
    struct iovec *iov;
    struct msghdr *msg;
};
struct srv {
    struct io_uring r;
    int ls, ncon;
    struct conn *con;
    struct io_uring_buf_ring *br;
    char *mem;
    uint32_t *order, *pos, *refs, *used;  /* ring order, place of a bid, ... */
    uint8_t *held;
    uint16_t tail;
    int added;
    struct seg *seg;
    uint32_t freeseg;
    uint32_t *dirty, ndirty, *starved, nstarved;
};
static struct opts o;
static int v_accept4, v_call;
static int v_multi, v_direct, v_bufs, v_bundle, v_inc, v_zc, v_pollfirst;

static struct io_uring_sqe *sqe(struct srv *s)
{
    struct io_uring_sqe *q = io_uring_get_sqe(&s->r);
    while (!q) {
        io_uring_submit(&s->r);
        q = io_uring_get_sqe(&s->r);
    }
    return q;
}

static void tag(struct io_uring_sqe *q, int op, uint32_t slot)
{
    q->user_data = (uint64_t)slot << 8 | op;
    if (v_direct && op != OP_ACCEPT && op != OP_CLOSE)
        q->flags |= IOSQE_FIXED_FILE;
}

static void arm_accept(struct srv *s)
{
    struct io_uring_sqe *q = sqe(s);
    if (v_accept4)
        io_uring_prep_poll_multishot(q, s->ls, POLLIN);
    else if (v_direct)
        io_uring_prep_multishot_accept_direct(q, s->ls, NULL, NULL, 0);
    else
        io_uring_prep_multishot_accept(q, s->ls, NULL, NULL, SOCK_CLOEXEC);
    tag(q, OP_ACCEPT, 0);
}

static void arm_recv(struct srv *s, uint32_t c)
{
    struct io_uring_sqe *q = sqe(s);
    if (!v_bufs) {
        io_uring_prep_recv(q, c, s->con[c].own, o.bufsize, 0);
    } else {
        if (v_multi)
            io_uring_prep_recv_multishot(q, c, NULL, 0, 0);
        else
            io_uring_prep_recv(q, c, NULL, v_inc ? 0 : o.bufsize, 0);
        q->flags |= IOSQE_BUFFER_SELECT;
        q->buf_group = 0;
        if (v_bundle)
            q->ioprio |= IORING_RECVSEND_BUNDLE;
    }
    if (v_pollfirst)
        q->ioprio |= IORING_RECVSEND_POLL_FIRST;
    tag(q, OP_RECV, c);
}

static void give_buf(struct srv *s, uint32_t bid)
{
    uint32_t mask = o.nbufs - 1, at = (uint16_t)(s->tail + s->added) & mask;
    s->order[at] = bid;
    s->pos[bid] = at;
    s->refs[bid] = s->used[bid] = s->held[bid] = 0;
    io_uring_buf_ring_add(s->br, s->mem + (size_t)bid * o.bufsize, o.bufsize, bid, mask, s->added++);
}

static void publish(struct srv *s)
{
    if (!s->added)
        return;
    io_uring_buf_ring_advance(s->br, s->added);
    s->tail += s->added;
    s->added = 0;
    while (s->nstarved) {
        uint32_t c = s->starved[--s->nstarved];
        s->con[c].starved = 0;
        if (s->con[c].open && !s->con[c].eof)
            arm_recv(s, c);
    }
}

static void put_seg(struct srv *s, uint32_t i)
{
    uint32_t bid = s->seg[i].bid;
    s->seg[i].next = s->freeseg;
    s->freeseg = i;
    if (v_bufs && --s->refs[bid] == 0 && !s->held[bid])
        give_buf(s, bid);
}

static void queue(struct srv *s, uint32_t c, uint32_t bid, char *p, uint32_t len)
{
    struct conn *k = &s->con[c];
    uint32_t i = s->freeseg;
    if (!i) {
        fprintf(stderr, "out of segments\n");
        exit(1);
    }
    s->freeseg = s->seg[i].next;
    s->seg[i] = (struct seg){.len = len, .ptr = p, .bid = bid};
    if (v_bufs)
        s->refs[bid]++;
    if (k->tail)
        s->seg[k->tail].next = i;
    else
        k->head = i;
    k->tail = i;
    if (!k->dirty) {
        k->dirty = 1;
        s->dirty[s->ndirty++] = c;
    }
}

static void try_close(struct srv *s, uint32_t c)
{
    struct conn *k = &s->con[c];
    if (!k->open || !k->eof || k->fly || k->head || k->zcwait)
        return;
    k->open = 0;
    struct io_uring_sqe *q = sqe(s);
    if (v_direct)
        io_uring_prep_close_direct(q, c);
    else
        io_uring_prep_close(q, c);
    tag(q, OP_CLOSE, c);
}

static void on_send(struct srv *s, uint32_t c, int res, unsigned flags);

/* One send(2) for all that is queued first; it fits, as clients wait for their answers. */
static void call_send(struct srv *s, uint32_t c)
{
    struct conn *k = &s->con[c];
    uint32_t i = k->fly = k->flylast = k->head;
    k->head = s->seg[i].next;
    if (!k->head)
        k->tail = 0;
    s->seg[i].next = 0;
    k->flylen = s->seg[i].len;
    int n = (int)send(c, s->seg[i].ptr, k->flylen, MSG_DONTWAIT | MSG_NOSIGNAL);
    on_send(s, c, n, 0);
}

static void start_send(struct srv *s, uint32_t c)
{
    struct conn *k = &s->con[c];
    if (v_call) {
        while (k->head)
            call_send(s, c);
        return;
    }
    struct io_uring_sqe *q = sqe(s);
    uint32_t i = k->head;
    k->fly = i;
    k->flyoff = 0;
    if (i == k->tail) {
        struct seg *g = &s->seg[i];
        k->flylen = g->len;
        k->head = k->tail = 0;
        k->flylast = i;
        if (v_zc) {
            io_uring_prep_send_zc(q, c, g->ptr, g->len, MSG_WAITALL | MSG_NOSIGNAL, 0);
            k->zcwait++;
        } else {
            io_uring_prep_send(q, c, g->ptr, g->len, MSG_WAITALL | MSG_NOSIGNAL);
        }
    } else {
        if (!k->msg) {
            k->msg = calloc(1, sizeof *k->msg);
            k->iov = malloc(MAXIOV * sizeof *k->iov);
        }
        int n = 0;
        k->flylen = 0;
        for (; i && n < MAXIOV; i = s->seg[i].next) {
            k->iov[n++] = (struct iovec){s->seg[i].ptr, s->seg[i].len};
            k->flylen += s->seg[i].len;
            k->flylast = i;
        }
        k->head = i;
        if (!i)
            k->tail = 0;
        s->seg[k->flylast].next = 0;
        k->msg->msg_iov = k->iov;
        k->msg->msg_iovlen = n;
        io_uring_prep_sendmsg(q, c, k->msg, MSG_WAITALL | MSG_NOSIGNAL);
    }
    tag(q, OP_SEND, c);
}

static void on_send(struct srv *s, uint32_t c, int res, unsigned flags)
{
    struct conn *k = &s->con[c];
    if (flags & IORING_CQE_F_NOTIF) {
        k->zcwait--;
    } else {
        if (v_zc && !(flags & IORING_CQE_F_MORE) && k->zcwait)
            k->zcwait--;
        if (res != (int)k->flylen)
            k->eof = 1;            /* MSG_WAITALL: short means dead */
        k->flyoff = 1;             /* sent */
    }
    if (k->zcwait || !k->flyoff)
        return;
    for (uint32_t i = k->fly, n; i; i = n) {
        n = i == k->flylast ? 0 : s->seg[i].next;
        put_seg(s, i);
    }
    k->fly = 0;
    if (!v_bufs && !k->eof)
        arm_recv(s, c);
    if (k->head && !k->dirty) {
        k->dirty = 1;
        s->dirty[s->ndirty++] = c;
    }
    try_close(s, c);
}

static void on_recv(struct srv *s, uint32_t c, int res, unsigned flags)
{
    struct conn *k = &s->con[c];
    if (res == -ENOBUFS) {
        if (!k->starved) {
            k->starved = 1;
            s->starved[s->nstarved++] = c;
        }
        return;
    }
    if (res <= 0) {
        if (flags & IORING_CQE_F_BUFFER) {
            uint32_t bid = flags >> IORING_CQE_BUFFER_SHIFT;
            if (!v_inc)
                give_buf(s, bid);
        }
        k->eof = 1;
        try_close(s, c);
        return;
    }
    if (!v_bufs) {
        queue(s, c, 0, k->own, res);
        return;
    }
    uint32_t bid = flags >> IORING_CQE_BUFFER_SHIFT, at = s->pos[bid], left = res;
    for (;;) {
        uint32_t room = o.bufsize - s->used[bid], n = left < room ? left : room;
        queue(s, c, bid, s->mem + (size_t)bid * o.bufsize + s->used[bid], n);
        left -= n;
        if (v_inc) {
            s->used[bid] += n;
            s->held[bid] = left ? 0 : !!(flags & IORING_CQE_F_BUF_MORE);
        }
        if (!left)
            break;
        at = (at + 1) & (o.nbufs - 1);
        bid = s->order[at];
    }
    if (!(flags & IORING_CQE_F_MORE))
        arm_recv(s, c);
}

static void on_accept(struct srv *s, int fd)
{
    if (fd < 0 || fd >= s->ncon)
        return;
    struct conn *k = &s->con[fd];
    struct iovec *iov = k->iov;
    struct msghdr *msg = k->msg;
    char *own = k->own;
    *k = (struct conn){.open = 1, .iov = iov, .msg = msg, .own = own};
    if (!v_bufs && !own)
        k->own = malloc(o.bufsize);
    arm_recv(s, fd);
}

static void *serve(void *arg)
{
    struct srv *s = calloc(1, sizeof *s);
    pin(o.cpu < 0 ? -1 : o.cpu + (int)(long)arg);
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP};
    unsigned entries = has(&o, "ring4k") ? 4096 : 1024;
    p.cq_entries = has(&o, "ring4k") ? 4096 : 16384;
    if (has(&o, "sqpoll")) {
        p.flags |= IORING_SETUP_SQPOLL | IORING_SETUP_SINGLE_ISSUER;
        p.sq_thread_idle = 1000;
    } else if (has(&o, "coop")) {
        p.flags |= IORING_SETUP_COOP_TASKRUN | IORING_SETUP_SINGLE_ISSUER;
    } else if (!has(&o, "plain")) {
        p.flags |= IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN;
    }
    int e = io_uring_queue_init_params(entries, &s->r, &p);
    if (e) {
        errno = -e;
        die("io_uring_queue_init_params");
    }
    io_uring_register_ring_fd(&s->r);
    struct rlimit rl;
    getrlimit(RLIMIT_NOFILE, &rl);
    s->ncon = rl.rlim_cur > 1048576 ? 1048576 : (int)rl.rlim_cur;
    if (v_direct && (e = io_uring_register_files_sparse(&s->r, s->ncon))) {
        errno = -e;
        die("register_files_sparse");
    }
    s->con = calloc(s->ncon, sizeof *s->con);
    s->dirty = calloc(s->ncon, sizeof *s->dirty);
    s->starved = calloc(s->ncon, sizeof *s->starved);
    uint32_t nseg = (v_inc ? 65536 : o.nbufs) + s->ncon + 2;
    s->seg = calloc(nseg, sizeof *s->seg);
    for (uint32_t i = nseg - 1; i; i--) {
        s->seg[i].next = s->freeseg;
        s->freeseg = i;
    }
    if (v_bufs) {
        s->br = mmap(NULL, o.nbufs * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
        s->mem = mmap(NULL, (size_t)o.nbufs * o.bufsize, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        s->order = calloc(o.nbufs, sizeof(uint32_t));
        s->pos = calloc(o.nbufs, sizeof(uint32_t));
        s->refs = calloc(o.nbufs, sizeof(uint32_t));
        s->used = calloc(o.nbufs, sizeof(uint32_t));
        s->held = calloc(o.nbufs, 1);
        struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)s->br, .ring_entries = o.nbufs};
        reg.pad = v_inc ? IOU_PBUF_RING_INC : 0;   /* "flags" in newer headers */
        if ((e = io_uring_register_buf_ring(&s->r, &reg, 0))) {
            errno = -e;
            die("register_buf_ring");
        }
        io_uring_buf_ring_init(s->br);
        for (int i = 0; i < o.nbufs; i++)
            give_buf(s, i);
        publish(s);
    }
    s->ls = listen_tcp(o.port, v_accept4 ? SOCK_NONBLOCK : 0);
    arm_accept(s);
    int spin = has(&o, "spin");
    for (;;) {
        if (spin)
            io_uring_submit_and_get_events(&s->r);
        else
            io_uring_submit_and_wait(&s->r, 1);
        struct io_uring_cqe *cqe;
        unsigned head, n = 0;
        io_uring_for_each_cqe(&s->r, head, cqe) {
            uint32_t slot = cqe->user_data >> 8;
            n++;
            switch (cqe->user_data & 255) {
            case OP_ACCEPT:
                if (!v_accept4) {
                    on_accept(s, cqe->res);
                } else {
                    int fd;
                    while ((fd = accept4(s->ls, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
                        on_accept(s, fd);
                }
                if (!(cqe->flags & IORING_CQE_F_MORE))
                    arm_accept(s);
                break;
            case OP_RECV: on_recv(s, slot, cqe->res, cqe->flags); break;
            case OP_SEND: on_send(s, slot, cqe->res, cqe->flags); break;
            }
        }
        io_uring_cq_advance(&s->r, n);
        for (uint32_t i = 0; i < s->ndirty; i++) {
            uint32_t c = s->dirty[i];
            s->con[c].dirty = 0;
            if (!s->con[c].fly && s->con[c].head)
                start_send(s, c);
        }
        s->ndirty = 0;
        if (v_bufs)
            publish(s);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    o = parse_opts(argc, argv);
    v_multi = !has(&o, "nomulti");
    v_direct = !has(&o, "nodirect");
    v_bufs = !has(&o, "nobufs");
    v_bundle = has(&o, "bundle");
    v_inc = has(&o, "inc");
    v_zc = has(&o, "zc");
    v_pollfirst = has(&o, "pollfirst");
    v_accept4 = has(&o, "accept4");
    v_call = has(&o, "call");
    if (v_direct && (v_accept4 || v_call)) {
        fprintf(stderr, "accept4 and call need nodirect\n");
        return 2;
    }
    if (o.nbufs & (o.nbufs - 1) || o.nbufs > 32768) {
        fprintf(stderr, "-n must be a power of two up to 32768\n");
        return 2;
    }
    for (long i = 1; i < o.threads; i++) {
        pthread_t t;
        pthread_create(&t, NULL, serve, (void *)i);
    }
    serve(NULL);
}
