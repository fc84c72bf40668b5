/* Agents that did not come to be. */
#include "agent/condemned.h"

#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>

#include "agent/agent.h"
#include "manager.h"
#include "process/process.h"

#define PATIENCE_MSEC 10 /* a process that was killed mostly ends within one */

static void finish(struct agent *agent)
{
    agent->init_gone = true;
    (void)agent_free(agent);
}

static int on_exit_of_init(sd_event_source *source, int fd, uint32_t events, void *user)
{
    struct agent *agent = user;
    int status;

    if (process_reap(agent->init_pidfd, &status) != 1)
        return 0;
    TAILQ_REMOVE(&agent->manager->condemned, agent, entry);
    finish(agent);
    return 0;
}

/* What it may have been given to be supervised by. */
static void forget_supervision(struct agent *agent)
{
    agent->control_source = sd_event_source_disable_unref(agent->control_source);
    agent->init_source = sd_event_source_disable_unref(agent->init_source);
    agent->spawn_source = sd_event_source_disable_unref(agent->spawn_source);
    agent->gate = gate_supervisor_free(agent->gate);
    for (size_t i = 0; i < ARRAY_SIZE(agent->outputs); i++)
        output_deinit(&agent->outputs[i]);
    agent->rule = NULL;
}

static bool ends_soon(int pidfd)
{
    struct pollfd gone = {.fd = pidfd, .events = POLLIN};

    (void)process_signal(pidfd, SIGKILL);
    return poll(&gone, 1, PATIENCE_MSEC) == 1;
}

void condemned_end(struct agent *agent)
{
    if (!agent)
        return;
    if (agent->init_gone) {
        (void)agent_free(agent);
        return;
    }
    forget_supervision(agent);
    if (ends_soon(agent->init_pidfd) ||
        sd_event_add_io(agent->manager->event, &agent->init_source, agent->init_pidfd, EPOLLIN,
                        on_exit_of_init, agent) < 0) {
        process_end(agent->init_pidfd);
        finish(agent);
        return;
    }
    TAILQ_INSERT_TAIL(&agent->manager->condemned, agent, entry);
}

bool condemned_has(const struct manager *manager, uid_t owner, const char *agent_id)
{
    const struct agent *agent;

    TAILQ_FOREACH (agent, &manager->condemned, entry)
        if (agent->owner == owner && streq(agent->card->agent_id, agent_id))
            return true;
    return false;
}

size_t condemned_count(const struct manager *manager, const uid_t *owner)
{
    const struct agent *agent;
    size_t n = 0;

    TAILQ_FOREACH (agent, &manager->condemned, entry)
        n += !owner || agent->owner == *owner;
    return n;
}

void condemned_end_all(struct manager *manager)
{
    struct agent *agent;

    while ((agent = TAILQ_FIRST(&manager->condemned))) {
        TAILQ_REMOVE(&manager->condemned, agent, entry);
        process_end(agent->init_pidfd);
        finish(agent);
    }
}
