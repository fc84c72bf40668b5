/* Two cards held against each other, by their JSON form: so a key that is added to the card is
 * compared without a word here. What that form masks is compared by itself. */
#include "card-diff.h"

#include "json-text.h"

#define PATH_MAX_LENGTH 256

/* Whether both are the same, in a time that depends on the lengths alone. */
static bool is_same_secret(const char *a, const char *b)
{
    size_t length = strlen(a);
    unsigned char differences = 0;

    if (strlen(b) != length)
        return false;
    for (size_t i = 0; i < length; i++)
        differences |= (unsigned char)(a[i] ^ b[i]);
    return differences == 0;
}

static const char *find_value(const struct card *card, const char *name)
{
    for (size_t i = 0; i < card->n_environment; i++)
        if (streq(card->environment[i].name, name))
            return card->environment[i].value;
    return NULL;
}

/* Whether two members of the same name stand for the same; `path` is of the object they are in. */
static bool is_same(const struct card *a, const struct card *b, const char *path, const char *name,
                    const json_t *a_value, const json_t *b_value)
{
    if (!json_equal(a_value, b_value))
        return false;
    if (streq(path, "$.environment"))
        return is_same_secret(find_value(a, name), find_value(b, name));
    if (streq(path, "$") && streq(name, "proxy"))
        return is_same_secret(a->proxy, b->proxy);
    return true;
}

struct comparison {
    const struct card *a, *b;
    json_t *paths;
    char path[PATH_MAX_LENGTH];
};

static int compare_objects(struct comparison *c, const json_t *a, const json_t *b);

/* One member; either may be missing. */
static int compare_members(struct comparison *c, const char *name, const json_t *a, const json_t *b)
{
    size_t used = strlen(c->path);
    bool same = a && b && is_same(c->a, c->b, c->path, name, a, b);
    bool objects = json_is_object(a) && json_is_object(b);
    int r = 0;

    json_path_append_key(c->path, sizeof(c->path), name, strlen(name));
    if (objects)
        r = compare_objects(c, a, b);
    else if (!same)
        r = json_array_append_new(c->paths, json_string(c->path));
    c->path[used] = '\0';
    return r;
}

static int compare_objects(struct comparison *c, const json_t *a, const json_t *b)
{
    const char *name;
    json_t *value;
    int r = 0;

    json_object_foreach ((json_t *)a, name, value)
        r |= compare_members(c, name, value, json_object_get(b, name));
    json_object_foreach ((json_t *)b, name, value)
        if (!json_object_get(a, name))
            r |= compare_members(c, name, NULL, value);
    return r;
}

json_t *card_diff(const struct card *a, const struct card *b)
{
    struct comparison c = {.a = a, .b = b, .paths = json_array(), .path = "$"};
    json_t *a_json = card_to_json(a), *b_json = card_to_json(b);

    if (!a_json || !b_json || !c.paths || compare_objects(&c, a_json, b_json) < 0) {
        json_decref(c.paths);
        c.paths = NULL;
    }
    json_decref(a_json);
    json_decref(b_json);
    return c.paths;
}
