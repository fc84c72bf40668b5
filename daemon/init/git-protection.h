/* What the parts of protect: ["git"] share. protect-git.c goes through the workspace's top,
 * git-folder.c protects one git folder, git-file.c what a .git file leads to, git-named.c what a
 * configuration names in the work tree. */
#pragma once

#include "guard.h"
#include "util.h"

struct protection {
    struct guard guard; /* first: the visitors get it */
    int workspace;
    const char *host; /* what it is called on the host; "": unknown */
    int git;          /* borrowed: whose worktrees are visited */
    size_t n_repositories, n_folders;
    unsigned depth;                  /* of folders in modules/ */
    size_t n_named, n_bytes_of_text; /* of configurations */
};

static inline struct protection *protection_of(struct guard *g)
{
    return CONTAINER_OF(g, struct protection, guard);
}

/* One git folder more; -E2BIG after guard_refuse(). */
int protection_count(struct guard *g);

/* A folder's contents, with its name in the reasons. As guard_each(). */
int protection_each(struct guard *g, int fd, const char *name, size_t maximum,
                    int (*visit)(struct guard *g, int folder, const char *name,
                                 unsigned char type));

/* For protection_each(): refuses what could be changed though its folder is read-only. */
int protection_visit_hook(struct guard *g, int hooks, const char *name, unsigned char type);

/* Reads the one line of a small file without its end. The length, or -errno. */
ssize_t protection_read_line(int folder, const char *name, char *buffer, size_t size);

/* Opens a folder of the workspace, by a path from there on, and mounts each on the way on itself,
 * lest one be moved aside; `make`: makes what is not there. The path that is looked at becomes that
 * of the folder, or of the first that is not there. 1 with *ret, 0 if it is not there (and, with
 * `make`, the agent cannot make it either), or -errno after guard_refuse(). */
int protection_open(struct guard *g, const char *path, bool make, int *ret);

/* Whether that name in a folder is mounted on itself. */
bool protection_has_mounted(int folder, const char *name);

/* The path that is looked at, kept while another one is. */
struct protection_place {
    char path[PROTECT_PATH_MAX];
    size_t length;
};
void protection_keep(const struct guard *g, struct protection_place *ret);
void protection_return(struct guard *g, const struct protection_place *place);
