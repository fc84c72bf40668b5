/* A card as JSON, with its defaults and without its secrets. */
#include <stdio.h>

#include "caged-limits.h"
#include "card.h"

static int put(json_t *object, const char *name, json_t *value)
{
    return json_object_set_new(object, name, value) < 0 ? -ENOMEM : 0;
}

static json_t *list_to_json(const struct string_list *list)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < list->count; i++) {
        if (json_array_append_new(array, json_string(list->items[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* A user is masked like a password: many proxies take a token as the user. */
static json_t *proxy_to_json(const char *proxy)
{
    const char *at = strchr(proxy, '@');

    return at ? json_sprintf("http://***%s", at) : json_string(proxy);
}

static json_t *hosts_to_json(const struct card *card)
{
    const char *host = api_provider_host(card->api_provider);

    if (card->allowed_hosts.count > 0 || !host)
        return list_to_json(&card->allowed_hosts);
    return json_pack("[s]", host);
}

/* What is not asked for is left out: 0 is no value that these keys may have. */
static int put_if_asked(json_t *object, const char *name, uint64_t value)
{
    return value > 0 ? put(object, name, json_integer((json_int_t)value)) : 0;
}

static json_t *limits_to_json(const struct card_limits *limits)
{
    json_t *object = json_object();
    int r = 0;

    if (!object)
        return NULL;
    r |= put(object, "memory_mb", json_integer((json_int_t)limits->memory_mb));
    r |= put_if_asked(object, "memory_high_mb", limits->memory_high_mb);
    r |= put(object, "swap_mb", json_integer((json_int_t)limits->swap_mb));
    r |= put(object, "cpu_shares", json_integer((json_int_t)limits->cpu_shares));
    r |= put_if_asked(object, "cpu_quota_percent", limits->cpu_quota_percent);
    r |= put_if_asked(object, "io_weight", limits->io_weight);
    r |= put_if_asked(object, "io_read_bps", limits->io_read_bps);
    r |= put_if_asked(object, "io_write_bps", limits->io_write_bps);
    r |= put_if_asked(object, "io_read_iops", limits->io_read_iops);
    r |= put_if_asked(object, "io_write_iops", limits->io_write_iops);
    r |= put(object, "max_processes", json_integer((json_int_t)limits->max_processes));
    r |= put(object, "max_open_files", json_integer((json_int_t)limits->max_open_files));
    if (r < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *mounts_to_json(const struct card *card)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < card->n_mounts; i++) {
        const struct card_mount *mount = &card->mounts[i];
        json_t *object = json_pack("{s:s, s:s, s:b}", "source", mount->source, "target",
                                   mount->target, "readonly", mount->readonly);
        if (json_array_append_new(array, object) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *environment_to_json(const struct card *card)
{
    json_t *object = json_object();

    for (size_t i = 0; object && i < card->n_environment; i++) {
        if (json_object_set_new(object, card->environment[i].name, json_string("(set)")) < 0) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

json_t *card_to_json(const struct card *card)
{
    json_t *object = json_object();
    int r = 0;

    if (!object)
        return NULL;
    r |= put(object, "agent_id", json_string(card->agent_id));
    if (card->agent)
        r |= put(object, "agent", json_string(card->agent));
    r |= put(object, "workspace", json_string(card->workspace));
    if (card->user)
        r |= put(object, "user", json_string(card->user));
    if (card->n_mounts > 0)
        r |= put(object, "mounts", mounts_to_json(card));
    if (card->command.count > 0)
        r |= put(object, "command", list_to_json(&card->command));
    r |= put(object, "api_provider", json_string(api_provider_to_string(card->api_provider)));
    if (card->api_key_file)
        r |= put(object, "api_key_file", json_string(card->api_key_file));
    if (card->proxy)
        r |= put(object, "proxy", proxy_to_json(card->proxy));
    if (card->proxy_auth_file)
        r |= put(object, "proxy_auth_file", json_string(card->proxy_auth_file));
    r |= put(object, "resource_limits", limits_to_json(&card->limits));
    r |= put(object, "allowed_hosts", hosts_to_json(card));
    r |= put(object, "private_hosts", list_to_json(&card->private_hosts));
    r |= put(object, "denied_hosts", list_to_json(&card->denied_hosts));
    r |= put(object, "ttl_seconds", json_integer((json_int_t)card->ttl_seconds));
    r |= put(
        object, "seccomp_profile",
        json_string(card->seccomp_profile ? card->seccomp_profile : CARD_SECCOMP_PROFILE_DEFAULT));
    if (card->transparent)
        r |= put(object, "transparent", json_true());
    r |= put(object, "protect", card->protect_git ? json_pack("[s]", "git") : json_array());
    r |= put(object, "environment", environment_to_json(card));
    if (r < 0) {
        json_decref(object);
        return NULL;
    }
    return object;
}
