/* Floods of records, bounded without losing one: what comes faster than a rate is added up, and the
 * sums are sent now and then.
 *
 * Two token buckets let GATE_RECORDS_BURST records through at once and GATE_RECORDS_PER_SECOND
 * after that: one for refusals, one for the rest, so that no flood of refusals hides what was
 * allowed. What finds its bucket empty goes to the row of a table with records that are alike but
 * for number, bytes and time; half of the rows are no refusals'. If there is no row left, it goes
 * to the row of its verdict and reason, and there are as many of these as there are verdicts and
 * reasons. A record that a request is held, or was and what became of it, is always let through:
 * there are few, and people wait for them.
 *
 * Pure, but for memory: where there is none for a row of the table, it counts as full. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "caged-limits.h"
#include "end-code.h"
#include "network-record.h"
#include "refusal.h"

struct record_bucket {
    uint64_t thousandths; /* of a token */
    uint64_t updated;     /* milliseconds */
};

struct folded_row;

struct record_fold {
    struct record_bucket refused, others;
    struct folded_row *rows[GATE_RECORDS_FOLDED_MAX];
    size_t n_rows, n_refused;     /* of them, those of refusals: at most half */
    struct folded_row *recent[2]; /* of decisions and of ends, what was added to last; or NULL */
    /* Decisions have the codes of refusals ("ok" twice), ends those and their own. */
    struct network_record rest[1 + 2 * REFUSAL_COUNT + END_CODE_COUNT];
    size_t n_rest;
};

/* `now` is in milliseconds of a clock that never goes back, here and below. */
void record_fold_init(struct record_fold *fold, uint64_t now);
void record_fold_deinit(struct record_fold *fold);

/* Whether the record may be sent by itself now; `full`: there is hardly room for any. */
bool record_fold_lets(struct record_fold *fold, const struct network_record *record, uint64_t now,
                      bool full);

/* Adds the record up. */
void record_fold_add(struct record_fold *fold, const struct network_record *record);

bool record_fold_is_empty(const struct record_fold *fold);

/* Hands on all sums and forgets them; stops at the first -errno of `put`, and returns it. */
int record_fold_drain(struct record_fold *fold,
                      int (*put)(void *user, const struct network_record *record), void *user);
