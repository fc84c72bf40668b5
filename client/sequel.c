/* Which line of which run is to come next. */
#include "sequel.h"

#include <stdio.h>

void sequel_deinit(struct sequel *sequel)
{
    free(TAKE_PTR(sequel->runs));
    sequel->n_runs = 0;
}

/* The latest runs are asked for most. */
static struct sequel_run *find(const struct sequel *sequel, const char *invocation_id)
{
    for (size_t i = sequel->n_runs; i > 0; i--)
        if (streq(sequel->runs[i - 1].invocation_id, invocation_id))
            return &sequel->runs[i - 1];
    return NULL;
}

uint64_t sequel_next(const struct sequel *sequel, const char *invocation_id)
{
    const struct sequel_run *run = find(sequel, invocation_id);

    return run ? run->next : 0;
}

int sequel_set(struct sequel *sequel, const char *invocation_id, uint64_t next)
{
    struct sequel_run *run = find(sequel, invocation_id);

    if (!run) {
        run = realloc(sequel->runs, (sequel->n_runs + 1) * sizeof(*run));
        if (!run)
            return -ENOMEM;
        sequel->runs = run;
        run += sequel->n_runs++;
        (void)snprintf(run->invocation_id, sizeof(run->invocation_id), "%s", invocation_id);
    }
    run->next = next;
    return 0;
}

enum sequel_place sequel_place(const struct sequel *sequel, const char *invocation_id,
                               uint64_t sequence)
{
    uint64_t next = sequel_next(sequel, invocation_id);

    if (next == 0 || sequence == next)
        return SEQUEL_NEXT;
    return sequence < next ? SEQUEL_SEEN : SEQUEL_GAP;
}

int sequel_reply_start(uint64_t next_sequence, uint64_t lost, uint64_t n_lines, uint64_t first,
                       uint64_t *ret)
{
    if (next_sequence == 0 || lost >= next_sequence || n_lines >= next_sequence - lost)
        return -EPROTO;
    uint64_t start = next_sequence - lost - n_lines;
    /* A line that the daemon had no memory to tell of is in neither number. */
    *ret = first > 0 ? MIN_OF(start, first) : start;
    return 0;
}
