/* What a change makes of an agent's lists of hosts. Each entry is parsed once, and compared by what
 * it stands for: `[fd00::]/8` is `fd00::/8`. */
#include "agent/host-lists.h"

#include "caged-limits.h"
#include "policy/host-ceiling.h"

struct entry {
    const char *text; /* borrowed */
    struct host_pattern pattern;
};

/* Room for a full list and a whole change. */
struct entries {
    struct entry items[2 * CARD_HOSTS_MAX];
    size_t count;
};

/* What may be put into which list. */
struct ceiling {
    const struct policy_rule *rule;
    enum host_list list;
    const struct string_list *private_hosts; /* of the card, for what is to be allowed */
};

struct both {
    struct entries allowed, denied;
};

void host_lists_deinit(struct host_lists *lists)
{
    string_list_deinit(&lists->allowed);
    string_list_deinit(&lists->denied);
}

/* -- entries -- */

/* Its index, or how many there are. */
static size_t find(const struct entries *entries, const struct host_pattern *pattern)
{
    size_t i = 0;

    while (i < entries->count && !host_pattern_is_same(&entries->items[i].pattern, pattern))
        i++;
    return i;
}

/* A card may have it more than once. */
static void take_out(struct entries *entries, const struct host_pattern *pattern)
{
    size_t i;

    while ((i = find(entries, pattern)) < entries->count) {
        entries->count--;
        memmove(&entries->items[i], &entries->items[i + 1],
                (entries->count - i) * sizeof(*entries->items));
    }
}

static void put(struct entries *entries, const struct entry *entry)
{
    size_t i = find(entries, &entry->pattern);

    entries->items[i] = *entry;
    if (i == entries->count)
        entries->count++;
}

/* -- from and to lists -- */

static int refuse(struct host_change_fault *ret, int error, const char *list, size_t index)
{
    *ret = (struct host_change_fault){.list = list, .index = index};
    return error;
}

/* `name` is how a fault calls the list. Without a ceiling only the form counts: what is in force
 * was held against it when it came. */
static int parse(const struct string_list *list, const char *name, const struct ceiling *ceiling,
                 struct entries *ret, struct host_change_fault *ret_fault)
{
    struct card_error error = {};
    const char *why;

    if (list->count > CARD_HOSTS_MAX)
        return refuse(ret_fault, -E2BIG, name, 0);
    ret->count = list->count;
    for (size_t i = 0; i < list->count; i++) {
        struct entry *entry = &ret->items[i];
        entry->text = list->items[i];
        int r = ceiling ? host_ceiling_check(ceiling->rule, ceiling->list, entry->text,
                                             &entry->pattern, &error)
                        : host_pattern_parse(entry->text, &entry->pattern, &why);
        if (r >= 0 && ceiling && ceiling->private_hosts)
            r = host_ceiling_check_private(ceiling->rule, ceiling->private_hosts, entry->text,
                                           &entry->pattern, &error);
        if (r < 0) {
            (void)refuse(ret_fault, r, name, i);
            ret_fault->error = error;
            return r;
        }
    }
    return 0;
}

static int to_list(const struct entries *entries, const char *name, struct string_list *ret,
                   struct host_change_fault *ret_fault)
{
    int r = 0;

    if (entries->count > CARD_HOSTS_MAX)
        return refuse(ret_fault, -E2BIG, name, 0);
    for (size_t i = 0; r == 0 && i < entries->count; i++)
        r = string_list_append(ret, entries->items[i].text);
    return r;
}

/* -- the change -- */

static int apply(struct both *lists, const struct both *change, struct host_change_fault *ret_fault)
{
    const struct entries *allow = &change->allowed, *deny = &change->denied;

    for (size_t i = 0; i < deny->count; i++)
        if (find(allow, &deny->items[i].pattern) < allow->count)
            return refuse(ret_fault, -EINVAL, "deny", i);
    for (size_t i = 0; i < allow->count; i++) {
        take_out(&lists->denied, &allow->items[i].pattern);
        put(&lists->allowed, &allow->items[i]);
    }
    for (size_t i = 0; i < deny->count; i++) {
        take_out(&lists->allowed, &deny->items[i].pattern);
        put(&lists->denied, &deny->items[i]);
    }
    return 0;
}

int host_lists_change(const struct host_lists *now, const struct host_change *change,
                      const struct policy_rule *rule, struct host_lists *ret,
                      struct host_change_fault *ret_fault)
{
    AUTO_FREE struct both *both = calloc(2, sizeof(*both)); /* too large for the stack */
    struct host_lists lists = {};

    if (!both)
        return -ENOMEM;
    struct both *old = &both[0], *asked = &both[1];
    const struct ceiling to_allow = {rule, HOST_LIST_ALLOWED, change->private_hosts},
                         to_deny = {rule, HOST_LIST_DENIED, NULL};
    int r = parse(change->allow, "allow", &to_allow, &asked->allowed, ret_fault);
    if (r == 0)
        r = parse(change->deny, "deny", &to_deny, &asked->denied, ret_fault);
    if (r == 0)
        r = parse(&now->allowed, "allowed_hosts", NULL, &old->allowed, ret_fault);
    if (r == 0)
        r = parse(&now->denied, "denied_hosts", NULL, &old->denied, ret_fault);
    if (r == 0)
        r = apply(old, asked, ret_fault);
    if (r == 0)
        r = to_list(&old->allowed, "allowed_hosts", &lists.allowed, ret_fault);
    if (r == 0)
        r = to_list(&old->denied, "denied_hosts", &lists.denied, ret_fault);
    if (r < 0) {
        host_lists_deinit(&lists);
        return r;
    }
    *ret = lists;
    return 0;
}
