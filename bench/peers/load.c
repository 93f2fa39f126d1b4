/* SPDX-License-Identifier: MIT */
/* Load generator (io_uring, one pinned thread).
 *
 *  load -m echo -N conns -S bytes -D depth -d secs   closed-loop echo
 *  load -m conn -N slots -d secs                      connect/1 message/close
 *  load -m idle -N conns -W ports -d secs             hold idle connections
 *
 * Common: -p PORT (7000)  -c CPU (1)  -w warm-up secs (1)  -P PID[,PID...] of the
 * server, whose CPU time is then reported too  -C CPU of the server, whose
 * busy share is then reported  -v 0 switches byte verification off.
 *         -s 1 spins instead of sleeping (the server then never pays for
 *         waking the client's core; load_* figures mean nothing in this mode)
 * One line of JSON on stdout. */
#include "common.h"
#include <dirent.h>
#include <liburing.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>

#ifndef IORING_RECVSEND_BUNDLE
#define IORING_RECVSEND_BUNDLE (1U << 4)
#endif

static int port = 7000, cpu = 1, nconn = 64, size = 64, depth = 1, verify = 1, ports = 1, srvcpu = -1, spin;
static double secs = 3, warm = 1;
static const char *mode = "echo", *pids = "";

/* ---- latency histogram: 64 linear steps per power of two, under 1.6% off */
enum { SUB = 64, NB = 64 * SUB };
static uint64_t hist[NB];
static unsigned bucket(uint64_t v)
{
    if (v < SUB)
        return v;
    int e = 63 - __builtin_clzll(v) - 6;
    return (e + 1) * SUB + ((v >> e) - SUB);
}
static uint64_t value(unsigned b)
{
    if (b < 2 * SUB)
        return b;
    int e = b / SUB - 1;
    return ((uint64_t)(b % SUB + SUB) << e) + (1ull << e) / 2;
}
static uint64_t pct(double p)
{
    uint64_t tot = 0, acc = 0;
    for (int i = 0; i < NB; i++)
        tot += hist[i];
    for (int i = 0; i < NB; i++)
        if ((acc += hist[i]) && acc >= p * tot)
            return value(i);
    return 0;
}

/* ---- CPU accounting */
static double proc_cpu(void)          /* seconds, over all threads of all pids */
{
    double sum = 0;
    for (const char *p = pids; *p;) {
        char path[320];
        int pid = strtol(p, (char **)&p, 10);
        if (*p == ',')
            p++;
        snprintf(path, sizeof path, "/proc/%d/task", pid);
        DIR *d = opendir(path);
        struct dirent *e;
        while (d && (e = readdir(d))) {
            if (e->d_name[0] == '.')
                continue;
            snprintf(path, sizeof path, "/proc/%d/task/%s/schedstat", pid, e->d_name);
            FILE *f = fopen(path, "r");
            unsigned long long ns = 0;
            if (f) {
                if (fscanf(f, "%llu", &ns) == 1)
                    sum += ns * 1e-9;
                fclose(f);
            }
        }
        if (d)
            closedir(d);
    }
    return sum;
}
static void core_times(int core, double *busy, double *all)
{
    *busy = *all = 0;
    FILE *f = fopen("/proc/stat", "r");
    char line[512], want[16];
    snprintf(want, sizeof want, "cpu%d ", core);
    while (f && fgets(line, sizeof line, f)) {
        unsigned long long v[8];
        if (strncmp(line, want, strlen(want)))
            continue;
        if (sscanf(line + strlen(want), "%llu %llu %llu %llu %llu %llu %llu %llu", v, v + 1, v + 2,
                   v + 3, v + 4, v + 5, v + 6, v + 7) == 8) {
            for (int i = 0; i < 8; i++)
                *all += v[i];
            *busy = *all - v[3] - v[4];
        }
    }
    if (f)
        fclose(f);
}
static double self_cpu(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* ---- the bytes: position p of any stream is pat[(p + start) % PERIOD] */
enum { PERIOD = 65521, PATLEN = PERIOD + (4 << 20) };
static char *pat;
static void make_pat(void)
{
    pat = malloc(PATLEN);
    uint64_t x = 0x9e3779b97f4a7c15ull;
    for (int i = 0; i < PERIOD; i++) {
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        pat[i] = x;
    }
    for (int i = PERIOD; i < PATLEN; i++)
        pat[i] = pat[i - PERIOD];
}

static int dial(int dport, const char *src, int i)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0)
        return -1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct sockaddr_in a = {.sin_family = AF_INET};
    if (src || i >= 0) {
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof one);
        a.sin_addr.s_addr = src ? inet_addr(src)
                                : htonl(0x7f010001u + (unsigned)(i / 20000) * 256u);
        if (bind(fd, (struct sockaddr *)&a, sizeof a))
            goto bad;
    }
    a.sin_port = htons(dport);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int t = 0; connect(fd, (struct sockaddr *)&a, sizeof a); t++) {
        if (errno != ECONNREFUSED || t == 200)
            goto bad;
        usleep(10000);
    }
    return fd;
bad:
    close(fd);
    return -1;
}

struct con {
    uint64_t sent, rcvd;           /* bytes; pattern positions are start + these */
    uint64_t *t0;                  /* send times of the messages in flight */
    uint32_t start, msgs_out, msgs_in;
    uint32_t flying, want;         /* bytes in the send in flight / still to send */
};

static struct io_uring ring;
static struct io_uring_sqe *sqe(void)
{
    struct io_uring_sqe *q = io_uring_get_sqe(&ring);
    while (!q) {
        io_uring_submit(&ring);
        q = io_uring_get_sqe(&ring);
    }
    return q;
}

static void push(struct con *c, uint32_t i, uint64_t t)
{
    /* t: now; stamp every message that this send begins */
    (void)t;
    uint32_t n = c->want > (3u << 20) ? 3u << 20 : c->want;
    struct io_uring_sqe *q = sqe();
    io_uring_prep_send(q, i, pat + (c->start + c->sent) % PERIOD, n, MSG_WAITALL | MSG_NOSIGNAL);
    q->flags |= IOSQE_FIXED_FILE;
    q->user_data = (uint64_t)i << 1 | 1;
    c->flying = n;
    c->want -= n;
    c->sent += n;
}

static int echo_mode(void)
{
    struct io_uring_params p = {.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
                                         IORING_SETUP_DEFER_TASKRUN,
                                .cq_entries = 32768};
    if (io_uring_queue_init_params(4096, &ring, &p))
        die("io_uring");
    io_uring_register_ring_fd(&ring);
    int *fds = malloc(nconn * sizeof *fds);
    struct con *con = calloc(nconn, sizeof *con);
    for (int i = 0; i < nconn; i++) {
        if ((fds[i] = dial(port, NULL, -1)) < 0)
            die("connect");
        con[i].t0 = malloc(depth * sizeof(uint64_t));
        con[i].start = (uint32_t)i * 7919u % PERIOD;
    }
    if (io_uring_register_files(&ring, fds, nconn))
        die("register_files");
    uint32_t bsz = (uint64_t)size * depth > 16384 ? 65536 : 4096, nb = bsz == 65536 ? 512 : 8192;
    struct io_uring_buf_ring *br = mmap(NULL, nb * sizeof(struct io_uring_buf), PROT_READ | PROT_WRITE,
                                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    char *mem = mmap(NULL, (size_t)nb * bsz, PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct io_uring_buf_reg reg = {.ring_addr = (uintptr_t)br, .ring_entries = nb};
    if (io_uring_register_buf_ring(&ring, &reg, 0))
        die("register_buf_ring");
    io_uring_buf_ring_init(br);
    for (uint32_t i = 0; i < nb; i++)
        io_uring_buf_ring_add(br, mem + (size_t)i * bsz, bsz, i, nb - 1, i);
    io_uring_buf_ring_advance(br, nb);
    uint64_t t = now_ns();
    for (int i = 0; i < nconn; i++) {
        struct io_uring_sqe *q = sqe();
        io_uring_prep_recv_multishot(q, i, NULL, 0, 0);
        q->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
        q->user_data = (uint64_t)i << 1;
        for (int k = 0; k < depth; k++)
            con[i].t0[k] = t;
        con[i].msgs_out = depth;
        con[i].want = (uint32_t)size * depth;
        push(&con[i], i, t);
    }
    uint64_t rts = 0, begin = 0, end = 0, bytes = 0, stop = 0;
    double scpu0 = 0, lcpu0 = 0, sb0 = 0, sa0 = 0, lb0 = 0, la0 = 0;
    uint64_t t_warm = t + (uint64_t)(warm * 1e9);
    while (!stop) {
        if (spin)
            io_uring_submit_and_get_events(&ring);
        else
            io_uring_submit_and_wait(&ring, 1);
        t = now_ns();
        if (!begin && t >= t_warm) {
            begin = t;
            end = t + (uint64_t)(secs * 1e9);
            rts = bytes = 0;
            memset(hist, 0, sizeof hist);
            scpu0 = proc_cpu();
            lcpu0 = self_cpu();
            core_times(srvcpu, &sb0, &sa0);
            core_times(cpu, &lb0, &la0);
        } else if (begin && t >= end) {
            stop = t;
        }
        struct io_uring_cqe *cqe;
        unsigned head, n = 0, given = 0;
        io_uring_for_each_cqe(&ring, head, cqe) {
            uint32_t i = cqe->user_data >> 1;
            struct con *c = &con[i];
            n++;
            if (cqe->user_data & 1) {
                if (cqe->res != (int)c->flying) {
                    fprintf(stderr, "send: %d of %u\n", cqe->res, c->flying);
                    return 1;
                }
                c->flying = 0;
                if (c->want)
                    push(c, i, t);
                continue;
            }
            if (cqe->res <= 0 && cqe->res != -ENOBUFS) {
                fprintf(stderr, "recv on %u: %s\n", i, cqe->res ? strerror(-cqe->res) : "EOF");
                return 1;
            }
            if (cqe->res > 0) {
                uint32_t bid = cqe->flags >> IORING_CQE_BUFFER_SHIFT, len = cqe->res;
                char *b = mem + (size_t)bid * bsz;
                if (verify && memcmp(b, pat + (c->start + c->rcvd) % PERIOD, len)) {
                    fprintf(stderr, "wrong bytes on %u at %llu\n", i, (unsigned long long)c->rcvd);
                    return 1;
                }
                c->rcvd += len;
                bytes += len;
                io_uring_buf_ring_add(br, b, bsz, bid, nb - 1, given++);
                uint32_t done = 0;
                while ((uint64_t)(c->msgs_in + 1) * size <= c->rcvd) {
                    uint64_t *s = &c->t0[c->msgs_in % depth];
                    hist[bucket(t - *s)]++;
                    *s = t;
                    c->msgs_in++;
                    done++;
                }
                if (done) {
                    rts += done;
                    c->want += done * size;
                    c->msgs_out += done;
                    if (!c->flying)
                        push(c, i, t);
                }
            }
            if (!(cqe->flags & IORING_CQE_F_MORE)) {
                struct io_uring_sqe *q = sqe();
                io_uring_prep_recv_multishot(q, i, NULL, 0, 0);
                q->flags |= IOSQE_FIXED_FILE | IOSQE_BUFFER_SELECT;
                q->user_data = (uint64_t)i << 1;
            }
        }
        io_uring_buf_ring_cq_advance(&ring, br, 0);
        io_uring_buf_ring_advance(br, given);
        io_uring_cq_advance(&ring, n);
    }
    double dt = (stop - begin) * 1e-9, scpu = proc_cpu() - scpu0, lcpu = self_cpu() - lcpu0;
    double sb, sa, lb, la;
    core_times(srvcpu, &sb, &sa);
    core_times(cpu, &lb, &la);
    printf("{\"mode\":\"echo\",\"conns\":%d,\"size\":%d,\"depth\":%d,\"secs\":%.3f,\"rps\":%.0f,"
           "\"MBps\":%.1f,\"p50_us\":%.1f,\"p90_us\":%.1f,\"p99_us\":%.1f,\"p999_us\":%.1f,"
           "\"max_us\":%.1f,\"srv_us_per_rt\":%.3f,\"srv_util\":%.3f,\"load_us_per_rt\":%.3f,"
           "\"load_util\":%.3f,\"srv_core_busy\":%.3f,\"load_core_busy\":%.3f}\n",
           nconn, size, depth, dt, rts / dt, bytes / dt / 1e6, pct(.5) / 1e3, pct(.9) / 1e3,
           pct(.99) / 1e3, pct(.999) / 1e3, pct(1) / 1e3, rts ? scpu * 1e6 / rts : 0, scpu / dt,
           rts ? lcpu * 1e6 / rts : 0, lcpu / dt, sa > sa0 ? (sb - sb0) / (sa - sa0) : 0,
           la > la0 ? (lb - lb0) / (la - la0) : 0);
    return 0;
}

/* Connect, send one message, read the echo, close.  On loopback a blocking
 * connect() finishes inside the call, so batches of plain calls do: the server
 * always has up to -N connections to work on.  The client closes first. */
static int conn_mode(void)
{
    int *fds = malloc(nconn * sizeof *fds);
    char *buf = malloc(size);
    uint64_t done = 0, begin = 0, end = 0, t, t_warm = now_ns() + (uint64_t)(warm * 1e9);
    double scpu0 = 0, lcpu0 = 0;
    unsigned seq = 0;
    for (;;) {
        t = now_ns();
        if (!begin && t >= t_warm) {
            begin = t;
            end = t + (uint64_t)(secs * 1e9);
            done = 0;
            scpu0 = proc_cpu();
            lcpu0 = self_cpu();
            memset(hist, 0, sizeof hist);
        } else if (begin && t >= end) {
            break;
        }
        for (int i = 0; i < nconn; i++) {
            /* a new source address every 20000 connections, 200 of them */
            fds[i] = dial(port, NULL, (int)(seq++ % 4000000u));
            if (fds[i] < 0)
                die("connect");
            if (send(fds[i], pat, size, MSG_NOSIGNAL) != size)
                die("send");
        }
        for (int i = 0; i < nconn; i++) {
            for (int got = 0, r; got < size; got += r)
                if ((r = recv(fds[i], buf + got, size - got, 0)) <= 0)
                    die("recv");
            if (verify && memcmp(buf, pat, size)) {
                fprintf(stderr, "wrong bytes\n");
                return 1;
            }
            close(fds[i]);
        }
        hist[bucket((now_ns() - t) / nconn)]++;
        done += nconn;
    }
    double dt = (t - begin) * 1e-9, scpu = proc_cpu() - scpu0, lcpu = self_cpu() - lcpu0;
    printf("{\"mode\":\"conn\",\"slots\":%d,\"size\":%d,\"secs\":%.3f,\"cps\":%.0f,\"srv_us_per_conn\":%.2f,"
           "\"srv_util\":%.3f,\"load_us_per_conn\":%.2f,\"load_util\":%.3f}\n",
           nconn, size, dt, done / dt, done ? scpu * 1e6 / done : 0, scpu / dt,
           done ? lcpu * 1e6 / done : 0, lcpu / dt);
    return 0;
}

/* ---- idle */
static long meminfo(const char *key)   /* KiB */
{
    FILE *f = fopen("/proc/meminfo", "r");
    char line[256];
    long v = 0;
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
            v = atol(line + strlen(key) + 1);
    if (f)
        fclose(f);
    return v;
}
static long smaps(const char *key)     /* KiB over all pids */
{
    long sum = 0;
    for (const char *p = pids; *p;) {
        int pid = strtol(p, (char **)&p, 10);
        if (*p == ',')
            p++;
        char path[64], line[256];
        snprintf(path, sizeof path, "/proc/%d/smaps_rollup", pid);
        FILE *f = fopen(path, "r");
        while (f && fgets(line, sizeof line, f))
            if (!strncmp(line, key, strlen(key)) && line[strlen(key)] == ':')
                sum += atol(line + strlen(key) + 1);
        if (f)
            fclose(f);
    }
    return sum;
}
struct slab { char name[48]; long kib; };
static int slabs(struct slab *s, int max)
{
    FILE *f = fopen("/proc/slabinfo", "r");
    char line[512];
    int n = 0;
    while (f && n < max && fgets(line, sizeof line, f)) {
        long act, num, osz, ops, pps, t1, t2, t3, as, ns;
        if (sscanf(line, "%47s %ld %ld %ld %ld %ld : tunables %ld %ld %ld : slabdata %ld %ld",
                   s[n].name, &act, &num, &osz, &ops, &pps, &t1, &t2, &t3, &as, &ns) == 11)
            s[n++].kib = act * osz / 1024;
    }
    if (f)
        fclose(f);
    return n;
}

static int idle_mode(void)
{
    static struct slab a[512], b[512];
    long rss0 = smaps("Rss"), pss0 = smaps("Pss"), av0 = meminfo("MemAvailable"), sl0 = meminfo("Slab");
    int na = slabs(a, 512);
    uint64_t t0 = now_ns();
    int ready[2], go[2], answers[2];
    if (pipe(ready) || pipe(go) || pipe(answers))
        die("pipe");
    /* one child a port: the descriptor limit is per process */
    for (int w = 0; w < ports; w++) {
        if (fork() == 0) {
            int n = nconn / ports + (w < nconn % ports), ok = 0, answered = 0;
            int *fds = calloc(n, sizeof *fds);
            char c = 0;
            close(go[1]);
            for (int i = 0; i < n; i++) {
                /* a new source address every 10000: past about 14000 connections
                 * between two addresses and one port, connect() spends
                 * milliseconds in its search for a free local port */
                int fd = fds[i] = dial(port + w, NULL, 2 * i);
                if (fd < 0)
                    break;
                if (send(fd, "x", 1, MSG_NOSIGNAL) != 1 || recv(fd, &c, 1, 0) != 1 || c != 'x')
                    break;
                ok++;
            }
            if (write(ready[1], &ok, sizeof ok) < 0 || read(go[0], &c, 1) < 0)
                _exit(1);
            /* held long enough: is every one still answered? */
            for (int i = 0; i < ok; i++)
                answered += send(fds[i], "y", 1, MSG_NOSIGNAL) == 1 && recv(fds[i], &c, 1, 0) == 1 &&
                            c == 'y';
            if (write(answers[1], &answered, sizeof answered) < 0)
                _exit(1);
            _exit(0);
        }
    }
    long total = 0;
    for (int w = 0; w < ports; w++) {
        int ok = 0;
        if (read(ready[0], &ok, sizeof ok) != sizeof ok)
            die("read");
        total += ok;
    }
    double dt = (now_ns() - t0) * 1e-9;
    sleep((unsigned)secs);
    long rss = smaps("Rss") - rss0, pss = smaps("Pss") - pss0;
    long av = av0 - meminfo("MemAvailable"), sl = meminfo("Slab") - sl0;
    double per = total ? 1024.0 / total : 0;
    printf("{\"mode\":\"idle\",\"wanted\":%d,\"conns\":%ld,\"connect_s\":%.1f,\"srv_rss_B\":%.0f,"
           "\"srv_pss_B\":%.0f,\"all_mem_B\":%.0f,\"slab_B\":%.0f,\"caches\":{",
           nconn, total, dt, rss * per, pss * per, av * per, sl * per);
    int nb = slabs(b, 512), first = 1;
    for (int i = 0; i < nb; i++) {
        long was = 0;
        for (int k = 0; k < na; k++)
            if (!strcmp(a[k].name, b[i].name))
                was = a[k].kib;
        double d = (b[i].kib - was) * per;
        if (d >= 24) {
            printf("%s\"%s\":%.0f", first ? "" : ",", b[i].name, d);
            first = 0;
        }
    }
    close(go[1]);
    close(go[0]);
    close(answers[1]);
    long answered = 0;
    int part;
    while (read(answers[0], &part, sizeof part) == sizeof part)
        answered += part;
    printf("},\"answered\":%ld}\n", answered);
    while (wait(NULL) > 0)
        ;
    return 0;
}

int main(int argc, char **argv)
{
    int ch;
    while ((ch = getopt(argc, argv, "m:p:c:N:S:D:d:w:P:C:v:W:s:")) != -1) {
        switch (ch) {
        case 'm': mode = optarg; break;
        case 'p': port = atoi(optarg); break;
        case 'c': cpu = atoi(optarg); break;
        case 'N': nconn = atoi(optarg); break;
        case 'S': size = atoi(optarg); break;
        case 'D': depth = atoi(optarg); break;
        case 'd': secs = atof(optarg); break;
        case 'w': warm = atof(optarg); break;
        case 'P': pids = optarg; break;
        case 'C': srvcpu = atoi(optarg); break;
        case 'v': verify = atoi(optarg); break;
        case 's': spin = atoi(optarg); break;
        case 'W': ports = atoi(optarg); break;
        default: return 2;
        }
    }
    signal(SIGPIPE, SIG_IGN);
    raise_nofile();
    pin(cpu);
    make_pat();
    if (!strcmp(mode, "conn"))
        return conn_mode();
    if (!strcmp(mode, "idle"))
        return idle_mode();
    return echo_mode();
}
