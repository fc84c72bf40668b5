/* cagectl policy: site policies checked, explained and reloaded. */
#include <stdio.h>

#include "card-file.h"
#include "exit-status.h"
#include "installed.h"
#include "options.h"
#include "output.h"
#include "policy-check.h"
#include "policy-file.h"
#include "policy-print.h"
#include "policy-remote.h"
#include "text.h"

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
                           struct card *card)
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
    r = installed_find_preset(options->data_dir, card);
    if (r < 0) {
        say("%s: %s", options->data_dir, strerror(-r));
        return STATUS_FILE;
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

    if (option_given(options, OPTION_DATA_DIR) && !option_given(options, OPTION_POLICY)) {
        say("--data-dir goes with --policy: the daemon has a folder of its own");
        return STATUS_USAGE;
    }
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
    {"check", OPTION_JSON | OPTION_QUIET | OPTION_DATA_DIR, 2, ANY_NUMBER, "the file of a policy",
     policy_check},
    {"explain", OPTION_SOCKET | OPTION_JSON | OPTION_POLICY | OPTION_AS | OPTION_DATA_DIR, 2, 2,
     "a card", policy_explain},
    {"reload", OPTION_SOCKET | OPTION_JSON | OPTION_QUIET, 1, 1, "", policy_remote_reload},
};

static void say_option_is_not_for(unsigned bits, const char *action)
{
    struct option_help option;
    size_t i = 0;

    while (option_help_get(i++, &option))
        if (option.bit & bits)
            say("--%s is not for 'policy %s'", option.name, action);
}

int verb_policy(const struct options *options)
{
    const char *name = options->arguments[0];
    size_t i = 0;

    while (i < ARRAY_SIZE(actions) && !streq(actions[i].name, name))
        i++;
    if (i == ARRAY_SIZE(actions))
        say("there is no 'policy %s'", name);
    else if (options->given & ~actions[i].options)
        say_option_is_not_for(options->given & ~actions[i].options, name);
    else if (options->n_arguments < actions[i].min_arguments)
        say("'policy %s' needs %s", name, actions[i].missing);
    else if (options->n_arguments > actions[i].max_arguments)
        say("unexpected argument '%s'", options->arguments[actions[i].max_arguments]);
    else
        return actions[i].run(options);
    say_hint("try 'cagectl help policy'");
    return STATUS_USAGE;
}
