/* cagectl policy check: policies as files, without a daemon. What the daemon would refuse is a
 * fault; what it would take, and what is hardly meant, a warning.
 *
 * The file that the daemon loads is read as the daemon reads it (policy-read.h), so that it is told
 * here too if others than root may write it. Whose another file is does not matter: it is a draft.
 */
#include "policy-check.h"

#include <stdio.h>
#include <sys/stat.h>

#include "caged-limits.h"
#include "config.h"
#include "exit-status.h"
#include "input-file.h"
#include "json-text.h"
#include "output.h"
#include "policy-doubt.h"
#include "policy-file.h"
#include "policy-missing.h"
#include "policy-read.h"
#include "text.h"

#define DAEMONS_POLICY CAGED_CONFIG_DIR "/policy.json"

struct check {
    const char *path; /* as it was given */
    char *text;
    size_t size;
    struct site_policy *policy;
    struct policy_error error;
    json_t *unknown, *doubts, *missing;
    bool quiet; /* warnings are told in the lists alone */
};

static void check_deinit(struct check *check)
{
    free(check->text);
    site_policy_free(check->policy);
    json_decref(check->unknown);
    json_decref(check->doubts);
    json_decref(check->missing);
}

/* -- what is told -- */

/* As the daemon does, which takes such a policy. */
static void note_unknown(void *user, const char *rule, const char *what, const char *name)
{
    struct check *check = user;

    (void)json_array_append_new(
        check->unknown, json_pack("{s:s, s:s, s:s}", "rule", rule, "what", what, "name", name));
    if (!check->quiet)
        say("%s: warning: rule \"%s\": there is no %s \"%s\" on this host: it matches nobody",
            input_file_name(check->path), rule, what, name);
}

static void note_doubt(void *user, const char *text)
{
    struct check *check = user;

    (void)json_array_append_new(check->doubts, json_string(text));
    if (!check->quiet)
        say("%s: warning: %s", input_file_name(check->path), text);
}

static void note_missing(void *user, const struct policy_missing *missing)
{
    struct check *check = user;
    int line, column;

    json_text_locate(check->text, check->size, missing->path, &line, &column);
    (void)json_array_append_new(check->missing,
                                json_pack("{s:s, s:s, s:i, s:i, s:s, s:s}", "rule", missing->rule,
                                          "path", missing->path, "line", line, "column", column,
                                          "what", missing->what, "name", missing->name));
    if (!check->quiet)
        say("%s:%d:%d: warning: %s: found \"%s\": there is no such %s in %s",
            input_file_name(check->path), line, column, missing->path, missing->name, missing->what,
            missing->folder);
}

/* {"policy", "ok"}, and for a good policy "rules", "unknown", "missing" and "doubts", for a bad one
 * "path", "found", "expected", "line" and "column". */
static int print_json(const struct check *check, int result)
{
    const struct policy_error *error = &check->error;
    json_t *line = json_pack("{s:s, s:b}", "policy", check->path, "ok", result == 0), *more;

    if (result == 0)
        more = json_pack("{s:I, s:O, s:O, s:O}", "rules", (json_int_t)check->policy->n_rules,
                         "unknown", check->unknown, "missing", check->missing, "doubts",
                         check->doubts);
    else
        more = json_pack("{s:s, s:s, s:s}", "path", error->at.path, "found", error->at.found,
                         "expected", error->at.expected);
    if (result < 0 && error->line > 0)
        (void)json_object_update_new(
            more, json_pack("{s:i, s:i}", "line", error->line, "column", error->column));
    if (json_object_update_new(line, more) < 0) {
        json_decref(line);
        say("cannot write about %s as JSON", check->path);
        return STATUS_INTERNAL;
    }
    int status = output_json_line(line);
    json_decref(line);
    return status;
}

/* -- reading it -- */

/* By whatever name. */
static bool is_the_daemons(const char *path)
{
    struct stat given, daemons;

    return !streq(path, "-") && stat(path, &given) == 0 && stat(DAEMONS_POLICY, &daemons) == 0 &&
           given.st_dev == daemons.st_dev && given.st_ino == daemons.st_ino;
}

/* -EINVAL with the error for what the daemon would refuse. */
static int read_as_the_daemon(struct check *check)
{
    int r = policy_read(DAEMONS_POLICY, &check->text, &check->size, &check->error);

    return r == -EPERM || r == -ELOOP || r == -EFBIG ? -EINVAL : r;
}

static int read_policy(struct check *check)
{
    int r = is_the_daemons(check->path)
                ? read_as_the_daemon(check)
                : policy_file_read_text(check->path, &check->text, &check->size, &check->error);

    return r < 0 ? r
                 : site_policy_parse_text(check->text, check->size, &check->policy, &check->error);
}

/* -- the check -- */

static void warn_of_missing(struct check *check, const char *data_dir)
{
    AUTO_FREE char *folder = NULL, *text = NULL;
    int r = policy_missing(check->policy, data_dir, note_missing, check, &folder);

    if (r < 0 && asprintf(&text, "whether there is what it names in %s was not looked at: %s",
                          folder ? folder : data_dir, strerror(-r)) >= 0)
        note_doubt(check, text);
}

static int warn(struct check *check, const char *data_dir)
{
    int r = site_policy_resolve(check->policy, note_unknown, check);

    if (r < 0) {
        say("%s: cannot look up its users and groups, without which the daemon takes no policy: %s",
            input_file_name(check->path), strerror(-r));
        return STATUS_INTERNAL;
    }
    policy_doubts(check->policy, note_doubt, check);
    warn_of_missing(check, data_dir);
    return STATUS_OK;
}

static int say_failed(struct check *check, int error)
{
    int status = policy_file_say(check->path, error, &check->error);

    if (error == -EINVAL && !*check->error.at.path)
        say_hint("the daemon would refuse it: keep it root's and mode 0644, in a folder of root's");
    return status;
}

static int check_one(const struct options *options, const char *path)
{
    struct check check = {
        .path = path,
        .unknown = json_array(),
        .doubts = json_array(),
        .missing = json_array(),
        .quiet = option_given(options, OPTION_JSON),
    };
    int r = read_policy(&check);
    int status = r == 0 ? warn(&check, options->data_dir) : STATUS_OK;

    if (status == STATUS_OK && check.quiet && (r == 0 || r == -EINVAL))
        status = print_json(&check, r);
    if (status == STATUS_OK && r < 0)
        status = check.quiet && r == -EINVAL ? STATUS_CARD : say_failed(&check, r);
    else if (status == STATUS_OK && !check.quiet)
        status = input_file_say_ok(options, path);
    check_deinit(&check);
    return status;
}

int policy_check(const struct options *options)
{
    int status = STATUS_OK;

    for (size_t i = 1; i < options->n_arguments; i++) {
        int s = check_one(options, options->arguments[i]);
        status = status == STATUS_OK ? s : status;
    }
    return status;
}
