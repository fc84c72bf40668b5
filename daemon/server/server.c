/* The listening socket and the connections. */
#include "server/server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "log.h"
#include "server/connection.h"

#define RETRY_USEC (200 * 1000)
#define ACCEPTS_AT_ONCE 64 /* so that a flood of clients does not keep others waiting long */

struct server {
    struct manager *manager;
    int listener;
    sd_event_source *source, *retry_source;
    LIST_HEAD(, connection) connections;
    struct client_loads loads;
    struct turns turns;
};

void server_remember(struct server *server, struct connection *connection)
{
    LIST_INSERT_HEAD(&server->connections, connection, entry);
}

void server_forget(struct server *server, struct connection *connection)
{
    LIST_REMOVE(connection, entry);
}

struct client_loads *server_loads(struct server *server)
{
    return &server->loads;
}

struct turns *server_turns(struct server *server)
{
    return &server->turns;
}

/* A connection too many learns why, if it looks before it writes. */
static void turn_away(struct connection *c, struct load_limit limit)
{
    connection_busy(c, limit);
    connection_free(c);
}

static int on_retry(sd_event_source *source, uint64_t usec, void *user)
{
    struct server *server = user;

    return sd_event_source_set_enabled(server->source, SD_EVENT_ON);
}

/* One connection. 1 if there may be more to take, 0 if not now, or -errno. */
static int take_connection(struct server *server)
{
    struct connection *c;
    int client = accept4(server->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (client < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS)) {
        log_warning("no connection can be taken now: %s", strerror(errno));
        (void)sd_event_source_set_enabled(server->source, SD_EVENT_OFF);
        server->retry_source = sd_event_source_disable_unref(server->retry_source);
        return sd_event_add_time_relative(server->manager->event, &server->retry_source,
                                          CLOCK_MONOTONIC, RETRY_USEC, 0, on_retry, server);
    }
    if (client < 0)
        return errno == ECONNABORTED; /* the client has gone already */
    int r = connection_new(server, server->manager, client, &c);
    if (r < 0)
        log_warning("a connection cannot be taken: %s", strerror(-r));
    else if (client_load_find_excess(&c->load).limit)
        turn_away(c, client_load_find_excess(&c->load));
    return 1;
}

static int on_connection(sd_event_source *source, int fd, uint32_t events, void *user)
{
    int r = 1;

    for (size_t i = 0; r > 0 && i < ACCEPTS_AT_ONCE; i++)
        r = take_connection(user);
    return r < 0 ? r : 0;
}

int server_new(struct manager *manager, int listener, struct server **ret)
{
    CLEANUP(server_freep) struct server *server = malloc(sizeof(*server));
    const int on = 1;
    int r;

    if (!server) {
        fd_close(listener);
        return -ENOMEM;
    }
    *server = (struct server){.manager = manager, .listener = listener};
    turns_init(&server->turns, manager->event, connection_take_turn);
    if (fcntl(listener, F_SETFL, O_NONBLOCK) < 0)
        return negative_errno();
    /* Connections inherit it, so that nothing comes by them without its sender (unix(7)). */
    if (setsockopt(listener, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
        return negative_errno();
    r = sd_event_add_io(manager->event, &server->source, listener, EPOLLIN, on_connection, server);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(server);
    return 0;
}

struct server *server_free(struct server *server)
{
    if (!server)
        return NULL;
    while (!LIST_EMPTY(&server->connections))
        connection_free(LIST_FIRST(&server->connections));
    turns_deinit(&server->turns);
    sd_event_source_disable_unref(server->source);
    sd_event_source_disable_unref(server->retry_source);
    closer_close(server->manager->closer, 0, &server->listener, 1);
    free(server);
    return NULL;
}

void server_count_clients(const struct server *server, size_t *ret_clients, size_t *ret_calling)
{
    const struct connection *c;

    *ret_clients = *ret_calling = 0;
    LIST_FOREACH (c, &server->connections, entry) {
        if (c->endless)
            continue;
        (*ret_clients)++;
        *ret_calling += connection_is_calling(c);
    }
}

bool server_is_empty(const struct server *server)
{
    return LIST_EMPTY(&server->connections);
}

void server_drain(struct server *server, bool take_waiting)
{
    struct connection *c;

    while (take_waiting && take_connection(server) > 0)
        ;
    server->source = sd_event_source_disable_unref(server->source);
    server->retry_source = sd_event_source_disable_unref(server->retry_source);
    LIST_FOREACH (c, &server->connections, entry)
        connection_drain(c);
}

/* Whether somebody accepts connections at this address. */
static bool is_alive(const struct sockaddr_un *address)
{
    AUTO_FD int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    return fd >= 0 && connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0;
}

static int make_folder_of(const char *path)
{
    AUTO_FREE char *folder = strdup(path);
    char *slash = folder ? strrchr(folder, '/') : NULL;

    if (!folder)
        return -ENOMEM;
    if (!slash || slash == folder)
        return 0;
    *slash = 0;
    return folder_make(folder);
}

int server_bind(const struct manager *manager, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    AUTO_FD int fd = -EBADF;
    struct stat st;
    int r;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    r = make_folder_of(path);
    if (r < 0)
        return r;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return negative_errno();
    if (is_alive(&address))
        return -EADDRINUSE;
    if (lstat(path, &st) == 0 && !S_ISSOCK(st.st_mode))
        return -EEXIST; /* somebody's file: not ours to remove */
    if (unlink(path) < 0 && errno != ENOENT)
        return negative_errno();

    mode_t old = umask(0177); /* nobody's until it has its group */
    r = bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ? negative_errno() : 0;
    (void)umask(old);
    if (r < 0)
        return r;
    if (manager->have_group && (chown(path, 0, manager->group) < 0 || chmod(path, 0660) < 0))
        return negative_errno();
    const int on = 1;
    if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 || listen(fd, SOMAXCONN) < 0)
        return negative_errno();
    return TAKE_FD(fd);
}
