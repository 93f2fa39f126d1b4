/* SPDX-License-Identifier: MIT */
/*
 * verdict.c -- a program that decides about packets: verdict SEED WHAT.
 *
 * It sits behind NFQUEUE 0 of its network namespace and is given each TCP packet on its
 * way.  The dice say what is to become of it: it is lost, comes twice, with a wrong byte
 * or without its urgent flag, later, or so much later that others overtake it.  It prints
 * "open" when it is ready, and at SIGTERM a line with what it has done (dice.h).
 *
 * Always true: packets that are only delayed keep their order, each direction for itself;
 * at the end all that is held is let go.
 */
#include "rough/dice.h"

#include <arpa/inet.h>
#include <errno.h>
#include <libnetfilter_queue/libnetfilter_queue.h>
#include <linux/netfilter.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

#define HELD_MAX      8192
#define PACKET_MAX    2048
#define SOCKET_BUFFER (4 << 20)
#define ATTEMPTS_MOST 2 /* SYNs of a port that are lost, each way */

struct held {
    uint32_t id;
    int64_t due_us;
};

static struct dice dice;
static struct tally tally;
static struct held held[HELD_MAX]; /* soonest first */
static unsigned held_count;
static int64_t last_due[2]; /* of those that keep their order */
static unsigned char syns_lost[2][65536];
static int raw; /* to send copies from */

static int64_t now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- packets ---- */

/* The parts of an IPv4 packet with TCP in it, in place. */
struct packet {
    unsigned char *bytes;
    size_t size;
    struct iphdr *ip;
    struct tcphdr *tcp;
    size_t data; /* bytes behind the headers */
    int way;     /* 0: from the near host, 1: from the far one */
};

static bool packet_parse(struct packet *packet, unsigned char *bytes, size_t size)
{
    size_t headers;

    *packet = (struct packet){ .bytes = bytes, .size = size };
    packet->ip = (struct iphdr *)(void *)bytes;
    if (size < sizeof(struct iphdr) + sizeof(struct tcphdr) || packet->ip->version != 4 ||
        packet->ip->protocol != IPPROTO_TCP)
        return false;
    packet->tcp = (struct tcphdr *)(void *)(bytes + (size_t)packet->ip->ihl * 4);
    headers = (size_t)packet->ip->ihl * 4 + (size_t)packet->tcp->doff * 4;
    if (headers > size)
        return false;
    packet->data = size - headers;
    packet->way = (ntohl(packet->ip->saddr) >> 8 & 0xff) == 2;
    return true;
}

/* Change a 16-bit word that the checksum covers (RFC 1624, equation 3). */
static void change_word(struct packet *packet, uint16_t *word, uint16_t value)
{
    uint32_t sum = (uint32_t)(uint16_t)~packet->tcp->check + (uint16_t) ~*word + value;

    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    packet->tcp->check = (uint16_t)~sum;
    *word = value;
}

static void clear_urgent(struct packet *packet)
{
    uint16_t *flags = (uint16_t *)(void *)((unsigned char *)packet->tcp + 12);

    change_word(packet, flags, *flags & (uint16_t)~htons(0x20));
    change_word(packet, &packet->tcp->urg_ptr, 0);
}

/* The initial SYN or SYN/ACK of a connection, no more than a few times. */
static bool syn_is_lost(const struct packet *packet, const struct draw *draw)
{
    uint16_t port = packet->tcp->ack ? packet->tcp->dest : packet->tcp->source;

    return packet->tcp->syn && draw->syn_loss &&
           syns_lost[packet->way][port]++ < ATTEMPTS_MOST;
}

static bool is_pure_ack(const struct packet *packet)
{
    return packet->data == 0 && packet->tcp->ack && !packet->tcp->syn &&
           !packet->tcp->fin && !packet->tcp->rst;
}

static void send_copy(const struct packet *packet)
{
    struct sockaddr_in there = { .sin_family = AF_INET,
                                 .sin_addr.s_addr = packet->ip->daddr };

    /* A copy that finds no room is a packet that did not come twice. */
    if (sendto(raw, packet->bytes, packet->size, MSG_DONTWAIT, (struct sockaddr *)&there,
               sizeof(there)) > 0)
        tally.changed++;
}

/* ---- holding ---- */

static void hold(uint32_t id, int64_t due_us)
{
    unsigned place = held_count++;

    for (; place > 0 && held[place - 1].due_us > due_us; place--)
        held[place] = held[place - 1];
    held[place] = (struct held){ id, due_us };
}

static void release_due(struct nfq_q_handle *queue, int64_t now)
{
    unsigned count = 0;

    while (count < held_count && held[count].due_us <= now)
        nfq_set_verdict(queue, held[count++].id, NF_ACCEPT, 0, NULL);
    held_count -= count;
    memmove(held, held + count, held_count * sizeof(held[0]));
}

/* When it may go on: now, or in its turn, or overtaken by those behind it. */
static int64_t due_of(int way, const struct draw *draw, int64_t now)
{
    int64_t due = now + (int64_t)dice.delay * 1000 + (int64_t)draw->jitter_us;

    if (draw->held)
        return due + (int64_t)dice.hold * 1000;
    if (due < last_due[way])
        due = last_due[way];
    last_due[way] = due;
    return due;
}

static int decide(struct nfq_q_handle *queue, uint32_t id, struct packet *packet)
{
    uint64_t n = tally.drawn[packet->way]++;
    struct draw draw = dice_draw(&dice, packet->way, n);
    int64_t now = now_us(), due = due_of(packet->way, &draw, now);
    bool changed = false;

    tally.hash[packet->way] = dice_fold(tally.hash[packet->way], &draw);
    if (draw.lose || syn_is_lost(packet, &draw) ||
        (draw.ack_loss && is_pure_ack(packet))) {
        tally.changed++;
        return nfq_set_verdict(queue, id, NF_DROP, 0, NULL);
    }
    if (draw.duplicate)
        send_copy(packet);
    if (draw.corrupt && packet->data > 0) {
        packet->bytes[packet->size - 1 - draw.where % packet->data] ^= 0x10;
        changed = true;
    } else if (dice.clear_urg != 0 && packet->tcp->urg) {
        clear_urgent(packet);
        changed = true;
    }
    if (due > now && held_count < HELD_MAX && !changed) {
        hold(id, due);
        tally.changed++;
        return 0;
    }
    tally.changed += changed;
    return nfq_set_verdict(queue, id, NF_ACCEPT, changed ? (uint32_t)packet->size : 0,
                           packet->bytes);
}

static int on_packet(struct nfq_q_handle *queue, struct nfgenmsg *message,
                     struct nfq_data *data, void *unused)
{
    struct nfqnl_msg_packet_hdr *header = nfq_get_msg_packet_hdr(data);
    unsigned char *bytes = NULL;
    int size = nfq_get_payload(data, &bytes);
    struct packet packet;
    uint32_t id;

    (void)message;
    (void)unused;
    if (header == NULL)
        return 0;
    id = ntohl(header->packet_id);
    if (size <= 0 || !packet_parse(&packet, bytes, (size_t)size))
        return nfq_set_verdict(queue, id, NF_ACCEPT, 0, NULL);
    return decide(queue, id, &packet);
}

/* ---- the program ---- */

static struct nfq_q_handle *open_queue(struct nfq_handle *handle)
{
    struct nfq_q_handle *queue;

    if (handle == NULL)
        return NULL;
    queue = nfq_create_queue(handle, 0, on_packet, NULL);
    if (queue == NULL || nfq_set_mode(queue, NFQNL_COPY_PACKET, PACKET_MAX) < 0)
        return NULL;
    nfq_set_queue_maxlen(queue, HELD_MAX);
    nfnl_rcvbufsiz(nfq_nfnlh(handle), SOCKET_BUFFER);
    return queue;
}

static int open_signals(void)
{
    sigset_t ends;

    sigemptyset(&ends);
    sigaddset(&ends, SIGTERM);
    sigprocmask(SIG_BLOCK, &ends, NULL);
    return signalfd(-1, &ends, SFD_CLOEXEC);
}

/* Milliseconds until the next held packet is due, rounded up; -1: none is held. */
static int next_ms(void)
{
    int64_t left;

    if (held_count == 0)
        return -1;
    left = held[0].due_us - now_us();
    return left > 0 ? (int)(left / 1000 + 1) : 0;
}

static void serve(struct nfq_handle *handle, struct nfq_q_handle *queue, int signals)
{
    static char buffer[65536] __attribute__((aligned(8)));
    struct pollfd entries[2] = { { .fd = nfq_fd(handle), .events = POLLIN },
                                 { .fd = signals, .events = POLLIN } };

    for (;;) {
        ssize_t got;

        if (poll(entries, 2, next_ms()) < 0 && errno != EINTR)
            return;
        if (entries[1].revents != 0)
            return;
        while ((got = recv(entries[0].fd, buffer, sizeof(buffer), MSG_DONTWAIT)) > 0) {
            nfq_handle_packet(handle, buffer, (int)got);
            release_due(queue, now_us());
        }
        release_due(queue, now_us());
    }
}

int main(int argc, char **argv)
{
    struct nfq_handle *handle = nfq_open();
    struct nfq_q_handle *queue = open_queue(handle);
    int signals = open_signals();

    if (argc != 3 || !dice_parse(&dice, argv[2], strtoull(argv[1], NULL, 10))) {
        printf("usage: verdict SEED WHAT\n");
        return 2;
    }
    raw = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
    if (queue == NULL || signals < 0 || raw < 0) {
        printf("no queue: %s\n", strerror(errno));
        return 1;
    }
    printf("open\n");
    fflush(stdout);
    serve(handle, queue, signals);
    release_due(queue, INT64_MAX);
    tally_print(&tally);
    nfq_destroy_queue(queue);
    nfq_close(handle);
    return 0;
}
