/* The mounts of a card, out of a Spawn; the contract stands in the header. */
#include "server/spawn-mounts.h"

#include <fcntl.h>
#include <stdio.h>

/* One descriptor for each, unless root leaves out all of them. */
static int check_count(const json_t *fds, const struct card *card, struct agent_problem *problem)
{
    if (!fds || json_array_size(fds) == card->n_mounts)
        return 0;
    return agent_problem_set(problem, FAILURE_PERMITTED, -EINVAL, "mount_fds",
                             "%zu descriptors for %zu mounts of the card; each must have one",
                             json_array_size(fds), card->n_mounts);
}

/* In what the agent only reads it is of the caller's own group: for root, who has none to lend, and
 * for a caller whose group is root's, of the group that it is of in the workspace. */
static gid_t reading_group(const struct peer *peer, const struct workspace *workspace)
{
    return peer->uid == 0 || peer->gid == 0 ? workspace->group : peer->gid;
}

static int take(const struct card_mount *mount, int fd, const struct workspace *workspace,
                struct workspace_request request, struct workspace *ret, char **ret_why)
{
    const struct policy_rule *policy = request.rule.policy;

    if (!mount->readonly) {
        request.rule.roots = &policy->writable_mount_roots;
        request.rule.roots_name = "writable_mount_roots";
        int r = workspace_take(fd, &request, ret, ret_why);
        if (r >= 0)
            ret->view = fd_close(ret->view); /* only the workspace is looked through */
        return r;
    }
    request.rule.roots = &policy->mount_roots;
    request.rule.roots_name = "mount_roots";
    return workspace_take_readonly(fd, &request, workspace->owner,
                                   reading_group(request.peer, workspace), ret, ret_why);
}

static int take_one(struct call *call, const json_t *fds, const struct card *card, size_t i,
                    const struct workspace *workspace, const struct workspace_request *request,
                    struct workspace *ret, struct agent_problem *problem)
{
    const json_int_t index = fds ? json_integer_value(json_array_get(fds, i)) : -1;
    AUTO_FD int opened = -EBADF;
    AUTO_FREE char *why = NULL;
    char what[64];
    int fd;

    (void)snprintf(what, sizeof(what), "$.mounts[%zu].source", i);
    int r = method_get_descriptor(call, index, card->mounts[i].source, O_RDONLY | O_DIRECTORY, what,
                                  &fd, &opened, problem);
    if (r < 0)
        return r;
    r = take(&card->mounts[i], fd, workspace, *request, ret, &why);
    if (why)
        (void)agent_problem_set(problem, FAILURE_PERMITTED, r, what, "%s", why);
    else if (r < 0)
        (void)agent_problem_set(problem, FAILURE_SPAWN, r, what, "%s", strerror(-r));
    return r;
}

int spawn_mounts_take(struct call *call, const json_t *fds, const struct card *card,
                      const struct workspace *workspace, const struct workspace_request *request,
                      struct workspace **ret, struct agent_problem *problem)
{
    int r = check_count(fds, card, problem);

    if (r < 0 || card->n_mounts == 0)
        return r;
    struct workspace *mounts = calloc(card->n_mounts, sizeof(*mounts));
    if (!mounts)
        return -ENOMEM;
    for (size_t i = 0; i < card->n_mounts; i++)
        mounts[i] = WORKSPACE_INIT;
    for (size_t i = 0; r >= 0 && i < card->n_mounts; i++)
        r = take_one(call, fds, card, i, workspace, request, &mounts[i], problem);
    if (r < 0) {
        workspaces_free(mounts, card->n_mounts);
        return r;
    }
    *ret = mounts;
    return 0;
}
