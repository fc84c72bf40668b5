/* A card held against a rule. The same rows of checks say yes or no to a card and explain
 * themselves to people: so what is explained can never be other than what is done. */
#include <stdarg.h>
#include <stdio.h>

#include "json-text.h"
#include "site-policy-check.h"

/* -- texts -- */

char *policy_text(const char *text, ...)
{
    char *result;
    va_list arguments;

    va_start(arguments, text);
    int n = vasprintf(&result, text, arguments);
    va_end(arguments);
    return n < 0 ? NULL : result;
}

char *policy_text_join(const struct string_list *list)
{
    size_t size = 1;
    char *text, *end;

    for (size_t i = 0; i < list->count; i++)
        size += strlen(list->items[i]) + 2;
    if (list->count == 0)
        return strdup(POLICY_NONE);
    text = end = malloc(size);
    for (size_t i = 0; text && i < list->count; i++) {
        end = stpcpy(end, i > 0 ? ", " : "");
        end = stpcpy(end, list->items[i]);
    }
    return text;
}

int policy_check_refuse(struct card_error *error, const char *found, const char *expected, ...)
{
    va_list arguments;

    (void)snprintf(error->found, sizeof(error->found), "%s", found);
    va_start(arguments, expected);
    (void)vsnprintf(error->expected, sizeof(error->expected), expected, arguments);
    va_end(arguments);
    return -EPERM;
}

/* -- all checks -- */

/* The checks by number, NULL behind the last. */
static const struct policy_check *check_at(size_t i)
{
    if (i < n_policy_limit_checks)
        return &policy_limit_checks[i];
    i -= n_policy_limit_checks;
    if (i < n_policy_host_checks)
        return &policy_host_checks[i];
    i -= n_policy_host_checks;
    return i < n_policy_word_checks ? &policy_word_checks[i] : NULL;
}

static struct policy_held held_of(const struct card *card)
{
    return (struct policy_held){.limits = card->limits, .ttl_seconds = card->ttl_seconds};
}

static int run_check(const struct policy_check *check, const struct policy_rule *rule,
                     const struct card *card, struct policy_held *held, struct card_error *error)
{
    *error = (struct card_error){};
    (void)snprintf(error->path, sizeof(error->path), "$.%s", check->key);
    return check->hold ? check->hold(check, rule, card, held, error) : 0;
}

int policy_rule_hold(const struct policy_rule *rule, struct card *card,
                     struct card_error *ret_error)
{
    struct policy_held held = held_of(card);
    const struct policy_check *check;
    struct card_error error;

    for (size_t i = 0; (check = check_at(i)); i++) {
        if (run_check(check, rule, card, &held, &error) == 0)
            continue;
        *ret_error = error;
        return -EPERM;
    }
    card->limits = held.limits;
    card->ttl_seconds = held.ttl_seconds;
    return 0;
}

/* -- the same in words -- */

static json_t *explain_check(const struct policy_check *check, const struct policy_rule *rule,
                             const struct card *card, struct policy_held *held)
{
    struct card_error error;
    char reason[sizeof(error.found) + sizeof(error.expected) + 32];
    int r = run_check(check, rule, card, held, &error);
    AUTO_FREE char *ceiling = check->ceiling(check, rule);
    AUTO_FREE char *asked = check->asked(check, card);
    AUTO_FREE char *effective = check->effective ? check->effective(check, held)
                                : asked          ? strdup(asked)
                                                 : NULL;

    if (!ceiling || !asked || !effective)
        return NULL;
    json_t *row =
        json_pack("{s:s, s:o, s:o, s:o, s:b}", "key", check->key, "ceiling",
                  json_string_lossy(ceiling), "asked", json_string_lossy(asked), "effective",
                  json_string_lossy(r < 0 ? "refused" : effective), "ok", r == 0);
    if (!row || r == 0)
        return row;
    (void)snprintf(reason, sizeof(reason), "found %s, expected %s", error.found, error.expected);
    if (json_object_set_new(row, "reason", json_string_lossy(reason)) < 0) {
        json_decref(row);
        return NULL;
    }
    return row;
}

json_t *policy_rule_explain(const struct policy_rule *rule, const struct card *card)
{
    struct policy_held held = held_of(card);
    const struct policy_check *check;
    json_t *rows = json_array();

    for (size_t i = 0; rows && (check = check_at(i)); i++) {
        if (json_array_append_new(rows, explain_check(check, rule, card, &held)) < 0) {
            json_decref(rows);
            return NULL;
        }
    }
    return rows;
}

json_t *site_policy_explain(const struct site_policy *policy, const struct policy_subject *subject,
                            const struct card *card)
{
    const struct policy_rule *rule = site_policy_find(policy, subject);

    if (!rule)
        return json_pack("{s:[]}", "ceilings");
    json_t *reply =
        json_pack("{s:s, s:o}", "rule", rule->name, "ceilings", policy_rule_explain(rule, card));
    if (!reply || rule == site_policy_root_rule())
        return reply;
    if (json_object_set_new(reply, "index", json_integer((json_int_t)(rule - policy->rules))) < 0) {
        json_decref(reply);
        return NULL;
    }
    return reply;
}
