/* Reads a preset. Strict, because a mistyped key would otherwise mean an agent without a part of
 * its configuration, and some agents then go to a provider of their own choice. */
#include "agent/preset.h"

#include <jansson.h>
#include <stdio.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "init-spec.h"
#include "json-text.h"
#include "why.h"

static int parse_words(const json_t *json, const char *key, struct string_list *ret, char **ret_why)
{
    size_t i;
    json_t *word;

    if (!json_is_array(json) || json_array_size(json) == 0 ||
        json_array_size(json) > CARD_COMMAND_MAX)
        return why_set(ret_why, -EINVAL, "$.%s: expected an array of 1 to %d strings", key,
                       CARD_COMMAND_MAX);
    json_array_foreach (json, i, word) {
        if (!json_is_string(word) || (i == 0 && json_string_length(word) == 0))
            return why_set(ret_why, -EINVAL,
                           "$.%s[%zu]: expected a string, the first one not empty", key, i);
        int r = string_list_append(ret, json_string_value(word));
        if (r < 0)
            return r;
    }
    return 0;
}

static int parse_environment(json_t *json, struct preset *preset, char **ret_why)
{
    const char *name;
    json_t *value;

    if (!json_is_object(json) || json_object_size(json) > CARD_ENVIRONMENT_MAX)
        return why_set(ret_why, -EINVAL,
                       "$.environment: expected an object of at most %d variables",
                       CARD_ENVIRONMENT_MAX);
    json_object_foreach (json, name, value) {
        if (!*name || strchr(name, '=') || !json_is_string(value))
            return why_set(ret_why, -EINVAL,
                           "$.environment: expected names and strings, not \"%s\"", name);
        int r = card_variables_append(&preset->environment, &preset->n_environment, name,
                                      json_string_value(value));
        if (r < 0)
            return r;
    }
    return 0;
}

/* -- files -- */

/* The path in the cage, or NULL with errno EINVAL for one that may not be configured. */
static char *path_in_cage(const char *path)
{
    bool home = has_prefix(path, "~/");
    size_t length = strlen(path);
    char *absolute;

    if ((!home && !has_prefix(path, "/etc/")) || path[length - 1] == '/' || strstr(path, "//") ||
        strstr(path, "/.."))
        errno = EINVAL;
    else if (asprintf(&absolute, "%s%s", home ? CAGE_HOME : "", home ? path + 1 : path) >= 0)
        return absolute;
    return NULL;
}

static int set_content(struct preset_file *file, const json_t *json, const char *text)
{
    file->content = json ? json_dumps(json, JSON_INDENT(2) | JSON_ENCODE_ANY) : strdup(text);
    if (!file->content)
        return -ENOMEM;
    file->size = strlen(file->content);
    return 0;
}

static int parse_file(json_t *json, size_t i, struct preset_file *file, char **ret_why)
{
    const char *path, *owner, *text = NULL;
    json_t *content = NULL;
    json_error_t error;

    if (json_unpack_ex(json, &error, 0, "{s:s, s:s, s?o, s?s !}", "path", &path, "owner", &owner,
                       "json", &content, "text", &text) < 0)
        return why_set(ret_why, -EINVAL, "$.files[%zu]: %s", i, error.text);
    if (!content == !text)
        return why_set(ret_why, -EINVAL, "$.files[%zu]: expected either \"json\" or \"text\"", i);
    if (!streq(owner, "root") && !streq(owner, "agent"))
        return why_set(ret_why, -EINVAL, "$.files[%zu].owner: expected \"root\" or \"agent\"", i);
    file->agent_owned = streq(owner, "agent");
    file->path = path_in_cage(path);
    if (!file->path && errno == EINVAL)
        return why_set(
            ret_why, -EINVAL,
            "$.files[%zu].path: expected a file below \"~/\" or \"/etc/\", without \"..\"", i);
    return file->path ? set_content(file, content, text) : -ENOMEM;
}

static int parse_files(const json_t *json, struct preset *preset, char **ret_why)
{
    size_t i;
    json_t *entry;

    if (!json_is_array(json))
        return why_set(ret_why, -EINVAL, "$.files: expected an array");
    preset->files = calloc(MAX_OF(json_array_size(json), (size_t)1), sizeof(*preset->files));
    if (!preset->files)
        return -ENOMEM;
    json_array_foreach (json, i, entry) {
        int r = parse_file(entry, i, &preset->files[preset->n_files++], ret_why);
        if (r < 0)
            return r;
    }
    return 0;
}

/* -- the whole -- */

static int parse(json_t *json, struct preset *preset, char **ret_why)
{
    json_t *command, *terminal_command = NULL, *environment = NULL, *files = NULL;
    const char *description, *key_variable = NULL;
    json_error_t error;
    int r;

    if (json_unpack_ex(json, &error, 0, "{s:s, s:o, s?o, s?o, s?s, s?o !}", "description",
                       &description, "command", &command, "terminal_command", &terminal_command,
                       "environment", &environment, "api_key_variable", &key_variable, "files",
                       &files) < 0)
        return why_set(ret_why, -EINVAL, "$: %s", error.text);
    if (key_variable && (!*key_variable || strchr(key_variable, '=')))
        return why_set(ret_why, -EINVAL, "$.api_key_variable: expected the name of a variable");
    if (key_variable && !(preset->api_key_variable = strdup(key_variable)))
        return -ENOMEM;
    r = parse_words(command, "command", &preset->command, ret_why);
    if (r == 0 && terminal_command)
        r = parse_words(terminal_command, "terminal_command", &preset->terminal_command, ret_why);
    if (r == 0 && environment)
        r = parse_environment(environment, preset, ret_why);
    if (r == 0 && files)
        r = parse_files(files, preset, ret_why);
    return r;
}

static int read_json(const char *path, json_t **ret, char **ret_why)
{
    AUTO_FREE char *text = NULL;
    struct json_text_error error;
    size_t size;

    int r = file_read_all(path, PRESET_SIZE_MAX, &text, &size);
    if (r == -ENOENT)
        return why_set(ret_why, r, "there is no such preset: no file %s", path);
    if (r < 0)
        return why_set(ret_why, r, "cannot read %s: %s", path, strerror(-r));
    r = json_text_parse(text, size, CARD_NESTING_MAX, ret, &error);
    if (r == -EINVAL)
        return why_set(ret_why, r, "%s, line %d: %s: found %s", path, error.line, error.path,
                       error.found);
    return r;
}

int preset_load(const char *data_dir, const char *name, struct preset **ret, char **ret_why)
{
    CLEANUP(preset_freep) struct preset *preset = calloc(1, sizeof(*preset));
    CLEANUP(json_decrefp) json_t *json = NULL;
    AUTO_FREE char *path = NULL, *why = NULL;

    *ret_why = NULL;
    if (!preset || asprintf(&path, "%s/agents/%s.json", data_dir, name) < 0)
        return -ENOMEM;
    preset->name = strdup(name);
    if (!preset->name)
        return -ENOMEM;
    int r = read_json(path, &json, ret_why);
    if (r < 0)
        return r;
    r = parse(json, preset, &why);
    if (r < 0)
        return why_set(ret_why, r, "%s: %s", path, why ? why : strerror(-r));
    *ret = TAKE_PTR(preset);
    return 0;
}

struct preset *preset_free(struct preset *preset)
{
    if (!preset)
        return NULL;
    free(preset->name);
    free(preset->api_key_variable);
    string_list_deinit(&preset->command);
    string_list_deinit(&preset->terminal_command);
    card_variables_free(preset->environment, preset->n_environment);
    for (size_t i = 0; i < preset->n_files; i++) {
        free(preset->files[i].path);
        free(preset->files[i].content);
    }
    free(preset->files);
    free(preset);
    return NULL;
}
