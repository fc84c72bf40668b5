/* c-ares in the loop. c-ares tells which of its sockets wait for what (ARES_OPT_SOCK_STATE_CB) and
 * when it wants to be called next (ares_timeout(3)).
 *
 * c-ares cannot cancel one query: an abandoned one stays in its channel until it ends there, and
 * its answer goes nowhere. So those are counted too (GATE_LOOKUPS_MAX).
 *
 * The addresses of both families are asked for by themselves: some name servers never answer for
 * IPv6. When those of IPv4 are there, the others are waited for no longer than
 * GATE_DNS_IPV6_DELAY_MS (RFC 8305, section 3, has 50 ms; but there what comes later can still be
 * used). Not the other way round: a name that has IPv6 addresses alone is rare, and IPv6 that leads
 * nowhere is not.
 *
 * Answers are not kept: each request asks anew, and the host's own resolver may keep them.
 *
 * What is asked for is the name as it stands: no search domains (another name than the one that was
 * allowed), no HOSTALIASES, no files, no sorting of the answer (which would open sockets). */
#include "resolver.h"

#include <ares.h>
#include <netdb.h>

#include "address-order.h"
#include "fd-io.h"
#include "hosts-file.h"

#define SERVER_TIMEOUT_MS 2500 /* for the first round; c-ares doubles it for the second */
#define SERVER_TRIES 2

struct dns_socket {
    struct event_source source;
    struct resolver *resolver;
    struct dns_socket *next;
};

struct resolver {
    struct event_loop *loop;
    struct hosts_table *hosts;
    ares_channel channel;
    bool channel_valid;
    struct timer timer;
    struct dns_socket *sockets;
    size_t n_queries;
};

enum half {
    HALF_V6,
    HALF_V4,
    HALF_COUNT,
};

static const int families[] = {[HALF_V6] = AF_INET6, [HALF_V4] = AF_INET};

struct half_query {
    struct resolve_query *query;
    enum resolve_status status;
    struct ip_address addresses[GATE_ADDRESSES_MAX];
    size_t count;
    bool ended;
};

struct resolve_query {
    struct resolver *resolver;
    resolve_done done; /* NULL: abandoned, or told */
    void *userdata;
    struct half_query halves[HALF_COUNT];
    struct timer timer; /* IPv6 is not waited for any longer */
    bool starting;      /* inside ares_getaddrinfo: answered before there is a handle */
};

static void arm_timer(struct resolver *resolver)
{
    struct timeval tv;
    const struct timeval *next = ares_timeout(resolver->channel, NULL, &tv);

    if (next)
        timer_set(resolver->loop, &resolver->timer,
                  (uint64_t)next->tv_sec * 1000 + (uint64_t)next->tv_usec / 1000 + 1);
    else
        timer_clear(resolver->loop, &resolver->timer);
}

static void timer_expired(struct timer *timer)
{
    struct resolver *resolver = CONTAINER_OF(timer, struct resolver, timer);

    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    arm_timer(resolver);
}

static void socket_ready(struct event_source *source, uint32_t events)
{
    struct dns_socket *s = CONTAINER_OF(source, struct dns_socket, source);
    struct resolver *resolver = s->resolver;
    ares_socket_t fd = source->fd;
    bool in = events & (EPOLLIN | EPOLLERR | EPOLLHUP);
    bool out = events & EPOLLOUT;

    /* May close the socket, and `s` with it. */
    ares_process_fd(resolver->channel, in ? fd : ARES_SOCKET_BAD, out ? fd : ARES_SOCKET_BAD);
    arm_timer(resolver);
}

static void socket_drop(struct resolver *resolver, struct dns_socket **link)
{
    struct dns_socket *s = *link;
    *link = s->next;
    event_source_remove(resolver->loop, &s->source);
    free(s);
}

/* c-ares reports each change here, and (0, 0) before it closes the socket. If there is no memory
 * to watch a socket, its query runs into its time-out. */
static void socket_state(void *data, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = data;
    struct dns_socket **link = &resolver->sockets;
    uint32_t events = (readable ? EPOLLIN : 0) | (writable ? EPOLLOUT : 0);

    while (*link && (*link)->source.fd != fd)
        link = &(*link)->next;
    if (!*link && events) {
        struct dns_socket *s = calloc(1, sizeof(*s));
        if (!s)
            return;
        s->source = (struct event_source){.fd = fd, .ready = socket_ready};
        s->resolver = resolver;
        *link = s;
    }
    if (!*link)
        return;
    if (!events || event_source_set(resolver->loop, &(*link)->source, events) < 0)
        socket_drop(resolver, link);
}

static int read_hosts(struct resolver *resolver)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    int r = file_read_all("/etc/hosts", GATE_HOSTS_FILE_MAX, &text, &size);

    if (r == -ENOENT)
        return 0;
    return r < 0 ? r : hosts_table_parse(text, size, &resolver->hosts);
}

int resolver_new(struct event_loop *loop, struct resolver **ret)
{
    CLEANUP(resolver_freep) struct resolver *resolver = calloc(1, sizeof(*resolver));
    char lookups[] = "b";
    struct ares_options options = {
        .flags = ARES_FLAG_NOSEARCH | ARES_FLAG_NOALIASES,
        .timeout = SERVER_TIMEOUT_MS,
        .tries = SERVER_TRIES,
        .lookups = lookups,
        .sock_state_cb = socket_state,
        .sock_state_cb_data = resolver,
    };

    if (!resolver)
        return -ENOMEM;
    resolver->loop = loop;
    resolver->timer.expired = timer_expired;
    int r = read_hosts(resolver);
    if (r < 0)
        return r;
    if (ares_library_init(ARES_LIB_INIT_ALL) != ARES_SUCCESS)
        return -ENOMEM;
    if (ares_init_options(&resolver->channel, &options,
                          ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                              ARES_OPT_SOCK_STATE_CB) != ARES_SUCCESS)
        return -EIO;
    resolver->channel_valid = true;
    *ret = TAKE_PTR(resolver);
    return 0;
}

struct resolver *resolver_free(struct resolver *resolver)
{
    if (!resolver)
        return NULL;
    if (resolver->channel_valid)
        ares_destroy(resolver->channel); /* answers every query with ARES_EDESTRUCTION */
    ares_library_cleanup();
    while (resolver->sockets)
        socket_drop(resolver, &resolver->sockets);
    timer_clear(resolver->loop, &resolver->timer);
    hosts_table_free(resolver->hosts);
    free(resolver);
    return NULL;
}

static enum resolve_status status_of(int ares_status)
{
    switch (ares_status) {
    case ARES_SUCCESS:
        return RESOLVE_OK;
    case ARES_ETIMEOUT:
        return RESOLVE_TIMEOUT;
    case ARES_ENOMEM:
    case ARES_EDESTRUCTION:
    case ARES_ECANCELLED:
        return RESOLVE_FAILED;
    default:
        return RESOLVE_NO_ADDRESS;
    }
}

static size_t collect(const struct ares_addrinfo *answer, int family, struct ip_address *out)
{
    size_t count = 0;

    for (const struct ares_addrinfo_node *node = answer->nodes; node && count < GATE_ADDRESSES_MAX;
         node = node->ai_next) {
        if (node->ai_family != family)
            continue;
        struct ip_address *address = &out[count++];
        *address = (struct ip_address){.family = (sa_family_t)family};
        if (family == AF_INET)
            address->v4 = ((const struct sockaddr_in *)(const void *)node->ai_addr)->sin_addr;
        else
            address->v6 = ((const struct sockaddr_in6 *)(const void *)node->ai_addr)->sin6_addr;
    }
    return count;
}

/* What both answers come to. Without an address: the one that tells least for sure. */
static void tell(struct resolve_query *query)
{
    const struct half_query *v4 = &query->halves[HALF_V4], *v6 = &query->halves[HALF_V6];
    struct ip_address addresses[GATE_ADDRESSES_MAX];
    size_t n_v4 = address_share_v4(v4->count, v6->count, GATE_ADDRESSES_MAX);
    size_t n_v6 = MIN_OF(v6->count, GATE_ADDRESSES_MAX - n_v4);
    enum resolve_status status = v4->status > v6->status ? v4->status : v6->status;
    resolve_done done = query->done;

    memcpy(addresses, v4->addresses, n_v4 * sizeof(*addresses));
    memcpy(addresses + n_v4, v6->addresses, n_v6 * sizeof(*addresses));
    timer_clear(query->resolver->loop, &query->timer);
    query->done = NULL;
    if (done)
        done(query->userdata, n_v4 + n_v6 > 0 ? RESOLVE_OK : status, addresses, n_v4 + n_v6);
}

static void ipv6_is_late(struct timer *timer)
{
    tell(CONTAINER_OF(timer, struct resolve_query, timer));
}

/* Tells what there is to tell; frees the query when c-ares has let go of both halves. */
static void settle(struct resolve_query *query)
{
    const struct half_query *v4 = &query->halves[HALF_V4], *v6 = &query->halves[HALF_V6];

    if (v4->ended && v6->ended) {
        query->resolver->n_queries--;
        tell(query);
        free(query);
    } else if (v4->ended && v4->count > 0 && query->done) {
        timer_set(query->resolver->loop, &query->timer, GATE_DNS_IPV6_DELAY_MS);
    }
}

static void half_answered(void *data, int ares_status, int timeouts, struct ares_addrinfo *answer)
{
    struct half_query *half = data;
    struct resolve_query *query = half->query;

    half->ended = true;
    half->status = status_of(ares_status);
    if (answer) {
        half->count = collect(answer, families[half - query->halves], half->addresses);
        ares_freeaddrinfo(answer);
    }
    if (half->status == RESOLVE_OK && half->count == 0)
        half->status = RESOLVE_NO_ADDRESS;
    if (!query->starting)
        settle(query);
}

static void ask_dns(struct resolver *resolver, const char *name, struct resolve_query *query)
{
    query->starting = true;
    for (size_t i = 0; i < HALF_COUNT; i++) {
        struct half_query *half = &query->halves[i];
        struct ares_addrinfo_hints hints = {
            .ai_flags = ARES_AI_NOSORT,
            .ai_family = families[i],
            .ai_socktype = SOCK_STREAM,
        };
        half->query = query;
        ares_getaddrinfo(resolver->channel, name, NULL, &hints, half_answered, half);
    }
    query->starting = false;
    settle(query);
    arm_timer(resolver);
}

void resolver_lookup(struct resolver *resolver, const char *name, resolve_done done, void *userdata,
                     struct resolve_query **ret_query)
{
    struct ip_address addresses[GATE_ADDRESSES_MAX];
    size_t count = hosts_table_find(resolver->hosts, name, addresses, GATE_ADDRESSES_MAX);
    struct resolve_query *query;

    *ret_query = NULL;
    if (count > 0) {
        done(userdata, RESOLVE_OK, addresses, count);
        return;
    }
    query = resolver->n_queries < GATE_LOOKUPS_MAX ? calloc(1, sizeof(*query)) : NULL;
    if (!query) {
        done(userdata, RESOLVE_FAILED, NULL, 0);
        return;
    }
    query->resolver = resolver;
    query->done = done;
    query->userdata = userdata;
    query->timer.expired = ipv6_is_late;
    resolver->n_queries++;
    *ret_query = query;
    ask_dns(resolver, name, query);
}

void resolver_abandon(struct resolve_query *query)
{
    if (!query)
        return;
    query->done = NULL;
    timer_clear(query->resolver->loop, &query->timer);
}
