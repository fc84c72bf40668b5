/* What an agent was refused. */
#include "agent/refused-hosts.h"

#include "host.h"
#include "util.h"

/* Codes of daemon/gate/refusal.c. */
static const char *const codes[] = {
    "host-not-allowed", "host-denied", "address-not-allowed", "ask-timeout", "too-many-held",
};

static bool is_of_lists(const char *code)
{
    for (size_t i = 0; i < ARRAY_SIZE(codes); i++)
        if (streq(codes[i], code))
            return true;
    return false;
}

static bool is_for(const struct refused_host *host, const struct refusal_note *note)
{
    return host->port == note->port && streq(host->host, note->host) &&
           streq(host->code, note->code);
}

/* Sums stay what JSON can hold, whatever a gate says that was taken over. */
static uint64_t sum(uint64_t a, uint64_t b)
{
    return a + MIN_OF(b, (uint64_t)INT64_MAX - a);
}

static struct refused_host *add(struct refused_hosts *hosts, const struct refusal_note *note)
{
    /* No name or address is longer, whatever a gate says that was taken over. */
    bool sane = *note->host && strlen(note->host) <= HOST_NAME_MAX_LENGTH &&
                strlen(note->address) < INET6_ADDRSTRLEN;
    struct refused_host *items;

    if (!sane || hosts->count == REFUSED_HOSTS_MAX)
        return NULL;
    AUTO_FREE char *host = strdup(note->host), *address = strdup(note->address);
    if (!host || !address)
        return NULL;
    items = reallocarray(hosts->items, hosts->count + 1, sizeof(*items));
    if (!items)
        return NULL;
    hosts->items = items;
    struct refused_host *new = &items[hosts->count++];
    *new = (struct refused_host){
        .host = TAKE_PTR(host), .address = TAKE_PTR(address), .port = note->port};
    memcpy(new->code, note->code, strlen(note->code)); /* one of the table */
    return new;
}

void refused_hosts_note(struct refused_hosts *hosts, const struct refusal_note *note)
{
    struct refused_host *host = NULL;

    if (!is_of_lists(note->code))
        return;
    for (size_t i = 0; i < hosts->count && !host; i++)
        if (is_for(&hosts->items[i], note))
            host = &hosts->items[i];
    if (!host)
        host = add(hosts, note);
    if (!host) {
        hosts->lost = sum(hosts->lost, note->count);
        return;
    }
    host->count = sum(host->count, note->count);
    host->last_usec = note->usec;
}

void refused_hosts_deinit(struct refused_hosts *hosts)
{
    for (size_t i = 0; i < hosts->count; i++) {
        free(hosts->items[i].host);
        free(hosts->items[i].address);
    }
    free(hosts->items);
    *hosts = (struct refused_hosts){};
}
