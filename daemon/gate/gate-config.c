/* Reading the configuration: a table says which record there is, how often it may come and who
 * reads it. What is unknown is refused, since a gate that ignores a rule is an open one. */
#include "gate-config.h"

#include "address-class.h"
#include "caged-limits.h"
#include "gate-proto.h"
#include "records.h"

static int bad(const char **ret_why, const char *why)
{
    *ret_why = why;
    return -EBADMSG;
}

/* The array with room for one more element, zeroed; NULL without memory (it stays as it was). */
static void *grow(void *array, size_t count, size_t element)
{
    uint8_t *more = reallocarray(array, count + 1, element);
    if (more)
        memset(more + count * element, 0, element);
    return more;
}

static int read_version(struct gate_config *config, const struct record *record,
                        const char **ret_why)
{
    uint64_t version;
    if (record_u64(record, &version) < 0 || version != GATE_CONFIG_VERSION)
        return bad(ret_why, "the configuration has another version: cagedd and caged-gate are not "
                            "of the same build");
    return 0;
}

static int read_agent_id(struct gate_config *config, const struct record *record,
                         const char **ret_why)
{
    const char *id = record_string(record);
    if (!id || !*id || strlen(id) > CARD_AGENT_ID_MAX)
        return bad(ret_why, "the agent id is not a string of 1 to " STRINGIFY(
                                CARD_AGENT_ID_MAX) " characters");
    config->agent_id = strdup(id);
    return config->agent_id ? 0 : -ENOMEM;
}

static int read_uid(struct gate_config *config, const struct record *record, const char **ret_why)
{
    uint64_t uid;
    if (record_u64(record, &uid) < 0 || uid == 0 || uid >= UINT32_MAX)
        return bad(ret_why, "the uid is not a number from 1 to 4294967294");
    config->uid = (uid_t)uid;
    return 0;
}

static int add_rule(struct allow_rule **rules, size_t *n_rules, const struct record *record,
                    const char **ret_why)
{
    const char *text = record_string(record);
    if (!text)
        return bad(ret_why, "a host that is allowed or denied is not a string");
    struct allow_rule *more = grow(*rules, *n_rules, sizeof(*more));
    if (!more)
        return -ENOMEM;
    *rules = more;
    struct allow_rule *rule = &more[*n_rules];
    if (host_pattern_parse(text, &rule->pattern, ret_why) < 0)
        return -EBADMSG;
    rule->text = strdup(text);
    if (!rule->text)
        return -ENOMEM;
    (*n_rules)++;
    return 0;
}

static int read_allow(struct gate_config *config, const struct record *record, const char **ret_why)
{
    return add_rule(&config->allow, &config->n_allow, record, ret_why);
}

static int read_deny(struct gate_config *config, const struct record *record, const char **ret_why)
{
    int r = add_rule(&config->deny, &config->n_deny, record, ret_why);
    if (r == 0 && host_pattern_has_options(&config->deny[config->n_deny - 1].pattern))
        return bad(ret_why, "a denied host has an option");
    return r;
}

static int read_private(struct gate_config *config, const struct record *record,
                        const char **ret_why)
{
    const char *text = record_string(record);
    struct host_pattern pattern;
    if (!text || host_pattern_parse(text, &pattern, ret_why) < 0 ||
        pattern.kind == HOST_PATTERN_NETWORK || pattern.port != 0 || pattern.any_port ||
        host_pattern_has_options(&pattern))
        return bad(ret_why, "a private host is not the name of a host or *.name");
    pattern.any_port = true;
    struct host_pattern *hosts =
        grow(config->private_hosts, config->n_private_hosts, sizeof(*hosts));
    if (!hosts)
        return -ENOMEM;
    config->private_hosts = hosts;
    hosts[config->n_private_hosts++] = pattern;
    return 0;
}

static int take_authorization(struct gate_config *config, char **authorization,
                              const char **ret_why)
{
    if (config->parent_authorization)
        return bad(ret_why, "the parent proxy has two users");
    config->parent_authorization = TAKE_PTR(*authorization);
    return 0;
}

static int read_parent(struct gate_config *config, const struct record *record,
                       const char **ret_why)
{
    const char *uri = record_string(record);
    if (!uri)
        return bad(ret_why, "the parent proxy is not a string");
    AUTO_FREE char *authorization = NULL;
    int r = gate_parent_parse(uri, &config->parent, &authorization, ret_why);
    return r < 0 || !authorization ? r : take_authorization(config, &authorization, ret_why);
}

static int read_parent_auth(struct gate_config *config, const struct record *record,
                            const char **ret_why)
{
    const char *userpass = record_string(record);
    AUTO_FREE char *authorization = NULL;
    if (!userpass)
        return bad(ret_why, "the parent proxy's authorization is not a string");
    int r = gate_parent_authorization(userpass, &authorization, ret_why);
    return r < 0 ? r : take_authorization(config, &authorization, ret_why);
}

static int read_forward(struct gate_config *config, const struct record *record,
                        const char **ret_why)
{
    const char *text = record_string(record);
    struct endpoint to;
    if (config->n_forwards == GATE_FORWARDS_MAX)
        return bad(ret_why, "there are too many forwards");
    if (!text || host_authority_parse(text, strlen(text), 0, &to.host, &to.port, ret_why) < 0 ||
        !address_is_loopback(&to.host.address))
        return bad(ret_why, "a forward is not a loopback address and a port");
    struct endpoint *forwards = grow(config->forwards, config->n_forwards, sizeof(*forwards));
    if (!forwards)
        return -ENOMEM;
    config->forwards = forwards;
    forwards[config->n_forwards++] = to;
    return 0;
}

static int read_ask(struct gate_config *config, const struct record *record, const char **ret_why)
{
    uint64_t seconds;
    if (record_u64(record, &seconds) < 0 || seconds == 0 || seconds > GATE_ASK_MAX)
        return bad(ret_why, "the time to ask is not a number from 1 to " STRINGIFY(GATE_ASK_MAX));
    config->ask_seconds = (unsigned)seconds;
    return 0;
}

static int read_transparent(struct gate_config *config, const struct record *record,
                            const char **ret_why)
{
    if (record->size != 0)
        return bad(ret_why, "the record \"transparent\" is not empty");
    config->transparent = true;
    return 0;
}

enum times {
    ONCE,
    AT_MOST_ONCE,
    ANY_NUMBER,
};

static const struct {
    int (*read)(struct gate_config *, const struct record *, const char **);
    enum times times;
} readers[] = {
    [GATE_CONFIG_VERSION_NUMBER] = {read_version, ONCE},
    [GATE_CONFIG_AGENT_ID] = {read_agent_id, ONCE},
    [GATE_CONFIG_UID] = {read_uid, ONCE},
    [GATE_CONFIG_ALLOW] = {read_allow, ANY_NUMBER},
    [GATE_CONFIG_PRIVATE] = {read_private, ANY_NUMBER},
    [GATE_CONFIG_PARENT_PROXY] = {read_parent, AT_MOST_ONCE},
    [GATE_CONFIG_FORWARD] = {read_forward, ANY_NUMBER},
    [GATE_CONFIG_ASK] = {read_ask, AT_MOST_ONCE},
    [GATE_CONFIG_DENY] = {read_deny, ANY_NUMBER},
    [GATE_CONFIG_TRANSPARENT] = {read_transparent, AT_MOST_ONCE},
    [GATE_CONFIG_PARENT_AUTH] = {read_parent_auth, AT_MOST_ONCE},
};

static int read_all(struct gate_config *config, struct records_reader *reader, const char **ret_why)
{
    unsigned seen[ARRAY_SIZE(readers)] = {0};
    struct record record;
    bool first = true;
    int r;

    while ((r = records_next(reader, &record)) > 0) {
        if (record.type >= ARRAY_SIZE(readers) || !readers[record.type].read)
            return bad(ret_why, "the configuration has a record of an unknown type");
        if (first != (record.type == GATE_CONFIG_VERSION_NUMBER))
            return bad(ret_why, "the configuration does not start with its version");
        first = false;
        if (seen[record.type]++ > 0 && readers[record.type].times != ANY_NUMBER)
            return bad(ret_why, "a record that may come once came twice");
        r = readers[record.type].read(config, &record, ret_why);
        if (r < 0)
            return r;
    }
    if (r < 0)
        return bad(ret_why, "the configuration is not whole records");
    for (size_t i = 0; i < ARRAY_SIZE(readers); i++)
        if (readers[i].read && readers[i].times == ONCE && seen[i] == 0)
            return bad(ret_why, "a record that must be there is missing");
    if (config->parent_authorization && config->parent.port == 0)
        return bad(ret_why, "there is an authorization for no parent proxy");
    return 0;
}

int gate_config_parse(const void *data, size_t size, struct gate_config **ret, const char **ret_why)
{
    CLEANUP(gate_config_freep) struct gate_config *config = calloc(1, sizeof(*config));
    struct records_reader reader = {.data = data, .size = size};

    if (!config)
        return -ENOMEM;
    int r = read_all(config, &reader, ret_why);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(config);
    return 0;
}

static void free_rules(struct allow_rule *rules, size_t n)
{
    for (size_t i = 0; i < n; i++)
        free(rules[i].text);
    free(rules);
}

struct gate_config *gate_config_free(struct gate_config *config)
{
    if (!config)
        return NULL;
    free_rules(config->allow, config->n_allow);
    free_rules(config->deny, config->n_deny);
    free(config->private_hosts);
    free(config->forwards);
    free(config->parent_authorization);
    free(config->agent_id);
    own_addresses_free(config->own);
    free(config);
    return NULL;
}
