/* The hosts that an agent may reach. */
#include "agent-hosts.h"

#include <arpa/inet.h>
#include <stdio.h>

#include "fd-io.h"
#include "gate-proto.h"
#include "host-pattern.h"
#include "records.h"

static int add_forward(struct agent_hosts *hosts, uint16_t port)
{
    for (size_t i = 0; i < hosts->n_forward_ports; i++)
        if (hosts->forward_ports[i] == port)
            return 0;
    if (hosts->n_forward_ports == GATE_FORWARDS_MAX)
        return -E2BIG;
    hosts->forward_ports[hosts->n_forward_ports++] = port;
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

int agent_hosts_from_card(const struct card *card, struct agent_hosts *ret)
{
    struct agent_hosts hosts = {.n_allowed = 0};
    const char *provider = api_provider_host(card->api_provider), *why;

    for (size_t i = 0; i < card->allowed_hosts.count; i++)
        hosts.allowed[hosts.n_allowed++] = card->allowed_hosts.items[i];
    if (hosts.n_allowed == 0 && provider)
        hosts.allowed[hosts.n_allowed++] = provider;

    for (size_t i = 0; i < hosts.n_allowed; i++) {
        struct host_pattern pattern;
        int r = host_pattern_parse(hosts.allowed[i], &pattern, &why);
        if (r < 0)
            return r;
        if (!is_loopback(&pattern))
            continue;
        r = add_forward(&hosts, pattern.port ? pattern.port : 80);
        if (r >= 0 && !pattern.port)
            r = add_forward(&hosts, 443);
        if (r < 0)
            return r;
    }
    *ret = hosts;
    return 0;
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
    if (card->proxy)
        (void)records_put_string(&w, GATE_CONFIG_PARENT_PROXY, card->proxy);
    for (size_t i = 0; i < hosts->n_forward_ports; i++) {
        char target[32];
        (void)snprintf(target, sizeof(target), "127.0.0.1:%u", hosts->forward_ports[i]);
        (void)records_put_string(&w, GATE_CONFIG_FORWARD, target);
    }
    if (w.error)
        return w.error;
    return memfd_new_sealed("caged-gate", w.data, w.size);
}
