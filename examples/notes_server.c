/* SPDX-License-Identifier: MIT */
/* notes_server.c -- the notes' server, which reads and then writes: `notes_server 7000` */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <tenon.h>

static tn_err failed(const char *call)
{
    tn_err err = tn_err_errno(errno); /* this task's own, whatever others did since */

    perror(call);
    return err;
}

/* One client: what it says comes back. */
static tn_err serve(void *arg)
{
    int fd = (int)(intptr_t)arg;
    ssize_t got = 0, put = 0;
    char buf[1024];

    while (put >= 0 && (got = tn_fd_read(fd, buf, sizeof(buf))) != 0) {
        if (got < 0 && errno != EINTR)
            break;
        for (ssize_t done = 0; done < got && put >= 0; done += put) {
            put = tn_fd_send(fd, buf + done, (size_t)(got - done), MSG_NOSIGNAL);
            put = put < 0 && errno == EINTR ? 0 : put; /* nothing was written: again */
        }
    }
    if (got < 0 || put < 0)
        perror("client");
    return tn_fd_close(fd) == -1 ? failed("close") : tn_ok();
}

static tn_err server(void *arg)
{
    struct sockaddr_in own = { .sin_family = AF_INET, .sin_addr.s_addr = INADDR_ANY };
    int fd, listener = tn_fd_socket(AF_INET, SOCK_STREAM, 0);
    socklen_t size = sizeof(own);
    own.sin_port = htons((uint16_t)strtol(arg, NULL, 10)); /* 0: the system chooses */
    if (listener == -1 || tn_fd_bind(listener, (struct sockaddr *)&own, size) == -1 ||
        tn_fd_listen(listener, 16) == -1)
        return failed("listen");
    if (getsockname(listener, (struct sockaddr *)&own, &size) == 0)
        fprintf(stderr, "listening on port %d\n", ntohs(own.sin_port));
    for (;;) {
        fd = tn_fd_accept(listener, NULL, NULL);
        if (fd == -1 && errno != EINTR && errno != ECONNABORTED)
            return failed("accept");
        if (fd != -1 && tn_failed(tn_go(NULL, serve, (void *)(intptr_t)fd, NULL, NULL)))
            return failed("no memory for another client");
    }
}

int main(int argc, char **argv)
{
    return argc != 2 || tn_failed(tn_run(server, argv[1], NULL));
}
