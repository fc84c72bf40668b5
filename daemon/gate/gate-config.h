/* The gate's configuration, from the records of its sealed memfd (common/gate-proto.h). Pure but
 * for allocation: everything is copied, so that the mapping can go. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "host-pattern.h"
#include "own-addresses.h"
#include "util.h"

/* An entry of allowed_hosts or of denied_hosts. */
struct allow_rule {
    char *text; /* as the card has it: named in records */
    struct host_pattern pattern;
};

struct endpoint {
    struct host host;
    uint16_t port; /* 0: there is none */
};

struct gate_config {
    char *agent_id;
    uid_t uid;
    struct allow_rule *allow;
    size_t n_allow;
    struct host_pattern *private_hosts; /* of names, each for every port */
    size_t n_private_hosts;
    struct allow_rule *deny; /* wins over all else */
    size_t n_deny;
    struct endpoint parent;
    char *parent_authorization; /* "Basic ..." or NULL */
    struct endpoint *forwards;  /* literal loopback addresses, in the order of the listeners */
    size_t n_forwards;
    bool transparent;          /* two more descriptors behind those of the forwards */
    unsigned ask_seconds;      /* how long an unknown host is held; 0: it is refused at once */
    struct own_addresses *own; /* not from the records: added at the start; NULL: none */
};

/* 0; -EBADMSG with *ret_why where the records are not what gate-proto.h says; -ENOMEM. On failure
 * nothing is left to free. */
int gate_config_parse(const void *data, size_t size, struct gate_config **ret,
                      const char **ret_why);
struct gate_config *gate_config_free(struct gate_config *config);
DEFINE_CLEANUP(struct gate_config, gate_config_free);

/* "Basic ..." for user:password (RFC 7617), the caller's to free. -EBADMSG with *ret_why where it
 * has no user, no colon, control characters, or is too long; -ENOMEM. */
int gate_parent_authorization(const char *userpass, char **ret, const char **ret_why);

/* http://[user:password@]host:port with an optional "/" behind it. The authorization is the
 * caller's to free, NULL if there is no user. -EBADMSG with *ret_why, -ENOMEM. */
int gate_parent_parse(const char *uri, struct endpoint *ret, char **ret_authorization,
                      const char **ret_why);
