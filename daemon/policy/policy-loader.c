/* The thread that loads the site policy. It shares nothing with the event loop but its job, which
 * is the thread's until `done` is set, and then the loop's, which an eventfd(2) wakes. */
#include "policy/policy-loader.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

struct job {
    pthread_t thread;
    atomic_bool done;
    int wake; /* eventfd */
    struct policy_loaded loaded;
    char path[];
};

struct policy_loader {
    sd_event *event;
    const char *path;
    void (*done)(void *user, struct policy_loaded *loaded);
    void *user;
    struct job *job; /* NULL: none under way */
    sd_event_source *source;
};

static void *run(void *user)
{
    struct job *job = user;
    int wake = job->wake;

    policy_load(job->path, &job->loaded);
    atomic_store(&job->done, true);
    (void)eventfd_write(wake, 1);
    return NULL;
}

static struct job *job_free(struct job *job)
{
    if (!job)
        return NULL;
    policy_loaded_deinit(&job->loaded);
    fd_close(job->wake);
    free(job);
    return NULL;
}
DEFINE_CLEANUP(struct job, job_free);

static int on_wake(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct policy_loader *loader = user;
    CLEANUP(job_freep) struct job *job = NULL;

    if (!atomic_load(&loader->job->done))
        return 0;
    job = TAKE_PTR(loader->job);
    loader->source = sd_event_source_disable_unref(loader->source);
    (void)pthread_join(job->thread, NULL);
    loader->done(loader->user, &job->loaded); /* it may start the next */
    return 0;
}

int policy_loader_new(sd_event *event, const char *path,
                      void (*done)(void *user, struct policy_loaded *loaded), void *user,
                      struct policy_loader **ret)
{
    struct policy_loader *loader = malloc(sizeof(*loader));

    if (!loader)
        return -ENOMEM;
    *loader = (struct policy_loader){
        .event = sd_event_ref(event), .path = path, .done = done, .user = user};
    *ret = loader;
    return 0;
}

struct policy_loader *policy_loader_free(struct policy_loader *loader)
{
    if (!loader)
        return NULL;
    loader->source = sd_event_source_disable_unref(loader->source);
    if (loader->job && atomic_load(&loader->job->done)) {
        (void)pthread_join(loader->job->thread, NULL);
        job_free(loader->job);
    } /* else its thread still uses it */
    sd_event_unref(loader->event);
    free(loader);
    return NULL;
}

int policy_loader_start(struct policy_loader *loader)
{
    size_t size = strlen(loader->path) + 1;
    CLEANUP(job_freep) struct job *job = malloc(sizeof(*job) + size);
    int r;

    if (!job)
        return -ENOMEM;
    *job = (struct job){.wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
    memcpy(job->path, loader->path, size);
    if (job->wake < 0)
        return negative_errno();
    r = sd_event_add_io(loader->event, &loader->source, job->wake, EPOLLIN, on_wake, loader);
    if (r < 0)
        return r;
    r = -pthread_create(&job->thread, NULL, run, job);
    if (r < 0) {
        loader->source = sd_event_source_disable_unref(loader->source);
        return r;
    }
    loader->job = TAKE_PTR(job);
    return 0;
}

bool policy_loader_is_busy(const struct policy_loader *loader)
{
    return loader->job != NULL;
}
