/* The list of planted files; the contract stands in the header. */
#include "agent/planted-list.h"

#include <stdio.h>

#include "caged-limits.h"
#include "records.h"
#include "scan-proto.h"
#include "util.h"

#define BROKEN "what was found could not be read"

static const char *const results[] = {
    [SCAN_COMPLETE] = NULL,
    [SCAN_TOO_MANY] = "there are more than " STRINGIFY(SCAN_ENTRIES_MAX) " names in the workspace",
    [SCAN_TOO_DEEP] = "folders lie in one another more than " STRINGIFY(SCAN_DEPTH_MAX) " times",
    [SCAN_TOO_LONG] = "it took longer than " STRINGIFY(SCAN_SECONDS) " seconds",
    [SCAN_FAILED] = "a folder could not be read, or was removed meanwhile",
};
_Static_assert(ARRAY_SIZE(results) == SCAN_RESULT_COUNT, "every result has a sentence");

/* 0, -EBADMSG or -ENOMEM. */
static int take_file(const struct record *record, struct planted_list *list)
{
    const uint8_t *value = record->value;

    if (list->count == (size_t)PLANTED_KIND_COUNT * SCAN_KIND_FILES_MAX || record->size < 3 ||
        record->size > 2 + SCAN_PATH_MAX || value[0] >= PLANTED_KIND_COUNT ||
        value[1] >= PLANTED_CHANGE_COUNT || memchr(value + 2, 0, record->size - 2))
        return -EBADMSG;
    struct planted_file *files = reallocarray(list->files, list->count + 1, sizeof(*files));
    if (!files)
        return -ENOMEM;
    list->files = files;
    files[list->count] = (struct planted_file){
        .kind = value[0],
        .change = value[1],
        .cut = record->type == SCAN_CUT,
        .path = strndup((const char *)value + 2, record->size - 2),
    };
    if (!files[list->count].path)
        return -ENOMEM;
    list->count++;
    return 0;
}

/* 1 after the last record, 0, or -errno. */
static int take_record(const struct record *record, struct planted_list *list)
{
    uint64_t number;

    switch (record->type) {
    case SCAN_FOUND:
    case SCAN_CUT:
        return take_file(record, list);
    case SCAN_MORE:
        return list->more > 0 || record_u64(record, &list->more) < 0 || list->more > INT64_MAX
                   ? -EBADMSG
                   : 0;
    case SCAN_END:
        if (record_u64(record, &number) < 0 || number >= SCAN_RESULT_COUNT)
            return -EBADMSG;
        list->incomplete = results[number];
        return 1;
    default:
        return -EBADMSG;
    }
}

void planted_list_parse(const void *data, size_t size, struct planted_list *ret)
{
    struct records_reader reader = {.data = data, .size = size};
    struct planted_list list = {.incomplete = BROKEN};
    struct record record;
    int r = 0;

    while (r == 0 && records_next(&reader, &record) == 1)
        r = take_record(&record, &list);
    if (list.more > INT64_MAX)
        list.more = 0;
    if (r == 1 && reader.offset != reader.size)
        list.incomplete = BROKEN;
    *ret = list;
}

void planted_list_deinit(struct planted_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->files[i].path);
    free(list->files);
    *list = (struct planted_list){};
}

void planted_list_format(const struct planted_list *list, char *buffer, size_t size)
{
    uint64_t more = list->more;
    size_t used = 0, shown = 0;
    const size_t rest = sizeof(" and 18446744073709551615 more");

    buffer[0] = '\0';
    for (; shown < list->count; shown++) {
        const struct planted_file *file = &list->files[shown];
        int n = snprintf(buffer + used, size - used, "%s%s %s%s", shown > 0 ? ", " : "",
                         planted_kind_to_string(file->kind), file->path, file->cut ? "..." : "");
        if (n < 0 || used + (size_t)n + rest > size)
            break;
        used += (size_t)n;
    }
    buffer[used] = '\0';
    more += list->count - shown;
    if (more > 0)
        (void)snprintf(buffer + used, size - used, "%s%ju more", used > 0 ? " and " : "",
                       (uintmax_t)more);
}
