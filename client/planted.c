/* Files that an agent planted, for people. */
#include "planted.h"

#include <inttypes.h>
#include <stdio.h>

#include "field.h"
#include "planted-kind.h"
#include "text.h"

struct planted {
    json_t *files; /* NULL: nobody looked */
    uint64_t more;
    const char *incomplete; /* NULL: all was looked at */
};

struct planted_item {
    const char *path, *kind, *change;
    bool cut;
};

static int item_from_json(const json_t *json, struct planted_item *ret)
{
    *ret = (struct planted_item){0};
    if (!json_is_object(json) || field_string(json, "path", &ret->path) < 0 ||
        field_string(json, "kind", &ret->kind) < 0 ||
        field_string(json, "change", &ret->change) < 0 ||
        field_bool_optional(json, "cut", &ret->cut) < 0)
        return -EPROTO;
    return 0;
}

static int planted_from_json(const json_t *json, struct planted *ret)
{
    struct planted_item item;
    const json_t *file;
    size_t i;

    *ret = (struct planted){0};
    if (!json_object_get(json, "planted"))
        return 0;
    if (field_array(json, "planted", &ret->files) < 0 ||
        field_u64_optional(json, "planted_more", &ret->more) < 0 ||
        field_string_optional(json, "planted_incomplete", &ret->incomplete) < 0)
        return -EPROTO;
    json_array_foreach (ret->files, i, file)
        if (item_from_json(file, &item) < 0)
            return -EPROTO;
    return 0;
}

static void print_files(FILE *file, const struct planted *planted, const char *indent)
{
    const json_t *json;
    size_t i;

    json_array_foreach (planted->files, i, json) {
        struct planted_item item;
        enum planted_kind kind;

        (void)item_from_json(json, &item);
        (void)fputs(indent, file);
        text_print(file, item.path);
        (void)fputs(item.cut ? "... (" : " (", file);
        text_print(file, item.change);
        (void)fputs("): ", file);
        text_print(file, planted_kind_from_string(item.kind, &kind) == 0 ? planted_kind_why(kind)
                                                                         : item.kind);
        (void)fputc('\n', file);
    }
    if (planted->more > 0)
        (void)fprintf(file, "%sand %" PRIu64 " more\n", indent, planted->more);
}

int planted_say(const json_t *agent)
{
    struct planted planted;
    int r = planted_from_json(agent, &planted);

    if (r < 0 || !planted.files)
        return r;
    if (json_array_size(planted.files) > 0) {
        say("files that your own tools may run were created or changed while the agent ran:");
        print_files(stderr, &planted, "  ");
    }
    if (planted.incomplete)
        say("the workspace was not looked through to the end for files that your tools may run: %s",
            planted.incomplete);
    return 0;
}

int planted_print(const json_t *agent)
{
    struct planted planted;
    int r = planted_from_json(agent, &planted);

    if (r < 0 || !planted.files)
        return r;
    (void)printf("Files that your tools may run, created or changed while it ran\n");
    print_files(stdout, &planted, "  ");
    if (json_array_size(planted.files) == 0)
        (void)printf("  none\n");
    if (planted.incomplete) {
        (void)printf("  not everything was looked at: ");
        text_print(stdout, planted.incomplete);
        (void)putchar('\n');
    }
    return 0;
}

int planted_print_count(const json_t *event)
{
    struct planted planted;
    int r = planted_from_json(event, &planted);
    uint64_t n = planted.more + json_array_size(planted.files);

    if (r < 0)
        return r;
    if (n > 0)
        (void)printf(", %" PRIu64 " file%s changed that your tools may run", n, n == 1 ? "" : "s");
    if (planted.incomplete)
        (void)printf(", not all of its workspace was looked at");
    return 0;
}
