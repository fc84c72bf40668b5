/* What is no fault of a site policy, and still hardly what its writer wants. */
#include "policy-doubt.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

struct doubts {
    void (*tell)(void *user, const char *text);
    void *user;
};

static void tell(const struct doubts *doubts, const char *format, ...) PRINTF_LIKE(2, 3);

static void tell(const struct doubts *doubts, const char *format, ...)
{
    AUTO_FREE char *text = NULL;
    va_list arguments;

    va_start(arguments, format);
    int n = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (n < 0)
        text = NULL;
    else
        doubts->tell(doubts->user, text);
}

/* -- rules that are never asked -- */

/* "*" is not root, so a rule for root is asked behind it too. */
static bool is_for_root(const struct policy_rule *rule)
{
    for (size_t i = 0; i < rule->who.n_uids; i++)
        if (rule->who.uids[i] == 0)
            return true;
    return false;
}

static void doubt_order(const struct site_policy *policy, const struct doubts *doubts)
{
    const struct policy_rule *everybody = NULL;

    if (policy->n_rules == 0)
        tell(doubts, "it has no rule, so nobody but root may run anything");
    for (size_t i = 0; i < policy->n_rules; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        if (everybody && !is_for_root(rule))
            tell(doubts,
                 "the rule \"%s\" never decides: the rule \"%s\" before it is for everybody",
                 rule->name, everybody->name);
        if (rule->who.everybody && !everybody)
            everybody = rule;
    }
}

/* -- roots -- */

/* As the daemon looks roots up; NULL for what lets something in, or cannot be told. */
static const char *why_nothing(const char *root)
{
    const struct open_how how = {.flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                                 .resolve = RESOLVE_NO_SYMLINKS};
    long fd = syscall(SYS_openat2, AT_FDCWD, root, &how, sizeof(how));

    if (fd >= 0) {
        (void)close((int)fd);
        return NULL;
    }
    switch (errno) {
    case ENOENT:
        return "is not there";
    case ENOTDIR:
        return "is no folder";
    case ELOOP:
        return "has a symbolic link in its path: write where it leads";
    default:
        return NULL;
    }
}

static void doubt_roots(const struct policy_rule *rule, const char *key,
                        const struct string_list *roots, const struct doubts *doubts)
{
    for (size_t i = 0; i < roots->count; i++) {
        const char *why = why_nothing(roots->items[i]);
        if (why)
            tell(doubts, "the rule \"%s\" lets nothing in by \"%s\" of its %s, which %s",
                 rule->name, roots->items[i], key, why);
    }
}

void policy_doubts(const struct site_policy *policy, void (*teller)(void *user, const char *text),
                   void *user)
{
    const struct doubts doubts = {.tell = teller, .user = user};

    doubt_order(policy, &doubts);
    for (size_t i = 0; i < policy->n_rules; i++) {
        const struct policy_rule *rule = &policy->rules[i];
        doubt_roots(rule, "workspace_roots", &rule->workspace_roots, &doubts);
        doubt_roots(rule, "mount_roots", &rule->mount_roots, &doubts);
        doubt_roots(rule, "writable_mount_roots", &rule->writable_mount_roots, &doubts);
    }
}
