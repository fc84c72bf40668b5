/* cagectl policy check: what is wrong with site policies, and what is hardly meant. */
#pragma once

#include "options.h"

/* The files among the arguments, behind the first. The exit status: of the first bad one. */
int policy_check(const struct options *options);
