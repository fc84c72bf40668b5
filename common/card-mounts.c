/* What `mounts` of a card may be. */
#include "caged-limits.h"
#include "card-parse.h"
#include "json-text.h"
#include "mount-target.h"

static struct card_mount *last_mount(struct card_parser *p)
{
    return &p->card->mounts[p->card->n_mounts - 1];
}

static int parse_source(struct card_parser *p, const struct card_key *key, const json_t *value)
{
    return card_take_path(p, key, value, &last_mount(p)->source);
}

static int parse_target(struct card_parser *p, const struct card_key *key, const json_t *value)
{
    const char *target = json_string_value(value);

    if (!mount_target_valid(target))
        return card_refuse_value(p, value, false, "%s", key->expected);
    last_mount(p)->target = strdup(target);
    return last_mount(p)->target ? 0 : -ENOMEM;
}

static int parse_readonly(struct card_parser *p, const struct card_key *key, const json_t *value)
{
    last_mount(p)->writable = json_is_false(value);
    return 0;
}

static const struct card_key mount_keys[] = {
    {.name = "source",
     .type = JSON_STRING,
     .required = true,
     .expected = CARD_PATH_EXPECTED,
     .parse = parse_source},
    {.name = "target",
     .type = JSON_STRING,
     .required = true,
     .expected = MOUNT_TARGET_EXPECTED,
     .parse = parse_target},
    {.name = "readonly", .type = JSON_TRUE, .expected = "true or false", .parse = parse_readonly},
};

/* What is mounted first would be hidden by, or be in, what is mounted next. */
static int check_overlap(struct card_parser *p)
{
    const struct card *card = p->card;
    const struct card_mount *mount = last_mount(p);

    for (size_t i = 0; i + 1 < card->n_mounts; i++) {
        if (!mount_targets_overlap(mount->target, card->mounts[i].target))
            continue;
        json_path_append_key(p->path, sizeof(p->path), "target", strlen("target"));
        return card_refuse(p, "a target inside that of another mount, around it or the same",
                           "targets that do not lie in each other; that of $.mounts[%zu] does", i);
    }
    return 0;
}

static int parse_mount(struct card_parser *p, const json_t *value)
{
    struct card *card = p->card;

    if (!json_is_object(value))
        return card_refuse_value(p, value, false, "an object with source and target");
    struct card_mount *grown = reallocarray(card->mounts, card->n_mounts + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    grown[card->n_mounts++] = (struct card_mount){};
    card->mounts = grown;

    int r = card_parse_object(p, value, mount_keys, ARRAY_SIZE(mount_keys));
    return r < 0 ? r : check_overlap(p);
}

int card_parse_mounts(struct card_parser *p, const struct card_key *key, const json_t *value)
{
    size_t used = strlen(p->path), i;
    json_t *mount;

    if (json_array_size(value) > CARD_MOUNTS_MAX)
        return card_refuse_value(p, value, false, "%s", key->expected);
    json_array_foreach (value, i, mount) {
        json_path_append_index(p->path, sizeof(p->path), i);
        int r = parse_mount(p, mount);
        if (r < 0)
            return r;
        p->path[used] = '\0';
    }
    return 0;
}

struct card_mount *card_mounts_free(struct card_mount *mounts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(mounts[i].source);
        free(mounts[i].target);
    }
    free(mounts);
    return NULL;
}
