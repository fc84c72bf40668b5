/* c-ares in the loop. c-ares tells which of its sockets wait for what (ARES_OPT_SOCK_STATE_CB) and
 * when it wants to be called next (ares_timeout(3)).
 *
 * c-ares cannot cancel one query: an abandoned one stays in its channel until it ends there, and
 * its answer goes nowhere. So those are counted too (GATE_LOOKUPS_MAX).
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

struct resolve_query {
    struct resolver *resolver;
    resolve_done done; /* NULL: abandoned */
    void *userdata;
    bool starting; /* inside ares_getaddrinfo: answered before there is a handle */
    bool answered;
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

static size_t count_family(const struct ares_addrinfo *answer, int family)
{
    size_t n = 0;

    for (const struct ares_addrinfo_node *node = answer->nodes; node; node = node->ai_next)
        n += node->ai_family == family;
    return n;
}

/* Appends addresses of one family, so that there are `max` at most. */
static size_t collect_family(const struct ares_addrinfo *answer, int family, size_t max,
                             struct ip_address *out, size_t count)
{
    for (const struct ares_addrinfo_node *node = answer->nodes; node && count < max;
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

static size_t collect(const struct ares_addrinfo *answer, struct ip_address *out)
{
    size_t n_v4 = address_share_v4(count_family(answer, AF_INET), count_family(answer, AF_INET6),
                                   GATE_ADDRESSES_MAX);
    size_t count = collect_family(answer, AF_INET, n_v4, out, 0);

    return collect_family(answer, AF_INET6, GATE_ADDRESSES_MAX, out, count);
}

static void answered(void *data, int ares_status, int timeouts, struct ares_addrinfo *answer)
{
    struct resolve_query *query = data;
    struct ip_address addresses[GATE_ADDRESSES_MAX];
    enum resolve_status status = status_of(ares_status);
    size_t count = 0;

    if (answer) {
        count = collect(answer, addresses);
        ares_freeaddrinfo(answer);
    }
    if (status == RESOLVE_OK && count == 0)
        status = RESOLVE_NO_ADDRESS;
    query->resolver->n_queries--;
    query->answered = true;
    if (query->done)
        query->done(query->userdata, status, addresses, count);
    if (!query->starting)
        free(query);
}

static void ask_dns(struct resolver *resolver, const char *name, struct resolve_query *query,
                    struct resolve_query **ret_query)
{
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT,
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
    };

    resolver->n_queries++;
    *ret_query = query;
    query->starting = true;
    ares_getaddrinfo(resolver->channel, name, NULL, &hints, answered, query);
    query->starting = false;
    if (query->answered)
        free(query);
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
    ask_dns(resolver, name, query, ret_query);
}

void resolver_abandon(struct resolve_query *query)
{
    if (query)
        query->done = NULL;
}
