/* SPDX-License-Identifier: MIT */
/* Echo server: libuv, read_start with one shared buffer, uv_try_write first
 * and uv_write only for what did not fit (the fastest libuv idiom). */
#include "common.h"
#include <uv.h>

static struct opts o;
static char *shared;

struct wreq {
    uv_write_t req;
    char data[];
};

static void on_alloc(uv_handle_t *h, size_t want, uv_buf_t *b)
{
    (void)h, (void)want;
    *b = uv_buf_init(shared, o.bufsize);
}

static void on_closed(uv_handle_t *h) { free(h); }

static void on_written(uv_write_t *w, int st)
{
    (void)st;
    free(w);
}

static void on_read(uv_stream_t *s, ssize_t n, const uv_buf_t *b)
{
    if (n < 0) {
        uv_close((uv_handle_t *)s, on_closed);
        return;
    }
    if (n == 0)
        return;
    uv_buf_t out = uv_buf_init(b->base, n);
    int w = uv_try_write(s, &out, 1);
    if (w == n)
        return;
    if (w < 0)
        w = 0;
    struct wreq *r = malloc(sizeof *r + (n - w));
    memcpy(r->data, b->base + w, n - w);
    out = uv_buf_init(r->data, n - w);
    uv_write(&r->req, s, &out, 1, on_written);
}

static void on_conn(uv_stream_t *srv, int st)
{
    if (st < 0)
        return;
    uv_tcp_t *c = malloc(sizeof *c);
    uv_tcp_init(srv->loop, c);
    if (uv_accept(srv, (uv_stream_t *)c) == 0) {
        uv_tcp_nodelay(c, 1);
        uv_read_start((uv_stream_t *)c, on_alloc, on_read);
    } else {
        uv_close((uv_handle_t *)c, on_closed);
    }
}

int main(int argc, char **argv)
{
    o = parse_opts(argc, argv);
    pin(o.cpu);
    shared = malloc(o.bufsize);
    uv_loop_t *loop = uv_default_loop();
    uv_tcp_t srv;
    uv_tcp_init(loop, &srv);
    uv_tcp_open(&srv, listen_tcp(o.port, SOCK_NONBLOCK));
    if (uv_listen((uv_stream_t *)&srv, 8192, on_conn))
        return 1;
    return uv_run(loop, UV_RUN_DEFAULT);
}
