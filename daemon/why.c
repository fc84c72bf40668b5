/* A failure with a sentence. */
#include "why.h"

#include <stdarg.h>
#include <stdio.h>

int why_set(char **ret_why, int error, const char *format, ...)
{
    va_list arguments;
    char *why;

    va_start(arguments, format);
    int n = vasprintf(&why, format, arguments);
    va_end(arguments);
    *ret_why = n < 0 ? NULL : why;
    return n < 0 ? -ENOMEM : error;
}
