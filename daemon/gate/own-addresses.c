/* See own-addresses.h. What is special by itself (private, loopback, ...) needs no place in the
 * list: it is refused or listed as what it is. So the list is short, and looked through. */
#include "own-addresses.h"

#include <ifaddrs.h>

#include "address-class.h"

struct own_addresses {
    struct ip_address *items;
    size_t count;
};

struct own_addresses *own_addresses_free(struct own_addresses *own)
{
    if (own)
        free(own->items);
    free(own);
    return NULL;
}

static int add(struct own_addresses *own, const struct ip_address *address)
{
    if (address_special(address))
        return 0;
    struct ip_address *items = reallocarray(own->items, own->count + 1, sizeof(*items));
    if (!items)
        return -ENOMEM;
    items[own->count++] = *address;
    own->items = items;
    return 0;
}

int own_addresses_new(const struct ip_address *addresses, size_t n, struct own_addresses **ret)
{
    CLEANUP(own_addresses_freep) struct own_addresses *own = calloc(1, sizeof(*own));
    int r = own ? 0 : -ENOMEM;

    for (size_t i = 0; r == 0 && i < n; i++)
        r = add(own, &addresses[i]);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(own);
    return 0;
}

/* False for what is no IP address (links have others). */
static bool from_sockaddr(const struct sockaddr *sa, struct ip_address *ret)
{
    if (!sa || (sa->sa_family != AF_INET && sa->sa_family != AF_INET6))
        return false;
    *ret = (struct ip_address){.family = sa->sa_family};
    if (sa->sa_family == AF_INET)
        ret->v4 = ((const struct sockaddr_in *)(const void *)sa)->sin_addr;
    else
        ret->v6 = ((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    return true;
}

int own_addresses_read(struct own_addresses **ret)
{
    CLEANUP(own_addresses_freep) struct own_addresses *own = calloc(1, sizeof(*own));
    struct ifaddrs *list;
    int r = 0;

    if (!own)
        return -ENOMEM;
    if (getifaddrs(&list) < 0)
        return negative_errno();
    for (const struct ifaddrs *item = list; r == 0 && item; item = item->ifa_next) {
        struct ip_address address;
        if (from_sockaddr(item->ifa_addr, &address))
            r = add(own, &address);
    }
    freeifaddrs(list);
    if (r < 0)
        return r;
    *ret = TAKE_PTR(own);
    return 0;
}

bool own_addresses_have(const struct own_addresses *own, const struct ip_address *address)
{
    for (size_t i = 0; own && i < own->count; i++)
        if (address->family == own->items[i].family &&
            address_in_network(address, &own->items[i], address->family == AF_INET ? 32 : 128))
            return true;
    return false;
}
