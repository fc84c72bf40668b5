/* The agents' own ranges of CAGE_UID_RANGE uids and gids, one for each slot, in the part of the
 * number space from which systemd-nspawn takes its ranges (systemd's UIDS-GIDS.md), locked the way
 * nspawn locks them, so that both can live on one host. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "caged-limits.h"
#include "init-spec.h"

#define UID_RANGE_FIRST 0x60000000u

struct uid_ranges {
    struct {
        bool taken;
        bool foreign; /* /etc has users or subordinate ids in it: never used */
        int lock_fd;
    } slots[AGENTS_MAX];
    unsigned next; /* slots are used in turn: what the kernel still tears down is left in peace */
};

/* Finds the slots that /etc/passwd, group, subuid or subgid already use. 0 or -errno. */
int uid_ranges_init(struct uid_ranges *ranges);
void uid_ranges_deinit(struct uid_ranges *ranges);

/* Claims a slot: its number, or -EUSERS if all are taken. */
int uid_ranges_claim(struct uid_ranges *ranges);
void uid_ranges_release(struct uid_ranges *ranges, int slot);

static inline uid_t uid_range_base(int slot)
{
    return UID_RANGE_FIRST + (uid_t)slot * CAGE_UID_RANGE;
}
