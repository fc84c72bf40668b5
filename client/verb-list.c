/* cagectl list: the caller's agents as a table. */
#include <inttypes.h>
#include <stdio.h>

#include "agent.h"
#include "clock.h"
#include "connection.h"
#include "exit-status.h"
#include "field.h"
#include "options.h"
#include "output.h"
#include "owner.h"
#include "text.h"

#define COLUMNS 8
#define CELL_SIZE 256

struct row {
    char cells[COLUMNS][CELL_SIZE];
};

static const struct row header = {
    {"AGENT", "OWNER", "STATE", "PRESET", "PID", "AGE", "TTL", "WORKSPACE"}};

static void cell_append(const char *between, const char *text, char *cell)
{
    size_t used = strlen(cell);

    (void)snprintf(cell + used, CELL_SIZE - used, "%s", between);
    used = strlen(cell);
    text_make_safe(text, cell + used, CELL_SIZE - used);
}

static void row_fill(const struct agent *agent, struct row *ret)
{
    struct row row = {};
    char owner[64];
    uint64_t until =
        agent->ended_usec != AGENT_NONE ? agent->ended_usec : clock_usec(CLOCK_REALTIME);

    text_make_safe(agent->id, row.cells[0], CELL_SIZE);
    owner_format(agent->owner_uid, owner, sizeof(owner));
    text_make_safe(owner, row.cells[1], CELL_SIZE);
    text_make_safe(agent->state, row.cells[2], CELL_SIZE);
    if (agent->reason) /* "ended: ttl" */
        cell_append(": ", agent->reason, row.cells[2]);
    if (agent->log_held) /* "stopping, waits for the log: No space left on device" */
        cell_append(", waits for the log: ", agent->log_held, row.cells[2]);
    text_make_safe(*agent->preset ? agent->preset : "-", row.cells[3], CELL_SIZE);
    (void)snprintf(row.cells[4], CELL_SIZE, "-");
    if (agent->pid != AGENT_NONE)
        (void)snprintf(row.cells[4], CELL_SIZE, "%" PRIu64, agent->pid);
    duration_format(until > agent->spawned_usec ? (until - agent->spawned_usec) / 1000000 : 0,
                    row.cells[5], CELL_SIZE);
    (void)snprintf(row.cells[6], CELL_SIZE, "-");
    if (agent->ttl_left != AGENT_NONE)
        duration_format(agent->ttl_left, row.cells[6], CELL_SIZE);
    text_make_safe(agent->workspace, row.cells[7], CELL_SIZE);
    *ret = row;
}

static void rows_print(const struct row *rows, size_t n)
{
    size_t widths[COLUMNS] = {};

    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < COLUMNS; c++)
            widths[c] = MAX_OF(widths[c], strlen(rows[i].cells[c]));
    for (size_t i = 0; i < n; i++)
        for (size_t c = 0; c < COLUMNS; c++)
            (void)printf("%-*s%s", c + 1 < COLUMNS ? (int)widths[c] : 0, rows[i].cells[c],
                         c + 1 < COLUMNS ? "  " : "\n");
}

/* -EPROTO, -ENOMEM or 0. */
static int agents_print(const json_t *agents)
{
    AUTO_FREE struct row *rows = calloc(json_array_size(agents) + 1, sizeof(*rows));
    const json_t *json;
    size_t i;

    if (!rows)
        return -ENOMEM;
    rows[0] = header;
    json_array_foreach (agents, i, json) {
        struct agent agent;
        if (agent_from_json(json, &agent) < 0)
            return -EPROTO;
        row_fill(&agent, &rows[i + 1]);
    }
    rows_print(rows, json_array_size(agents) + 1);
    return 0;
}

int verb_list(const struct options *options)
{
    CLEANUP(connection_freep) struct connection *connection = NULL;
    struct reply reply = {};
    json_t *agents;
    int status = connection_open_or_say(options->socket, &connection);

    if (status == STATUS_OK)
        status =
            connection_call(connection, "io.caged.List",
                            json_pack("{s:b}", "all", option_given(options, OPTION_ALL)), &reply);
    if (status != STATUS_OK)
        return status;
    int r = field_array(reply.parameters, "agents", &agents);
    if (r == 0 && option_given(options, OPTION_JSON))
        status = output_json(agents);
    else if (r == 0)
        r = agents_print(agents);
    if (r < 0)
        status = connection_failed(connection, r);
    reply_deinit(&reply);
    return status == STATUS_OK ? output_flush() : status;
}
