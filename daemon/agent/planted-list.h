/* What caged-scan said that an agent planted in its workspace: checked, as the names are the
 * agent's and the process may have been taken over by them. Pure but for allocation. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "planted-kind.h"

struct planted_file {
    enum planted_kind kind;
    enum planted_change change;
    bool cut;   /* the path goes on */
    char *path; /* from the workspace on; any bytes but NUL */
};

struct planted_list {
    struct planted_file *files;
    size_t count;
    uint64_t more;          /* that were found and are not in `files` */
    const char *incomplete; /* static, why not everything was looked at; NULL: it was */
};

/* Reads the records of common/scan-proto.h. Always gives a list; what is not as it should be makes
 * it an incomplete one, with what came before. -ENOMEM: an empty one, incomplete. */
void planted_list_parse(const void *data, size_t size, struct planted_list *ret);

void planted_list_deinit(struct planted_list *list);

/* "git-hook .git/hooks/x, vscode .vscode/tasks.json and 3 more" for a log: as many as fit. */
void planted_list_format(const struct planted_list *list, char *buffer, size_t size);
