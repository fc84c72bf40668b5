/* Network namespaces; the contract stands in the header. */
#include "netns.h"

#include <fcntl.h>
#include <sched.h>

#include "why.h"

struct netns_stock {
    int home; /* the daemon's own */
    int empty;
};

void netns_step_home(int home)
{
    if (setns(home, CLONE_NEWNET) < 0)
        abort();
}

int netns_new(int home)
{
    if (unshare(CLONE_NEWNET) < 0)
        return negative_errno();
    int fd = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
    int r = fd < 0 ? negative_errno() : fd;
    netns_step_home(home);
    return r;
}

int netns_stock_new(struct netns_stock **ret, char **ret_why)
{
    CLEANUP(netns_stock_freep) struct netns_stock *stock = malloc(sizeof(*stock));

    if (!stock)
        return -ENOMEM;
    *stock = (struct netns_stock){.empty = -EBADF};
    stock->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (stock->home < 0)
        return negative_errno();
    stock->empty = netns_new(stock->home);
    if (stock->empty < 0)
        return why_set(ret_why, stock->empty, "no new network namespace can be made: %s",
                       strerror(-stock->empty));
    *ret = TAKE_PTR(stock);
    return 0;
}

struct netns_stock *netns_stock_free(struct netns_stock *stock)
{
    if (!stock)
        return NULL;
    fd_close(stock->empty);
    fd_close(stock->home);
    free(stock);
    return NULL;
}

int netns_stock_empty(const struct netns_stock *stock)
{
    return stock->empty;
}
