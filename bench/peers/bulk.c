/* SPDX-License-Identifier: MIT */
/* One-way TCP stream: a sink (-r sink) and a source (-r src).
 *   sink  -m rw|trunc|splice|uring|bundle  -b BYTES
 *         trunc: recv(MSG_TRUNC), which drops the data without copying it
 *         -l BYTES  SO_RCVLOWAT: sleep until so much is there
 *         -s 1      never sleep: poll the socket with MSG_DONTWAIT (rw, trunc)
 *   src   -m rw|zc|uring|uzc|uzcfix|sendfile|splice  -b BYTES  -d SECS
 *         zc: MSG_ZEROCOPY; uzc: io_uring SEND_ZC; uzcfix: with a registered
 *         buffer; sendfile: from a memfd; splice: memfd to pipe to socket
 * The source prints one line of JSON: GB/s at the source, its CPU seconds per
 * GB, the same for each -P pid (p1_, p2_) and for -K pid with its children.
 * GB is 1e9 bytes.  Sockets keep the kernel's own buffer sizing. */
#include "common.h"
#include <dirent.h>
#include <linux/errqueue.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/sendfile.h>

#ifndef IORING_RECVSEND_BUNDLE
#define IORING_RECVSEND_BUNDLE (1U << 4)
#endif

static int port = 7100, cpu = -1;
static size_t bsz = 65536;
static double secs = 2;
static const char *role = "sink", *mode = "rw", *pids = "";
static int tree, lowat, spin;

static double cpu_of(int pid)
{
    char path[320];
    double s = 0;
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    DIR *d = opendir(path);
    struct dirent *e;
    while (d && (e = readdir(d))) {
        unsigned long long ns;
        if (e->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, e->d_name);
        FILE *f = fopen(path, "r");
        if (f && fscanf(f, "%llu", &ns) == 1)
            s += ns * 1e-9;
        if (f)
            fclose(f);
    }
    if (d)
        closedir(d);
    return s;
}
static double cpu_tree(int pid)
{
    char path[64];
    int kid;
    double s = cpu_of(pid);
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", pid, pid);
    FILE *f = fopen(path, "r");
    while (f && fscanf(f, "%d", &kid) == 1)
        s += cpu_tree(kid);
    if (f)
        fclose(f);
    return s;
}

static void init_ring(struct io_uring *r, int fd)
{
    struct io_uring_params p = {.flags = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN};
    if (io_uring_queue_init_params(256, r, &p))
        die("io_uring");
    io_uring_register_ring_fd(r);
    if (io_uring_register_files(r, &fd, 1))
        die("files");
}

static void sink_uring(int fd, int bundle)
{
    struct io_uring r;
    init_ring(&r, fd);
    unsigned nb = bundle ? 512 : 64, head;
    struct io_uring_buf_ring *br = mmap(NULL, nb * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    char *mem = malloc(nb * bsz);
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)br, .ring_entries = nb};
    if (io_uring_register_buf_ring(&r, &reg, 0))
        die("buf ring");
    io_uring_buf_ring_init(br);
    for (unsigned i = 0; i < nb; i++)
        io_uring_buf_ring_add(br, mem + i * bsz, bsz, i, nb - 1, i);
    io_uring_buf_ring_advance(br, nb);
    for (int arm = 1;;) {
        if (arm) {
            struct io_uring_sqe *q = io_uring_get_sqe(&r);
            io_uring_prep_recv_multishot(q, 0, NULL, 0, 0);
            q->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
            if (bundle)
                q->ioprio |= IORING_RECVSEND_BUNDLE;
            arm = 0;
        }
        io_uring_submit_and_wait(&r, 1);
        struct io_uring_cqe *c;
        unsigned n = 0, back = 0;
        io_uring_for_each_cqe(&r, head, c) {
            n++;
            if (c->res == 0 || (c->res < 0 && c->res != -ENOBUFS)) {
                io_uring_queue_exit(&r);
                return;
            }
            if (c->res > 0) {
                unsigned bid = c->flags >> IORING_CQE_BUFFER_SHIFT, k = (c->res + bsz - 1) / bsz;
                /* buffers are used and given back in order, so a bundle is bid, bid+1, ... */
                for (unsigned i = 0; i < k; i++, back++) {
                    unsigned b = (bid + i) & (nb - 1);
                    io_uring_buf_ring_add(br, mem + b * bsz, bsz, b, nb - 1, back);
                }
            }
            if (!(c->flags & IORING_CQE_F_MORE))
                arm = 1;
        }
        io_uring_cq_advance(&r, n);
        io_uring_buf_ring_advance(br, back);
    }
}

static void sink(void)
{
    int ls = listen_tcp(port, 0);
    for (;;) {
        int fd = accept(ls, NULL, NULL);
        if (fd < 0)
            continue;
        if (lowat && setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &lowat, sizeof lowat))
            die("SO_RCVLOWAT");
        if (!strcmp(mode, "uring") || !strcmp(mode, "bundle")) {
            sink_uring(fd, mode[0] == 'b');
        } else if (!strcmp(mode, "splice")) {
            int p[2], nul = open("/dev/null", O_WRONLY);
            if (pipe(p))
                die("pipe");
            fcntl(p[1], F_SETPIPE_SZ, (int)bsz);
            ssize_t n;
            while ((n = splice(fd, NULL, p[1], NULL, bsz, SPLICE_F_MOVE)) > 0)
                while (n > 0)
                    n -= splice(p[0], NULL, nul, NULL, n, SPLICE_F_MOVE);
        } else {
            char *b = malloc(bsz);
            int fl = !strcmp(mode, "trunc") ? MSG_TRUNC : 0;
            ssize_t n;
            if (spin)
                fl |= MSG_DONTWAIT;
            while ((n = recv(fd, b, bsz, fl)) > 0 || (spin && n < 0 && errno == EAGAIN))
                if (n < 0)
                    __builtin_ia32_pause();
            free(b);
        }
        close(fd);
    }
}

static uint64_t src(int fd)
{
    uint64_t total = 0, end = now_ns() + (uint64_t)(secs * 1e9);
    char *b = aligned_alloc(4096, bsz);
    memset(b, 'a', bsz);
    if (!strcmp(mode, "sendfile") || !strcmp(mode, "splice")) {
        int m = memfd_create("src", MFD_CLOEXEC), p[2];
        if (write(m, b, bsz) != (ssize_t)bsz || pipe(p))
            die("memfd");
        fcntl(p[1], F_SETPIPE_SZ, (int)bsz);
        while (now_ns() < end) {
            off_t off = 0;
            ssize_t n;
            if (mode[1] == 'e') {
                n = sendfile(fd, m, &off, bsz);
            } else {
                n = splice(m, &off, p[1], NULL, bsz, SPLICE_F_MOVE);
                for (ssize_t k = n, w; k > 0; k -= w)
                    if ((w = splice(p[0], NULL, fd, NULL, k, SPLICE_F_MOVE | SPLICE_F_MORE)) <= 0)
                        die("splice");
            }
            if (n <= 0)
                die(mode);
            total += n;
        }
    } else if (mode[0] == 'u') {
        struct io_uring r;
        init_ring(&r, fd);
        int zc = !strncmp(mode, "uzc", 3), fix = !strcmp(mode, "uzcfix"), notif = 0;
        struct iovec iov = {b, bsz};
        if (fix && io_uring_register_buffers(&r, &iov, 1))
            die("register_buffers");
        while (now_ns() < end) {
            struct io_uring_sqe *q = io_uring_get_sqe(&r);
            if (zc)
                io_uring_prep_send_zc(q, 0, b, bsz, MSG_WAITALL, 0);
            else
                io_uring_prep_send(q, 0, b, bsz, MSG_WAITALL);
            if (fix)
                q->ioprio |= IORING_RECVSEND_FIXED_BUF;
            q->flags |= IOSQE_FIXED_FILE;
            notif += zc;
            io_uring_submit_and_wait(&r, 1);
            for (int sent = 0;;) {
                struct io_uring_cqe *c;
                if (io_uring_peek_cqe(&r, &c)) {
                    if (sent && notif < 16)
                        break;
                    io_uring_submit_and_wait(&r, 1);
                    continue;
                }
                if (c->flags & IORING_CQE_F_NOTIF) {
                    notif--;
                } else {
                    if (c->res <= 0)
                        die("uring send");
                    total += c->res;
                    sent = 1;
                }
                io_uring_cqe_seen(&r, c);
            }
        }
    } else {
        int zc = !strcmp(mode, "zc"), one = 1, out = 0;
        if (zc && setsockopt(fd, SOL_SOCKET, SO_ZEROCOPY, &one, sizeof one))
            die("SO_ZEROCOPY");
        while (now_ns() < end) {
            ssize_t n = send(fd, b, bsz, zc ? MSG_ZEROCOPY : 0);
            if (n < 0 && errno != ENOBUFS)
                die("send");
            total += n > 0 ? n : 0;
            if (zc && (++out >= 16 || n < 0)) {
                char c[256];
                struct msghdr m = {.msg_control = c, .msg_controllen = sizeof c};
                while (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0)
                    m.msg_controllen = sizeof c;
                out = 0;
            }
        }
    }
    return total;
}

int main(int argc, char **argv)
{
    int ch;
    while ((ch = getopt(argc, argv, "r:m:p:c:b:d:P:K:l:s:")) != -1) {
        switch (ch) {
        case 'r': role = optarg; break;
        case 'm': mode = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 'c': cpu = atoi(optarg); break;
        case 'b': bsz = atol(optarg); break;
        case 'd': secs = atof(optarg); break;
        case 'P': pids = optarg; break;
        case 'l': lowat = atoi(optarg); break;
        case 's': spin = atoi(optarg); break;
        case 'K': tree = atoi(optarg); break;
        default: return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    pin(cpu);
    if (!strcmp(role, "sink"))
        sink();
    int fd = socket(AF_INET, SOCK_STREAM, 0), pid[8], np = 0;
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(fd, (struct sockaddr *)&a, sizeof a))
        die("connect");
    for (const char *p = pids; *p && np < 8; p += *p == ',')
        pid[np++] = strtol(p, (char **)&p, 10);
    double all = secs;
    secs = 0.3;                                  /* warm-up */
    src(fd);
    secs = all;
    double c0[8], k0 = tree ? cpu_tree(tree) : 0, m0 = cpu_of(getpid());
    for (int i = 0; i < np; i++)
        c0[i] = cpu_of(pid[i]);
    uint64_t t0 = now_ns(), n = src(fd);
    double dt = (now_ns() - t0) * 1e-9, gb = n * 1e-9;
    double k1 = tree ? cpu_tree(tree) : 0;
    printf("{\"mode\":\"%s\",\"buf\":%zu,\"secs\":%.2f,\"GBps\":%.3f,\"src_s_per_GB\":%.4f", mode, bsz, dt,
           gb / dt, (cpu_of(getpid()) - m0) / gb);
    for (int i = 0; i < np; i++)
        printf(",\"p%d_s_per_GB\":%.4f", i + 1, (cpu_of(pid[i]) - c0[i]) / gb);
    if (tree)
        printf(",\"kids_s_per_GB\":%.4f", (k1 - k0) / gb);
    printf("}\n");
    return 0;
}
