/* Typed reading of a method's parameters. Pure. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "card.h"

enum parameter_type {
    PARAMETER_STRING,   /* const char **, borrowed */
    PARAMETER_BOOLEAN,  /* bool * */
    PARAMETER_INTEGER,  /* json_int_t *; negative numbers are refused */
    PARAMETER_OBJECT,   /* json_t **, borrowed */
    PARAMETER_STRINGS,  /* json_t **, borrowed: an array of strings */
    PARAMETER_INTEGERS, /* json_t **, borrowed: an array of ids or indexes: 0 to UINT32_MAX - 1 */
};

struct parameter {
    const char *name;
    enum parameter_type type;
    bool required;
    void *ret; /* untouched if the parameter is left out or null */
};

/* 0, or -EINVAL with the name of the first bad, missing or unknown parameter (borrowed from the
 * table or from `parameters`). NULL stands for no parameters. */
int parameters_read(const json_t *parameters, const struct parameter *table, size_t n,
                    const char **ret_bad);

/* The strings of a PARAMETER_STRINGS, borrowed: free(3) the list's `items` alone. NULL stands for
 * an empty array. 0 or -ENOMEM. */
int parameters_borrow_strings(const json_t *array, struct string_list *ret);
