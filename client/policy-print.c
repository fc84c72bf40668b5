/* The table of `cagectl policy explain`. */
#include "policy-print.h"

#include <inttypes.h>
#include <stdio.h>

#include "field.h"
#include "text.h"
#include "util.h"

#define CELL_SIZE 40 /* of all columns but the last; longer texts are cut */
#define COLUMNS 3

struct row {
    char cells[COLUMNS][CELL_SIZE];
    const char *ceiling; /* the last column, borrowed */
    const char *reason;  /* NULL: it is within */
};

static void cell_fill(const char *text, char *cell)
{
    static const char dots[] = "...";

    text_make_safe(text, cell, CELL_SIZE);
    if (strlen(text) >= CELL_SIZE)
        memcpy(cell + CELL_SIZE - sizeof(dots), dots, sizeof(dots));
}

static int row_fill(const json_t *json, struct row *ret)
{
    struct row row = {};
    const char *key, *asked, *effective;
    bool ok = true;

    if (!json_is_object(json) || field_string(json, "key", &key) < 0 ||
        field_string(json, "asked", &asked) < 0 ||
        field_string(json, "effective", &effective) < 0 ||
        field_string(json, "ceiling", &row.ceiling) < 0 ||
        field_bool_optional(json, "ok", &ok) < 0 ||
        field_string_optional(json, "reason", &row.reason) < 0)
        return -EPROTO;
    if (ok != !row.reason)
        return -EPROTO;
    cell_fill(key, row.cells[0]);
    cell_fill(asked, row.cells[1]);
    cell_fill(streq(asked, effective) ? "as asked" : effective, row.cells[2]);
    *ret = row;
    return 0;
}

static void rows_print(const struct row *rows, size_t n)
{
    size_t widths[COLUMNS] = {};

    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < COLUMNS; c++)
            widths[c] = MAX_OF(widths[c], strlen(rows[i].cells[c]));
    for (size_t i = 0; i < n; i++) {
        (void)printf("%c ", rows[i].reason ? '!' : ' ');
        for (size_t c = 0; c < COLUMNS; c++)
            (void)printf("%-*s  ", (int)widths[c], rows[i].cells[c]);
        text_print(stdout, rows[i].ceiling);
        (void)putchar('\n');
        if (!rows[i].reason)
            continue;
        (void)printf("    ");
        text_print(stdout, rows[i].reason);
        (void)putchar('\n');
    }
}

static int ceilings_print(const json_t *ceilings)
{
    AUTO_FREE struct row *rows = calloc(json_array_size(ceilings) + 1, sizeof(*rows));
    const json_t *json;
    size_t i;

    if (!rows)
        return -ENOMEM;
    rows[0] = (struct row){{"KEY", "THE CARD", "IN FORCE"}, .ceiling = "CEILING"};
    json_array_foreach (ceilings, i, json) {
        int r = row_fill(json, &rows[i + 1]);
        if (r < 0)
            return r;
    }
    rows_print(rows, json_array_size(ceilings) + 1);
    return 0;
}

int policy_is_permitted(const json_t *reply, bool *ret_permitted)
{
    const char *rule = NULL;
    json_t *ceilings;
    const json_t *row;
    bool permitted;
    size_t i;

    if (field_string_optional(reply, "rule", &rule) < 0 ||
        field_array(reply, "ceilings", &ceilings) < 0)
        return -EPROTO;
    permitted = rule != NULL;
    json_array_foreach (ceilings, i, row)
        permitted = permitted && json_is_true(json_object_get(row, "ok"));
    *ret_permitted = permitted;
    return 0;
}

int policy_print(const json_t *reply, const char *policy, bool *ret_permitted)
{
    const char *rule = NULL;
    uint64_t index = UINT64_MAX;
    json_t *ceilings;
    int r = policy_is_permitted(reply, ret_permitted);

    if (r < 0 || field_string_optional(reply, "rule", &rule) < 0 ||
        field_u64_optional(reply, "index", &index) < 0 ||
        field_array(reply, "ceilings", &ceilings) < 0)
        return -EPROTO;
    if (!rule) {
        (void)printf("No rule of ");
        text_print(stdout, policy);
        (void)printf(" is for this user: nothing may be run.\n");
        return 0;
    }
    (void)printf("The rule \"");
    text_print(stdout, rule);
    if (index == UINT64_MAX)
        (void)printf("\" decides, which is in no file and has no ceilings.\n\n");
    else
        (void)printf("\" decides, number %" PRIu64 " of ", index + 1);
    if (index != UINT64_MAX) {
        text_print(stdout, policy);
        (void)printf(".\n\n");
    }
    return ceilings_print(ceilings);
}
