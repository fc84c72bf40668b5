/* cagedd: options, signals, the socket, the event loop. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <systemd/sd-event.h>

#include "config.h"
#include "leave.h"
#include "log.h"
#include "manager.h"
#include "process/start-channel.h"
#include "server/server.h"
#include "util.h"

#define EXIT_USAGE 64

static const char help[] =
    "Usage: cagedd [OPTION...]\n"
    "The daemon that builds cages for AI coding agents; see cagedd(8).\n"
    "\n"
    "  --socket PATH       where to listen (default /run/caged/caged.sock), unless systemd\n"
    "                      passes the socket\n"
    "  --group NAME        whose members may use the daemon (default caged)\n"
    "  --cgroup NAME       folder of our own at the top of each cgroup hierarchy, where systemd\n"
    "                      delegates none (default caged)\n"
    "  --policy FILE       the site policy (default " CAGED_CONFIG_DIR "/policy.json)\n"
    "  --data-dir DIR      presets and seccomp profiles (default " CAGED_DATA_DIR ")\n"
    "  --libexec-dir DIR   caged-init and caged-gate (default " CAGED_LIBEXEC_DIR ")\n"
    "  --help, --version\n";

struct options {
    const char *socket;
    struct manager_options manager;
};

/* 1 to go on, 0 if all is said, -EINVAL after a message. */
static int parse_options(int argc, char **argv, struct options *ret)
{
    static const struct option table[] = {
        {"socket", required_argument, NULL, 's'},
        {"group", required_argument, NULL, 'g'},
        {"cgroup", required_argument, NULL, 'c'},
        {"data-dir", required_argument, NULL, 'd'},
        {"libexec-dir", required_argument, NULL, 'l'},
        {"help", no_argument, NULL, 'h'},
        {"version", no_argument, NULL, 'v'},
        {"policy", required_argument, NULL, 'p'},
        {},
    };
    struct options options = {
        .socket = "/run/caged/caged.sock",
        .manager = {.data_dir = CAGED_DATA_DIR,
                    .libexec_dir = CAGED_LIBEXEC_DIR,
                    .cgroup_name = "caged",
                    .group_name = "caged",
                    .policy = CAGED_CONFIG_DIR "/policy.json"},
    };
    int option;

    while ((option = getopt_long(argc, argv, "h", table, NULL)) >= 0) {
        switch (option) {
        case 's':
            options.socket = optarg;
            break;
        case 'g':
            options.manager.group_name = optarg;
            break;
        case 'c':
            options.manager.cgroup_name = optarg;
            break;
        case 'd':
            options.manager.data_dir = optarg;
            break;
        case 'l':
            options.manager.libexec_dir = optarg;
            break;
        case 'p':
            options.manager.policy = optarg;
            break;
        case 'h':
            (void)fputs(help, stdout);
            return 0;
        case 'v':
            (void)puts("cagedd " CAGED_VERSION);
            return 0;
        default:
            (void)fputs("cagedd: try 'cagedd --help'\n", stderr);
            return -EINVAL;
        }
    }
    if (optind < argc) {
        (void)fprintf(stderr, "cagedd: unexpected argument '%s'; try 'cagedd --help'\n",
                      argv[optind]);
        return -EINVAL;
    }
    options.manager.socket = options.socket;
    if (strchr(options.manager.cgroup_name, '/') ||
        !has_prefix(options.manager.cgroup_name, "caged")) {
        (void)fprintf(stderr,
                      "cagedd: --cgroup '%s': the name must begin with 'caged' and have no slash\n",
                      options.manager.cgroup_name);
        return -EINVAL;
    }
    *ret = options;
    return 1;
}

/* Each agent needs about 15 descriptors. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int on_end_signal(sd_event_source *source, const struct signalfd_siginfo *info, void *user)
{
    static bool asked_before;

    if (asked_before)
        return sd_event_exit(sd_event_source_get_event(source), 1);
    asked_before = true;
    log_info("%s: stopping all agents", info->ssi_signo == SIGTERM ? "SIGTERM" : "SIGINT");
    (void)sd_notify(0, "STOPPING=1");
    manager_shutdown(user);
    return 0;
}

/* First of all: a signal that comes while we set up waits until it is watched. */
static int block_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)sigaddset(&set, SIGUSR1);
    (void)signal(SIGPIPE, SIG_IGN);
    return sigprocmask(SIG_BLOCK, &set, NULL) < 0 ? negative_errno() : 0;
}

static int watch_signals(sd_event *event, struct manager *manager)
{
    int r = sd_event_add_signal(event, NULL, SIGTERM, on_end_signal, manager);

    if (r >= 0)
        r = sd_event_add_signal(event, NULL, SIGINT, on_end_signal, manager);
    return r;
}

/* The socket that systemd passes (sd_listen_fds(3)), or our own, which goes with us. */
static int get_listener(const struct manager *manager, const char *path, bool *ret_own)
{
    int n = sd_listen_fds(1);

    if (n < 0)
        return n;
    if (n > 1) {
        log_error("systemd passed %d sockets, expected one", n);
        return -EINVAL;
    }
    if (n == 1) {
        if (sd_is_socket_unix(SD_LISTEN_FDS_START, SOCK_STREAM, 1, NULL, 0) <= 0) {
            log_error("what systemd passed is not a listening Unix stream socket");
            return -EINVAL;
        }
        return SD_LISTEN_FDS_START;
    }
    int fd = server_bind(manager, path);
    if (fd < 0)
        log_error("cannot listen at %s: %s", path,
                  fd == -EADDRINUSE ? "another cagedd does" : strerror(-fd));
    *ret_own = fd >= 0;
    return fd;
}

static int on_log(sd_event_source *source, int fd, uint32_t events, void *user)
{
    log_dispatch();
    return 0;
}

static int run(const struct options *options)
{
    CLEANUP(sd_event_unrefp) sd_event *event = NULL;
    CLEANUP(manager_freep) struct manager *manager = NULL;
    CLEANUP(server_freep) struct server *server = NULL;
    CLEANUP(leave_freep) struct leave *leave = NULL;
    bool own_socket = false;
    int r = block_signals();

    if (r >= 0)
        r = sd_event_new(&event);
    if (r < 0)
        return r;
    r = sd_event_add_io(event, NULL, log_fd(), EPOLLIN, on_log, NULL);
    if (r < 0)
        return r;
    r = manager_new(event, &options->manager, &manager);
    if (r < 0)
        return r;
    r = watch_signals(event, manager);
    if (r < 0)
        return r;
    int listener = get_listener(manager, options->socket, &own_socket);
    if (listener < 0)
        return listener;
    r = server_new(manager, listener, &server);
    if (r >= 0)
        r = leave_new(manager, server, own_socket ? options->socket : NULL, &leave);
    if (r < 0)
        return r;
    (void)sd_event_set_watchdog(event, true);
    (void)sd_notify(0, "READY=1");
    log_info("cagedd " CAGED_VERSION " is ready");
    r = sd_event_loop(event);
    if (own_socket && r != EXIT_ANEW) /* there it is gone, and may be another's by now */
        (void)unlink(options->socket);
    return r;
}

int main(int argc, char **argv)
{
    struct options options;
    int r = parse_options(argc, argv, &options);

    if (r <= 0)
        return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;
    (void)umask(0022);
    if (geteuid() != 0) {
        log_error("cagedd builds namespaces and cgroups: it must run as root");
        return EXIT_FAILURE;
    }
    raise_descriptor_limit();
    r = start_channels_reserve();
    if (r >= 0)
        r = log_open();
    if (r >= 0)
        r = run(&options);
    if (r < 0)
        log_error("cagedd failed: %s", strerror(-r));
    log_close();
    return r < 0 ? EXIT_FAILURE : r;
}
