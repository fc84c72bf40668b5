/* Git's configuration format; the contract stands in the header. */
#include "git-config.h"

#include "util.h"

/* Where the value of a name goes; one that is not wanted goes nowhere. */
struct value {
    char *text; /* NULL: not wanted */
    size_t length;
    bool too_long, unclear;
};

void git_config_init(struct git_config *config,
                     ssize_t (*read)(void *context, char *buffer, size_t size), void *context)
{
    *config = (struct git_config){.read = read, .context = context, .held = -1, .line = 1};
}

/* -- bytes: ASCII alone, whatever the locale -- */

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_letter(int c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_name_byte(int c)
{
    return is_letter(c) || (c >= '0' && c <= '9') || c == '-';
}

static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

/* -1 at the end. */
static int next_byte(struct git_config *config)
{
    if (config->held >= 0) {
        int c = config->held;
        config->held = -1;
        return c;
    }
    if (config->at == config->n) {
        ssize_t n = config->at_end
                        ? 0
                        : config->read(config->context, config->buffer, sizeof(config->buffer));
        config->error = n < 0 ? (int)n : config->error;
        config->at_end = n <= 0;
        config->n = n <= 0 ? 0 : (size_t)n;
        config->at = 0;
        if (config->at_end)
            return -1;
    }
    return (unsigned char)config->buffer[config->at++];
}

/* A line's end may be CR LF; the file's end is one, too. */
static int next_char(struct git_config *config)
{
    int c = next_byte(config);

    if (c == '\r') {
        int after = next_byte(config);
        if (after == '\n')
            c = after;
        else
            config->held = after;
    }
    if (c < 0)
        return '\n';
    config->line += c == '\n';
    return c;
}

/* -- sections -- */

/* A name that does not fit is none of those that count. */
static void append_to_section(struct git_config *config, size_t *length, int c)
{
    if (c == '.') /* [section.subsection], which is an old way */
        config->has_subsection = true;
    if (config->has_subsection)
        return;
    if (*length == sizeof(config->section) - 1) {
        config->section[0] = '?';
        return;
    }
    config->section[(*length)++] = (char)lower(c);
    config->section[*length] = '\0';
}

/* From the white space on: "subsection"], in which a backslash stands before any byte. */
static int take_subsection(struct git_config *config, int c)
{
    config->has_subsection = true;
    do {
        if (c == '\n')
            return -EBADMSG;
        c = next_char(config);
    } while (is_space(c));
    if (c != '"')
        return -EBADMSG;
    while ((c = next_char(config)) != '"') {
        if (c == '\\')
            c = next_char(config);
        if (c == '\n')
            return -EBADMSG;
    }
    return next_char(config) == ']' ? 0 : -EBADMSG;
}

/* Behind the bracket. */
static int take_section(struct git_config *config)
{
    size_t length = 0;
    bool any = false;
    int c;

    config->section[0] = '\0';
    config->has_subsection = false;
    while ((c = next_char(config)) != ']') {
        if (is_space(c))
            return take_subsection(config, c);
        if (!is_name_byte(c) && c != '.')
            return -EBADMSG;
        append_to_section(config, &length, c);
        any = true;
    }
    return any ? 0 : -EBADMSG;
}

/* -- names and values -- */

static const struct {
    const char *section, *name;
    bool subsection;
    enum git_config_key key;
} wanted[] = {
    {"core", "hookspath", false, GIT_CONFIG_HOOKS_PATH},
    {"core", "worktree", false, GIT_CONFIG_WORK_TREE},
    {"include", "path", false, GIT_CONFIG_INCLUDE_PATH},
    {"includeif", "path", true, GIT_CONFIG_INCLUDE_PATH},
};

static bool is_wanted(const struct git_config *config, const char *name,
                      enum git_config_key *ret_key)
{
    for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
        if (wanted[i].subsection == config->has_subsection &&
            streq(wanted[i].section, config->section) && streq(wanted[i].name, name)) {
            *ret_key = wanted[i].key;
            return true;
        }
    }
    return false;
}

static void append(struct value *value, int c)
{
    if (!value->text)
        return;
    if (c == '\0')
        value->unclear = true;
    if (value->length == PROTECT_PATH_MAX - 1) {
        value->too_long = true;
        return;
    }
    value->text[value->length++] = (char)c;
}

/* Behind a backslash: the byte that is meant, '\n' for a line that goes on, or -EBADMSG. */
static int escaped(int c)
{
    static const char from[] = "tbn\\\"", to[] = "\t\b\n\\\"";
    const char *at = c == '\0' ? NULL : strchr(from, c);

    return at ? to[at - from] : -EBADMSG;
}

static int end_value(struct value *value)
{
    if (!value->text)
        return 0;
    value->text[value->length] = '\0';
    return value->unclear ? -EBADMSG : value->too_long ? -ENAMETOOLONG : 0;
}

/* Behind the "=", up to the line's end. White space counts between other bytes alone. */
static int take_value(struct git_config *config, struct value *value)
{
    bool quoted = false, comment = false, any = false, odd = false;
    size_t spaces = 0;
    int c;

    while ((c = next_char(config)) != '\n') {
        if (comment)
            continue;
        if (is_space(c) && !quoted) {
            spaces += any;
            odd = odd || (any && c != ' ');
            continue;
        }
        if (!quoted && (c == ';' || c == '#')) {
            comment = true;
            continue;
        }
        value->unclear = value->unclear || odd;
        odd = false;
        for (; spaces > 0; spaces--)
            append(value, ' ');
        if (c == '"') {
            quoted = !quoted;
            continue;
        }
        if (c == '\\') {
            c = next_char(config);
            if (c == '\n')
                continue;
            c = escaped(c);
            if (c < 0)
                return c;
        }
        append(value, c);
        any = true;
    }
    return quoted ? -EBADMSG : end_value(value);
}

/* From a name's first letter to its line's end. 1: it is wanted, and has a value. */
static int take_variable(struct git_config *config, int c, enum git_config_key *ret_key,
                         char text[PROTECT_PATH_MAX])
{
    char name[16];
    size_t length = 0;
    struct value value = {};
    enum git_config_key key = GIT_CONFIG_KEY_COUNT;

    for (; is_name_byte(c); c = next_char(config))
        if (length < sizeof(name))
            name[length++] = (char)lower(c);
    if (length < sizeof(name)) {
        name[length] = '\0';
        value.text = is_wanted(config, name, &key) ? text : NULL;
    }
    while (c == ' ' || c == '\t')
        c = next_char(config);
    if (c == '\n')
        return 0;
    int r = c == '=' ? take_value(config, &value) : -EBADMSG;
    if (r < 0 || !value.text)
        return r;
    *ret_key = key;
    return 1;
}

/* A byte order mark at the file's start is passed over; a part of one is none. */
static int skip_mark(struct git_config *config, int c)
{
    static const int mark[] = {0xbb, 0xbf};

    for (size_t i = 0; i < ARRAY_SIZE(mark); i++)
        if (c != 0xef || next_char(config) != mark[i])
            return -EBADMSG;
    return 0;
}

/* One thing that is not a comment or white space. 1: a wanted value. */
static int take_thing(struct git_config *config, bool at_start, enum git_config_key *ret_key,
                      char value[PROTECT_PATH_MAX])
{
    int c = next_char(config);

    if (c == 0xef && at_start)
        return skip_mark(config, c);
    if (is_space(c))
        return 0;
    if (c == '#' || c == ';') {
        while (next_char(config) != '\n')
            ;
        return 0;
    }
    if (c == '[')
        return take_section(config);
    return is_letter(c) ? take_variable(config, c, ret_key, value) : -EBADMSG;
}

int git_config_next(struct git_config *config, enum git_config_key *ret_key,
                    char value[PROTECT_PATH_MAX])
{
    int r = 0;

    while (r == 0 && !(config->at_end && config->held < 0)) {
        bool at_start = config->at == 0 && config->n == 0;
        unsigned line = config->line;
        r = take_thing(config, at_start, ret_key, value);
        if (r < 0) {
            config->line = line;
            config->at_end = true;
            config->at = config->n = 0;
            config->held = -1;
        }
    }
    return config->error < 0 ? config->error : r;
}
