/* A failure that an errno alone does not explain: a sentence for people goes along with it. */
#pragma once

#include "util.h"

/* Puts the sentence into *ret_why, which is the caller's (free), and returns `error` for `return`;
 * without memory *ret_why is NULL and the result -ENOMEM. */
int why_set(char **ret_why, int error, const char *format, ...) PRINTF_LIKE(3, 4);
