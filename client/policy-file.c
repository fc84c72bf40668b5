/* Site policies as files, and users as they see them. */
#include "policy-file.h"

#include <grp.h>
#include <limits.h>

#include "caged-limits.h"
#include "exit-status.h"
#include "input-file.h"
#include "owner.h"
#include "text.h"

int policy_file_read_text(const char *path, char **ret, size_t *ret_size,
                          struct policy_error *ret_error)
{
    int r = input_file_read(path, POLICY_SIZE_MAX, ret, ret_size, &ret_error->at);

    if (r < 0)
        ret_error->line = ret_error->column = 0; /* it is about no place in the text */
    return r;
}

int policy_file_read(const char *path, struct site_policy **ret, struct policy_error *ret_error)
{
    AUTO_FREE char *text = NULL;
    size_t size;
    int r = policy_file_read_text(path, &text, &size, ret_error);

    return r < 0 ? r : site_policy_parse_text(text, size, ret, ret_error);
}

void policy_error_say(const char *file, const struct policy_error *error)
{
    char text[PATH_MAX + sizeof(*error) + 64];

    policy_error_format(error, file, text, sizeof(text));
    say("%s", text);
}

int policy_file_say(const char *path, int error, const struct policy_error *policy_error)
{
    switch (error) {
    case -EINVAL:
        policy_error_say(input_file_name(path), policy_error);
        return STATUS_CARD;
    case -ENOMEM:
        say("out of memory");
        return STATUS_INTERNAL;
    default:
        say("cannot read the policy %s: %s", input_file_name(path), strerror(-error));
        say_hint("give the path of a file that you may read; what a policy holds: caged.policy(5)");
        return STATUS_FILE;
    }
}

/* -- users -- */

static int out_of_memory(void)
{
    say("out of memory");
    return STATUS_INTERNAL;
}

static int find_self(struct policy_user *ret)
{
    int n = getgroups(0, NULL);

    *ret = (struct policy_user){.uid = getuid(), .gid = getgid()};
    ret->groups = calloc((size_t)MAX_OF(n, 1), sizeof(*ret->groups));
    if (!ret->groups)
        return out_of_memory();
    n = getgroups(n, ret->groups);
    ret->n_groups = (size_t)MAX_OF(n, 0);
    return STATUS_OK;
}

/* getgrouplist(3) tells how many there are where the array is too small. */
static int find_groups(const char *name, struct policy_user *user)
{
    for (int room = 32, n = room;; room = n) {
        gid_t *grown = reallocarray(user->groups, (size_t)room, sizeof(*grown));
        if (!grown)
            return out_of_memory();
        user->groups = grown;
        if (getgrouplist(name, (gid_t)user->gid, grown, &n) >= 0) {
            user->n_groups = (size_t)n;
            return STATUS_OK;
        }
        if (n <= room) {
            say("cannot find the groups of %s", name);
            return STATUS_INTERNAL;
        }
    }
}

int policy_user_find(const char *name, struct policy_user *ret)
{
    struct policy_user user = {};
    char account[256];

    if (!name)
        return find_self(ret);
    int r = owner_find(name, &user.uid, &user.gid);
    if (r < 0) {
        say("there is no user '%s'%s%s", name, r == -ENOENT ? "" : ": ",
            r == -ENOENT ? "" : strerror(-r));
        say_hint("give the name or the number of a user of this host");
        return STATUS_USAGE;
    }
    owner_format(user.uid, account, sizeof(account));
    int status = find_groups(account, &user);
    if (status != STATUS_OK) {
        policy_user_deinit(&user);
        return status;
    }
    *ret = user;
    return STATUS_OK;
}

void policy_user_deinit(struct policy_user *user)
{
    free(user->groups);
    *user = (struct policy_user){};
}
