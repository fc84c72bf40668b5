/* What is installed in the data folder. */
#include "installed.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "caged-limits.h"

#define SUFFIX ".json"

static const char *const folders[] = {
    [INSTALLED_PRESET] = "agents",
    [INSTALLED_PROFILE] = "seccomp",
};
_Static_assert(ARRAY_SIZE(folders) == INSTALLED_COUNT, "every kind has a folder");

const char *installed_folder(enum installed kind)
{
    return folders[kind];
}

char *installed_name(const char *file)
{
    size_t length = strlen(file);

    if (length <= strlen(SUFFIX) || !streq(file + length - strlen(SUFFIX), SUFFIX))
        return NULL;
    length -= strlen(SUFFIX);
    if (length > CARD_AGENT_ID_MAX || strspn(file, CARD_AGENT_ID_CHARACTERS) != length)
        return NULL;
    return strndup(file, length);
}

static int append_name(struct string_list *list, const char *file)
{
    AUTO_FREE char *name = installed_name(file);

    return name ? string_list_append(list, name) : 0;
}

int installed_list(const char *data_dir, enum installed kind, struct string_list *ret)
{
    struct string_list list = {};
    struct dirent *entry;
    char path[PATH_MAX];
    int r = 0;

    if (snprintf(path, sizeof(path), "%s/%s", data_dir, folders[kind]) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    DIR *dir = opendir(path);
    if (!dir)
        return negative_errno();
    while (r == 0 && (errno = 0, entry = readdir(dir)))
        r = append_name(&list, entry->d_name);
    if (r == 0 && errno != 0)
        r = negative_errno();
    (void)closedir(dir);
    if (r < 0) {
        string_list_deinit(&list);
        return r;
    }
    *ret = list;
    return 0;
}

int installed_find_preset(const char *data_dir, struct card *card)
{
    const char *name = card_command_preset(card);
    char path[PATH_MAX];

    card->command_has_preset = false;
    if (!name)
        return 0;
    if (snprintf(path, sizeof(path), "%s/%s/%s" SUFFIX, data_dir, folders[INSTALLED_PRESET],
                 name) >= (int)sizeof(path))
        return -ENAMETOOLONG;
    card->command_has_preset = access(path, F_OK) == 0 || errno != ENOENT;
    return 0;
}
