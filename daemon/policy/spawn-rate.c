/* A token bucket for each user, as one number: the time at which it will be full again. (It is the
 * "generic cell rate algorithm": an attempt moves that time on by what a token takes to come back,
 * and it may not lie more than a minute ahead.) */
#include "policy/spawn-rate.h"

#define MINUTE_USEC ((uint64_t)60 * 1000 * 1000)

/* The user's place, a new one, or that of who is closest to a full bucket. */
static size_t find(struct spawn_rate *rate, uid_t uid)
{
    size_t fullest = 0;

    for (size_t i = 0; i < rate->n_users; i++) {
        if (rate->users[i].uid == uid)
            return i;
        if (rate->users[i].due < rate->users[fullest].due)
            fullest = i;
    }
    if (rate->n_users < SPAWN_RATE_USERS_MAX)
        fullest = rate->n_users++;
    rate->users[fullest].uid = uid;
    rate->users[fullest].due = 0;
    return fullest;
}

uint64_t spawn_rate_take(struct spawn_rate *rate, uid_t uid, uint64_t per_minute, uint64_t now)
{
    if (per_minute == 0)
        return 0;
    uint64_t token = MINUTE_USEC / per_minute;
    uint64_t *due = &rate->users[find(rate, uid)].due;
    uint64_t from = *due > now ? *due : now;

    if (from + token > now + MINUTE_USEC)
        return from + token - (now + MINUTE_USEC);
    *due = from + token;
    return 0;
}
