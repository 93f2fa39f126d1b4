/* SPDX-License-Identifier: MIT */
/* notes_client.c -- the notes' client, which writes and then reads: `notes_client 7000 hello` */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tenon.h>

static tn_err failed(const char *call)
{
    int number = errno; /* this task's own, whatever others have done since */

    perror(call);
    return tn_err_errno(number);
}

static tn_err talk(int fd, const char *text)
{
    size_t size = strlen(text);
    char buf[1024];
    ssize_t count;

    for (; size > 0; text += count, size -= (size_t)count) {
        count = tn_fd_write(fd, text, size);
        if (count < 0 && errno != EINTR)
            return failed("write");
        count = count < 0 ? 0 : count; /* interrupted: nothing was written, write again */
    }
    if (tn_fd_shutdown(fd, SHUT_WR) == -1)
        return failed("shutdown");
    while ((count = tn_fd_read(fd, buf, sizeof(buf))) != 0) {
        if (count < 0 && errno != EINTR)
            return failed("read");
        fwrite(buf, 1, count > 0 ? (size_t)count : 0, stdout);
    }
    return tn_ok();
}

static tn_err client(void *arg)
{
    char **words = arg;
    struct sockaddr_in server = { .sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)strtol(words[1], NULL, 10)),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    int fd = tn_fd_socket(AF_INET, SOCK_STREAM, 0);
    tn_err err;

    if (fd == -1) /* 0 is a descriptor like any other */
        return failed("socket");
    err = tn_fd_connect(fd, (struct sockaddr *)&server, sizeof(server)) == -1
              ? failed("connect")
              : talk(fd, words[2]);
    return tn_fd_close(fd) == -1 && !tn_failed(err) ? failed("close") : err;
}

int main(int argc, char **argv)
{
    return argc != 3 || tn_failed(tn_run(client, argv, NULL));
}
