/* What is installed in the data folder, by name: presets (DIR/agents/NAME.json) and seccomp
 * profiles (DIR/seccomp/NAME.json). Asks the file system, and only whether there is a file of that
 * name: what is in it, its reader says. */
#pragma once

#include <stdbool.h>

#include "card.h"

enum installed {
    INSTALLED_PRESET,
    INSTALLED_PROFILE,
    INSTALLED_COUNT,
};

/* "agents", "seccomp": the folder below the data folder. */
const char *installed_folder(enum installed kind);

/* The name of what a file there holds ("codex.json"), in a new string; NULL for a file that no card
 * can name, or without memory. */
char *installed_name(const char *file);

/* All names there; for string_list_deinit(). 0 or -errno (-ENOENT: there is no such folder). */
int installed_list(const char *data_dir, enum installed kind, struct string_list *ret);

/* Finds whether the program of the card's command has a preset (card_command_preset()), and notes
 * it in the card. What cannot be looked at counts as there: who reads it then says why. 0 or
 * -errno. */
int installed_find_preset(const char *data_dir, struct card *card);
