/* SPDX-License-Identifier: MIT */
/* Echo server: one blocking thread per connection (64 KiB stacks). */
#include "common.h"
#include <pthread.h>

static struct opts o;

static void *serve(void *arg)
{
    int fd = (int)(long)arg;
    char *buf = malloc(o.bufsize);
    ssize_t r;
    while ((r = recv(fd, buf, o.bufsize, 0)) > 0) {
        for (ssize_t off = 0; off < r;) {
            ssize_t w = send(fd, buf + off, r - off, MSG_NOSIGNAL);
            if (w <= 0)
                goto out;
            off += w;
        }
    }
out:
    free(buf);
    close(fd);
    return NULL;
}

int main(int argc, char **argv)
{
    o = parse_opts(argc, argv);
    pin(o.cpu);
    int ls = listen_tcp(o.port, 0);
    pthread_attr_t at;
    pthread_attr_init(&at);
    pthread_attr_setstacksize(&at, 65536);
    pthread_attr_setdetachstate(&at, PTHREAD_CREATE_DETACHED);
    for (;;) {
        int c = accept4(ls, NULL, NULL, SOCK_CLOEXEC);
        if (c < 0)
            continue;
        pthread_t t;
        if (pthread_create(&t, &at, serve, (void *)(long)c))
            close(c);
    }
}
