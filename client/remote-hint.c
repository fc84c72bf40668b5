/* What helps against an error of the daemon, by the words that it has for the causes. */
#include "remote-hint.h"

#include "util.h"

/* The first row counts of which both fit: how `what` begins and what `reason` has in it. */
static const struct {
    const char *what, *reason, *hint;
} permissions[] = {
    {"", "no rule of the site policy",
     "the operator of this host decides who may run agents: caged.policy(5)"},
    {"", "no site policy is in force",
     "the operator can see what is wrong with it: cagectl policy check FILE, journalctl -u cagedd"},
    {"$.max_agents", "of the site policy",
     "the operator of this host decides who may run agents: caged.policy(5)"},
    {"$.", "of the site policy",
     "all that you may have, beside what the card asks for: cagectl policy explain CARD"},
    {"allow[", "of the site policy",
     "all that you may have, beside what the card asks for: cagectl policy explain CARD"},
    {"workspace", "of the site policy",
     "all that you may have, beside what the card asks for: cagectl policy explain CARD"},
    {"io.caged.ReloadPolicy", "", "root may: sudo cagectl policy reload"},
    {"user_uid", "only root may ask",
     "by a policy in a file everybody may: cagectl policy explain --policy FILE --as USER CARD"},
    {"", " namespace than cagedd",
     "call it from outside of there; or a rule with namespaced_peers lets you: caged.policy(5)"},
};

/* How the limit begins, and what makes room below it. */
static const struct {
    const char *limit, *hint;
} rooms[] = {
    {"spawns ", "attempts that failed count too: wait a minute, then try again"},
    {"agents", "end some agents (cagectl list), or try again later"},
    {"processes ",
     "they start when other agents leave them some processor: try again later, or end some"},
    {"total.memory",
     "end some agents (cagectl list), or processes that hold memory which agents gave "
     "them; or try again later"},
    {"total.", "end some agents (cagectl list), or try again later"},
    {"uid ranges", "end some agents (cagectl list), or try again later"},
    {"histories", "end a 'cagectl logs' or 'cagectl audit' that still reads, or try again later"},
    {"", "end some of the 'cagectl' that still run, or try again later"},
};

/* The steps of caged-init after which there is more to say than where the log is. */
static const struct {
    const char *step, *hint;
} steps[] = {
    {"command",
     "programs come from the host's /usr or the workspace; more may be in: journalctl -u cagedd"},
    {"protect", "what is protected, and what cannot be: caged.card(5), REPOSITORIES"},
    {"", "more may be in: journalctl -u cagedd"},
};

const char *remote_hint_not_permitted(const json_t *parameters)
{
    const char *what = json_string_value(json_object_get(parameters, "what"));
    const char *reason = json_string_value(json_object_get(parameters, "reason"));

    for (size_t i = 0; what && reason && i < ARRAY_SIZE(permissions); i++)
        if (has_prefix(what, permissions[i].what) && strstr(reason, permissions[i].reason))
            return permissions[i].hint;
    return NULL;
}

const char *remote_hint_busy(const json_t *parameters)
{
    const char *limit = json_string_value(json_object_get(parameters, "limit"));
    size_t i = 0;

    if (json_object_get(parameters, "retry_seconds"))
        return "attempts that failed count too: try again in {retry_seconds} s";
    while (!has_prefix(limit ? limit : "", rooms[i].limit))
        i++;
    return rooms[i].hint;
}

const char *remote_hint_spawn_failed(const json_t *parameters)
{
    const char *step = json_string_value(json_object_get(parameters, "step"));
    size_t i = 0;

    while (*steps[i].step && !streq(step ? step : "", steps[i].step))
        i++;
    return steps[i].hint;
}
