/* Ports on which a client speaks TLS from its first byte. Pure. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

bool tls_port_is(uint16_t port);
