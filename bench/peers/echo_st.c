/* SPDX-License-Identifier: MIT */
/* Echo server: State Threads, one 32 KiB-stack thread per connection; the
 * closest living relative of straight-line coroutines in C. */
#include "common.h"
#include <st.h>

static struct opts o;

static void *serve(void *arg)
{
    st_netfd_t fd = arg;
    char *buf = malloc(o.bufsize);
    ssize_t r;
    while ((r = st_read(fd, buf, o.bufsize, ST_UTIME_NO_TIMEOUT)) > 0)
        if (st_write(fd, buf, r, ST_UTIME_NO_TIMEOUT) != r)
            break;
    free(buf);
    st_netfd_close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    o = parse_opts(argc, argv);
    pin(o.cpu);
    /* Debian's libst is built without epoll: ALT silently means select(), which
     * stops at 1024 descriptors.  -x select asks for it all the same. */
    st_set_eventsys(has(&o, "select") ? ST_EVENTSYS_SELECT : ST_EVENTSYS_POLL);
    if (st_init())
        die("st_init");
    st_netfd_t ls = st_netfd_open_socket(listen_tcp(o.port, 0));
    for (;;) {
        st_netfd_t c = st_accept(ls, NULL, NULL, ST_UTIME_NO_TIMEOUT);
        if (c && !st_thread_create(serve, c, 0, 32768))
            st_netfd_close(c);
    }
}
