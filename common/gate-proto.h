/* What passes between cagedd and caged-gate: the descriptors it finds, the records of its sealed
 * configuration, and its messages (SOCK_SEQPACKET, one message of records each; the encoding is
 * common/records.h).
 *
 * The gate answers READY once it is confined; then a DECISION for each request that it read, for
 * each connection of a forward or to a synthetic address, and for each name that it refused an
 * address; and an END for each of these that was allowed, when it is over. All of them are called
 * requests here, and numbered from 1 as they come. The end of its control socket ends the gate; if
 * cagedd shut its sending side alone, the gate first sends the records that it still owes. An end
 * of file on cagedd's side before READY is a failure: cagedd listens by itself again, and the next
 * connection starts another.
 *
 * A request has one DECISION that it was allowed or refused. Before it one may say that the request
 * is held, until an operator answers; and behind one that it was allowed, one may say that it was
 * refused all the same, when its first bytes were seen (hello-filter.h): its END follows. DECISIONs
 * and ENDs are groups of records, each with exactly the records named below, in this order; a
 * message may have several of them, and nothing else then.
 *
 * Floods are folded: what is over a rate is added up, where all but the sums is equal, and sent
 * each second as one group whose COUNT is the number of what it stands for, and whose REQUEST is 0.
 * If there is too much that differs, what has the same verdict and reason is added up, with the
 * rest empty. What a held request waits for is never folded. A gate that is killed takes the sums
 * of its last second with it. A message never splits a group.
 *
 * When the DECISION comes: a refusal as soon as it is decided. An allowed request when it is
 * connected (or could not be: then it is a refusal by "dial-failed" or the like, with the rule that
 * allowed it and the last address tried), and before any byte of the agent goes out: the record is
 * sent first (or, in a flood, added to a sum), and while the socket is full the request waits and
 * nothing new is accepted. So no byte leaves without its record, and each record says how the
 * request ended up. A connection that ends before its head was whole made no request and has no
 * record.
 *
 * An update gives a running gate other lists of hosts: a whole configuration (the records of the
 * sealed one), in which nothing but ALLOW, PRIVATE and DENY may differ. It comes in messages over
 * the control socket, because a gate that could receive a descriptor would need more calls. UPDATE
 * begins it, PARTs follow until they are as many bytes as it said; then it is parsed, and only a
 * good one takes effect, at once and as a whole: what is under way and no longer allowed is refused
 * or cut, all else goes on. The gate answers UPDATED behind the records of what it refused; until
 * then cagedd begins no other update. A gate that cannot take one answers FAILED and exits: an old
 * list never outlives a new one. A new gate finds the newest in its sealed configuration. */
#pragma once

#include <stdint.h>

enum gate_fd {
    GATE_FD_CONTROL = 3,  /* SOCK_SEQPACKET to cagedd */
    GATE_FD_CONFIG = 4,   /* sealed memfd of the records below */
    GATE_FD_LISTENER = 5, /* listening TCP socket in the airlock: the proxy port */
    GATE_FD_FORWARD = 6,  /* and upwards: one listening TCP socket for each GATE_CONFIG_FORWARD;
                             behind them, with GATE_CONFIG_TRANSPARENT, the listening TCP socket
                             for synthetic addresses (IP_TRANSPARENT), and then the UDP socket at
                             which the cage asks for names */
};

#define GATE_CONFIG_VERSION 1

enum gate_config_record {
    GATE_CONFIG_VERSION_NUMBER = 1, /* u64, once, first: GATE_CONFIG_VERSION */
    GATE_CONFIG_AGENT_ID,           /* string, once: named in refusals */
    GATE_CONFIG_UID,                /* u64, once: uid and gid to run as, never 0 */
    GATE_CONFIG_ALLOW,              /* string, any number: a pattern of common/host-pattern.h */
    GATE_CONFIG_PRIVATE,      /* string, any number: host names whose addresses may be private */
    GATE_CONFIG_PARENT_PROXY, /* string, at most once: http://[user:password@]host:port */
    GATE_CONFIG_FORWARD, /* string, any number: "ADDRESS:PORT" on the host's loopback to which the
                            connections of the next forward listener lead */
    GATE_CONFIG_DENY,    /* string, any number: a pattern without options; wins over ALLOW, PRIVATE
                            and FORWARD */
    GATE_CONFIG_TRANSPARENT, /* empty, at most once: the gate answers for names, and takes
                                connections to the addresses that it gave them */
    GATE_CONFIG_ASK, /* u64, at most once: for so many seconds a request for a host that no ALLOW
                        and no DENY matches is held, until an update has one that does; at most
                        GATE_ASK_MAX. Without it such a request is refused at once */
    GATE_CONFIG_PARENT_AUTH, /* string, at most once: user:password for a parent proxy that has
                                     no user in its URI */
};

/* What cagedd says to a gate: one record a message. */
enum gate_order_record {
    GATE_ORDER_UPDATE = 1, /* u64: the size of the configuration that follows, at most
                              SPEC_SIZE_MAX */
    GATE_ORDER_PART,       /* bytes: its next part, never empty */
};

enum gate_message_record {
    GATE_MESSAGE_READY = 1, /* empty */
    GATE_MESSAGE_FAILED,    /* string: why the gate could not start, or take an update; it exits */
    GATE_MESSAGE_DECISION,  /* u64: enum gate_verdict; then REQUEST, METHOD, HOST, PORT, ADDRESS,
                               RULE,  REASON, STATUS, COUNT */
    GATE_MESSAGE_METHOD,    /*   string: CONNECT, GET, ...; "tcp" for a forward or a connection to a
                                 synthetic address; "dns" for a name that was refused one */
    GATE_MESSAGE_HOST,      /*   string: canonical name or address; "" if none could be read */
    GATE_MESSAGE_PORT,      /*   u64; 0 if none could be read */
    GATE_MESSAGE_ADDRESS,   /*   string: the address dialled (the parent proxy's, if the request
                                 went there) or refused; "" if none */
    GATE_MESSAGE_RULE,      /*   string: the pattern that allowed it, or that denied it (reason
                                 host-denied); "" if none */
    GATE_MESSAGE_REASON,    /*   string: stable code, [a-z-]+; "ok" if allowed, "held" if held */
    GATE_MESSAGE_STATUS,    /*   u64: the HTTP status sent for a refusal; 0 if none was: allowed
                                 or held, no HTTP was spoken, or the client had gone */
    GATE_MESSAGE_UPDATED,   /* u64: how many connections the update ended that had been allowed */
    GATE_MESSAGE_REQUEST,   /*   u64: the number of the request; 0 for more than one */
    GATE_MESSAGE_COUNT, /*   u64: for how many requests this group stands, from 1 to UINT32_MAX */
    GATE_MESSAGE_END,   /* u64: the number of the request that is over, 0 for more than one; then
                           METHOD, HOST, PORT, ADDRESS, RULE as in its DECISION, REASON: how it
                           ended, BYTES_UP, BYTES_DOWN, DURATION_USEC, COUNT */
    GATE_MESSAGE_BYTES_UP, /*   u64: bytes that the server took, heads included; at most INT64_MAX,
                                like the next two */
    GATE_MESSAGE_BYTES_DOWN,    /*   u64: bytes that the agent took of what the server sent */
    GATE_MESSAGE_DURATION_USEC, /*   u64: since the request was read */
};

enum gate_verdict {
    GATE_REFUSED,
    GATE_ALLOWED,
    GATE_HELD, /* COUNT is 1 */
    GATE_VERDICT_COUNT,
};

#define GATE_PORT 3128

/* For a card with `transparent`: the cage's name server, where TCP to synthetic addresses arrives,
 * and these addresses: 198.18.0.0/15, which RFC 2544 sets aside for tests of devices and no host
 * of the internet has. */
#define GATE_NAMES_PORT 53
#define GATE_TRANSPARENT_PORT 3129
#define GATE_SYNTHETIC_NETWORK 0xc6120000u
#define GATE_SYNTHETIC_PREFIX 15
