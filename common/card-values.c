/* What the values of a card may be: one small parser for each kind of value. */
#include <stdio.h>

#include "caged-limits.h"
#include "card-parse.h"
#include "host-pattern.h"
#include "plain-path.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"

static int take_copy(char **field, const char *text)
{
    char *copy = strdup(text);

    if (!copy)
        return -ENOMEM;
    free(*field);
    *field = copy;
    return 0;
}

int card_parse_name(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    const char *name = json_string_value(value);
    size_t length = strlen(name);

    if (length == 0 || length > CARD_AGENT_ID_MAX ||
        strspn(name, CARD_AGENT_ID_CHARACTERS) != length)
        return json_walk_refuse_value(w, value, key->secret, "%s", key->expected);
    return take_copy(JSON_FIELD(w, key, char *), name);
}

/* -- paths -- */

int card_parse_path(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    const char *path = json_string_value(value);
    size_t length = strlen(path) > CARD_PATH_MAX ? 0 : plain_path_length(path);

    if (length == 0)
        return json_walk_refuse_value(w, value, key->secret, "%s", key->expected);
    char *copy = strndup(path, length);
    if (!copy)
        return -ENOMEM;
    *JSON_FIELD(w, key, char *) = copy;
    return 0;
}

/* -- user, command, provider -- */

/* Not what useradd(8) would take, but what an account can be called at all: names of directory
 * services have spaces, "@" and "\\". */
int card_parse_user(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    const char *user = json_string_value(value);
    size_t length = strlen(user);
    bool good = length > 0 && length <= CARD_USER_MAX && !strpbrk(user, ":/");

    for (const char *c = user; *c; c++)
        good = good && (unsigned char)*c >= ' ' && *c != 0x7f;
    if (!good)
        return json_walk_refuse_value(w, value, key->secret, "%s", key->expected);
    return take_copy(JSON_FIELD(w, key, char *), user);
}

int card_parse_command(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    size_t used = strlen(w->path), i;
    json_t *word;

    if (json_array_size(value) == 0 || json_array_size(value) > CARD_COMMAND_MAX)
        return json_walk_refuse_value(w, value, key->secret, "%s", key->expected);
    json_array_foreach (value, i, word) {
        json_path_append_index(w->path, sizeof(w->path), i);
        if (!json_is_string(word))
            return json_walk_refuse_value(w, word, key->secret, "a string");
        if (i == 0 && json_string_length(word) == 0)
            return json_walk_refuse_value(w, word, key->secret, "the name or path of a program");
        int r = string_list_append(&CARD(w)->command, json_string_value(word));
        if (r < 0)
            return r;
        w->path[used] = '\0';
    }
    return 0;
}

int card_parse_provider(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    if (api_provider_from_string(json_string_value(value), &CARD(w)->api_provider) < 0)
        return json_walk_refuse_value(w, value, key->secret, "%s", key->expected);
    return 0;
}

/* -- the parent proxy -- */

/* A user and perhaps a password (RFC 3986, 3.2.1), each character either plain or %XX. */
static bool is_userinfo(const char *text, size_t length)
{
    static const char plain[] = LOWER UPPER DIGITS "-._~!$&'()*+,;=:";
    static const char hex[] = DIGITS "ABCDEFabcdef";

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '%' && length - i > 2 && strchr(hex, text[i + 1]) &&
            strchr(hex, text[i + 2]))
            i += 2;
        else if (!strchr(plain, text[i]))
            return false;
    }
    return length > 0 && text[0] != ':';
}

static int refuse_scheme(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    static const char *const others[] = {"https",   "socks",  "socks4",
                                         "socks4a", "socks5", "socks5h"};
    const char *uri = json_string_value(value);
    char found[32];

    for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
        size_t length = strlen(others[i]);
        if (!has_prefix(uri, others[i]) || !has_prefix(uri + length, "://"))
            continue;
        (void)snprintf(found, sizeof(found), "a proxy of kind %s", others[i]);
        return json_walk_refuse(w, found, "%s; other kinds are not supported", key->expected);
    }
    return json_walk_refuse_value(w, value, key->secret, "%s", key->expected);
}

int card_parse_proxy(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    const char *uri = json_string_value(value);
    size_t length = strlen(uri);
    struct host host;
    uint16_t port;
    const char *why = NULL;

    if (length > CARD_PROXY_MAX)
        return json_walk_refuse_value(w, value, key->secret, "%s", key->expected);
    if (!has_prefix(uri, "http://"))
        return refuse_scheme(w, key, value);
    if (uri[length - 1] == '/' && length > strlen("http://"))
        length--; /* the empty path that people copy along */

    const char *authority = uri + strlen("http://");
    const char *at = strchr(authority, '@');
    if (at && !is_userinfo(authority, (size_t)(at - authority)))
        return json_walk_refuse(w, "a proxy whose user or password is not written as in a URI",
                                "%s, with %%XX for what is not a letter, a digit or one of "
                                "-._~!$&'()*+,;=",
                                key->expected);
    if (at)
        authority = at + 1;
    if (host_authority_parse(authority, (size_t)(uri + length - authority), 0, &host, &port, &why) <
        0)
        return json_walk_refuse_value(w, value, key->secret, "%s: %s", key->expected, why);
    CARD(w)->proxy = strndup(uri, length);
    return CARD(w)->proxy ? 0 : -ENOMEM;
}

/* -- hosts -- */

static const char *allowed_host_fault(const char *text)
{
    struct host_pattern pattern;
    const char *why = NULL;

    return host_pattern_parse(text, &pattern, &why) < 0 ? why : NULL;
}

static const char *private_host_fault(const char *text)
{
    struct host_pattern pattern;
    const char *why = NULL;

    if (host_pattern_parse(text, &pattern, &why) < 0)
        return why;
    if (pattern.kind == HOST_PATTERN_NETWORK)
        return "an address stands in allowed_hosts alone, which allows it though it is private";
    if (host_pattern_has_options(&pattern))
        return "options stand in allowed_hosts alone";
    return pattern.port != 0 || pattern.any_port ? "the port stands in allowed_hosts alone" : NULL;
}

static const char *denied_host_fault(const char *text)
{
    struct host_pattern pattern;
    const char *why = NULL;

    if (host_pattern_parse(text, &pattern, &why) < 0)
        return why;
    return host_pattern_has_options(&pattern) ? "options stand in allowed_hosts alone" : NULL;
}

int card_parse_allowed_hosts(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    return json_walk_strings(w, key, value,
                             "a host, *.name, IP address or range, perhaps with :port",
                             allowed_host_fault, false);
}

int card_parse_private_hosts(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    return json_walk_strings(w, key, value, "the name of a host or *.name, without a port",
                             private_host_fault, false);
}

int card_parse_denied_hosts(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    return json_walk_strings(w, key, value,
                             "a host, *.name, IP address or range, perhaps with :port",
                             denied_host_fault, false);
}

/* -- environment -- */

static const struct {
    const char *name;
    const char *why;
} reserved_variables[] = {
    {"AGENT_ID", "it always holds the card's agent_id"},
};

/* Not a byte of the value may get into the error. */
static int check_variable(struct json_walk *w, const char *name, const json_t *value)
{
    size_t length = strlen(name);

    if (length == 0 || strspn(name, LOWER UPPER DIGITS "_") != length || strchr(DIGITS, name[0]))
        return json_walk_refuse(w, "a name that no variable can have",
                                "letters, digits and \"_\", not beginning with a digit");
    for (size_t i = 0; i < ARRAY_SIZE(reserved_variables); i++)
        if (streq(name, reserved_variables[i].name))
            return json_walk_refuse(w, "a variable that caged sets itself", "another name: %s",
                                    reserved_variables[i].why);
    if (!json_is_string(value))
        return json_walk_refuse_value(w, value, true, "a string");
    return 0;
}

int card_parse_environment(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    size_t used = strlen(w->path);
    const char *name;
    json_t *content;

    if (json_object_size(value) > CARD_ENVIRONMENT_MAX)
        return json_walk_refuse_value(w, value, key->secret, "%s", key->expected);
    json_object_foreach ((json_t *)value, name, content) {
        json_path_append_key(w->path, sizeof(w->path), name, strlen(name));
        int r = check_variable(w, name, content);
        if (r == 0)
            r = card_variables_append(&CARD(w)->environment, &CARD(w)->n_environment, name,
                                      json_string_value(content));
        if (r < 0)
            return r;
        w->path[used] = '\0';
    }
    return 0;
}

/* -- protect -- */

/* Each kind once: a list that says something twice may have been meant to say something else. */
int card_parse_protect(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    size_t used = strlen(w->path), i;
    json_t *kind;

    CARD(w)->protect_git = false;
    json_array_foreach (value, i, kind) {
        json_path_append_index(w->path, sizeof(w->path), i);
        if (!json_is_string(kind) || !streq(json_string_value(kind), "git"))
            return json_walk_refuse_value(w, kind, key->secret, "\"git\"");
        if (CARD(w)->protect_git)
            return json_walk_refuse(w, "\"git\" once more", "each kind once");
        CARD(w)->protect_git = true;
        w->path[used] = '\0';
    }
    return 0;
}
