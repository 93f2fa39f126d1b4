/* SPDX-License-Identifier: MIT */
/* Echo server: libevent bufferevents; input is moved to output by reference. */
#include "common.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>

static struct opts o;

static void on_read(struct bufferevent *b, void *arg)
{
    (void)arg;
    bufferevent_write_buffer(b, bufferevent_get_input(b));
}

static void on_event(struct bufferevent *b, short what, void *arg)
{
    (void)arg;
    if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
        bufferevent_free(b);
}

static void on_conn(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *a, int n, void *arg)
{
    (void)a, (void)n, (void)arg;
    struct bufferevent *b =
        bufferevent_socket_new(evconnlistener_get_base(l), fd, BEV_OPT_CLOSE_ON_FREE);
    bufferevent_setcb(b, on_read, NULL, on_event, NULL);
    bufferevent_set_max_single_read(b, o.bufsize);
    bufferevent_set_max_single_write(b, o.bufsize);
    bufferevent_enable(b, EV_READ | EV_WRITE);
}

int main(int argc, char **argv)
{
    o = parse_opts(argc, argv);
    pin(o.cpu);
    struct event_base *base = event_base_new();
    evconnlistener_new(base, on_conn, NULL, LEV_OPT_CLOSE_ON_FREE, -1,
                       listen_tcp(o.port, SOCK_NONBLOCK));
    return event_base_dispatch(base);
}
