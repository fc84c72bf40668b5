/* Anything that a caged-scan may say that was taken over: no crash, and a list that is within its
 * bounds (daemon/agent/planted-list.h). */
#include "caged-limits.h"
#include "daemon/agent/planted-list.h"
#include "fuzz.h"
#include "util.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct planted_list list;
    char text[200];

    planted_list_parse(data, size, &list);
    require(list.count <= (size_t)PLANTED_KIND_COUNT * SCAN_KIND_FILES_MAX);
    require(list.more <= INT64_MAX);
    for (size_t i = 0; i < list.count; i++) {
        const struct planted_file *file = &list.files[i];
        size_t length = strlen(file->path);
        require(length >= 1 && length <= SCAN_PATH_MAX);
        require(strlen(planted_kind_to_string(file->kind)) > 0);
        require(strlen(planted_change_to_string(file->change)) > 0);
    }
    planted_list_format(&list, text, sizeof(text));
    require(strlen(text) < sizeof(text));
    planted_list_deinit(&list);
    return 0;
}
