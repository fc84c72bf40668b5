/* caged-gate: the only way out of one agent's cage. Started by cagedd, as root, with the
 * descriptors of common/gate-proto.h; it reads what it needs from the machine's files, gives up
 * everything (confine.c), says READY, and from then on works on sockets alone. It prints nothing:
 * what it has to say goes to cagedd. */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "caged-limits.h"
#include "confine.h"
#include "event-loop.h"
#include "fd-io.h"
#include "gate-config.h"
#include "gate-proto.h"
#include "gate.h"
#include "own-addresses.h"
#include "pipe-pool.h"
#include "resolver.h"
#include "tcp-tune.h"

/* What went wrong, for cagedd's log. */
struct failure {
    char text[256];
};

static int fail(struct failure *failure, const char *step, int r)
{
    (void)snprintf(failure->text, sizeof(failure->text), "%s: %s", step, strerror(-r));
    return r;
}

static int read_config(struct gate_config **ret, struct failure *failure)
{
    const void *data;
    size_t size;
    const char *why = NULL;

    int r = memfd_map_sealed(GATE_FD_CONFIG, SPEC_SIZE_MAX, &data, &size);
    if (r < 0)
        return fail(failure, "mapping the sealed configuration", r);
    r = gate_config_parse(data, size, ret, &why);
    (void)munmap((void *)data, size);
    (void)close(GATE_FD_CONFIG);
    if (r < 0 && why) {
        (void)snprintf(failure->text, sizeof(failure->text), "reading the configuration: %s", why);
        return r;
    }
    return r < 0 ? fail(failure, "reading the configuration", r) : 0;
}

/* How many descriptors are inherited, the standard streams among them. */
static unsigned inherited_end(const struct gate_config *config)
{
    return GATE_FD_FORWARD + (unsigned)config->n_forwards + (config->transparent ? 2 : 0);
}

static int check_names_socket(int fd, struct failure *failure)
{
    int type = 0;
    socklen_t size = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
        return fail(failure, "looking at the inherited socket for names", negative_errno());
    if (type != SOCK_DGRAM)
        return fail(failure, "looking at the inherited socket for names", -EINVAL);
    return 0;
}

/* The listeners must be there, listen and not block; nothing else may be inherited. */
static int check_descriptors(const struct gate_config *config, struct failure *failure)
{
    unsigned end = inherited_end(config);
    int listeners_end = (int)end - (config->transparent ? 1 : 0);

    for (int fd = GATE_FD_LISTENER; fd < listeners_end; fd++) {
        int listening = 0;
        socklen_t size = sizeof(listening);
        if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) < 0)
            return fail(failure, "looking at an inherited listener", negative_errno());
        if (!listening)
            return fail(failure, "looking at an inherited listener", -EINVAL);
        int flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
            return fail(failure, "making a listener non-blocking", negative_errno());
        tcp_tune(fd);
    }
    if (config->transparent) {
        int r = check_names_socket(listeners_end, failure);
        if (r < 0)
            return r;
    }
    if (close_range(end, ~0U, 0) < 0)
        return fail(failure, "closing what should not be inherited", negative_errno());
    return 0;
}

/* Nothing of cagedd's: its handlers are gone by the exec, its mask and what it ignores are not. A
 * peer that vanished is an error code, also where c-ares writes without MSG_NOSIGNAL. */
static int reset_signals(struct failure *failure)
{
    sigset_t none;
    (void)sigemptyset(&none);
    if (sigprocmask(SIG_SETMASK, &none, NULL) < 0 || signal(SIGTERM, SIG_DFL) == SIG_ERR ||
        signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return fail(failure, "setting up signals", negative_errno());
    return 0;
}

static int enter_cage(const struct gate_config *config, struct failure *failure)
{
    const char *step;
    int r = confine_enter(config->uid, inherited_end(config), &step);
    return r < 0 ? fail(failure, step, r) : 0;
}

/* Everything up to READY. */
static int start(struct gate *gate, struct gate_config **config, struct event_loop *loop,
                 struct resolver **resolver, struct failure *failure)
{
    int r = reset_signals(failure);
    if (r < 0)
        return r;
    r = read_config(config, failure);
    if (r < 0)
        return r;
    r = check_descriptors(*config, failure);
    if (r < 0)
        return r;
    /* One timer for each connection and each lookup, one each for the resolver and the listeners,
     * two for records. */
    r = event_loop_init(loop, GATE_CONNECTIONS_MAX + GATE_REFUSING_MAX + GATE_LOOKUPS_MAX + 4);
    if (r < 0)
        return fail(failure, "making the event loop", r);
    r = resolver_new(loop, resolver);
    if (r < 0)
        return fail(failure, "starting the resolver (/etc/hosts, /etc/resolv.conf)", r);
    r = own_addresses_read(&(*config)->own);
    if (r < 0)
        return fail(failure, "reading this host's addresses", r);
    r = enter_cage(*config, failure);
    if (r < 0)
        return r;
    r = gate_init(gate, *config, loop, *resolver);
    if (r < 0)
        return fail(failure, "watching the listeners", r);
    *config = NULL; /* the gate's now */
    r = recorder_send_ready(&gate->recorder);
    return r < 0 ? fail(failure, "reporting to cagedd", r) : 0;
}

int main(void)
{
    CLEANUP(gate_config_freep) struct gate_config *config = NULL;
    CLEANUP(resolver_freep) struct resolver *resolver = NULL;
    struct event_loop loop;
    struct failure failure;
    struct gate gate;

    if (start(&gate, &config, &loop, &resolver, &failure) < 0) {
        recorder_send_failed(GATE_FD_CONTROL, failure.text);
        exit(EXIT_FAILURE);
    }
    int r = event_loop_run(&loop);
    gate_deinit(&gate);
    pipe_pool_deinit();
    resolver = resolver_free(resolver);
    event_loop_deinit(&loop);
    return r < 0 ? EXIT_FAILURE : loop.exit_status;
}
