/* One array of {name, address}, looked through from the front: such files are short. */
#include "hosts-file.h"

struct hosts_entry {
    char *name; /* canonical */
    struct ip_address address;
};

struct hosts_table {
    struct hosts_entry *entries;
    size_t count;
    size_t allocated;
};

struct hosts_table *hosts_table_free(struct hosts_table *table)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < table->count; i++)
        free(table->entries[i].name);
    free(table->entries);
    free(table);
    return NULL;
}

static int table_add(struct hosts_table *table, const struct host *name,
                     const struct ip_address *address)
{
    if (table->count == table->allocated) {
        size_t more = table->allocated ? table->allocated * 2 : 16;
        struct hosts_entry *entries = reallocarray(table->entries, more, sizeof(*entries));
        if (!entries)
            return -ENOMEM;
        table->entries = entries;
        table->allocated = more;
    }
    char *copy = strdup(name->name);
    if (!copy)
        return -ENOMEM;
    table->entries[table->count++] = (struct hosts_entry){copy, *address};
    return 0;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Takes the next word of the line; its length is 0 at the end. */
static size_t next_word(const char **p, const char *end, const char **ret)
{
    while (*p < end && is_blank(**p))
        (*p)++;
    *ret = *p;
    while (*p < end && !is_blank(**p))
        (*p)++;
    return (size_t)(*p - *ret);
}

static int line_parse(struct hosts_table *table, const char *line, const char *end)
{
    const char *comment = memchr(line, '#', (size_t)(end - line));
    const char *why, *word;
    struct host address, name;

    if (comment)
        end = comment;
    size_t n = next_word(&line, end, &word);
    if (n == 0 || host_parse(word, n, &address, &why) < 0 || address.address.family == AF_UNSPEC)
        return 0;
    while ((n = next_word(&line, end, &word)) > 0) {
        if (host_parse(word, n, &name, &why) < 0 || name.address.family != AF_UNSPEC)
            continue;
        int r = table_add(table, &name, &address.address);
        if (r < 0)
            return r;
    }
    return 0;
}

int hosts_table_parse(const char *text, size_t size, struct hosts_table **ret)
{
    CLEANUP(hosts_table_freep) struct hosts_table *table = calloc(1, sizeof(*table));
    const char *end = text + size;

    if (!table)
        return -ENOMEM;
    while (text < end) {
        const char *newline = memchr(text, '\n', (size_t)(end - text));
        const char *line_end = newline ? newline : end;
        int r = line_parse(table, text, line_end);
        if (r < 0)
            return r;
        text = newline ? newline + 1 : end;
    }
    *ret = TAKE_PTR(table);
    return 0;
}

size_t hosts_table_find(const struct hosts_table *table, const char *name, struct ip_address *ret,
                        size_t max)
{
    size_t found = 0;

    for (size_t i = 0; table && i < table->count && found < max; i++)
        if (streq(table->entries[i].name, name))
            ret[found++] = table->entries[i].address;
    return found;
}
