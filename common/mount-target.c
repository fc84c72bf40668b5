/* Where in a cage the mounts of a card may be; the contract stands in the header. */
#include "mount-target.h"

#include "caged-limits.h"
#include "init-spec.h"
#include "util.h"

_Static_assert(CARD_MOUNT_TARGET_MAX == 255, "MOUNT_TARGET_EXPECTED says so");

/* Folders that a cage has for nothing else, so that no mount can hide what the cage is made of. */
static const struct {
    const char *folder;
    bool itself; /* not only what is below it */
} places[] = {
    {"/data", true}, {"/mnt", true}, {"/opt", true}, {"/srv", true}, {CAGE_HOME, false},
};

/* Control characters could forge lines of a log or a table. */
static bool is_plain(const char *path)
{
    for (const char *c = path; *c; c++)
        if ((unsigned char)*c < ' ' || *c == 0x7f)
            return false;
    while (*path == '/') {
        size_t length = strcspn(++path, "/");
        if (length == 0 || (length == 1 && path[0] == '.') ||
            (length == 2 && path[0] == '.' && path[1] == '.'))
            return false;
        path += length;
    }
    return *path == '\0';
}

/* Whether `path` is `folder` or lies below it; both without a slash at their end. */
static bool is_within(const char *path, const char *folder)
{
    size_t length = strlen(folder);

    return has_prefix(path, folder) && (path[length] == '/' || path[length] == '\0');
}

bool mount_target_valid(const char *path)
{
    if (strlen(path) > CARD_MOUNT_TARGET_MAX || !is_plain(path))
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (is_within(path, places[i].folder))
            return places[i].itself || !streq(path, places[i].folder);
    return false;
}

bool mount_targets_overlap(const char *a, const char *b)
{
    return is_within(a, b) || is_within(b, a);
}
