/* An agent's output (Logs) and its end (Wait). */
#include "follow.h"

#include "exit-status.h"
#include "line-printer.h"
#include "remote-error.h"

static int send_logs_call(struct follow *f, bool follow, const uint32_t *lines)
{
    json_t *parameters = agent_name_to_json(&f->agent);

    if (parameters &&
        ((follow && json_object_set_new(parameters, "follow", json_true()) < 0) ||
         (lines && json_object_set_new(parameters, "lines", json_integer(*lines)) < 0))) {
        json_decref(parameters);
        return -ENOMEM;
    }
    return connection_send(f->connection, "io.caged.Logs", parameters, true, NULL, 0);
}

/* STATUS_OK after the last reply, an exit status after telling the user, or -errno. */
static int print_replies(struct follow *f, struct line_printer *printer)
{
    for (;;) {
        struct reply reply = {};
        int r = forwarder_receive(f->forwarder, f->connection, &reply);
        if (r < 0)
            return r;
        bool last = !reply.continues;
        r = reply.error ? remote_error_say(&reply) : line_printer_print(printer, reply.parameters);
        reply_deinit(&reply);
        if (last || r != STATUS_OK)
            return r;
    }
}

int follow_logs(struct follow *f, bool follow, const uint32_t *lines)
{
    struct line_printer printer;
    int r = send_logs_call(f, follow, lines);

    line_printer_init(&printer, f->forwarder, f->json);
    if (r == 0)
        r = print_replies(f, &printer);
    if (r == STATUS_OK)
        r = line_printer_finish(&printer);
    line_printer_deinit(&printer);
    return r < 0 ? connection_failed(f->connection, r) : r;
}

int follow_wait(struct follow *f, struct reply *ret_reply, struct agent *ret_agent)
{
    struct reply reply = {};
    int r = connection_send(f->connection, "io.caged.Wait", agent_name_to_json(&f->agent), false,
                            NULL, 0);

    if (r == 0)
        r = forwarder_receive(f->forwarder, f->connection, &reply);
    if (r < 0)
        return connection_failed(f->connection, r);
    if (reply.error) {
        r = remote_error_say(&reply);
    } else {
        r = agent_from_parameters(reply.parameters, ret_agent);
        if (r == 0) {
            *ret_reply = reply;
            return STATUS_OK;
        }
        r = connection_failed(f->connection, r);
    }
    reply_deinit(&reply);
    return r;
}
