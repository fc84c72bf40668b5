/* Finding the agent that a call names.
 *
 * An agent that the caller may not see is passed over before anything of it is compared with what
 * the call names: nothing differs then between its id and one that never was, neither the answer
 * nor the way to it. */
#include "policy/access.h"
#include "server/methods.h"

/* What one of the lists has: the caller's own agent of that id, and anybody's. */
struct found {
    struct agent *own, *any;
    size_t n_owners;
    json_t *owners; /* of `any`, an array of numbers */
};

static bool has_owner(const struct found *found, uid_t uid)
{
    const json_t *owner;
    size_t i;

    json_array_foreach (found->owners, i, owner)
        if (json_integer_value(owner) == (json_int_t)uid)
            return true;
    return false;
}

static void consider(const struct connection *c, struct agent *agent, const char *agent_id,
                     json_int_t owner, struct found *found)
{
    if (!access_has(&c->peer, agent, POLICY_SEE) || !streq(agent->card->agent_id, agent_id) ||
        (owner >= 0 && (json_int_t)agent->owner != owner) || has_owner(found, agent->owner))
        return;
    (void)json_array_append_new(found->owners, json_integer(agent->owner));
    found->n_owners++;
    found->any = agent;
    if (agent->owner == c->peer.uid)
        found->own = agent;
}

/* Which of those that were found is meant. 1 with *ret, 0, or -ENOTUNIQ. */
static int choose(const struct connection *c, json_int_t owner, const struct found *live,
                  const struct found *ended, struct agent **ret, const json_t **ret_owners)
{
    const struct found *found = live->any ? live : ended;
    struct agent *own = live->own;

    /* Root's own that has ended stands behind anybody's that lives. */
    if (!own && c->peer.uid != 0)
        own = ended->own;
    *ret = owner < 0 && own ? own : found->any;
    *ret_owners = found->owners;
    if (owner < 0 && own)
        return 1;
    return found->n_owners > 1 ? -ENOTUNIQ : found->any != NULL;
}

int method_look_for_agent(const struct connection *c, const char *agent_id, json_int_t owner,
                          struct agent **ret, json_t **ret_owners)
{
    struct found live = {.owners = json_array()}, ended = {.owners = json_array()};
    const json_t *owners;
    struct agent *agent;

    TAILQ_FOREACH (agent, &c->manager->live, entry)
        consider(c, agent, agent_id, owner, &live);
    TAILQ_FOREACH_REVERSE (agent, &c->manager->ended, agent_list, entry)
        consider(c, agent, agent_id, owner, &ended);
    int r = choose(c, owner, &live, &ended, &agent, &owners);
    if (r == 1)
        *ret = agent;
    if (r < 0 && ret_owners)
        *ret_owners = json_incref((json_t *)owners);
    json_decref(live.owners);
    json_decref(ended.owners);
    return r;
}

void method_reply_no_agent(struct connection *c, const char *agent_id)
{
    connection_error(c, "io.caged.NoSuchAgent", json_pack("{s:s}", "agent_id", agent_id));
}

void method_reply_ambiguous(struct connection *c, const char *agent_id, json_t *owners)
{
    connection_error(c, "io.caged.Ambiguous",
                     json_pack("{s:s, s:o}", "agent_id", agent_id, "owners", owners));
}

/* It is no secret to who sees the agent that there is one. */
static void refuse(struct connection *c, const struct agent *agent, enum policy_right right)
{
    const char *name = policy_right_to_string(right);

    connection_error(
        c, "io.caged.NotPermitted",
        json_pack("{s:s, s:o}", "what", name, "reason",
                  json_sprintf("you may see agent %s of uid %u, but the rule \"%s\" of the site "
                               "policy does not let you %s it",
                               agent->card->agent_id, agent->owner, agent->rule->name, name)));
}

struct agent *method_find_agent(struct connection *c, const char *agent_id, json_int_t owner,
                                enum policy_right right)
{
    struct agent *agent;
    json_t *owners;
    int r = method_look_for_agent(c, agent_id, owner, &agent, &owners);

    if (r == 0)
        method_reply_no_agent(c, agent_id);
    else if (r < 0)
        method_reply_ambiguous(c, agent_id, owners);
    else if (access_has(&c->peer, agent, right))
        return agent;
    else
        refuse(c, agent, right);
    return NULL;
}
