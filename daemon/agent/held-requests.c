/* The requests of an agent that its gate holds. */
#include "agent/held-requests.h"

#include "host.h"
#include "util.h"

void held_requests_add(struct held_requests *held, const struct held_request *request)
{
    if (held->count == ARRAY_SIZE(held->items) || strlen(request->host) > HOST_NAME_MAX_LENGTH)
        return;
    char *host = strdup(request->host);
    if (!host)
        return;
    held->items[held->count] = *request;
    held->items[held->count++].host = host;
}

void held_requests_remove(struct held_requests *held, uint64_t request)
{
    size_t i = 0;

    while (i < held->count && held->items[i].request != request)
        i++;
    if (i == held->count)
        return;
    free(held->items[i].host);
    held->count--;
    memmove(&held->items[i], &held->items[i + 1], (held->count - i) * sizeof(*held->items));
}

void held_requests_clear(struct held_requests *held)
{
    while (held->count > 0)
        free(held->items[--held->count].host);
}
