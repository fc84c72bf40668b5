/* Folders of the host's own and of caged's, which no card gets at whatever the site policy says. */
#pragma once

#include "paths/own-folders.h"
#include "paths/place.h"

/* Whether a folder at this place is one of them, lies in one, or holds one. 0, or -EPERM with
 * *ret_why (why.h), where it is called `name`. */
int system_folders_check(const struct place *place, const struct own_folders *own, const char *name,
                         char **ret_why);
