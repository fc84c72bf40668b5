/* See tcp-tune.h. */
#include "tcp-tune.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include "caged-limits.h"
#include "util.h"

void tcp_tune(int fd)
{
    static const struct {
        int level, option, value;
    } options[] = {
        {IPPROTO_TCP, TCP_NODELAY, 1},
        {SOL_SOCKET, SO_KEEPALIVE, 1},
        {IPPROTO_TCP, TCP_KEEPIDLE, GATE_KEEPALIVE_IDLE},
        {IPPROTO_TCP, TCP_KEEPINTVL, GATE_KEEPALIVE_INTERVAL},
        {IPPROTO_TCP, TCP_KEEPCNT, GATE_KEEPALIVE_PROBES},
    };

    for (size_t i = 0; i < ARRAY_SIZE(options); i++)
        (void)setsockopt(fd, options[i].level, options[i].option, &options[i].value,
                         sizeof(options[i].value));
}
