/* A connection to a synthetic address, made by a tool that knows no proxy: which name it is for is
 * told by the address, which port by the port. From there on it is decided like a CONNECT, but no
 * HTTP is spoken with the client: it gets bytes, or a reset. */
#include <arpa/inet.h>
#include <sys/socket.h>

#include "connection.h"

static const char connect_method[] = "CONNECT"; /* what a parent proxy is asked */

/* The table was lost with an earlier gate, or the name was forgotten, or there never was one. */
static void refuse_unknown(struct connection *c, struct in_addr address)
{
    c->address = (struct ip_address){.family = AF_INET, .v4 = address};
    c->request.host.address = c->address;
    (void)ip_address_format(&c->address, c->request.host.name);
    connection_refuse(c, REFUSAL_ADDRESS_UNKNOWN, NULL);
}

void request_transparent_begin(struct connection *c)
{
    struct names_table *table = c->gate->names.table;
    struct sockaddr_in to;
    socklen_t size = sizeof(to);
    const char *why;

    if (getsockname(c->client.fd, (struct sockaddr *)&to, &size) < 0 || to.sin_family != AF_INET) {
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
        return;
    }
    c->request.port = ntohs(to.sin_port);
    struct named_address *named = names_table_find(table, to.sin_addr);
    if (!named) {
        refuse_unknown(c, to.sin_addr);
        return;
    }
    const char *name = named_address_name(named);
    if (host_parse(name, strlen(name), &c->request.host, &why) < 0) {
        connection_refuse(c, REFUSAL_GATE_FAILED, NULL);
        return;
    }
    names_table_hold(table, named);
    c->named = named;
    c->request.connect = true;
    c->request.method = (struct span){.data = connect_method, .size = sizeof(connect_method) - 1};
    c->request.version_minor = 1;
    request_decide(c);
}
