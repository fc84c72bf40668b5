/* What `mounts` of a card may be. */
#include "caged-limits.h"
#include "card-parse.h"
#include "json-text.h"
#include "mount-target.h"

static int parse_target(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    char **target = JSON_FIELD(w, key, char *);

    if (!mount_target_valid(json_string_value(value)))
        return json_walk_refuse_value(w, value, false, "%s", key->expected);
    *target = strdup(json_string_value(value));
    return *target ? 0 : -ENOMEM;
}

static const struct json_key mount_keys[] = {
    {.name = "source",
     .type = JSON_STRING,
     .required = true,
     .expected = CARD_PATH_EXPECTED,
     .parse = card_parse_path,
     .offset = offsetof(struct card_mount, source)},
    {.name = "target",
     .type = JSON_STRING,
     .required = true,
     .expected = MOUNT_TARGET_EXPECTED,
     .parse = parse_target,
     .offset = offsetof(struct card_mount, target)},
    {.name = "readonly",
     .type = JSON_TRUE,
     .expected = "true or false",
     .parse = json_walk_boolean,
     .offset = offsetof(struct card_mount, readonly)},
};

/* What is mounted first would be hidden by, or be in, what is mounted next. */
static int check_overlap(struct json_walk *w, const struct card *card)
{
    const struct card_mount *last = &card->mounts[card->n_mounts - 1];

    for (size_t i = 0; i + 1 < card->n_mounts; i++) {
        if (!mount_targets_overlap(last->target, card->mounts[i].target))
            continue;
        json_path_append_key(w->path, sizeof(w->path), "target", strlen("target"));
        return json_walk_refuse(w, "a target inside that of another mount, around it or the same",
                                "targets that do not lie in each other; that of $.mounts[%zu] does",
                                i);
    }
    return 0;
}

static int parse_mount(struct json_walk *w, const json_t *value)
{
    struct card *card = CARD(w);

    if (!json_is_object(value))
        return json_walk_refuse_value(w, value, false, "an object with source and target");
    struct card_mount *grown = reallocarray(card->mounts, card->n_mounts + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    card->mounts = grown;
    grown[card->n_mounts] = (struct card_mount){.readonly = true};

    w->object = &grown[card->n_mounts++];
    int r = json_walk_object(w, value, mount_keys, ARRAY_SIZE(mount_keys));
    w->object = card;
    return r < 0 ? r : check_overlap(w, card);
}

int card_parse_mounts(struct json_walk *w, const struct json_key *key, const json_t *value)
{
    size_t used = strlen(w->path), i;
    json_t *mount;

    if (json_array_size(value) > key->max)
        return json_walk_refuse_value(w, value, false, "%s", key->expected);
    json_array_foreach (value, i, mount) {
        json_path_append_index(w->path, sizeof(w->path), i);
        int r = parse_mount(w, mount);
        if (r < 0)
            return r;
        w->path[used] = '\0';
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
