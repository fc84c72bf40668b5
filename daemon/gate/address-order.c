/* See address-order.h. */
#include "address-order.h"

#include "util.h"

static void swap(struct ip_address *a, struct ip_address *b)
{
    struct ip_address other = *a;

    *a = *b;
    *b = other;
}

/* Each place that has the wrong family gets the next address of the right one; those between move
 * back by one, so that each family keeps its order. */
void address_order(struct ip_address *addresses, size_t n, sa_family_t first)
{
    bool first_turn = true;

    for (size_t i = 0; i < n; i++, first_turn = !first_turn) {
        size_t k = i;
        while (k < n && (addresses[k].family == first) != first_turn)
            k++;
        if (k == n) /* one family is left */
            return;
        for (; k > i; k--)
            swap(&addresses[k], &addresses[k - 1]);
    }
}

size_t address_share_v4(size_t n_v4, size_t n_v6, size_t max)
{
    size_t left = max - MIN_OF(n_v6, max);

    return MIN_OF(n_v4, left > max / 2 ? left : max / 2);
}
