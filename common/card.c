/* The agent ID card as an object: its memory, its providers, the text of an error. What makes a
 * card is in card-parse.c and card-values.c, what prints one in card-json.c. */
#include "card.h"

#include <stdio.h>

static const struct {
    const char *name;
    const char *key_variable;
    const char *host;
} providers[] = {
    [API_PROVIDER_ANTHROPIC] = {"anthropic", "ANTHROPIC_API_KEY", "api.anthropic.com:443"},
    [API_PROVIDER_OPENAI] = {"openai", "OPENAI_API_KEY", "api.openai.com:443"},
    [API_PROVIDER_OLLAMA] = {"ollama", "OLLAMA_API_KEY", "ollama.com:443"},
    [API_PROVIDER_CUSTOM] = {"custom", "API_KEY", NULL},
};
_Static_assert(ARRAY_SIZE(providers) == API_PROVIDER_COUNT, "every provider has a row");

const char *api_provider_to_string(enum api_provider provider)
{
    return providers[provider].name;
}

int api_provider_from_string(const char *name, enum api_provider *ret)
{
    for (size_t i = 0; i < ARRAY_SIZE(providers); i++) {
        if (streq(providers[i].name, name)) {
            *ret = (enum api_provider)i;
            return 0;
        }
    }
    return -EINVAL;
}

const char *api_provider_key_variable(enum api_provider provider)
{
    return providers[provider].key_variable;
}

const char *api_provider_host(enum api_provider provider)
{
    return providers[provider].host;
}

int string_list_append(struct string_list *list, const char *item)
{
    char *copy = strdup(item);
    if (!copy)
        return -ENOMEM;
    char **items = reallocarray(list->items, list->count + 1, sizeof(*items));
    if (!items) {
        free(copy);
        return -ENOMEM;
    }
    items[list->count++] = copy;
    list->items = items;
    return 0;
}

bool string_list_has(const struct string_list *list, const char *item)
{
    for (size_t i = 0; i < list->count; i++)
        if (streq(list->items[i], item))
            return true;
    return false;
}

void string_list_deinit(struct string_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    free(list->items);
    *list = (struct string_list){};
}

int card_variables_append(struct card_variable **variables, size_t *n, const char *name,
                          const char *value)
{
    AUTO_FREE char *name_copy = strdup(name);
    AUTO_FREE char *value_copy = strdup(value);
    struct card_variable *grown;

    if (!name_copy || !value_copy)
        return -ENOMEM;
    grown = reallocarray(*variables, *n + 1, sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    grown[(*n)++] = (struct card_variable){TAKE_PTR(name_copy), TAKE_PTR(value_copy)};
    *variables = grown;
    return 0;
}

struct card_variable *card_variables_free(struct card_variable *variables, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        free(variables[i].name);
        free(variables[i].value);
    }
    free(variables);
    return NULL;
}

struct card *card_free(struct card *card)
{
    if (!card)
        return NULL;
    free(card->agent_id);
    free(card->agent);
    free(card->workspace);
    free(card->user);
    card_mounts_free(card->mounts, card->n_mounts);
    string_list_deinit(&card->command);
    free(card->api_key_file);
    free(card->proxy);
    free(card->proxy_auth_file);
    if (card->proxy_auth)
        explicit_bzero(card->proxy_auth, strlen(card->proxy_auth));
    free(card->proxy_auth);
    string_list_deinit(&card->allowed_hosts);
    string_list_deinit(&card->private_hosts);
    string_list_deinit(&card->denied_hosts);
    free(card->seccomp_profile);
    card_variables_free(card->environment, card->n_environment);
    free(card);
    return NULL;
}

void card_error_format(const struct card_error *error, char *buffer, size_t size)
{
    (void)snprintf(buffer, size, "%s: found %s, expected %s", error->path, error->found,
                   error->expected);
}
