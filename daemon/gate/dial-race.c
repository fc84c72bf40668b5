/* See dial-race.h. */
#include "dial-race.h"

void dial_source_close(struct connection *c, struct event_source *source)
{
    event_source_remove(c->gate->loop, source);
    source->fd = fd_close(source->fd);
}

void dial_attempt_close(struct dial_attempt *attempt)
{
    if (attempt->source.fd >= 0)
        attempt->c->gate->n_extra_dials--;
    dial_source_close(attempt->c, &attempt->source);
}

void dial_race_end(struct connection *c)
{
    for (size_t i = 0; c->race && i < ARRAY_SIZE(c->race->attempts); i++)
        dial_attempt_close(&c->race->attempts[i]);
    free(c->race);
    c->race = NULL;
}

static struct dial_race *race_new(struct connection *c,
                                  void (*ready)(struct event_source *, uint32_t))
{
    struct dial_race *race = calloc(1, sizeof(*race));

    for (size_t i = 0; race && i < ARRAY_SIZE(race->attempts); i++) {
        race->attempts[i].c = c;
        race->attempts[i].source = (struct event_source){.fd = -EBADF, .ready = ready};
    }
    return race;
}

static struct dial_attempt *find_free(const struct connection *c)
{
    for (size_t i = 0; c->race && i < ARRAY_SIZE(c->race->attempts); i++)
        if (c->race->attempts[i].source.fd < 0)
            return &c->race->attempts[i];
    return NULL;
}

bool dial_race_has_place(const struct connection *c)
{
    if (c->server.fd < 0)
        return true;
    return c->gate->n_extra_dials < GATE_DIAL_EXTRA_MAX && (!c->race || find_free(c));
}

struct dial_attempt *dial_race_take_place(struct connection *c,
                                          void (*ready)(struct event_source *, uint32_t))
{
    if (!dial_race_has_place(c))
        return NULL;
    if (!c->race)
        c->race = race_new(c, ready);
    return find_free(c);
}

bool dial_is_under_way(const struct connection *c)
{
    for (size_t i = 0; c->race && i < ARRAY_SIZE(c->race->attempts); i++)
        if (c->race->attempts[i].source.fd >= 0)
            return true;
    return c->server.fd >= 0;
}

uint64_t dial_race_find_oldest(const struct connection *c, struct dial_attempt **ret)
{
    uint64_t oldest = c->server.fd >= 0 ? c->dial_started : UINT64_MAX;

    *ret = NULL;
    for (size_t i = 0; c->race && i < ARRAY_SIZE(c->race->attempts); i++) {
        struct dial_attempt *attempt = &c->race->attempts[i];
        if (attempt->source.fd >= 0 && attempt->started < oldest) {
            oldest = attempt->started;
            *ret = attempt;
        }
    }
    return oldest;
}
