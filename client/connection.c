/* A Varlink connection to cagedd (varlink.org, "Method call"). */
#include "connection.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "exit-status.h"
#include "field.h"
#include "remote-error.h"
#include "text.h"

struct connection {
    struct varlink_stream *stream;
    char *path;
};

void reply_deinit(struct reply *reply)
{
    varlink_message_deinit(&reply->message);
    *reply = (struct reply){};
}

static int socket_connect(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    AUTO_FD int fd = -EBADF;

    if (strlen(path) >= sizeof(address.sun_path))
        return -ENAMETOOLONG;
    memcpy(address.sun_path, path, strlen(path) + 1);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return negative_errno();
    if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) < 0)
        return negative_errno();
    return TAKE_FD(fd);
}

int connection_open(const char *path, struct connection **ret)
{
    CLEANUP(connection_freep) struct connection *connection = calloc(1, sizeof(*connection));
    int fd;

    if (!connection)
        return -ENOMEM;
    connection->path = strdup(path);
    if (!connection->path)
        return -ENOMEM;
    fd = socket_connect(path);
    if (fd < 0)
        return fd;
    connection->stream = varlink_stream_new(fd, WIRE_REPLY_SIZE_MAX);
    if (!connection->stream)
        return -ENOMEM;
    *ret = TAKE_PTR(connection);
    return 0;
}

struct connection *connection_free(struct connection *connection)
{
    if (!connection)
        return NULL;
    varlink_stream_free(connection->stream);
    free(connection->path);
    free(connection);
    return NULL;
}

int connection_fd(const struct connection *connection)
{
    return varlink_stream_fd(connection->stream);
}

int connection_send(struct connection *connection, const char *method, json_t *parameters,
                    bool more, const int *fds, size_t n_fds)
{
    json_t *call = json_pack("{s:s, s:o}", "method", method, "parameters", parameters);
    int r;

    if (!call)
        return -ENOMEM;
    if (more && json_object_set_new(call, "more", json_true()) < 0) {
        json_decref(call);
        return -ENOMEM;
    }
    r = varlink_stream_queue(connection->stream, call, fds, n_fds);
    json_decref(call);
    if (r < 0)
        return r;
    if (varlink_stream_pending_output(connection->stream) > WIRE_REQUEST_SIZE_MAX)
        return -EMSGSIZE;
    /* The socket blocks: nothing is left over when this returns 1. */
    r = varlink_stream_flush(connection->stream);
    return r < 0 ? r : 0;
}

/* Checks a message's form and points into it. */
static int reply_from_message(struct varlink_message *message, struct reply *ret)
{
    struct reply reply = {};

    if (field_string_optional(message->json, "error", &reply.error) < 0 ||
        field_bool_optional(message->json, "continues", &reply.continues) < 0)
        return -EPROTO;
    reply.parameters = json_object_get(message->json, "parameters");
    if (!reply.parameters) {
        reply.parameters = json_object();
        if (!reply.parameters ||
            json_object_set_new(message->json, "parameters", reply.parameters) < 0)
            return -ENOMEM;
    }
    if (!json_is_object(reply.parameters))
        return -EPROTO;
    reply.message = *message;
    *message = (struct varlink_message){};
    *ret = reply;
    return 0;
}

int connection_take(struct connection *connection, struct reply *ret)
{
    struct varlink_message message = {};
    struct json_text_error error;
    int r;

    r = varlink_stream_next(connection->stream, &message, &error);
    if (r <= 0)
        return r == -EINVAL ? -EPROTO : r;
    r = reply_from_message(&message, ret);
    if (r < 0) {
        varlink_message_deinit(&message);
        return r;
    }
    return 1;
}

int connection_read(struct connection *connection)
{
    int r = varlink_stream_read(connection->stream);

    if (r == 0)
        return -ECONNRESET;
    return r == 1 || r == -EAGAIN ? 0 : r;
}

int connection_receive(struct connection *connection, struct reply *ret)
{
    for (;;) {
        int r = connection_take(connection, ret);
        if (r != 0)
            return MIN_OF(r, 0);
        r = connection_read(connection);
        if (r < 0)
            return r;
    }
}

/* Whether the account has the group by now, which this session, begun before, has not. */
static bool has_got_group(gid_t gid)
{
    const struct passwd *user = getpwuid(getuid());
    gid_t groups[256];
    int n = ARRAY_SIZE(groups);

    if (!user || getgrouplist(user->pw_name, user->pw_gid, groups, &n) < 0)
        return false;
    for (int i = 0; i < n; i++)
        if (groups[i] == gid)
            return true;
    return false;
}

/* The socket's group is whose members may; "caged" where the socket cannot be looked at. */
static void hint_group(const char *path)
{
    struct stat status;
    const struct group *group = stat(path, &status) == 0 ? getgrgid(status.st_gid) : NULL;
    const char *name = group && group->gr_gid > 0 ? group->gr_name : "caged";

    if (group && group->gr_gid > 0 && has_got_group(group->gr_gid))
        say_hint("you are a member of the group %s, but not in this session: log in again", name);
    else
        say_hint("members of the group %s may: sudo usermod -aG %s $USER, then log in again", name,
                 name);
}

static void say_unreachable(const char *path, int error)
{
    switch (error) {
    case -ENOENT:
        say("cagedd is not there: %s does not exist", path);
        say_hint(
            "start it: sudo systemctl start cagedd.socket (without systemd: run cagedd as root)");
        break;
    case -ECONNREFUSED:
        say("cagedd does not listen: %s is left over from one that ended", path);
        say_hint(
            "start it: sudo systemctl restart cagedd.socket (without systemd: run cagedd as root)");
        break;
    case -EACCES:
        say("you may not use cagedd: permission denied for %s", path);
        hint_group(path);
        break;
    default:
        say("cannot connect to %s: %s", path, strerror(-error));
        break;
    }
}

int connection_open_or_say(const char *path, struct connection **ret)
{
    int r = connection_open(path, ret);

    if (r == 0)
        return STATUS_OK;
    if (r == -ENOMEM) {
        say("out of memory");
        return STATUS_INTERNAL;
    }
    say_unreachable(path, r);
    return r == -EACCES ? STATUS_PERMISSION : STATUS_NO_DAEMON;
}

int connection_failed(const struct connection *connection, int error)
{
    switch (error) {
    case -ENOMEM:
        say("out of memory");
        return STATUS_INTERNAL;
    case -EMSGSIZE:
        say("the card and its arguments are too long: %d bytes at most", WIRE_REQUEST_SIZE_MAX);
        return STATUS_CARD;
    case -EPROTO:
    case -EBADMSG:
        say("cagedd at %s answered what this cagectl does not understand", connection->path);
        say_hint("are both of the same version? try: cagectl version");
        return STATUS_PROTOCOL;
    case -ECONNRESET:
    case -EPIPE:
        say("cagedd closed the connection; if it ended, so did all agents");
        say_hint("see: cagectl list --all; systemctl status cagedd; journalctl -u cagedd");
        return STATUS_NO_DAEMON;
    default:
        say("the connection to cagedd failed: %s", strerror(-error));
        return STATUS_NO_DAEMON;
    }
}

int connection_call(struct connection *connection, const char *method, json_t *parameters,
                    struct reply *ret)
{
    struct reply reply = {};
    int r = connection_send(connection, method, parameters, false, NULL, 0);

    if (r == 0)
        r = connection_receive(connection, &reply);
    if (r < 0)
        return connection_failed(connection, r);
    if (reply.error) {
        int status = remote_error_say(&reply);
        reply_deinit(&reply);
        return status;
    }
    *ret = reply;
    return STATUS_OK;
}
