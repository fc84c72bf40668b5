/* Checks of what a card names: presets, profiles, variables, folders; and of what is yes or no. */
#include <stdio.h>

#include "caged-limits.h"
#include "json-text.h"
#include "site-policy-check.h"

/* -- names -- */

/* "*" stands for all, and at the end of a name for whatever follows there. */
static bool word_matches(const char *pattern, const char *word)
{
    size_t length = strcspn(pattern, "*");

    return pattern[length] == '*' ? strncmp(pattern, word, length) == 0 : streq(pattern, word);
}

static bool words_have(const struct string_list *words, const char *word)
{
    for (size_t i = 0; i < words->count; i++)
        if (word_matches(words->items[i], word))
            return true;
    return false;
}

static int refuse_word(const struct policy_check *check, const struct policy_rule *rule,
                       const char *what, const char *word, struct card_error *error)
{
    char found[sizeof(error->found)];
    AUTO_FREE char *all = policy_text_join(POLICY_CHECK_FIELD(check, rule, struct string_list));

    (void)snprintf(found, sizeof(found), "%s \"%.80s%s\"", what, word,
                   strlen(word) > 80 ? "..." : "");
    return policy_check_refuse(error, found, "one of: %s", all ? all : "...");
}

static char *words_ceiling(const struct policy_check *check, const struct policy_rule *rule)
{
    return policy_text_join(POLICY_CHECK_FIELD(check, rule, struct string_list));
}

static int hold_environment(const struct policy_check *check, const struct policy_rule *rule,
                            const struct card *card, struct policy_held *held,
                            struct card_error *error)
{
    for (size_t i = 0; i < card->n_environment; i++) {
        const char *name = card->environment[i].name;
        if (words_have(&rule->environment, name))
            continue;
        json_path_append_key(error->path, sizeof(error->path), name, strlen(name));
        return refuse_word(check, rule, "the variable", name, error);
    }
    return 0;
}

static char *environment_asked(const struct policy_check *check, const struct card *card)
{
    struct string_list names = {};
    char *text = NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i < card->n_environment; i++)
        r = string_list_append(&names, card->environment[i].name);
    if (r == 0)
        text = policy_text_join(&names);
    string_list_deinit(&names);
    return text;
}

/* That of a command's program counts as one that the card names, whoever asks: it brings its files
 * and variables. */
static int hold_preset(const struct policy_check *check, const struct policy_rule *rule,
                       const struct card *card, struct policy_held *held, struct card_error *error)
{
    const char *preset = card_preset(card);

    if (!preset || words_have(&rule->presets, preset))
        return 0;
    if (!card_command_preset(card))
        return refuse_word(check, rule, "the preset", preset, error);
    (void)snprintf(error->path, sizeof(error->path), "$.command");
    return refuse_word(check, rule, "by its program the preset", preset, error);
}

static char *preset_asked(const struct policy_check *check, const struct card *card)
{
    const char *preset = card_preset(card);

    if (!preset)
        return strdup(POLICY_NONE);
    return policy_text("%s%s", preset,
                       card->agent                 ? ""
                       : card_command_preset(card) ? " (of the command)"
                                                   : " (default)");
}

static const char *card_seccomp_profile(const struct card *card)
{
    return card->seccomp_profile ? card->seccomp_profile : CARD_SECCOMP_PROFILE_DEFAULT;
}

static int hold_seccomp_profile(const struct policy_check *check, const struct policy_rule *rule,
                                const struct card *card, struct policy_held *held,
                                struct card_error *error)
{
    const char *name = card_seccomp_profile(card);

    return words_have(&rule->seccomp_profiles, name)
               ? 0
               : refuse_word(check, rule, "the seccomp profile", name, error);
}

static char *seccomp_profile_asked(const struct policy_check *check, const struct card *card)
{
    return policy_text("%s%s", card_seccomp_profile(card),
                       card->seccomp_profile ? "" : " (default)");
}

/* -- yes or no -- */

static char *flag_ceiling(const struct policy_check *check, const struct policy_rule *rule)
{
    return strdup(*POLICY_CHECK_FIELD(check, rule, bool) ? "yes" : "no");
}

static int hold_command(const struct policy_check *check, const struct policy_rule *rule,
                        const struct card *card, struct policy_held *held, struct card_error *error)
{
    return rule->command || card->command.count == 0
               ? 0
               : policy_check_refuse(error, "a command of its own", "a preset alone");
}

static char *command_asked(const struct policy_check *check, const struct card *card)
{
    return strdup(card->command.count > 0 ? "yes" : "no");
}

static int hold_transparent(const struct policy_check *check, const struct policy_rule *rule,
                            const struct card *card, struct policy_held *held,
                            struct card_error *error)
{
    return rule->transparent || !card->transparent ? 0
                                                   : policy_check_refuse(error, "true", "false");
}

static char *transparent_asked(const struct policy_check *check, const struct card *card)
{
    return strdup(card->transparent ? "yes" : "no");
}

static int hold_protect(const struct policy_check *check, const struct policy_rule *rule,
                        const struct card *card, struct policy_held *held, struct card_error *error)
{
    return rule->unprotected || card->protect_git ? 0
                                                  : policy_check_refuse(error, "none", "\"git\"");
}

static char *protect_ceiling(const struct policy_check *check, const struct policy_rule *rule)
{
    return strdup(rule->unprotected ? "may be left out" : "git");
}

static char *protect_asked(const struct policy_check *check, const struct card *card)
{
    return strdup(card->protect_git ? "git" : POLICY_NONE);
}

/* -- mounts: that there is a folder below which they may be; whether they are, their descriptors
 * tell -- */

static const struct string_list *mount_roots(const struct policy_rule *rule,
                                             const struct card_mount *mount)
{
    return mount->readonly ? &rule->mount_roots : &rule->writable_mount_roots;
}

static int hold_mounts(const struct policy_check *check, const struct policy_rule *rule,
                       const struct card *card, struct policy_held *held, struct card_error *error)
{
    char found[sizeof(error->found)];

    for (size_t i = 0; i < card->n_mounts; i++) {
        const struct card_mount *mount = &card->mounts[i];
        if (mount_roots(rule, mount)->count > 0)
            continue;
        json_path_append_index(error->path, sizeof(error->path), i);
        (void)snprintf(found, sizeof(found), "a %s mount",
                       mount->readonly ? "read-only" : "writable");
        return policy_check_refuse(error, found, "none: %s of the rule is empty",
                                   mount->readonly ? "mount_roots" : "writable_mount_roots");
    }
    return 0;
}

static char *mounts_ceiling(const struct policy_check *check, const struct policy_rule *rule)
{
    AUTO_FREE char *readonly = policy_text_join(&rule->mount_roots);
    AUTO_FREE char *writable = policy_text_join(&rule->writable_mount_roots);

    return readonly && writable ? policy_text("read-only: %s; writable: %s", readonly, writable)
                                : NULL;
}

static char *mounts_asked(const struct policy_check *check, const struct card *card)
{
    struct string_list sources = {};
    char *text = NULL;
    int r = 0;

    for (size_t i = 0; r == 0 && i < card->n_mounts; i++)
        r = string_list_append(&sources, card->mounts[i].source);
    if (r == 0)
        text = policy_text_join(&sources);
    string_list_deinit(&sources);
    return text;
}

/* -- the workspace: of which its descriptor tells -- */

static char *workspace_ceiling(const struct policy_check *check, const struct policy_rule *rule)
{
    AUTO_FREE char *roots = policy_text_join(&rule->workspace_roots);
    AUTO_FREE char *excluded = policy_text_join(&rule->excluded_file_systems);

    if (!roots || !excluded)
        return NULL;
    return rule->excluded_file_systems.count > 0 ? policy_text("%s; not on %s", roots, excluded)
                                                 : strdup(roots);
}

static char *workspace_asked(const struct policy_check *check, const struct card *card)
{
    return strdup(card->workspace);
}

static char *when_spawned(const struct policy_check *check, const struct policy_held *held)
{
    return strdup("asked of the folder when it is spawned");
}

/* -- the rows -- */

const struct policy_check policy_word_checks[] = {
    {.key = "agent",
     .hold = hold_preset,
     .ceiling = words_ceiling,
     .asked = preset_asked,
     RULE_OFFSET(presets)},
    {.key = "workspace",
     .ceiling = workspace_ceiling,
     .asked = workspace_asked,
     .effective = when_spawned},
    {.key = "mounts", .hold = hold_mounts, .ceiling = mounts_ceiling, .asked = mounts_asked},
    {.key = "protect", .hold = hold_protect, .ceiling = protect_ceiling, .asked = protect_asked},
    {.key = "command",
     .hold = hold_command,
     .ceiling = flag_ceiling,
     .asked = command_asked,
     RULE_OFFSET(command)},
    {.key = "environment",
     .hold = hold_environment,
     .ceiling = words_ceiling,
     .asked = environment_asked,
     RULE_OFFSET(environment)},
    {.key = "seccomp_profile",
     .hold = hold_seccomp_profile,
     .ceiling = words_ceiling,
     .asked = seccomp_profile_asked,
     RULE_OFFSET(seccomp_profiles)},
    {.key = "transparent",
     .hold = hold_transparent,
     .ceiling = flag_ceiling,
     .asked = transparent_asked,
     RULE_OFFSET(transparent)},
};
const size_t n_policy_word_checks = ARRAY_SIZE(policy_word_checks);
