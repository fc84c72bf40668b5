/* Any message of a gate that was taken over: no crash, and what is handed on is as the contract has
 * it (common/gate-proto.h). */
#include "daemon/network/gate-messages.h"
#include "fuzz.h"
#include "util.h"

static void require_text(const char *text)
{
    for (; *text; text++)
        require(*text >= 0x20 && *text <= 0x7e);
}

static void require_subject(const char *method, const char *host, const char *address,
                            const char *rule, const char *reason)
{
    require_text(method);
    require_text(host);
    require_text(address);
    require_text(rule);
    require_text(reason);
}

static void decided(void *user, const struct gate_decision *d)
{
    size_t *n = user;

    require_subject(d->method, d->host, d->address, d->rule, d->reason);
    require(d->verdict < GATE_VERDICT_COUNT && d->count >= 1 && d->count <= UINT32_MAX);
    require((d->request == 0) == (d->count > 1));
    require(d->verdict != GATE_HELD || d->count == 1);
    ++*n;
}

static void ended(void *user, const struct gate_end *e)
{
    size_t *n = user;

    require_subject(e->method, e->host, e->address, e->rule, e->reason);
    require(e->count >= 1 && e->count <= UINT32_MAX && (e->request == 0) == (e->count > 1));
    require(e->bytes_up <= INT64_MAX && e->bytes_down <= INT64_MAX &&
            e->duration_usec <= INT64_MAX);
    ++*n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct gate_group_calls calls = {.decided = decided, .ended = ended};
    struct gate_message message;
    size_t n = 0;

    if (gate_message_parse(data, size, &message) < 0)
        return 0;
    if (message.kind == GATE_SAYS_FAILED)
        require_text(message.why);
    if (message.kind != GATE_SAYS_GROUPS)
        return 0;
    gate_message_for_each(data, size, &calls, &n);
    require(n > 0);
    return 0;
}
