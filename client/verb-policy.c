/* cagectl policy: site policies checked, explained and reloaded. */
#include <stdio.h>

#include "card-file.h"
#include "exit-status.h"
#include "input-file.h"
#include "options.h"
#include "output.h"
#include "policy-doubt.h"
#include "policy-file.h"
#include "policy-print.h"
#include "policy-remote.h"
#include "text.h"

/* -- check -- */

struct warnings {
    const char *path;
    json_t *unknown, *doubts;
    bool quiet; /* they are told in the lists alone */
};

static void note_unknown(void *user, const char *rule, const char *what, const char *name)
{
    struct warnings *warnings = user;

    (void)json_array_append_new(
        warnings->unknown, json_pack("{s:s, s:s, s:s}", "rule", rule, "what", what, "name", name));
    if (!warnings->quiet)
        say("%s: warning: the rule \"%s\" names the %s \"%s\", whom this host does not know",
            warnings->path, rule, what, name);
}

static void note_doubt(void *user, const char *text)
{
    struct warnings *warnings = user;

    (void)json_array_append_new(warnings->doubts, json_string(text));
    if (!warnings->quiet)
        say("%s: warning: %s", warnings->path, text);
}

/* {"policy", "ok"}, and for a good policy "rules", "unknown" and "doubts", for a bad one "path",
 * "found", "expected", "line" and "column". */
static int print_json(const char *path, int result, const struct policy_error *error,
                      const struct site_policy *policy, const struct warnings *warnings)
{
    json_t *line = json_pack("{s:s, s:b}", "policy", path, "ok", result == 0), *more;

    if (result == 0)
        more = json_pack("{s:I, s:O, s:O}", "rules", (json_int_t)policy->n_rules, "unknown",
                         warnings->unknown, "doubts", warnings->doubts);
    else
        more = json_pack("{s:s, s:s, s:s}", "path", error->at.path, "found", error->at.found,
                         "expected", error->at.expected);
    if (result < 0 && error->line > 0)
        (void)json_object_update_new(
            more, json_pack("{s:i, s:i}", "line", error->line, "column", error->column));
    if (json_object_update_new(line, more) < 0) {
        json_decref(line);
        say("cannot write about %s as JSON", path);
        return STATUS_INTERNAL;
    }
    int status = output_json_line(line);
    json_decref(line);
    return status;
}

static int check_one(const struct options *options, const char *path)
{
    CLEANUP(site_policy_freep) struct site_policy *policy = NULL;
    bool json = option_given(options, OPTION_JSON);
    struct warnings warnings = {
        .path = input_file_name(path),
        .unknown = json_array(),
        .doubts = json_array(),
        .quiet = json,
    };
    struct policy_error error = {};
    int r = policy_file_read(path, &policy, &error);
    int status = STATUS_OK;

    if (r == 0) {
        r = site_policy_resolve(policy, note_unknown, &warnings);
        if (r < 0)
            say("%s: cannot look up its users and groups: %s", path, strerror(-r));
        else
            policy_doubts(policy, note_doubt, &warnings);
        status = r < 0 ? STATUS_INTERNAL : STATUS_OK;
    }
    if (status == STATUS_OK && json && (r == 0 || r == -EINVAL))
        status = print_json(path, r, &error, policy, &warnings);
    if (status == STATUS_OK && r < 0)
        status = json && r == -EINVAL ? STATUS_CARD : policy_file_say(path, r, &error);
    else if (status == STATUS_OK && !json)
        status = input_file_say_ok(options, path);
    json_decref(warnings.unknown);
    json_decref(warnings.doubts);
    return status;
}

static int policy_check(const struct options *options)
{
    int status = STATUS_OK;

    for (size_t i = 1; i < options->n_arguments; i++) {
        int s = check_one(options, options->arguments[i]);
        status = status == STATUS_OK ? s : status;
    }
    return status;
}

/* -- explain -- */

/* What was explained, for people or programs; 77 for what is not permitted. */
static int print_explained(const struct options *options, const json_t *reply, const char *policy)
{
    bool permitted = false;
    int status = STATUS_OK, r;

    if (option_given(options, OPTION_JSON)) {
        r = policy_is_permitted(reply, &permitted);
        status = r < 0 ? STATUS_OK : output_json(reply);
    } else {
        r = policy_print(reply, policy, &permitted);
        status = r < 0 ? STATUS_OK : output_flush();
    }
    if (r < 0) {
        say("cannot print what was explained: %s", strerror(-r));
        return r == -ENOMEM ? STATUS_INTERNAL : STATUS_PROTOCOL;
    }
    return status == STATUS_OK && !permitted ? STATUS_PERMISSION : status;
}

static int explain_by_file(const struct options *options, const struct policy_user *user,
                           const struct card *card)
{
    CLEANUP(site_policy_freep) struct site_policy *policy = NULL;
    struct policy_error error = {};
    int r = policy_file_read(options->policy, &policy, &error);

    if (r < 0)
        return policy_file_say(options->policy, r, &error);
    r = site_policy_resolve(policy, NULL, NULL);
    if (r < 0) {
        say("%s: cannot look up its users and groups: %s", options->policy, strerror(-r));
        return STATUS_INTERNAL;
    }
    const struct policy_subject subject = {
        .uid = (uid_t)user->uid,
        .gid = (gid_t)user->gid,
        .groups = user->groups,
        .n_groups = user->n_groups,
    };
    json_t *reply = site_policy_explain(policy, &subject, card);
    if (!reply) {
        say("out of memory");
        return STATUS_INTERNAL;
    }
    int status = print_explained(options, reply, options->policy);
    json_decref(reply);
    return status;
}

static int explain_by_daemon(const struct options *options, const struct policy_user *user,
                             const struct card_file *card)
{
    json_t *reply;
    int status = policy_remote_explain(options, card, options->as ? user : NULL, &reply);

    if (status != STATUS_OK)
        return status;
    status = print_explained(options, reply, "the site policy in force");
    json_decref(reply);
    return status;
}

static int policy_explain(const struct options *options)
{
    struct policy_user user = {};
    struct card_file card = {};
    struct card_error error;

    int r = card_file_read(options->arguments[1], &card, &error);
    if (r < 0)
        return card_file_say(options->arguments[1], r, &error);
    int status = policy_user_find(options->as, &user);
    if (status == STATUS_OK)
        status = option_given(options, OPTION_POLICY) ? explain_by_file(options, &user, card.card)
                                                      : explain_by_daemon(options, &user, &card);
    policy_user_deinit(&user);
    card_file_deinit(&card);
    return status;
}

/* -- which -- */

static const struct {
    const char *name;
    unsigned options;
    size_t min_arguments, max_arguments;
    const char *missing;
    int (*run)(const struct options *options);
} actions[] = {
    {"check", OPTION_JSON | OPTION_QUIET, 2, ANY_NUMBER, "the file of a policy", policy_check},
    {"explain", OPTION_SOCKET | OPTION_JSON | OPTION_POLICY | OPTION_AS, 2, 2, "a card",
     policy_explain},
    {"reload", OPTION_SOCKET | OPTION_JSON | OPTION_QUIET, 1, 1, "", policy_remote_reload},
};

int verb_policy(const struct options *options)
{
    const char *name = options->arguments[0];
    size_t i = 0;

    while (i < ARRAY_SIZE(actions) && !streq(actions[i].name, name))
        i++;
    if (i == ARRAY_SIZE(actions))
        say("there is no 'policy %s'", name);
    else if (options->given & ~actions[i].options)
        say("an option is not for 'policy %s'", name);
    else if (options->n_arguments < actions[i].min_arguments)
        say("'policy %s' needs %s", name, actions[i].missing);
    else if (options->n_arguments > actions[i].max_arguments)
        say("unexpected argument '%s'", options->arguments[actions[i].max_arguments]);
    else
        return actions[i].run(options);
    say_hint("try 'cagectl help policy'");
    return STATUS_USAGE;
}
