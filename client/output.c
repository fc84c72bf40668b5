/* Standard output: nothing that could not be written goes unnoticed. */
#include "output.h"

#include <signal.h>
#include <stdio.h>

#include "exit-status.h"
#include "text.h"
#include "util.h"

int output_failed(int error)
{
    if (error == -EPIPE)
        return STATUS_SIGNAL + SIGPIPE;
    say("cannot write to standard output: %s", strerror(-error));
    return STATUS_OUTPUT;
}

int output_flush(void)
{
    errno = 0;
    if (fflush(stdout) == 0 && !ferror(stdout))
        return STATUS_OK;
    return output_failed(negative_errno());
}

static int json_print(const json_t *value, size_t flags)
{
    errno = 0;
    if (json_dumpf(value, stdout, flags | JSON_ENSURE_ASCII) < 0 || putchar('\n') == EOF)
        return output_failed(negative_errno());
    return output_flush();
}

int output_json_line(const json_t *value)
{
    return json_print(value, JSON_COMPACT);
}

int output_json(const json_t *value)
{
    return json_print(value, JSON_INDENT(2));
}
