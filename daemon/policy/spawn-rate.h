/* How often each user may ask for an agent: spawns_per_minute of the site policy. Pure but for its
 * table, which is bounded: with more users than it holds, the one that is closest to a full measure
 * is forgotten, and so starts with that. So who has many uids (subuid(5)) takes nothing from others
 * by that, and gains no more than each uid has anyway. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "caged-limits.h"

/* All zero: nobody has asked yet. */
struct spawn_rate {
    struct {
        uid_t uid;
        uint64_t due; /* when the measure would be full, had it no bound */
    } users[SPAWN_RATE_USERS_MAX];
    size_t n_users;
};

/* Counts an attempt of this user at `now` (microseconds that never go back): `per_minute` may come
 * at once, and then one more each time that 60 s / `per_minute` are over. 0; or one too many, which
 * is not counted: in how many microseconds the next one may come. `per_minute` may change from one
 * call to the next; 0: no limit. */
uint64_t spawn_rate_take(struct spawn_rate *rate, uid_t uid, uint64_t per_minute, uint64_t now);
