/* From a card file to a running agent. */
#include "spawn.h"

#include <stdio.h>
#include <sys/ioctl.h>

#include "caged-limits.h"
#include "exit-status.h"
#include "field.h"
#include "owner.h"
#include "remote-error.h"
#include "text.h"

struct spawn_user {
    uint64_t uid, gid;
};

void spawned_deinit(struct spawned *spawned)
{
    spawned->terminal = fd_close(spawned->terminal);
    reply_deinit(&spawned->reply);
    spawned->connection = connection_free(spawned->connection);
    card_file_deinit(&spawned->file);
}

static json_t *words_to_json(char **words, size_t n)
{
    json_t *array = json_array();

    for (size_t i = 0; array && i < n; i++) {
        if (json_array_append_new(array, json_string(words[i])) < 0) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

/* A terminal of the size of ours: from the start, since an agent may look at it at once. */
static int put_terminal(json_t *parameters)
{
    struct winsize size = {};
    int r = json_object_set_new(parameters, "terminal", json_true());

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) < 0)
        return r;
    if (r == 0)
        r = json_object_set_new(parameters, "terminal_rows", json_integer(size.ws_row));
    if (r == 0)
        r = json_object_set_new(parameters, "terminal_columns", json_integer(size.ws_col));
    return r;
}

/* Whose the files are to be, by number: it is for us to look that up, as it may take its time. */
static int user_find(const struct card_file *file, struct spawn_user *ret)
{
    const char *name = file->card->user;
    int r;

    if (!name)
        return STATUS_OK;
    r = owner_find(name, &ret->uid, &ret->gid);
    if (r == 0)
        return STATUS_OK;
    if (r == -ENOENT) {
        say("%s: $.user: there is no user '%s'", file->name, name);
        return STATUS_CARD;
    }
    say("%s: $.user: the user '%s' cannot be looked up: %s", file->name, name, strerror(-r));
    return STATUS_INTERNAL;
}

static int put_user(json_t *parameters, const struct spawn_user *user)
{
    if (json_object_set_new(parameters, "user_uid", json_integer((json_int_t)user->uid)) < 0)
        return -1;
    return json_object_set_new(parameters, "user_gid", json_integer((json_int_t)user->gid));
}

/* The indexes of the descriptors that spawn_send() sends. */
static int put_descriptors(json_t *parameters, const struct card_descriptors *d)
{
    json_int_t next = 0;
    int r = json_object_set_new(parameters, "workspace_fd", json_integer(next++));

    if (r == 0 && d->api_key >= 0)
        r = json_object_set_new(parameters, "api_key_fd", json_integer(next++));
    if (r == 0 && d->proxy_auth >= 0)
        r = json_object_set_new(parameters, "proxy_auth_fd", json_integer(next++));
    if (r < 0 || d->n_mounts == 0)
        return r;
    json_t *mounts = json_array();
    r = json_object_set_new(parameters, "mount_fds", mounts);
    for (size_t i = 0; r == 0 && i < d->n_mounts; i++)
        r = json_array_append_new(mounts, json_integer(next++));
    return r;
}

/* The parameters of Spawn; NULL without memory or for words that are not UTF-8. */
static json_t *spawn_parameters(const struct options *options, const struct card_file *file,
                                enum spawn_mode mode, const struct spawn_user *user,
                                const struct card_descriptors *descriptors)
{
    json_t *parameters =
        json_pack("{s:O, s:b}", "card", file->json, "foreground", mode != SPAWN_BACKGROUND);
    int r = parameters ? put_descriptors(parameters, descriptors) : -1;

    if (r == 0 && mode == SPAWN_UNIT)
        r = json_object_set_new(parameters, "unit", json_true());
    if (r == 0 && file->card->user)
        r = put_user(parameters, user);
    if (r == 0 && options->n_rest > 0)
        r = json_object_set_new(parameters, "arguments",
                                words_to_json(options->rest, options->n_rest));
    if (r == 0 && option_given(options, OPTION_TERMINAL))
        r = put_terminal(parameters);
    if (r == 0 && option_given(options, OPTION_ASK))
        r = json_object_set_new(parameters, "ask_seconds", json_integer(options->ask));
    if (r < 0) {
        json_decref(parameters);
        return NULL;
    }
    return parameters;
}

static int spawn_send(const struct options *options, struct spawned *s, enum spawn_mode mode,
                      const struct spawn_user *user, const struct card_descriptors *d)
{
    const int all[] = {d->workspace, d->api_key, d->proxy_auth};
    int fds[ARRAY_SIZE(all) + CARD_MOUNTS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < ARRAY_SIZE(all); i++)
        if (all[i] >= 0)
            fds[n++] = all[i];
    for (size_t i = 0; i < d->n_mounts; i++)
        fds[n++] = d->mounts[i];
    return connection_send(s->connection, "io.caged.Spawn",
                           spawn_parameters(options, &s->file, mode, user, d), false, fds, n);
}

/* What the reply promises: an agent and, if a terminal was asked for, its descriptor. */
static int spawn_take_reply(const struct options *options, struct spawned *s)
{
    uint64_t index = 0;
    int r = agent_from_parameters(s->reply.parameters, &s->agent);

    if (r < 0 || !option_given(options, OPTION_TERMINAL))
        return r;
    r = field_u64(s->reply.parameters, "terminal_fd", &index);
    if (r < 0)
        return r;
    int fd = varlink_message_take_fd(&s->reply.message, (json_int_t)index);
    if (fd < 0)
        return -EPROTO;
    s->terminal = fd;
    return 0;
}

static int words_check(const struct options *options)
{
    for (size_t i = 0; i < options->n_rest; i++) {
        json_t *word = json_string(options->rest[i]);
        if (!word) {
            say("argument %zu after '--' is not UTF-8 text", i + 1);
            return STATUS_USAGE;
        }
        json_decref(word);
    }
    return STATUS_OK;
}

int spawn_start(const struct options *options, enum spawn_mode mode, struct spawned *s)
{
    struct card_descriptors descriptors;
    struct spawn_user user = {};
    int status, r;

    status = words_check(options);
    if (status == STATUS_OK)
        status = user_find(&s->file, &user);
    if (status == STATUS_OK)
        status = card_file_open(&s->file, mode == SPAWN_UNIT, &descriptors);
    if (status != STATUS_OK)
        return status;
    status = connection_open_or_say(options->socket, &s->connection);
    if (status == STATUS_OK) {
        r = spawn_send(options, s, mode, &user, &descriptors);
        if (r == 0)
            r = connection_receive(s->connection, &s->reply);
        if (r == 0 && s->reply.error)
            status = remote_error_say(&s->reply);
        else if (r == 0)
            r = spawn_take_reply(options, s);
        if (r < 0)
            status = connection_failed(s->connection, r);
    }
    card_descriptors_close(&descriptors);
    return status;
}

int spawn_read_card(const char *path, struct spawned *ret)
{
    struct card_error error;

    *ret = (struct spawned){.terminal = -EBADF};
    int r = card_file_read(path, &ret->file, &error);
    return r < 0 ? card_file_say(path, r, &error) : STATUS_OK;
}

int spawn_agent(const struct options *options, enum spawn_mode mode, struct spawned *ret)
{
    struct spawned s;
    int status = spawn_read_card(options->arguments[0], &s);

    if (status == STATUS_OK)
        status = spawn_start(options, mode, &s);
    if (status != STATUS_OK) {
        spawned_deinit(&s);
        return status;
    }
    *ret = s;
    return STATUS_OK;
}
