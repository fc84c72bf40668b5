/* Folders of the host's own, row by row. They are known by what they are (file system and number),
 * not by name, so that no link and no further mount of one leads around this. */
#include "paths/system-folders.h"

#include "util.h"
#include "why.h"

enum row_kind {
    SYSTEM_TREE,   /* it and what is in it */
    SYSTEM_ITSELF, /* what is in it is for other rows to say */
    USERS_TREE,    /* in a system folder, but what is in it is for users; not itself */
};

static const struct {
    enum row_kind kind;
    const char *path;
} rows[] = {
    {SYSTEM_TREE, "/bin"},
    {SYSTEM_TREE, "/boot"},
    {SYSTEM_TREE, "/dev"},
    {SYSTEM_TREE, "/efi"},
    {SYSTEM_TREE, "/etc"},
    {SYSTEM_TREE, "/lib"},
    {SYSTEM_TREE, "/lib32"},
    {SYSTEM_TREE, "/lib64"},
    {SYSTEM_TREE, "/libx32"},
    {SYSTEM_TREE, "/proc"},
    {SYSTEM_TREE, "/root"},
    {SYSTEM_TREE, "/run"}, /* /run/user too: who connects to a socket there gives orders to the
                              user's own systemd */
    {SYSTEM_TREE, "/sbin"},
    {SYSTEM_TREE, "/sys"},
    {SYSTEM_TREE, "/usr"},
    {SYSTEM_TREE, "/var"},
    {SYSTEM_ITSELF, "/"},
    /* For scratch files, as /tmp is. */
    {USERS_TREE, "/dev/shm"},
    /* Disks that a user has put in. */
    {USERS_TREE, "/run/media"},
    {USERS_TREE, "/usr/local/src"},
    {USERS_TREE, "/usr/src"},
    /* Homes of services' users that build and test, and sites that people edit. */
    {USERS_TREE, "/var/lib"},
    {USERS_TREE, "/var/tmp"},
    {USERS_TREE, "/var/www"},
    /* What /home, /mnt, /opt and /srv are on hosts that change nothing outside of /var. */
    {USERS_TREE, "/var/home"},
    {USERS_TREE, "/var/mnt"},
    {USERS_TREE, "/var/opt"},
    {USERS_TREE, "/var/srv"},
};

struct known {
    struct place_id ids[ARRAY_SIZE(rows)];
    bool there[ARRAY_SIZE(rows)];
};

/* Who may replace a folder for users by a link must not open a system folder by that. */
static void find_rows(struct known *known)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        known->there[i] =
            place_id_of_path(rows[i].path, rows[i].kind != USERS_TREE, &known->ids[i]) >= 0;
}

/* The row that this folder is, or -1. */
static int row_of(const struct known *known, const struct place_id *id)
{
    for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
        if (known->there[i] && place_is_same(&known->ids[i], id))
            return (int)i;
    return -1;
}

/* From the folder upwards: the first row that is met decides. */
static int check_hosts(const struct place *place, const char *name, char **ret_why)
{
    struct known known;

    find_rows(&known);
    for (size_t i = 0; i < place->count; i++) {
        int row = row_of(&known, &place->ids[i]);
        if (row < 0 || (i > 0 && rows[row].kind == SYSTEM_ITSELF))
            continue;
        if (i > 0 && rows[row].kind == USERS_TREE)
            return 0;
        if (i == 0)
            return why_set(ret_why, -EPERM, "%s is a system folder", name);
        return why_set(ret_why, -EPERM, "%s lies in the system folder %s", name, rows[row].path);
    }
    return 0;
}

static bool holds(const struct place *inner, const struct place *outer)
{
    for (size_t i = 0; i < inner->count; i++)
        if (place_is_same(&inner->ids[i], &outer->ids[0]))
            return true;
    return false;
}

/* `tree`: what lies in it is ours as well. */
static int check_own(const struct place *place, const char *own, bool tree, const char *name,
                     char **ret_why)
{
    struct place folder;
    AUTO_FD int fd = place_open(own);

    if (fd == -ENOENT || fd == -ENOTDIR)
        return 0; /* it was taken away since the daemon started */
    int r = fd < 0 ? fd : place_find(fd, &folder);
    if (r < 0)
        return why_set(ret_why, r, "the folder %s of caged's own cannot be looked at: %s", own,
                       strerror(-r));
    if (holds(&folder, place))
        return why_set(ret_why, -EPERM, "%s is or holds the folder %s of caged's own", name, own);
    if (tree && holds(place, &folder))
        return why_set(ret_why, -EPERM, "%s lies in the folder %s of caged's own", name, own);
    return 0;
}

int system_folders_check(const struct place *place, const struct own_folders *own, const char *name,
                         char **ret_why)
{
    int r = check_hosts(place, name, ret_why);

    for (size_t i = 0; r == 0 && i < own->trees.count; i++)
        r = check_own(place, own->trees.items[i], true, name, ret_why);
    for (size_t i = 0; r == 0 && i < own->files.count; i++)
        r = check_own(place, own->files.items[i], false, name, ret_why);
    return r;
}
