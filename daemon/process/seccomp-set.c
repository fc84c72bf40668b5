/* The seccomp profiles that cards can name. */
#include "process/seccomp-set.h"

#include <dirent.h>
#include <stdio.h>

#include "caged-limits.h"
#include "installed.h"
#include "log.h"
#include "process/seccomp-profile.h"

#define SUFFIX ".json"

struct seccomp_entry {
    char *name;
    int memfd; /* negative: it did not compile */
    char *why; /* then */
};

static void entry_deinit(struct seccomp_entry *entry)
{
    free(entry->name);
    free(entry->why);
    fd_close(entry->memfd);
}

void seccomp_set_deinit(struct seccomp_set *set)
{
    for (size_t i = 0; i < set->n_entries; i++)
        entry_deinit(&set->entries[i]);
    free(set->entries);
    *set = SECCOMP_SET_INIT;
}

static int compile(const char *folder, const char *file, struct seccomp_entry *entry)
{
    AUTO_FREE char *path = NULL;
    size_t instructions;

    if (asprintf(&path, "%s/%s", folder, file) < 0)
        return -ENOMEM;
    int r = seccomp_profile_compile(path, &entry->memfd, &instructions, &entry->why);
    if (r == 0) {
        log_debug("seccomp profile %s: %zu instructions", path, instructions);
        return 0;
    }
    if (!entry->why && asprintf(&entry->why, "%s", strerror(-r)) < 0)
        return -ENOMEM;
    log_error("the seccomp profile %s cannot be used: %s", path, entry->why);
    return 0;
}

/* Takes the entry over in every case. */
static int add(struct seccomp_set *set, struct seccomp_entry *entry)
{
    struct seccomp_entry *grown =
        reallocarray(set->entries, set->n_entries + 1, sizeof(*set->entries));

    if (!grown) {
        entry_deinit(entry);
        return -ENOMEM;
    }
    set->entries = grown;
    set->entries[set->n_entries++] = *entry;
    return 0;
}

static int load_one(struct seccomp_set *set, const char *folder, const char *file)
{
    struct seccomp_entry entry = {.name = installed_name(file), .memfd = -EBADF};

    if (!entry.name)
        return 0;
    if (set->n_entries == SECCOMP_PROFILES_MAX) {
        log_error("the seccomp profile %s/%s is one too many: there may be %d", folder, file,
                  SECCOMP_PROFILES_MAX);
        free(entry.name);
        return 0;
    }
    int r = compile(folder, file, &entry);
    if (r < 0) {
        entry_deinit(&entry);
        return r;
    }
    return add(set, &entry);
}

static int load_all(struct seccomp_set *set, const char *folder)
{
    struct dirent *entry;
    int r =
        load_one(set, folder, CARD_SECCOMP_PROFILE_DEFAULT SUFFIX); /* it is never one too many */
    DIR *dir = r < 0 ? NULL : opendir(folder);

    if (r < 0 || !dir)
        return r < 0 ? r : negative_errno();
    while (r == 0 && (errno = 0, entry = readdir(dir)))
        if (!streq(entry->d_name, CARD_SECCOMP_PROFILE_DEFAULT SUFFIX))
            r = load_one(set, folder, entry->d_name);
    if (r == 0 && errno != 0)
        r = negative_errno();
    (void)closedir(dir);
    return r;
}

int seccomp_set_load(const char *folder, struct seccomp_set *ret)
{
    struct seccomp_set set = SECCOMP_SET_INIT;
    const char *why;
    int r = load_all(&set, folder);

    if (r < 0)
        log_error("the seccomp profiles in %s cannot be loaded: %s", folder, strerror(-r));
    else if (seccomp_set_get(&set, CARD_SECCOMP_PROFILE_DEFAULT, &why) < 0)
        r = -EINVAL; /* why was logged */
    if (r < 0) {
        seccomp_set_deinit(&set);
        return r;
    }
    *ret = set;
    return 0;
}

int seccomp_set_get(const struct seccomp_set *set, const char *name, const char **ret_why)
{
    for (size_t i = 0; i < set->n_entries; i++) {
        const struct seccomp_entry *entry = &set->entries[i];
        if (!streq(entry->name, name))
            continue;
        if (entry->memfd >= 0)
            return entry->memfd;
        *ret_why = entry->why;
        return -EINVAL;
    }
    return -ENOENT;
}
