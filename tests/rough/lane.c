/* SPDX-License-Identifier: MIT */
/*
 * lane.c -- three hosts of one's own: near, router, far.
 *
 *      10.71.1.2 -- 10.71.1.1 router 10.71.2.1 -- 10.71.2.2, 10.71.2.3
 *
 * Each is a network namespace that nothing but our descriptors keeps alive, so there is
 * nothing to clean up, however we end.  Segments are never merged on their way
 * (gso_max_segs), so that what the router loses is a packet and not half a window.
 */
#include "rough/rough.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rough/stage.h"

#define WORDS_MAX 32

static bool trouble(struct lane *lane, const char *what)
{
    snprintf(lane->trouble, sizeof(lane->trouble), "%s: %s", what, strerror(errno));
    return false;
}

void lane_enter(const struct lane *lane, enum host host)
{
    if (setns(lane->hosts[host], CLONE_NEWNET) != 0)
        _exit(126);
}

/* The child of lane_run: COMMAND's words are separated by single spaces. */
_Noreturn static void run_child(const struct lane *lane, enum host host,
                                const char *command, int from, int into)
{
    char line[512], *words[WORDS_MAX], *rest = line;
    size_t count = 0;

    lane_enter(lane, host);
    snprintf(line, sizeof(line), "%s", command);
    while (count + 1 < WORDS_MAX && (words[count] = strsep(&rest, " ")) != NULL)
        count++;
    words[count] = NULL;
    dup2(from, STDIN_FILENO);
    dup2(into, STDOUT_FILENO);
    dup2(into, STDERR_FILENO);
    execvp(words[0], words);
    dprintf(STDERR_FILENO, "%s: %s", words[0], strerror(errno));
    _exit(127);
}

bool lane_run(struct lane *lane, enum host host, const char *command, const char *input,
              char *output, size_t size)
{
    FILE *from = tmpfile(), *into = tmpfile();
    char said[4096] = "";
    int status = -1;
    pid_t child;

    if (from == NULL || into == NULL)
        return trouble(lane, "temporary file");
    if (input != NULL)
        fputs(input, from);
    rewind(from);
    child = fork();
    if (child == 0)
        run_child(lane, host, command, fileno(from), fileno(into));
    if (child > 0)
        waitpid(child, &status, 0);
    rewind(into);
    said[fread(said, 1, sizeof(said) - 1, into)] = '\0';
    fclose(from);
    fclose(into);
    if (output != NULL)
        snprintf(output, size, "%s", said);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    said[strcspn(said, "\n")] = '\0';
    snprintf(lane->trouble, sizeof(lane->trouble), "%.80s: %.160s", command, said);
    return false;
}

/* Root where we may: in a user namespace, everything here works without being root. */
static bool become_root(void)
{
    char line[32];
    const struct {
        const char *file;
        unsigned id;
    } maps[] = { { "/proc/self/uid_map", getuid() }, { "/proc/self/gid_map", getgid() } };
    int fd;

    if (unshare(CLONE_NEWUSER) != 0)
        return false;
    fd = open("/proc/self/setgroups", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        (void)!write(fd, "deny", 4);
        close(fd);
    }
    for (int i = 0; i < 2; i++) {
        int size = snprintf(line, sizeof(line), "0 %u 1", maps[i].id);
        bool mapped;

        fd = open(maps[i].file, O_WRONLY | O_CLOEXEC);
        mapped = fd >= 0 && write(fd, line, (size_t)size) == size;
        if (fd >= 0)
            close(fd);
        if (!mapped)
            return false;
    }
    return true;
}

static bool open_hosts(struct lane *lane)
{
    for (int host = 0; host < HOSTS; host++) {
        if (unshare(CLONE_NEWNET) != 0)
            return trouble(lane, "no network namespace of one's own");
        /* Not closed in children: ip(8) finds it below /proc/self/fd. */
        lane->hosts[host] = open("/proc/self/ns/net", O_RDONLY); // NOLINT(*-cloexec-open)
        if (lane->hosts[host] < 0)
            return trouble(lane, "/proc/self/ns/net");
    }
    return true;
}

/* Cable one host to the router: HOST's end is eth0, the router's NAME. */
static bool cable(struct lane *lane, enum host host, const char *name, const char *net)
{
    char command[256];
    bool good;

    snprintf(command, sizeof(command),
             "ip link add name %s type veth peer name eth0 netns /proc/self/fd/%d", name,
             lane->hosts[host]);
    good = lane_run(lane, ROUTER, command, NULL, NULL, 0);
    snprintf(command, sizeof(command),
             "link set dev lo up\nlink set dev %s gso_max_segs 1 up\naddr add %s.1/24 "
             "dev %s\n",
             name, net, name);
    good = good && lane_run(lane, ROUTER, "ip -batch -", command, NULL, 0);
    snprintf(command, sizeof(command),
             "link set dev lo up\nlink set dev eth0 gso_max_segs 1 up\n"
             "addr add %s.2/24 dev eth0\naddr add %s.3/24 dev eth0\n"
             "route add default via %s.1\n",
             net, net, net);
    return good && lane_run(lane, host, "ip -batch -", command, NULL, 0);
}

bool lane_open(struct lane *lane)
{
    *lane = (struct lane){ .verdicts_say = -1 };
    if (geteuid() != 0 && !become_root())
        return trouble(lane, "neither root nor a user namespace of one's own");
    return open_hosts(lane) && cable(lane, NEAR, "near", "10.71.1") &&
           cable(lane, FAR, "far", "10.71.2") &&
           lane_run(lane, ROUTER, "tee /proc/sys/net/ipv4/ip_forward", "1", NULL, 0);
}
