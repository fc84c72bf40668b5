/* Network namespaces; the contract stands in the header. */
#include "network/netns.h"

#include <fcntl.h>
#include <sched.h>

#include "why.h"

#define REFILL_USEC 2000 /* so that whoever was just answered comes first */
#define RETRY_USEC (1000 * 1000)

struct netns_stock {
    int home; /* the daemon's own */
    int empty;
    int spare; /* for the next cage; negative: not made yet */
    sd_event_source *refill;
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

static void refill_in(struct netns_stock *stock, uint64_t usec)
{
    if (stock->spare < 0 && sd_event_source_set_time_relative(stock->refill, usec) >= 0)
        (void)sd_event_source_set_enabled(stock->refill, SD_EVENT_ONESHOT);
}

/* Where it fails, the next cage's attempt does too, and tells. */
static int on_time(sd_event_source *source, uint64_t usec, void *user)
{
    struct netns_stock *stock = user;

    if (stock->spare < 0)
        stock->spare = netns_new(stock->home);
    refill_in(stock, RETRY_USEC);
    return 0;
}

static int add_refill(sd_event *event, struct netns_stock *stock)
{
    int r = sd_event_add_time(event, &stock->refill, CLOCK_MONOTONIC, 0, 1, on_time, stock);

    if (r >= 0)
        r = sd_event_source_set_priority(stock->refill, SD_EVENT_PRIORITY_IDLE);
    return r < 0 ? r : sd_event_source_set_enabled(stock->refill, SD_EVENT_OFF);
}

int netns_stock_new(sd_event *event, struct netns_stock **ret, char **ret_why)
{
    CLEANUP(netns_stock_freep) struct netns_stock *stock = malloc(sizeof(*stock));

    if (!stock)
        return -ENOMEM;
    *stock = (struct netns_stock){.empty = -EBADF, .spare = -EBADF};
    stock->home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (stock->home < 0)
        return negative_errno();
    stock->empty = netns_new(stock->home);
    if (stock->empty < 0)
        return why_set(ret_why, stock->empty, "no new network namespace can be made: %s",
                       strerror(-stock->empty));
    int r = add_refill(event, stock);
    if (r < 0)
        return r;
    (void)on_time(stock->refill, 0, stock);
    *ret = TAKE_PTR(stock);
    return 0;
}

struct netns_stock *netns_stock_free(struct netns_stock *stock)
{
    if (!stock)
        return NULL;
    sd_event_source_disable_unref(stock->refill);
    fd_close(stock->spare);
    fd_close(stock->empty);
    fd_close(stock->home);
    free(stock);
    return NULL;
}

int netns_stock_empty(const struct netns_stock *stock)
{
    return stock->empty;
}

int netns_stock_take(struct netns_stock *stock)
{
    return stock->spare >= 0 ? TAKE_FD(stock->spare) : netns_new(stock->home);
}

void netns_stock_refill(struct netns_stock *stock)
{
    refill_in(stock, REFILL_USEC);
}
