/* The table of ports that speak TLS by their registration (IANA's registry of service names and
 * port numbers). A port belongs in it if TLS begins with the client's first byte: not where a
 * command of the inner protocol starts it (STARTTLS), and not for being used so here and there. */
#include "tls-port.h"

#include <stddef.h>

#include "util.h"

static const uint16_t ports[] = {
    443,  /* https */
    465,  /* submissions (RFC 8314) */
    563,  /* nntps */
    636,  /* ldaps */
    853,  /* domain-s: DNS over TLS (RFC 7858) */
    989,  /* ftps-data */
    990,  /* ftps */
    992,  /* telnets */
    993,  /* imaps */
    994,  /* ircs, as it was */
    995,  /* pop3s */
    2083, /* radsec (RFC 6614) */
    2376, /* docker-s */
    3269, /* msft-gc-ssl: the global catalog by LDAP */
    5061, /* sips */
    5349, /* stuns, turns */
    5671, /* amqps */
    5986, /* wsmans */
    6443, /* sun-sr-https; Kubernetes */
    6513, /* netconf-tls */
    6514, /* syslog-tls (RFC 5425) */
    6697, /* ircs-u (RFC 7194) */
    8443, /* pcsync-https */
    8883, /* secure-mqtt */
};

bool tls_port_is(uint16_t port)
{
    for (size_t i = 0; i < ARRAY_SIZE(ports); i++)
        if (ports[i] == port)
            return true;
    return false;
}
