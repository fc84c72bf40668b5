/* Which systemd service a cgroup belongs to, by its path in the v2 hierarchy. Pure.
 *
 * systemd keeps a unit in a folder of the unit's name, below folders of slices only; what is below
 * that folder is the unit's own business if it was delegated (systemd's CGROUP_DELEGATION.md). A
 * name that could be taken for a file of the kernel's gets a "_" in front (cg_escape() in
 * systemd's src/basic/cgroup-util.c). */
#pragma once

#include <stddef.h>

#define UNIT_NAME_SIZE 256 /* with the NUL: systemd's UNIT_NAME_MAX */

struct unit_path {
    char name[UNIT_NAME_SIZE]; /* "caged-agent@alpha.service" */
    size_t folder_length;      /* the first bytes of the path: the unit's own folder */
    const char *leaf;          /* what follows below that, "" if nothing; borrowed from the path */
};

/* The path of the v2 hierarchy in the text of /proc/PID/cgroup (cgroups(7)), which is cut at its
 * end. NULL if there is no such line. */
char *unit_path_from_proc(char *text);

/* 0, or -EINVAL with *ret_why, a static sentence about the process that is there: what it sits in
 * is no service of systemd's, or the path is none that this process can see. */
int unit_path_parse(const char *path, struct unit_path *ret, const char **ret_why);
