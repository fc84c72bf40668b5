/* ReloadPolicy: the site policy as it is on disk now. It answers when that is in force, or with
 * what is wrong with it. */
#include "methods.h"
#include "policy-store.h"

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
        connection_error(c, "io.caged.NotPermitted",
                         json_pack("{s:s, s:s}", "what", "io.caged.ReloadPolicy", "reason",
                                   "the site policy is root's"));
        return;
    }
    c->update = policy_store_reload(c->manager->policy);
    connection_set_pump(c, pump_reload, policy_store_watches(c->manager->policy));
}
