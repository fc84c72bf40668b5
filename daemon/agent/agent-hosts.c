/* The hosts that an agent may reach. */
#include "agent/agent-hosts.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "fd-io.h"
#include "gate-proto.h"
#include "host-pattern.h"
#include "records.h"

/* The index of a port among the forwards, or how many there are. */
static size_t find_forward(const struct agent_hosts *hosts, uint16_t port)
{
    size_t i = 0;

    while (i < hosts->n_forward_ports && hosts->forward_ports[i] != port)
        i++;
    return i;
}

static int add_forward(struct agent_hosts *hosts, uint16_t port)
{
    size_t i = find_forward(hosts, port);

    if (i == GATE_FORWARDS_MAX)
        return -E2BIG;
    if (i == hosts->n_forward_ports)
        hosts->forward_ports[hosts->n_forward_ports++] = port;
    hosts->forward_listed[i] = true;
    return 0;
}

/* Tools reach a loopback address directly, past every proxy (NO_PROXY): so 127.0.0.1 and localhost
 * are led into the cage's own loopback, port by port. */
static bool is_loopback(const struct host_pattern *pattern)
{
    if (pattern->kind == HOST_PATTERN_NAME)
        return streq(pattern->name, "localhost");
    return pattern->kind == HOST_PATTERN_NETWORK && pattern->network.family == AF_INET &&
           pattern->prefix_length == 32 && pattern->network.v4.s_addr == htonl(INADDR_LOOPBACK);
}

/* The ports of the host's loopback that an entry wants led into the cage, two at most: "every port"
 * can be asked of the proxy, but not be listened on. */
static int forwards_of(const char *text, uint16_t ports[static 2], size_t *ret_n)
{
    struct host_pattern pattern;
    const char *why;
    int r = host_pattern_parse(text, &pattern, &why);

    if (r < 0)
        return r;
    ports[0] = pattern.port ? pattern.port : 80;
    ports[1] = 443;
    *ret_n = !is_loopback(&pattern) || pattern.any_port ? 0 : pattern.port ? 1 : 2;
    return 0;
}

/* What is denied is refused by the gate, though something listens for it in the cage. */
static int drop_denied_forwards(struct agent_hosts *hosts)
{
    const struct ip_address loopback = {.family = AF_INET, .v4.s_addr = htonl(INADDR_LOOPBACK)};
    struct host_pattern pattern;
    const char *why;

    for (size_t i = 0; i < hosts->n_denied; i++) {
        int r = host_pattern_parse(hosts->denied[i], &pattern, &why);
        if (r < 0)
            return r;
        for (size_t k = 0; k < hosts->n_forward_ports; k++)
            if (host_pattern_denies_address(&pattern, &loopback, hosts->forward_ports[k]))
                hosts->forward_listed[k] = false;
    }
    return 0;
}

int agent_hosts_from_card(const struct card *card, struct agent_hosts *ret)
{
    struct agent_hosts hosts = {.n_allowed = 0};
    const char *provider = api_provider_host(card->api_provider);

    for (size_t i = 0; i < card->allowed_hosts.count; i++)
        hosts.allowed[hosts.n_allowed++] = card->allowed_hosts.items[i];
    if (hosts.n_allowed == 0 && provider)
        hosts.allowed[hosts.n_allowed++] = provider;
    for (size_t i = 0; i < card->denied_hosts.count; i++)
        hosts.denied[hosts.n_denied++] = card->denied_hosts.items[i];

    for (size_t i = 0; i < hosts.n_allowed; i++) {
        uint16_t ports[2];
        size_t n;
        int r = forwards_of(hosts.allowed[i], ports, &n);
        for (size_t k = 0; r >= 0 && k < n; k++)
            r = add_forward(&hosts, ports[k]);
        if (r < 0)
            return r;
    }
    int r = drop_denied_forwards(&hosts);
    if (r < 0)
        return r;
    *ret = hosts;
    return 0;
}

/* Whether the entry is taken: none of its ports is new. */
static bool take_entry(struct agent_hosts *hosts, const char *text, const uint16_t *ports, size_t n)
{
    for (size_t k = 0; k < n; k++)
        if (find_forward(hosts, ports[k]) == hosts->n_forward_ports)
            return false;
    for (size_t k = 0; k < n; k++)
        hosts->forward_listed[find_forward(hosts, ports[k])] = true;
    hosts->allowed[hosts->n_allowed++] = text;
    return true;
}

int agent_hosts_take(const struct agent_hosts *running, const struct host_lists *lists,
                     struct agent_hosts *ret, bool ret_left_out[static CARD_HOSTS_MAX])
{
    const struct string_list *allowed = &lists->allowed, *denied = &lists->denied;
    struct agent_hosts hosts = {.n_forward_ports = running->n_forward_ports,
                                .ask_seconds = running->ask_seconds};
    bool left_out[CARD_HOSTS_MAX] = {};

    memcpy(hosts.forward_ports, running->forward_ports, sizeof(hosts.forward_ports));
    for (size_t i = 0; i < allowed->count; i++) {
        uint16_t ports[2];
        size_t n;
        int r = forwards_of(allowed->items[i], ports, &n);
        if (r < 0)
            return r;
        left_out[i] = !take_entry(&hosts, allowed->items[i], ports, n);
    }
    for (size_t i = 0; i < denied->count; i++)
        hosts.denied[hosts.n_denied++] = denied->items[i];
    int r = drop_denied_forwards(&hosts);
    if (r < 0)
        return r;
    memcpy(ret_left_out, left_out, sizeof(left_out));
    *ret = hosts;
    return 0;
}

int agent_hosts_change(const struct agent_hosts *running, const struct card *card,
                       enum api_provider provider, struct agent_hosts *ret,
                       bool ret_left_out[static CARD_HOSTS_MAX])
{
    const struct host_lists lists = {.allowed = card->allowed_hosts, .denied = card->denied_hosts};
    const char *fallback = api_provider_host(provider);
    int r = agent_hosts_take(running, &lists, ret, ret_left_out);

    /* Only a list that is empty in the card, not one of which nothing could be taken. */
    if (r == 0 && lists.allowed.count == 0 && fallback)
        ret->allowed[ret->n_allowed++] = fallback;
    return r;
}

int agent_hosts_seal(const struct agent_hosts *hosts, const struct card *card, uint32_t gate_uid)
{
    CLEANUP(records_writer_deinit) struct records_writer w = {};

    (void)records_put_u64(&w, GATE_CONFIG_VERSION_NUMBER, GATE_CONFIG_VERSION);
    (void)records_put_string(&w, GATE_CONFIG_AGENT_ID, card->agent_id);
    (void)records_put_u64(&w, GATE_CONFIG_UID, gate_uid);
    for (size_t i = 0; i < hosts->n_allowed; i++)
        (void)records_put_string(&w, GATE_CONFIG_ALLOW, hosts->allowed[i]);
    for (size_t i = 0; i < card->private_hosts.count; i++)
        (void)records_put_string(&w, GATE_CONFIG_PRIVATE, card->private_hosts.items[i]);
    for (size_t i = 0; i < hosts->n_denied; i++)
        (void)records_put_string(&w, GATE_CONFIG_DENY, hosts->denied[i]);
    if (hosts->ask_seconds > 0)
        (void)records_put_u64(&w, GATE_CONFIG_ASK, hosts->ask_seconds);
    if (card->proxy)
        (void)records_put_string(&w, GATE_CONFIG_PARENT_PROXY, card->proxy);
    if (card->proxy_auth)
        (void)records_put_string(&w, GATE_CONFIG_PARENT_AUTH, card->proxy_auth);
    for (size_t i = 0; i < hosts->n_forward_ports; i++) {
        char target[32];
        (void)snprintf(target, sizeof(target), "127.0.0.1:%u", hosts->forward_ports[i]);
        (void)records_put_string(&w, GATE_CONFIG_FORWARD, target);
    }
    if (card->transparent)
        (void)records_put(&w, GATE_CONFIG_TRANSPARENT, NULL, 0);
    int r = w.error ? w.error : memfd_new_sealed("caged-gate", w.data, w.size);
    explicit_bzero(w.data, w.size); /* it may hold the proxy's password */
    return r;
}
