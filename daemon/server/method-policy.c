/* ReloadPolicy: the site policy as it is on disk now. It answers when that is in force, or with
 * what is wrong with it. ExplainPolicy: what the one in force makes of a card. */
#include "installed.h"
#include "policy/policy-store.h"
#include "server/methods.h"

static void reply_invalid(struct connection *c, const char *file, const struct policy_error *error)
{
    json_t *reply =
        json_pack("{s:o, s:o, s:o, s:o}", "file", json_string_lossy(file), "path",
                  json_string_lossy(error->at.path), "found", json_string_lossy(error->at.found),
                  "expected", json_string_lossy(error->at.expected));

    if (reply && error->line > 0 &&
        json_object_update_new(
            reply, json_pack("{s:i, s:i}", "line", error->line, "column", error->column)) < 0) {
        json_decref(reply);
        reply = NULL;
    }
    connection_error(c, "io.caged.InvalidPolicy", reply);
}

static void refuse(struct connection *c, const char *what, const char *reason)
{
    connection_error(c, "io.caged.NotPermitted",
                     json_pack("{s:s, s:s}", "what", what, "reason", reason));
}

/* -- ReloadPolicy -- */

static void pump_reload(struct connection *c)
{
    const struct policy_store *store = c->manager->policy;
    const struct policy_error *error = policy_store_error(store);

    if (!policy_store_is_done(store, c->update))
        return;
    if (error)
        reply_invalid(c, policy_store_path(store), error);
    else
        connection_reply(c, json_pack("{s:o, s:I}", "path",
                                      json_string_lossy(policy_store_path(store)), "rules",
                                      (json_int_t)policy_store_get(store)->n_rules));
}

void method_reload_policy(struct call *call)
{
    struct connection *c = call->connection;

    if (!method_read(call, NULL, 0))
        return;
    if (c->peer.uid != 0) {
        refuse(c, "io.caged.ReloadPolicy", "the site policy is root's");
        return;
    }
    c->update = policy_store_reload(c->manager->policy);
    connection_set_pump(c, pump_reload, policy_store_watches(c->manager->policy));
}

/* -- ExplainPolicy -- */

struct explain_parameters {
    json_t *card;
    json_int_t uid, gid; /* negative: the caller */
    json_t *groups;
};

static bool is_id(json_int_t id)
{
    return id >= 0 && id < (json_int_t)UINT32_MAX;
}

/* Whose rule is asked for; false: an error was replied. `groups` is for free(3). */
static bool take_subject(struct connection *c, const struct explain_parameters *p,
                         struct policy_subject *ret, gid_t **ret_groups)
{
    bool other = p->uid >= 0 || p->gid >= 0 || p->groups;
    size_t i;
    json_t *group;

    *ret = peer_subject(&c->peer);
    if (!other)
        return true;
    if (c->peer.uid != 0) {
        refuse(c, "user_uid", "only root may ask about other users");
        return false;
    }
    if (!is_id(p->uid) || !is_id(p->gid)) {
        connection_invalid(c, is_id(p->uid) ? "user_gid" : "user_uid");
        return false;
    }
    *ret_groups = calloc(json_array_size(p->groups) + 1, sizeof(gid_t));
    if (!*ret_groups) {
        connection_reply(c, NULL);
        return false;
    }
    json_array_foreach (p->groups, i, group)
        (*ret_groups)[i] = (gid_t)json_integer_value(group);
    *ret = (struct policy_subject){(uid_t)p->uid, (gid_t)p->gid, *ret_groups,
                                   json_array_size(p->groups)};
    return true;
}

void method_explain_policy(struct call *call)
{
    CLEANUP(card_freep) struct card *card = NULL;
    AUTO_FREE gid_t *groups = NULL;
    struct connection *c = call->connection;
    struct explain_parameters p = {.uid = -1, .gid = -1};
    struct agent_problem problem = {};
    struct policy_subject subject;
    const struct parameter table[] = {
        {"card", PARAMETER_OBJECT, true, &p.card},
        {"user_uid", PARAMETER_INTEGER, false, &p.uid},
        {"user_gid", PARAMETER_INTEGER, false, &p.gid},
        {"user_groups", PARAMETER_INTEGERS, false, &p.groups},
    };

    if (!method_read(call, table, ARRAY_SIZE(table)) || !take_subject(c, &p, &subject, &groups))
        return;
    int r = method_take_card(p.card, &card, &problem);
    if (r == 0)
        r = installed_find_preset(c->manager->data_dir, card);
    if (r < 0 && problem.failure == FAILURE_NONE) {
        connection_reply(c, NULL); /* no memory */
    } else if (r < 0) {
        method_reply_problem(c, &problem);
    } else if (!policy_store_get(c->manager->policy) && subject.uid != 0) {
        refuse(c, "policy", policy_store_why_none(c->manager->policy));
    } else {
        connection_reply(c,
                         site_policy_explain(policy_store_get(c->manager->policy), &subject, card));
    }
}
