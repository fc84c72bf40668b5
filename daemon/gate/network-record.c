/* A DECISION or an END as the gate sends it. */
#include "network-record.h"

static void put_subject(struct records_writer *w, const struct network_record *r)
{
    records_put_string(w, GATE_MESSAGE_METHOD, r->method);
    records_put_string(w, GATE_MESSAGE_HOST, r->host);
    records_put_u64(w, GATE_MESSAGE_PORT, r->port);
    records_put_string(w, GATE_MESSAGE_ADDRESS, r->address);
    records_put_string(w, GATE_MESSAGE_RULE, r->rule);
    records_put_string(w, GATE_MESSAGE_REASON, r->reason);
}

int network_record_encode(struct records_writer *w, const struct network_record *r)
{
    if (r->end) {
        records_put_u64(w, GATE_MESSAGE_END, r->request);
        put_subject(w, r);
        records_put_u64(w, GATE_MESSAGE_BYTES_UP, r->bytes_up);
        records_put_u64(w, GATE_MESSAGE_BYTES_DOWN, r->bytes_down);
        records_put_u64(w, GATE_MESSAGE_DURATION_USEC, r->duration_usec);
    } else {
        records_put_u64(w, GATE_MESSAGE_DECISION, r->verdict);
        records_put_u64(w, GATE_MESSAGE_REQUEST, r->request);
        put_subject(w, r);
        records_put_u64(w, GATE_MESSAGE_STATUS, r->status);
    }
    return records_put_u64(w, GATE_MESSAGE_COUNT, r->count);
}
