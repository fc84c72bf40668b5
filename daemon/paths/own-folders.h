/* The folders that caged itself lives by: whoever could write to one would be the daemon's master.
 * No agent may have one, nor a folder that holds one. */
#pragma once

#include "card.h"

struct own_folders {
    struct string_list trees; /* nothing in them either */
    struct string_list files; /* folders in which a file of ours lies, perhaps among others */
};

void own_folders_deinit(struct own_folders *own);

/* Add a folder, or the one that a file is to lie in and, if the file is a link, does lie in. They
 * are kept absolute and without links (realpath(3): for the start, since it may have to wait); what
 * is not there is left out. 0 or -ENOMEM. */
int own_folders_add_tree(struct own_folders *own, const char *path);
int own_folders_add_file(struct own_folders *own, const char *path);
