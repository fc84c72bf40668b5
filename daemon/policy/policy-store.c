/* The site policy in force. */
#include "policy/policy-store.h"

#include <signal.h>
#include <stdio.h>
#include <systemd/sd-daemon.h>

#include "agent/agent.h"
#include "caged-limits.h"
#include "log.h"
#include "policy/policy-loader.h"

struct policy_store {
    struct manager *manager;
    const char *path;
    struct site_policy *policy; /* NULL: none in force */
    struct policy_error error;  /* of the last load */
    bool failed;
    struct policy_loader *loader;
    uint64_t asked, loading, done; /* counted reloads: the last that was asked for, ... */
    struct watch_list watches;
    sd_event_source *signal_source;
};

/* -- what becomes of a load -- */

static void tell_status(const struct policy_store *store)
{
    if (!store->policy)
        (void)sd_notifyf(0, "STATUS=No site policy in force: only root may start agents");
    else
        (void)sd_notifyf(0, "STATUS=Site policy: %zu rule%s%s", store->policy->n_rules,
                         store->policy->n_rules == 1 ? "" : "s",
                         store->failed ? "; the one that was to replace it was refused" : "");
}

static void report_loaded(const struct policy_store *store, const struct string_list *unknown)
{
    char rules[24];

    (void)snprintf(rules, sizeof(rules), "%zu", store->policy->n_rules);
    const struct log_field fields[] = {{"CAGED_POLICY", store->path}, {"CAGED_RULES", rules}};
    log_entry(NULL, LOG_NOTICE, LOG_ID_POLICY_LOADED, fields, ARRAY_SIZE(fields),
              "the site policy %s is in force: %s rule%s", store->path, rules,
              store->policy->n_rules == 1 ? "" : "s");
    for (size_t i = 0; i < unknown->count; i++)
        log_warning("%s: %s on this host: it matches nobody", store->path, unknown->items[i]);
    if (unknown->count == POLICY_UNKNOWN_MAX)
        log_warning("%s: maybe more users and groups that are not there", store->path);
}

static void report_refused(const struct policy_store *store)
{
    char detail[1024];

    policy_error_format(&store->error, store->path, detail, sizeof(detail));
    const struct log_field fields[] = {{"CAGED_POLICY", store->path}, {"CAGED_DETAIL", detail}};
    log_entry(NULL, LOG_ERR, LOG_ID_POLICY_REFUSED, fields, ARRAY_SIZE(fields),
              "the site policy was refused, %s: %s",
              store->policy ? "the one before stays in force"
                            : "and nobody but root may start agents",
              detail);
}

static void apply_to(struct agent_list *agents, const struct policy_store *store)
{
    struct agent *agent;

    TAILQ_FOREACH (agent, agents, entry)
        agent->rule = policy_store_rule(store, &agent->peer);
}

/* The one place where a policy comes into force. */
static void swap(struct policy_store *store, struct site_policy *policy)
{
    struct site_policy *old = store->policy;

    store->policy = policy;
    apply_to(&store->manager->live, store);
    apply_to(&store->manager->ended, store);
    owner_totals_change(store->manager);
    site_policy_free(old);
}

static void take(struct policy_store *store, struct policy_loaded *loaded)
{
    store->failed = loaded->policy == NULL;
    store->error = loaded->error;
    if (loaded->policy) {
        swap(store, TAKE_PTR(loaded->policy));
        report_loaded(store, &loaded->unknown);
    } else {
        report_refused(store);
    }
    tell_status(store);
}

/* -- reloads -- */

static void start_loading(struct policy_store *store);

static void finish(struct policy_store *store, struct policy_loaded *loaded)
{
    take(store, loaded);
    (void)sd_notify(0, "READY=1");
    store->done = store->loading;
    watch_list_wake(&store->watches);
}

static void on_loaded(void *user, struct policy_loaded *loaded)
{
    struct policy_store *store = user;

    finish(store, loaded);
    if (store->asked > store->done)
        start_loading(store);
}

static void start_loading(struct policy_store *store)
{
    store->loading = store->asked;
    (void)sd_notify(0, "RELOADING=1");
    int r = policy_loader_start(store->loader);
    if (r >= 0)
        return;
    struct policy_loaded none = {.policy = NULL};
    (void)snprintf(none.error.at.found, sizeof(none.error.at.found), "no thread to load it (%s)",
                   strerror(-r));
    (void)snprintf(none.error.at.expected, sizeof(none.error.at.expected), "one; try again later");
    finish(store, &none);
}

uint64_t policy_store_reload(struct policy_store *store)
{
    store->asked++;
    if (!policy_loader_is_busy(store->loader))
        start_loading(store);
    return store->asked;
}

bool policy_store_is_done(const struct policy_store *store, uint64_t reload)
{
    return store->done >= reload;
}

struct watch_list *policy_store_watches(struct policy_store *store)
{
    return &store->watches;
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
    (void)policy_store_reload(user);
    return 0;
}

/* -- the object -- */

int policy_store_new(struct manager *manager, const char *path, struct policy_store **ret)
{
    CLEANUP(policy_store_freep) struct policy_store *store = malloc(sizeof(*store));
    struct policy_loaded loaded;
    int r;

    if (!store)
        return -ENOMEM;
    *store = (struct policy_store){.manager = manager, .path = path};
    json_object_seed(0); /* once, before there are threads */
    r = policy_loader_new(manager->event, path, on_loaded, store, &store->loader);
    if (r >= 0)
        r = sd_event_add_signal(manager->event, &store->signal_source, SIGHUP, on_signal, store);
    if (r < 0)
        return r;
    policy_load(path, &loaded);
    take(store, &loaded);
    policy_loaded_deinit(&loaded);
    *ret = TAKE_PTR(store);
    return 0;
}

struct policy_store *policy_store_free(struct policy_store *store)
{
    if (!store)
        return NULL;
    sd_event_source_disable_unref(store->signal_source);
    policy_loader_free(store->loader);
    site_policy_free(store->policy);
    free(store);
    return NULL;
}

const struct site_policy *policy_store_get(const struct policy_store *store)
{
    return store->policy;
}

const struct policy_rule *policy_store_rule(const struct policy_store *store,
                                            const struct peer *peer)
{
    const struct policy_subject subject = peer_subject(peer);

    return site_policy_find(store->policy, &subject);
}

const char *policy_store_why_none(const struct policy_store *store)
{
    return store->policy ? "no rule of the site policy is for you"
                         : "no site policy is in force; why is in the daemon's log";
}

const struct policy_error *policy_store_error(const struct policy_store *store)
{
    return store->failed ? &store->error : NULL;
}

const char *policy_store_path(const struct policy_store *store)
{
    return store->path;
}
