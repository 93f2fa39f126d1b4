/* SPDX-License-Identifier: MIT */
/*
 * sim_tcp.h -- between the files of the simulator's network and TCP.
 *
 * Sequence numbers are offsets into the stream, from 0; the FIN counts as one more byte,
 * the SYN as none.
 */
#ifndef OS_SIM_TCP_H
#define OS_SIM_TCP_H

#include "os/sim_inside.h"

/* ---- sim_net.c ---- */

struct sim_way {
    struct sim_link link;
    int64_t last;      /* when the latest segment arrives: there is no overtaking */
    int64_t free;      /* when the link has sent what it was given */
    int64_t cut_until; /* what is sent before is lost */
    bool unreachable;
};

struct sim_wire {
    struct link in_sim;
    uint32_t number;
    struct sim_addr addr[2];
    struct sim_way way[2];     /* from side 0, from side 1 */
    struct sim_tcp *end[2];    /* who gets segments; NULL: the host knows of none */
    struct sim_tcp *socket[2]; /* whose truth is to be told; NULL: it stands in truth */
    struct sim_truth truth[2];
    enum sim_answer answer;
    uint32_t segment;
    int64_t ack_delay;
    int fault; /* enum sim_fault that is to strike, or has; -1 */
    int fault_side;
    bool struck;
    bool had_server; /* side 1 has been somebody's */
    struct sim_event strike;
    struct sim_event window[2];
};

#define SIM_SYN   1U
#define SIM_ACK   2U
#define SIM_FIN   4U
#define SIM_RST   8U
#define SIM_URG   16U
#define SIM_PROBE 32U /* to be acknowledged whatever it carries */
#define SIM_ICMP  64U /* no segment, but the answer that there is no such host */

struct sim_segment {
    struct sim_event event;
    struct link in_sim;
    struct sim_wire *wire;
    uint8_t to; /* side */
    uint8_t flags;
    uint32_t size;
    uint64_t sequence, ack, window_end, urgent;
    char data[];
};

/* sim_wire_new -- a connection from an end that is FROM to TO.  NULL: no memory. */
struct sim_wire *sim_wire_new(struct sim *sim, const struct sim_addr *from,
                              const struct sim_addr *to);
void sim_wires_free(struct sim *sim);

/* sim_wire_send -- SEGMENT's header and SIZE bytes from AT of BYTES leave SIDE. */
void sim_wire_send(struct sim *sim, struct sim_wire *wire, int side,
                   const struct sim_segment *header, const struct sim_bytes *bytes,
                   size_t at);

/* sim_addr_answer -- what answers at ADDR, before a connection is made. */
enum sim_answer sim_addr_answer(struct sim *sim, const struct sim_addr *addr);
/* ---- TCP ---- */

enum sim_tcp_state { /* numbered as in TCP_INFO */
                     SIM_ESTABLISHED = 1,
                     SIM_SYN_SENT,
                     SIM_SYN_RECV,
                     SIM_FIN_WAIT1,
                     SIM_FIN_WAIT2,
                     SIM_TIME_WAIT,
                     SIM_CLOSE,
                     SIM_CLOSE_WAIT,
                     SIM_LAST_ACK,
                     SIM_LISTEN,
                     SIM_CLOSING
};

enum sim_urgent {
    SIM_URGENT_NONE,
    SIM_URGENT_NOT_YET,
    SIM_URGENT_VALID,
    SIM_URGENT_READ
};

#define SIM_STAMPS 64

struct sim_tcp {
    struct sim_socket base;
    uint8_t state;              /* enum sim_tcp_state */
    bool connecting, connected; /* as connect(2) sees it */
    bool bound, time_wait;
    bool icmp_queued; /* in its queue of errors, which shows as POLLERR */
    struct sim_addr local, peer;
    struct sim_wire *wire;
    int side;
    struct sim_event retransmit, delayed_ack, life;

    /* Sending: `out` begins at `una`. */
    struct sim_bytes out;
    uint64_t written; /* with the FIN */
    uint64_t una, next, furthest;
    uint64_t window_end;
    bool fin;
    uint64_t urgent_sent; /* just behind the urgent byte; 0: none */
    unsigned retries, probes_out, probe_backoff, same_acks;
    int64_t since; /* when what is unacknowledged was first sent */
    int64_t rtt, rtt_variance, rtt_start;
    uint64_t rtt_sequence, recover;
    uint32_t retransmits;

    /* Receiving: `base.in` begins at `copied`. */
    uint64_t received; /* with the FIN */
    uint64_t copied;
    uint64_t offered; /* the end of the window we have told of */
    bool fin_received, window_shut;
    unsigned unacked_segments;
    int64_t heard; /* when the peer was last heard of */
    unsigned keepalive_probes;
    uint8_t urgent; /* enum sim_urgent */
    bool signalled; /* the last receive at the mark was stopped by a signal */
    uint64_t urgent_at;
    char urgent_byte;

    /* Stamps of acknowledgements. */
    uint64_t stamp_start;
    uint64_t stamp_wanted[SIM_STAMPS]; /* just behind the bytes */
    unsigned stamp_wanted_count;
    uint32_t stamps[SIM_STAMPS]; /* in the error queue */
    unsigned stamp_count;

    /* Listening. */
    int backlog;
    struct link children; /* half open, in the handshake */
    struct link ready;
    int ready_count;
    struct sim_tcp *listener;
    struct link in_listener;
};

static inline struct sim_tcp *sim_tcp_of(struct sim_file *file)
{
    return CONTAINER(file, struct sim_tcp, base.file);
}

/* sim_stream.c */
extern const struct sim_file_calls sim_tcp_calls;
/* sim_tcp_new -- a socket without descriptor.  NULL: no memory. */
struct sim_tcp *sim_tcp_new(struct sim *sim, int domain, int flags);
/* sim_tcp_free_if_over -- once no program has it and the connection is over. */
void sim_tcp_free_if_over(struct sim *sim, struct sim_tcp *tcp);
/* sim_tcp_detach -- TCP is no end of its wire any more; the truth stays there. */
void sim_tcp_detach(struct sim_tcp *tcp);
void sim_tcp_tell(const struct sim_tcp *tcp, struct sim_truth *truth);
int sim_tcp_shutdown(struct sim *sim, struct sim_tcp *tcp, unsigned how);
uint64_t sim_tcp_unacked(const struct sim_tcp *tcp);

/* sim_listen.c */
int sim_tcp_bind(struct sim *sim, struct sim_tcp *tcp, const struct sim_addr *addr);
int sim_tcp_listen(struct sim *sim, struct sim_tcp *tcp, int backlog);
int sim_tcp_accept(struct sim *sim, struct sim_tcp *tcp, struct sim_tcp **child);
int sim_tcp_connect(struct sim *sim, struct sim_tcp *tcp, const struct sim_addr *addr);
/* sim_tcp_disconnect -- forget the connection; the peer is reset if it has one. */
void sim_tcp_disconnect(struct sim *sim, struct sim_tcp *tcp);
void sim_listen_stop(struct sim *sim, struct sim_tcp *tcp);
/* sim_listen_syn -- a SYN has arrived at WIRE's side 1, where nobody is yet. */
void sim_listen_syn(struct sim *sim, struct sim_wire *wire);
/* sim_listen_established -- a handshake is done.  false: no room, it has to wait. */
bool sim_listen_established(struct sim *sim, struct sim_tcp *tcp);

/* sim_stamp.c: acknowledgements that wake the program */
void sim_stamp_want(struct sim_tcp *tcp, const struct sim_io *io);
void sim_stamp_acked(struct sim *sim, struct sim_tcp *tcp);
ssize_t sim_stamp_receive(struct sim *sim, struct sim_tcp *tcp, struct sim_io *io);

/* sim_tcp.c: each may free TCP, if no program has it any more. */
void sim_tcp_input(struct sim *sim, struct sim_tcp *tcp,
                   const struct sim_segment *segment);
void sim_tcp_wake_write(struct sim *sim, struct sim_tcp *tcp);
/* sim_tcp_done -- the connection is over. */
void sim_tcp_done(struct sim *sim, struct sim_tcp *tcp);
void sim_tcp_fail(struct sim *sim, struct sim_tcp *tcp, int error);
void sim_tcp_reset(struct sim *sim, struct sim_tcp *tcp);

/* sim_tcp_out.c */
void sim_tcp_output(struct sim *sim, struct sim_tcp *tcp);
void sim_tcp_ack(struct sim *sim, struct sim_tcp *tcp);
void sim_tcp_ack_soon(struct sim *sim, struct sim_tcp *tcp);
void sim_tcp_send_flags(struct sim *sim, struct sim_tcp *tcp, unsigned flags);
/* sim_tcp_send_fin -- after what has been written. */
void sim_tcp_send_fin(struct sim *sim, struct sim_tcp *tcp);
/* sim_tcp_acked -- ACK is acknowledged: free, measure, time anew. */
void sim_tcp_acked(struct sim *sim, struct sim_tcp *tcp, uint64_t ack);
/* sim_tcp_resend -- one segment, the first unacknowledged. */
void sim_tcp_resend(struct sim *sim, struct sim_tcp *tcp);
size_t sim_tcp_window(const struct sim_tcp *tcp);
void sim_tcp_timers_init(struct sim_tcp *tcp);
void sim_tcp_timers_clear(struct sim *sim, struct sim_tcp *tcp);
void sim_tcp_keepalive(struct sim *sim, struct sim_tcp *tcp);
void sim_tcp_life(struct sim *sim, struct sim_tcp *tcp, int64_t length);
void sim_tcp_retransmit_set(struct sim *sim, struct sim_tcp *tcp);

#endif
