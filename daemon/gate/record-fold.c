/* Floods of records, bounded without losing one. */
#include "record-fold.h"

#include "util.h"

#define TOKEN 1000

/* A record with texts of its own behind it. */
struct folded_row {
    uint32_t hash;
    struct network_record record;
    char text[];
};

void record_fold_init(struct record_fold *fold, uint64_t now)
{
    const struct record_bucket full = {(uint64_t)GATE_RECORDS_BURST * TOKEN, now};

    fold->refused = fold->others = full;
    fold->n_rows = fold->n_refused = fold->n_rest = 0;
    fold->recent[0] = fold->recent[1] = NULL;
}

static void forget(struct record_fold *fold)
{
    for (size_t i = 0; i < fold->n_rows; i++)
        free(fold->rows[i]);
    fold->n_rows = fold->n_refused = fold->n_rest = 0;
    fold->recent[0] = fold->recent[1] = NULL;
}

void record_fold_deinit(struct record_fold *fold)
{
    forget(fold);
}

bool record_fold_is_empty(const struct record_fold *fold)
{
    return fold->n_rows == 0 && fold->n_rest == 0;
}

static bool is_refusal(const struct network_record *r)
{
    return !r->end && r->verdict == GATE_REFUSED;
}

/* -- the rate -- */

static bool bucket_take(struct record_bucket *bucket, uint64_t now)
{
    const uint64_t max = (uint64_t)GATE_RECORDS_BURST * TOKEN;
    uint64_t passed = MIN_OF(now - bucket->updated, max); /* more would overflow, and fills it */

    bucket->thousandths = MIN_OF(max, bucket->thousandths + passed * GATE_RECORDS_PER_SECOND);
    bucket->updated = now;
    if (bucket->thousandths < TOKEN)
        return false;
    bucket->thousandths -= TOKEN;
    return true;
}

bool record_fold_lets(struct record_fold *fold, const struct network_record *r, uint64_t now,
                      bool full)
{
    if (!r->end && (r->verdict == GATE_HELD || r->awaited))
        return true;
    return !full && bucket_take(is_refusal(r) ? &fold->refused : &fold->others, now);
}

/* -- the sums -- */

static bool is_same_kind(const struct network_record *a, const struct network_record *b)
{
    return a->end == b->end && (a->end || a->verdict == b->verdict) && streq(a->reason, b->reason);
}

static bool is_alike(const struct network_record *a, const struct network_record *b)
{
    return is_same_kind(a, b) && a->port == b->port && streq(a->host, b->host) &&
           streq(a->method, b->method) && streq(a->address, b->address) && streq(a->rule, b->rule);
}

/* FNV-1a (RFC 9923), to find a row without comparing all texts; who makes them meet slows down
 * nobody but itself, and not much. */
static uint32_t hash_text(uint32_t hash, const char *text)
{
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619;
    return hash * 16777619;
}

static uint32_t hash_of(const struct network_record *r)
{
    uint32_t hash = hash_text(2166136261U ^ r->port, r->host);

    hash = hash_text(hash, r->method);
    hash = hash_text(hash, r->address);
    hash = hash_text(hash, r->rule);
    return hash_text(hash ^ (r->end ? 1U : 0U), r->reason);
}

static void add_to(uint64_t *sum, uint64_t n, uint64_t max)
{
    *sum = n > max - *sum ? max : *sum + n;
}

/* The bounds are those of gate-proto.h; no second of a flood comes near to them. */
static void add(struct network_record *sum, const struct network_record *r)
{
    sum->request = 0;
    add_to(&sum->count, r->count, UINT32_MAX);
    add_to(&sum->bytes_up, r->bytes_up, INT64_MAX);
    add_to(&sum->bytes_down, r->bytes_down, INT64_MAX);
    add_to(&sum->duration_usec, r->duration_usec, INT64_MAX);
}

static const char *keep_text(char **place, const char *text)
{
    size_t size = strlen(text) + 1;
    char *copy = memcpy(*place, text, size);

    *place += size;
    return copy;
}

/* False: there is no room. */
static bool add_row(struct record_fold *fold, const struct network_record *r, uint32_t hash)
{
    size_t size = strlen(r->method) + strlen(r->host) + strlen(r->address) + strlen(r->rule) + 4;

    if (fold->n_rows == GATE_RECORDS_FOLDED_MAX ||
        (is_refusal(r) && fold->n_refused == GATE_RECORDS_FOLDED_MAX / 2))
        return false;
    struct folded_row *row = malloc(sizeof(*row) + size);
    if (!row)
        return false;
    char *place = row->text;
    row->hash = hash;
    row->record = *r;
    row->record.method = keep_text(&place, r->method);
    row->record.host = keep_text(&place, r->host);
    row->record.address = keep_text(&place, r->address);
    row->record.rule = keep_text(&place, r->rule);
    fold->rows[fold->n_rows++] = row;
    fold->n_refused += is_refusal(r);
    return true;
}

static void add_to_rest(struct record_fold *fold, const struct network_record *r)
{
    for (size_t i = 0; i < fold->n_rest; i++) {
        if (is_same_kind(&fold->rest[i], r)) {
            add(&fold->rest[i], r);
            return;
        }
    }
    if (fold->n_rest == ARRAY_SIZE(fold->rest))
        abort(); /* a code that is in no table: a bug */
    struct network_record *sum = &fold->rest[fold->n_rest++];
    *sum = *r;
    sum->method = sum->host = sum->address = sum->rule = "";
    sum->port = 0;
}

static struct folded_row *find_row(const struct record_fold *fold, const struct network_record *r,
                                   uint32_t hash)
{
    for (size_t i = 0; i < fold->n_rows; i++)
        if (fold->rows[i]->hash == hash && is_alike(&fold->rows[i]->record, r))
            return fold->rows[i];
    return NULL;
}

/* Whoever makes a flood mostly asks for the same again: that is compared before it is hashed. */
void record_fold_add(struct record_fold *fold, const struct network_record *r)
{
    struct folded_row **recent = &fold->recent[r->end ? 1 : 0];

    if (!*recent || !is_alike(&(*recent)->record, r)) {
        uint32_t hash = hash_of(r);
        *recent = find_row(fold, r, hash);
        if (!*recent) {
            if (add_row(fold, r, hash))
                *recent = fold->rows[fold->n_rows - 1];
            else
                add_to_rest(fold, r);
            return;
        }
    }
    add(&(*recent)->record, r);
}

int record_fold_drain(struct record_fold *fold,
                      int (*put)(void *user, const struct network_record *record), void *user)
{
    int r = 0;

    for (size_t i = 0; r == 0 && i < fold->n_rows; i++)
        r = put(user, &fold->rows[i]->record);
    for (size_t i = 0; r == 0 && i < fold->n_rest; i++)
        r = put(user, &fold->rest[i]);
    forget(fold);
    return r;
}
