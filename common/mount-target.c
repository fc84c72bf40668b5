/* Where in a cage the mounts of a card may be; the contract stands in the header. */
#include "mount-target.h"

#include "caged-limits.h"
#include "init-spec.h"
#include "plain-path.h"
#include "util.h"

_Static_assert(CARD_MOUNT_TARGET_MAX == 255, "MOUNT_TARGET_EXPECTED says so");

/* Folders that a cage has for nothing else, so that no mount can hide what the cage is made of. */
static const struct {
    const char *folder;
    bool itself; /* not only what is below it */
} places[] = {
    {"/data", true}, {"/mnt", true}, {"/opt", true}, {"/srv", true}, {CAGE_HOME, false},
};

bool mount_target_valid(const char *path)
{
    size_t length = strlen(path);

    if (length == 0 || length > CARD_MOUNT_TARGET_MAX || plain_path_length(path) != length)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if (plain_path_is_within(path, places[i].folder))
            return places[i].itself || !streq(path, places[i].folder);
    return false;
}

bool mount_targets_overlap(const char *a, const char *b)
{
    return plain_path_is_within(a, b) || plain_path_is_within(b, a);
}
