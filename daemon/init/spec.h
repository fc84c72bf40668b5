/* The specification of a cage (common/init-spec.h), checked: pure, no system call, no allocation.
 * All pointers lead into the text that was parsed. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caged-limits.h"
#include "init-spec.h"
#include "records.h"

/* A folder to be mounted: the descriptor is INIT_FD_MOUNTS and its index. */
struct init_spec_mount {
    struct init_spec_mount_ids ids;
    const char *target; /* mount_target_valid() */
};

struct init_spec {
    const void *data; /* the whole text, borrowed */
    size_t size;
    const char *agent_id;
    const char *workspace; /* its path on the host */
    const char *command;   /* the first argument */
    uint64_t version;
    uint64_t uid_base;
    uint64_t owner_uid;
    uint64_t owner_gid;
    uint64_t folder_uid;
    uint64_t folder_gid;
    uint64_t max_open_files;
    uint64_t tmpfs_bytes;
    uint64_t terminal;
    uint64_t terminal_rows;
    uint64_t terminal_columns;
    uint64_t name_server;
    uint64_t protect_git;
    size_t n_arguments;                             /* 1..CARD_COMMAND_MAX */
    size_t n_environment;                           /* 0..SPEC_ENVIRONMENT_MAX */
    struct init_spec_mount mounts[CARD_MOUNTS_MAX]; /* no target in another's */
    size_t n_mounts;
};

/* A file to be placed in the cage. */
struct init_spec_file {
    const char *path; /* absolute, normalised, below /etc or CAGE_HOME */
    const void *content;
    size_t size;
    bool agents; /* the agent's, not root's */
};

/* Checks every record. 0, or -EBADMSG with *ret_why, a static sentence. */
int init_spec_parse(const void *data, size_t size, struct init_spec *ret, const char **ret_why);

/* Fills `array` with the strings of one type (arguments or environment), in order, and NULL.
 * There must be room for the counted ones and the NULL. */
void init_spec_strings(const struct init_spec *spec, uint16_t type, char **array);

/* The next file after the reader's place (start with init_spec_reader); false at the end. */
bool init_spec_next_file(struct records_reader *reader, struct init_spec_file *ret);
struct records_reader init_spec_reader(const struct init_spec *spec);
