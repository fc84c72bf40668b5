/* Closing what users sent. */
#include "server/closer.h"

#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/queue.h>

#include "caged-limits.h"

#define LOOK_USEC (500 * 1000) /* how often we see to those that hang */
#define STACK_SIZE (64 * 1024)

struct job {
    LIST_ENTRY(job) entry;
    const struct closer *closer;
    uid_t uid;
    bool started; /* its thread; there was none to be had until then */
    pthread_t thread;
    atomic_bool done; /* then it says so and ends */
    size_t n_fds;
    int fds[];
};

struct closer {
    sd_event *event;
    sd_event_source *timer; /* enabled while there are jobs */
    sd_event_source *done_source;
    int done_fd; /* eventfd(2): a job is done */
    struct watch_list watches;
    pthread_attr_t attributes;
    LIST_HEAD(, job) jobs;
};

/* What is left to the end of the process: it can still be reached. */
static struct closer *volatile hanging;

static void *run(void *user)
{
    struct job *job = user;
    const uint64_t one = 1;
    int done_fd = job->closer->done_fd;

    for (size_t i = 0; i < job->n_fds; i++)
        fd_close(job->fds[i]);
    atomic_store(&job->done, true);           /* and the job may be gone, once this thread is */
    (void)!write(done_fd, &one, sizeof(one)); /* fails only if it is readable already */
    return NULL;
}

static void forget_done(struct closer *closer)
{
    struct job *job, *next;

    for (job = LIST_FIRST(&closer->jobs); job; job = next) {
        next = LIST_NEXT(job, entry);
        if (!atomic_load(&job->done))
            continue;
        (void)pthread_join(job->thread, NULL);
        LIST_REMOVE(job, entry);
        free(job);
    }
}

static int on_done(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct closer *closer = user;
    uint64_t count;

    (void)!read(fd, &count, sizeof(count));
    forget_done(closer);
    watch_list_wake(&closer->watches);
    return 0;
}

static bool start(struct closer *closer, struct job *job)
{
    job->started = pthread_create(&job->thread, &closer->attributes, run, job) == 0;
    return job->started;
}

/* A socket that lingers lets itself be interrupted. A FUSE does not: it has to answer, or to end.
 */
static int on_timer(sd_event_source *source, uint64_t usec, void *user)
{
    struct closer *closer = user;
    struct job *job;

    forget_done(closer);
    LIST_FOREACH (job, &closer->jobs, entry)
        if (job->started || start(closer, job))
            (void)pthread_kill(job->thread, SIGUSR1);
    if (LIST_EMPTY(&closer->jobs))
        return 0;
    int r = sd_event_source_set_time_relative(source, LOOK_USEC);
    return r < 0 ? r : sd_event_source_set_enabled(source, SD_EVENT_ONESHOT);
}

static void do_nothing(int signal)
{
}

int closer_new(sd_event *event, struct closer **ret)
{
    const struct sigaction interrupt = {.sa_handler = do_nothing}; /* without SA_RESTART */
    CLEANUP(closer_freep) struct closer *closer = malloc(sizeof(*closer));
    int r;

    if (!closer)
        return -ENOMEM;
    *closer = (struct closer){.event = sd_event_ref(event),
                              .done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    if (closer->done_fd < 0)
        return negative_errno();
    r = -pthread_attr_init(&closer->attributes);
    if (r == 0)
        r = -pthread_attr_setstacksize(&closer->attributes,
                                       MAX_OF((size_t)PTHREAD_STACK_MIN, (size_t)STACK_SIZE));
    if (r == 0 && sigaction(SIGUSR1, &interrupt, NULL) < 0)
        r = negative_errno();
    if (r == 0)
        r = sd_event_add_time_relative(event, &closer->timer, CLOCK_MONOTONIC, LOOK_USEC, 0,
                                       on_timer, closer);
    if (r >= 0)
        r = sd_event_add_io(event, &closer->done_source, closer->done_fd, EPOLLIN, on_done, closer);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(closer);
    return 0;
}

struct closer *closer_free(struct closer *closer)
{
    if (!closer)
        return NULL;
    forget_done(closer);
    sd_event_source_disable_unref(closer->timer);
    sd_event_source_disable_unref(closer->done_source);
    sd_event_unref(closer->event);
    if (!LIST_EMPTY(&closer->jobs)) {
        hanging = closer; /* their threads still use it */
        return NULL;
    }
    (void)pthread_attr_destroy(&closer->attributes);
    fd_close(closer->done_fd);
    free(closer);
    return NULL;
}

/* On a host that has no thread left it waits for one, with the timer, and counts for its user:
 * users' own processes can take all that there are. */
static void add(struct closer *closer, struct job *job)
{
    (void)start(closer, job);
    if (LIST_EMPTY(&closer->jobs)) {
        (void)sd_event_source_set_time_relative(closer->timer, LOOK_USEC);
        (void)sd_event_source_set_enabled(closer->timer, SD_EVENT_ONESHOT);
    }
    LIST_INSERT_HEAD(&closer->jobs, job, entry);
}

void closer_close(struct closer *closer, uid_t uid, const int *fds, size_t n)
{
    struct job *job;

    if (n == 0)
        return;
    forget_done(closer);
    job = malloc(sizeof(*job) + n * sizeof(job->fds[0]));
    if (job) {
        *job = (struct job){.closer = closer, .uid = uid, .n_fds = n};
        memcpy(job->fds, fds, n * sizeof(fds[0]));
        add(closer, job);
        return;
    }
    /* Without memory to wait is better than to keep what nobody will close. */
    for (size_t i = 0; i < n; i++)
        fd_close(fds[i]);
}

bool closer_is_full(struct closer *closer, uid_t uid)
{
    const struct job *job;
    size_t n = 0;

    if (LIST_EMPTY(&closer->jobs))
        return false;
    forget_done(closer);
    LIST_FOREACH (job, &closer->jobs, entry)
        n += job->uid == uid;
    return n >= CLOSES_PER_UID_MAX;
}

struct watch_list *closer_watches(struct closer *closer)
{
    return &closer->watches;
}
