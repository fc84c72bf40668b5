/* The mounts of a card, besides the workspace. */
#pragma once

#include "failure.h"
#include "spec.h"

/* Puts each in its place, the last thing that is put into the root: nothing may be made or opened
 * by path in them. Where the agent may write, repositories are protected as in the workspace. The
 * working directory is the new root, with its ./proc. */
int card_mounts_place(const struct init_spec *spec, struct failure *failure);
