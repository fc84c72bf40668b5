/* cagectl check: validates cards without a daemon. */
#include <stdio.h>

#include "card-file.h"
#include "exit-status.h"
#include "input-file.h"
#include "options.h"
#include "output.h"
#include "text.h"

/* {"card": ..., "ok": ..., and for a bad card "path", "found", "expected"}. */
static int print_json(const char *path, int result, const struct card_error *error)
{
    json_t *line = json_pack("{s:s, s:b}", "card", path, "ok", result == 0);
    int status;

    if (line && result == -EINVAL &&
        json_object_update_new(line, json_pack("{s:s, s:s, s:s}", "path", error->path, "found",
                                               error->found, "expected", error->expected)) < 0) {
        json_decref(line);
        line = NULL;
    }
    if (!line) { /* a file name that is no text, or no memory */
        say("cannot write about %s as JSON", path);
        return STATUS_INTERNAL;
    }
    status = output_json_line(line);
    json_decref(line);
    return status;
}

static int check_one(const struct options *options, const char *path)
{
    struct card_error error;
    struct card_file file = {};
    int r = card_file_read(path, &file, &error);
    bool json = option_given(options, OPTION_JSON) && (r == 0 || r == -EINVAL);
    int status = json ? print_json(path, r, &error) : STATUS_OK;

    card_file_deinit(&file);
    if (status != STATUS_OK)
        return status;
    if (r < 0)
        return json ? STATUS_CARD : card_file_say(path, r, &error);
    return json ? STATUS_OK : input_file_say_ok(options, path);
}

int verb_check(const struct options *options)
{
    int status = STATUS_OK;

    for (size_t i = 0; i < options->n_arguments; i++) {
        int s = check_one(options, options->arguments[i]);
        status = status == STATUS_OK ? s : status;
    }
    return status;
}
