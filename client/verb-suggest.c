/* cagectl suggest: the entries of allowed_hosts that cover what an agent was refused. One for each
 * host: its ports 80 and 443 together are the name alone, any other port is named. What is allowed
 * by now is left out, and what is denied is never suggested, only told. A name that did not resolve
 * in a transparent cage is suggested alone, since no port of it was asked for yet. */
#include <inttypes.h>
#include <stdio.h>

#include "address-class.h"
#include "exit-status.h"
#include "field.h"
#include "host-pattern.h"
#include "hosts.h"
#include "output.h"
#include "text.h"

/* A refused host with one of its ports. */
struct refused {
    struct host host;
    uint16_t port; /* 0: its name was refused an address, before any port was asked for */
    const char *code, *address; /* borrowed from the reply */
    const char *denied_by;      /* likewise; NULL: nothing */
};

struct suggestion {
    json_t *allowed;  /* entries */
    json_t *private;  /* names */
    json_t *comments; /* for people: what `private` leads to, what is denied */
    json_t *denied;   /* [{host, port, by}] */
    uint64_t lost;
};

static void suggestion_deinit(struct suggestion *s)
{
    json_decref(s->allowed);
    json_decref(s->private);
    json_decref(s->comments);
    json_decref(s->denied);
}

/* -- what the reply has -- */

/* The first entry of the list that `matches` the host, NULL if none does. */
static const char *find_entry(const json_t *list, const struct refused *refused,
                              bool (*matches)(const struct host_pattern *, const struct host *,
                                              uint16_t))
{
    struct host_pattern pattern;
    const json_t *item;
    const char *why;
    size_t i;

    json_array_foreach (list, i, item) {
        const char *text = json_string_value(item);
        if (text && host_pattern_parse(text, &pattern, &why) == 0 &&
            matches(&pattern, &refused->host, refused->port))
            return text;
    }
    return NULL;
}

/* For a name of which no port is known: an entry for any of them will do. */
static bool matches_some_port(const struct host_pattern *pattern, const struct host *host,
                              uint16_t port)
{
    struct host_pattern any = *pattern;

    any.any_port = any.any_port || port == 0;
    return host_pattern_matches(&any, host, port ? port : 443);
}

/* 1, 0 for a host that cannot be read and so not suggested, or -EPROTO. */
static int refused_read(const json_t *item, const json_t *denied, struct refused *ret)
{
    struct refused r = {.address = ""};
    const char *host, *why;
    uint64_t port;

    if (!json_is_object(item) || field_string(item, "host", &host) < 0 ||
        field_u64(item, "port", &port) < 0 || field_string(item, "code", &r.code) < 0 ||
        field_string_optional(item, "address", &r.address) < 0 || port > UINT16_MAX)
        return -EPROTO;
    if (host_parse(host, strlen(host), &r.host, &why) < 0)
        return 0;
    r.port = (uint16_t)port;
    r.denied_by = find_entry(denied, &r, host_pattern_denies);
    *ret = r;
    return 1;
}

/* By name, then by port. */
static int compare(const void *a, const void *b)
{
    const struct refused *x = a, *y = b;
    int r = strcmp(x->host.name, y->host.name);

    return r != 0 ? r : (int)x->port - (int)y->port;
}

/* -- what is suggested -- */

static int add_text(json_t *array, const char *text)
{
    return hosts_is_listed(array, text) ? 0 : json_array_append_new(array, json_string(text));
}

static void format_entry(const struct host *host, uint16_t port, char *buffer, size_t size)
{
    bool v6 = host->address.family == AF_INET6;

    if (port == 0)
        (void)snprintf(buffer, size, v6 ? "[%s]" : "%s", host->name);
    else
        (void)snprintf(buffer, size, v6 ? "[%s]:%u" : "%s:%u", host->name, port);
}

static int suggest_denied(struct suggestion *s, const struct refused *r)
{
    char text[1024], entry[512];

    format_entry(&r->host, r->port, entry, sizeof(entry));
    (void)snprintf(text, sizeof(text), "# %s is denied, by %s in denied_hosts", entry,
                   r->denied_by);
    if (json_array_append_new(s->denied, json_pack("{s:s, s:i, s:s}", "host", r->host.name, "port",
                                                   (int)r->port, "by", r->denied_by)) < 0)
        return -ENOMEM;
    return add_text(s->comments, text);
}

static int suggest_private(struct suggestion *s, const struct refused *r)
{
    char text[1024];

    (void)snprintf(text, sizeof(text), "# private_hosts would need %s: its address is %s",
                   r->host.name, *r->address ? r->address : "not public");
    return add_text(s->private, r->host.name) < 0 ? -ENOMEM : add_text(s->comments, text);
}

static int suggest_allowed(struct suggestion *s, const struct refused *r, bool both_ports)
{
    char entry[512], text[1024];

    format_entry(&r->host, both_ports ? 0 : r->port, entry, sizeof(entry));
    int added = add_text(s->allowed, entry);
    const char *special =
        r->host.address.family != AF_UNSPEC ? address_special(&r->host.address) : NULL;
    if (added < 0 || (r->port != 0 && !special))
        return added;
    if (special)
        (void)snprintf(text, sizeof(text), "# %s: not a public address (%s)", entry, special);
    else
        (void)snprintf(text, sizeof(text), "# %s: its name was asked for; which port is not known",
                       r->host.name);
    return add_text(s->comments, text);
}

/* Whether the host was refused on that port, too. */
static bool has(const struct refused *all, size_t n, const struct refused *r, uint16_t port)
{
    for (size_t i = 0; i < n; i++)
        if (streq(all[i].host.name, r->host.name) && all[i].port == port)
            return true;
    return false;
}

/* Entries of private_hosts are of no port. */
static bool is_private_by(const json_t *private, const struct refused *refused)
{
    struct refused any = *refused;

    any.port = 443;
    return find_entry(private, &any, host_pattern_matches);
}

/* Sorts what the agent was refused into what can be suggested: `all` is left with what is to be
 * allowed. */
static int sort_out(const json_t *reply, struct refused *all, size_t *n, struct suggestion *s)
{
    const json_t *allowed = json_object_get(reply, "allowed_hosts");
    const json_t *private = json_object_get(reply, "private_hosts");
    size_t kept = 0;
    int r = 0;

    for (size_t i = 0; r == 0 && i < *n; i++) {
        const struct refused *one = &all[i];
        bool by_name =
            streq(one->code, "address-not-allowed") && one->host.address.family == AF_UNSPEC;
        if (one->denied_by)
            r = suggest_denied(s, one);
        else if (by_name && !is_private_by(private, one))
            r = suggest_private(s, one);
        else if (!by_name && (streq(one->code, "address-not-allowed") ||
                              !find_entry(allowed, one, matches_some_port)))
            all[kept++] = *one;
    }
    *n = kept;
    return r;
}

static int suggest_all(const json_t *reply, struct refused *all, size_t n, struct suggestion *s)
{
    int r = sort_out(reply, all, &n, s);

    for (size_t i = 0; r == 0 && i < n; i++) {
        bool web = all[i].port == 80 || all[i].port == 443;
        /* Sorted: if a port was asked for by now, it stands behind the name alone. */
        if (all[i].port == 0 && i + 1 < n && streq(all[i].host.name, all[i + 1].host.name))
            continue;
        r = suggest_allowed(s, &all[i],
                            web && has(all, n, &all[i], 80) && has(all, n, &all[i], 443));
    }
    return r;
}

/* 0, -EPROTO or -ENOMEM. */
static int suggestion_make(const json_t *reply, struct suggestion *s)
{
    json_t *list, *denied, *other;
    const json_t *item;
    size_t i, n = 0;

    if (field_array(reply, "refused", &list) < 0 ||
        field_array(reply, "denied_hosts", &denied) < 0 ||
        field_array(reply, "allowed_hosts", &other) < 0 ||
        field_array(reply, "private_hosts", &other) < 0 ||
        field_u64(reply, "refused_lost", &s->lost) < 0)
        return -EPROTO;
    AUTO_FREE struct refused *all = calloc(json_array_size(list) + 1, sizeof(*all));
    s->allowed = json_array();
    s->private = json_array();
    s->comments = json_array();
    s->denied = json_array();
    if (!all || !s->allowed || !s->private || !s->comments || !s->denied)
        return -ENOMEM;
    json_array_foreach (list, i, item) {
        int r = refused_read(item, denied, &all[n]);
        if (r < 0)
            return r;
        n += (size_t)r;
    }
    qsort(all, n, sizeof(*all), compare);
    return suggest_all(reply, all, n, s) < 0 ? -ENOMEM : 0;
}

/* -- the verb -- */

static void print_lines(const json_t *lines)
{
    const json_t *line;
    size_t i;

    json_array_foreach (lines, i, line) {
        text_print(stdout, json_string_value(line));
        (void)putchar('\n');
    }
}

static int suggestion_print(const struct options *options, const struct suggestion *s)
{
    if (option_given(options, OPTION_JSON)) {
        json_t *json =
            json_pack("{s:O, s:O, s:O, s:I}", "allowed_hosts", s->allowed, "private_hosts",
                      s->private, "denied", s->denied, "lost", (json_int_t)s->lost);
        int status = json ? output_json(json) : -ENOMEM;
        json_decref(json);
        return status;
    }
    print_lines(s->allowed);
    print_lines(s->comments);
    if (s->lost > 0)
        say("%" PRIu64 " refusal%s not remembered: there were too many hosts", s->lost,
            s->lost == 1 ? " is" : "s are");
    return output_flush();
}

int verb_suggest(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    CLEANUP(suggestion_deinit) struct suggestion suggestion = {};
    struct reply reply = {};
    int status = hosts_fetch(options, &connection, &reply);

    if (status != STATUS_OK)
        return status;
    int r = suggestion_make(reply.parameters, &suggestion);
    if (r == 0)
        r = suggestion_print(options, &suggestion);
    reply_deinit(&reply);
    return r < 0 ? connection_failed(connection, r) : r;
}
