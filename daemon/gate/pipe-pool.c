/* See pipe-pool.h. */
#include "pipe-pool.h"

#include <fcntl.h>

#include "caged-limits.h"
#include "util.h"

#define KEPT_MAX 4 /* for the next that wants one */

static int kept[KEPT_MAX][2];
static unsigned n_kept, n_used;

int pipe_pool_take(int ret[2])
{
    int pipe[2];

    if (n_kept > 0) {
        memcpy(ret, kept[--n_kept], sizeof(kept[0]));
        n_used++;
        return 0;
    }
    if (n_used == GATE_PIPES_MAX)
        return -EAGAIN;
    if (pipe2(pipe, O_NONBLOCK | O_CLOEXEC) < 0)
        return negative_errno();
    /* It works at any size: beyond what a user may have of them (pipe(7), pipe-user-pages-soft) it
     * stays small, and slower. */
    (void)fcntl(pipe[1], F_SETPIPE_SZ, GATE_PIPE_SIZE);
    memcpy(ret, pipe, sizeof(pipe));
    n_used++;
    return 0;
}

void pipe_pool_give(int pipe[2], bool empty)
{
    if (empty && n_kept < KEPT_MAX) {
        memcpy(kept[n_kept++], pipe, sizeof(kept[0]));
    } else {
        fd_close(pipe[0]);
        fd_close(pipe[1]);
    }
    pipe[0] = pipe[1] = -EBADF;
    n_used--;
}

void pipe_pool_deinit(void)
{
    while (n_kept > 0) {
        n_kept--;
        fd_close(kept[n_kept][0]);
        fd_close(kept[n_kept][1]);
    }
}
