/* What the clients of the daemon make it hold. */
#include "server/client-load.h"

#include "caged-limits.h"
#include "util.h"

static const struct load_limit none = {};

static struct user_load *find(const struct client_loads *all, uid_t uid)
{
    struct user_load *user;

    LIST_FOREACH (user, &all->users, entry)
        if (user->uid == uid)
            return user;
    return NULL;
}

static struct user_load *find_or_add(struct client_loads *all, uid_t uid)
{
    struct user_load *user = find(all, uid);

    if (user)
        return user;
    user = malloc(sizeof(*user));
    if (!user)
        return NULL;
    *user = (struct user_load){.uid = uid};
    LIST_INSERT_HEAD(&all->users, user, entry);
    all->n_users++;
    return user;
}

int client_load_init(struct client_load *load, struct client_loads *all, uid_t uid)
{
    *load = (struct client_load){.all = all};
    if (uid == 0)
        return 0;
    load->user = find_or_add(all, uid);
    if (!load->user)
        return -ENOMEM;
    load->user->n_connections++;
    all->n_connections++;
    return 0;
}

void client_load_deinit(struct client_load *load)
{
    struct user_load *user = load->user;

    if (!user)
        return;
    client_load_end_call(load);
    client_load_set(load, 0, 0);
    user->n_connections--;
    load->all->n_connections--;
    if (user->n_connections == 0) {
        LIST_REMOVE(user, entry);
        load->all->n_users--;
        free(user);
    }
    load->user = NULL;
}

void client_load_set(struct client_load *load, size_t buffered, size_t n_descriptors)
{
    if (!load->user)
        return;
    load->all->buffered += buffered - load->buffered;
    load->user->buffered += buffered - load->buffered;
    load->user->n_descriptors += n_descriptors - load->n_descriptors;
    load->buffered = buffered;
    load->n_descriptors = n_descriptors;
}

struct load_limit client_load_find_excess(const struct client_load *load)
{
    const struct user_load *user = load->user;

    if (!user)
        return none;
    if (load->all->n_connections > CONNECTIONS_MAX)
        return (struct load_limit){"connections", CONNECTIONS_MAX};
    if (user->n_connections > CONNECTIONS_PER_UID_MAX)
        return (struct load_limit){"connections of one user", CONNECTIONS_PER_UID_MAX};
    if (user->n_descriptors > WIRE_DESCRIPTORS_PER_UID_MAX)
        return (struct load_limit){"descriptors of one user", WIRE_DESCRIPTORS_PER_UID_MAX};
    return none;
}

struct load_limit client_load_find_pressure(const struct client_load *load)
{
    const struct user_load *user = load->user;

    if (!user)
        return none;
    if (user->buffered >= WIRE_BUFFERED_PER_UID_MAX)
        return (struct load_limit){"unread bytes of one user", WIRE_BUFFERED_PER_UID_MAX};
    if (load->all->buffered >= WIRE_BUFFERED_MAX &&
        user->buffered >= WIRE_BUFFERED_MAX / load->all->n_users)
        return (struct load_limit){"unread bytes of all users", WIRE_BUFFERED_MAX};
    return none;
}

struct load_limit client_load_begin_call(struct client_load *load)
{
    struct user_load *user = load->user;

    if (!user || load->calling)
        return none;
    if (load->all->n_calls >= CALLS_MAX)
        return (struct load_limit){"calls under way", CALLS_MAX};
    if (user->n_calls >= CALLS_PER_UID_MAX)
        return (struct load_limit){"calls under way of one user", CALLS_PER_UID_MAX};
    load->calling = true;
    user->n_calls++;
    load->all->n_calls++;
    return none;
}

void client_load_end_call(struct client_load *load)
{
    if (!load->calling)
        return;
    load->calling = false;
    load->user->n_calls--;
    load->all->n_calls--;
}
