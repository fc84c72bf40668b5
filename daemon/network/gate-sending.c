/* A configuration on its way to a running gate. */
#include "network/gate-sending.h"

#include <sys/mman.h>

#include "caged-limits.h"
#include "fd-io.h"
#include "gate-proto.h"
#include "records.h"
#include "util.h"

#define PART_SIZE 3500 /* such a message fits into a page of the kernel's, with its heads */

int gate_sending_begin(struct gate_sending *sending, uint64_t number, int config)
{
    struct gate_sending s = {.number = number};
    int r = memfd_map_sealed(config, SPEC_SIZE_MAX, &s.data, &s.size);

    if (r >= 0)
        *sending = s;
    return r;
}

void gate_sending_end(struct gate_sending *sending)
{
    if (sending->data)
        (void)munmap((void *)sending->data, sending->size);
    *sending = (struct gate_sending){};
}

static int send_record(int control, uint16_t type, const void *value, size_t size)
{
    CLEANUP(records_writer_deinit) struct records_writer w = {};
    int r = records_put(&w, type, value, size);

    if (r < 0)
        return r;
    ssize_t n = socket_send(control, w.data, w.size, NULL, 0);
    return n < 0 ? (int)n : 0;
}

static int send_next(struct gate_sending *s, int control)
{
    uint64_t size = s->size;
    size_t part = MIN_OF(s->size - s->sent, (size_t)PART_SIZE);
    int r;

    if (!s->announced) {
        r = send_record(control, GATE_ORDER_UPDATE, &size, sizeof(size));
        s->announced = r >= 0;
        return r;
    }
    r = send_record(control, GATE_ORDER_PART, (const char *)s->data + s->sent, part);
    if (r >= 0)
        s->sent += part;
    return r;
}

int gate_sending_run(struct gate_sending *sending, int control)
{
    while (sending->number && sending->sent < sending->size) {
        int r = send_next(sending, control);
        if (r < 0)
            return r == -EAGAIN ? 1 : r;
    }
    return 0;
}

bool gate_sending_is_sent(const struct gate_sending *sending)
{
    return sending->number && sending->sent == sending->size;
}
