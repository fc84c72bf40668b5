/* Labels of international domain names in the form that DNS knows: "xn--" and Punycode. Pure;
 * fuzzed by way of host_parse. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Whether the label begins with "xn--", in either case. */
bool a_label_is_claimed(const char *label, size_t length);

/* Whether what follows "xn--" is Punycode (RFC 3492) of characters that are not all ASCII, and no
 * controls. It is not asked whether these characters may stand in a domain name (RFC 5892): that
 * takes Unicode's tables, and the registries ask it. */
bool a_label_is_valid(const char *label, size_t length);
