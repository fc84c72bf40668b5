/* Files that a user's own tools run, or take the names of programs from, without being told to:
 * what an agent could plant in its workspace. One table for caged-scan, which looks for them,
 * cagedd, which tells of them, and cagectl, which says why. Pure; for one thread. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum planted_kind {
    PLANTED_GIT_HOOK,
    PLANTED_GIT_CONFIG,
    PLANTED_GIT_REDIRECT,
    PLANTED_GIT_REPOSITORY,
    PLANTED_GIT_REBASE,
    PLANTED_GIT_MODULES,
    PLANTED_GIT_ATTRIBUTES,
    PLANTED_HOOK_MANAGER,
    PLANTED_DIRENV,
    PLANTED_TOOL_MANAGER,
    PLANTED_BUILD_TOOL,
    PLANTED_EDITOR,
    PLANTED_VSCODE,
    PLANTED_JETBRAINS,
    PLANTED_DEVCONTAINER,
    PLANTED_AGENT_SETTINGS,
    PLANTED_HG,
    PLANTED_HOME,
    PLANTED_HIDDEN,
    PLANTED_KIND_COUNT,
};

enum planted_change { PLANTED_CREATED, PLANTED_CHANGED, PLANTED_CHANGE_COUNT };

const char *planted_kind_to_string(enum planted_kind kind); /* "git-hook" */
const char *planted_kind_why(enum planted_kind kind);       /* "git runs it", for people */
int planted_kind_from_string(const char *name, enum planted_kind *ret); /* 0 or -EINVAL */
const char *planted_change_to_string(enum planted_change change);       /* "created" */

/* Where a name stands: in a folder that is called `name` and that may be a git folder (.git, a
 * submodule's, a bare repository), or somewhere below one all of whose files are of a kind. */
struct planted_folder {
    const char *name;
    bool git;
    bool parent_git; /* it lies directly in a git folder */
    bool counts;     /* by its name, files in it are of a kind */
    bool deep;
    enum planted_kind deep_kind; /* if `deep` */
};

/* Whether a name (of anything but a folder) in that folder is of a kind: true with *ret. */
bool planted_match_file(const struct planted_folder *folder, const char *name,
                        enum planted_kind *ret);

/* The folder of this name in `parent`; whether it is a git folder is for the caller to find out.
 * True if files in it are of a kind because they are in it: *ret_kind, of the first of such. */
bool planted_enter(const struct planted_folder *parent, const char *name,
                   struct planted_folder *ret, enum planted_kind *ret_kind);
