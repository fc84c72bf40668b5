/* Any messages to a gate, and any configuration in parts of any size: no crash and no leak; an
 * update ends as the configuration alone would, and a configuration may follow itself. */
#include "daemon/gate/update.h"
#include "fuzz.h"
#include "gate-proto.h"
#include "records.h"

/* One message; whether it was the last of a good update. */
static int take(struct update *update, const void *message, size_t size)
{
    CLEANUP(gate_config_freep) struct gate_config *config = NULL;
    const char *why = NULL;
    int r = update_take(update, message, size, &config, &why);

    require(r <= 1 && (config != NULL) == (r == 1) && (why != NULL) == (r == -EBADMSG));
    require(r == 0 || !update->data);
    require(!config || !update_fault(config, config));
    return r;
}

/* Each with its size before it, in two bytes. */
static void take_messages(const uint8_t *data, size_t size)
{
    CLEANUP(update_deinit) struct update update = {};
    uint16_t n;

    while (size >= sizeof(n)) {
        memcpy(&n, data, sizeof(n));
        data += sizeof(n);
        size -= sizeof(n);
        n = (uint16_t)MIN_OF((size_t)n, size);
        (void)take(&update, data, n);
        data += n;
        size -= n;
    }
}

static int take_record(struct update *update, uint16_t type, const void *value, size_t size)
{
    CLEANUP(records_writer_deinit) struct records_writer w = {};

    require(records_put(&w, type, value, size) == 0);
    return take(update, w.data, w.size);
}

static void take_configuration(const uint8_t *data, size_t size, size_t part)
{
    CLEANUP(gate_config_freep) struct gate_config *config = NULL;
    CLEANUP(update_deinit) struct update update = {};
    const char *why = NULL;
    uint64_t announced = size;
    int alone = gate_config_parse(data, size, &config, &why);

    require(take_record(&update, GATE_ORDER_UPDATE, &announced, sizeof(announced)) == 0);
    for (size_t at = 0; at < size; at += part) {
        size_t n = MIN_OF(part, size - at);
        int r = take_record(&update, GATE_ORDER_PART, data + at, n);
        require(at + n < size ? r == 0 : r == (alone == 0 ? 1 : alone));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 3)
        return 0;
    if (data[0] & 1)
        take_configuration(data + 2, size - 2, (size_t)data[1] + 1);
    else
        take_messages(data + 2, size - 2);
    return 0;
}
