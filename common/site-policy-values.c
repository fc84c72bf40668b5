/* What the lists of a site policy may hold: one small parser for each kind of list. */
#include "caged-limits.h"
#include "host-pattern.h"
#include "plain-path.h"
#include "site-policy-parse.h"

#define DIGITS "0123456789"
#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

/* -- users, groups -- */

/* What looks like a number is one; so it must be one that an account can have. */
static const char *who_fault(const char *text)
{
    size_t length = strlen(text);

    if (length == 0 || length > CARD_USER_MAX)
        return "it is empty or longer than " STRINGIFY(CARD_USER_MAX) " bytes";
    for (const char *c = text; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f || strchr(":/*", *c))
            return "no name has \":\", \"/\", \"*\" or control characters in it";
    if (strspn(text, DIGITS) != length)
        return NULL;
    if ((length > 1 && text[0] == '0') || length > strlen(STRINGIFY(4294967295)) ||
        strtoull(text, NULL, 10) >= UINT32_MAX)
        return "a number is from 0 to 4294967294, without zeros before it";
    return NULL;
}

static const char *user_fault(const char *text)
{
    return streq(text, "*") ? NULL : who_fault(text);
}

static const char *group_fault(const char *text)
{
    return streq(text, "*") ? "everybody is \"*\" among users" : who_fault(text);
}

int policy_refuse_empty(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    return json_array_size(value) > 0
               ? 0
               : json_walk_refuse_value(w, value, false, "%s", key->expected);
}

int policy_parse_users(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    int r = policy_refuse_empty(w, key, value);

    return r < 0 ? r
                 : json_walk_strings(w, key, value,
                                     "the name or number of a user, or \"*\" for all but root",
                                     user_fault, true);
}

int policy_parse_groups(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    int r = policy_refuse_empty(w, key, value);

    return r < 0 ? r
                 : json_walk_strings(w, key, value, "the name or number of a group", group_fault,
                                     true);
}

/* -- lists -- */

static const char *root_fault(const char *text)
{
    if (streq(text, "/"))
        return NULL;
    if (strlen(text) > CARD_PATH_MAX)
        return "it is longer than " STRINGIFY(CARD_PATH_MAX) " bytes";
    return plain_path_length(text) > 0 ? NULL
                                       : "it is not absolute, or has \"..\", \".\", double slashes "
                                         "or control characters";
}

int policy_parse_roots(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    const struct string_list *list = JSON_FIELD(w, key, struct string_list);
    int r = json_walk_strings(w, key, value, "the absolute path of a folder", root_fault, true);

    for (size_t i = 0; i < list->count; i++)
        if (!streq(list->items[i], "/"))
            list->items[i][plain_path_length(list->items[i])] = '\0'; /* of a slash at its end */
    return r;
}

static const char *file_system_fault(const char *text)
{
    size_t length = strlen(text);

    return length > 0 && length <= POLICY_FILE_SYSTEM_MAX &&
                   strspn(text, LETTERS DIGITS "._+-") == length
               ? NULL
               : "it has other characters than letters, digits and \"._+-\", or is longer "
                 "than " STRINGIFY(POLICY_FILE_SYSTEM_MAX);
}

int policy_parse_file_systems(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    return json_walk_strings(w, key, value, "the type of a file system, as in /proc/filesystems",
                             file_system_fault, true);
}

static const char *variable_fault(const char *text)
{
    size_t length = strlen(text), plain = strspn(text, LETTERS DIGITS "_");

    if (length > POLICY_VARIABLE_MAX)
        return "it is longer than " STRINGIFY(POLICY_VARIABLE_MAX) " bytes";
    if (length == 0 || strchr(DIGITS, text[0]) ||
        (plain != length && !(text[plain] == '*' && plain + 1 == length)))
        return "a name has letters, digits and \"_\", and does not begin with a digit; \"*\" "
               "stands at its end alone";
    return NULL;
}

int policy_parse_variables(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    return json_walk_strings(w, key, value,
                             "the name of a variable, or the beginning of one and \"*\"",
                             variable_fault, true);
}

static const char *word_fault(const char *text)
{
    size_t length = strlen(text);

    if (streq(text, "*") || (length > 0 && length <= CARD_AGENT_ID_MAX &&
                             strspn(text, CARD_AGENT_ID_CHARACTERS) == length))
        return NULL;
    return "1 to " STRINGIFY(CARD_AGENT_ID_MAX) " characters out of a-z, 0-9 and \"-\"";
}

int policy_parse_words(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    return json_walk_strings(w, key, value, "a name, or \"*\" for all", word_fault, true);
}

static const char *ceiling_fault(const char *text)
{
    struct host_pattern pattern;
    const char *why = NULL;

    return host_pattern_parse_ceiling(text, &pattern, &why) < 0 ? why : NULL;
}

int policy_parse_hosts(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    return json_walk_strings(w, key, value,
                             "a host, *.name, IP address or range, or \"*\", perhaps with :port",
                             ceiling_fault, true);
}
