/* Presets: how one kind of agent (policy/agents/NAME.json) is started and configured in a cage.
 * They are the operator's files, read for each agent anew, so that an edit needs no restart.
 *
 *   description       string, required: what it is and how a card reaches a provider with it
 *   command           array, required: what runs; the words after `--` follow it
 *   terminal_command  array: what runs instead with a terminal and without such words
 *   environment       object of strings: variables that the card's own replace
 *   api_key_variable  string: where the card's key goes when its api_provider is "custom"
 *   files             array of {path, owner, json | text}: what is placed in the cage. `path` is
 *                     below "~/" or "/etc/"; `owner` is "root" (nobody in the cage can change it)
 *                     or "agent"; `json` is any JSON value, `text` is taken as it is. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "card.h"
#include "util.h"

struct preset_file {
    char *path; /* absolute: "~" is CAGE_HOME here */
    void *content;
    size_t size;
    bool agent_owned;
};

struct preset {
    char *name;
    struct string_list command;          /* never empty */
    struct string_list terminal_command; /* empty: none */
    char *api_key_variable;              /* NULL: none of its own */
    struct card_variable *environment;
    size_t n_environment; /* at most CARD_ENVIRONMENT_MAX */
    struct preset_file *files;
    size_t n_files;
};

/* Reads DATA_DIR/agents/NAME.json. 0 with a preset for preset_free(); else *ret_why is a sentence
 * that is the caller's to free (NULL if there was no memory for it), and the result is -ENOENT if
 * there is no such preset, -EINVAL if the file is not one, -ENOMEM, or another -errno. */
int preset_load(const char *data_dir, const char *name, struct preset **ret, char **ret_why);

struct preset *preset_free(struct preset *preset);
DEFINE_CLEANUP(struct preset, preset_free);
