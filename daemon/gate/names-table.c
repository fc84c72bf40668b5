/* See names-table.h: two hash tables over the same entries, and a list of those that may go, the
 * one that was asked for longest ago first. */
#include "names-table.h"

#include <arpa/inet.h>

#include "caged-limits.h"
#include "gate-proto.h"

#define N_BUCKETS 4096u /* a power of two */

/* Without the first and the last address of the block, which look like no host's. */
#define FIRST_ADDRESS (GATE_SYNTHETIC_NETWORK + 1)
#define N_ADDRESSES ((UINT32_C(1) << (32 - GATE_SYNTHETIC_PREFIX)) - 2)
_Static_assert(N_ADDRESSES > 16 * GATE_NAMES_MAX, "addresses would come round too soon");

struct named_address {
    struct named_address *next_name, *next_address; /* in the buckets */
    struct named_address *older, *newer;            /* in the list; held ones are not in it */
    uint32_t address;
    unsigned n_holds;
    char name[];
};

struct names_table {
    struct named_address *names[N_BUCKETS], *addresses[N_BUCKETS];
    struct named_address *oldest, *newest;
    uint32_t seed;
    uint32_t next; /* the address to be given next, counted from the first */
    size_t count;
};

int names_table_new(uint32_t lot, struct names_table **ret)
{
    struct names_table *table = calloc(1, sizeof(*table));

    if (!table)
        return -ENOMEM;
    table->seed = lot;
    table->next = lot % N_ADDRESSES;
    *ret = table;
    return 0;
}

struct names_table *names_table_free(struct names_table *table)
{
    if (!table)
        return NULL;
    for (size_t i = 0; i < N_BUCKETS; i++)
        while (table->names[i]) {
            struct named_address *entry = table->names[i];
            table->names[i] = entry->next_name;
            free(entry);
        }
    free(table);
    return NULL;
}

/* FNV-1a. */
static size_t bucket_of_name(const struct names_table *table, const char *name)
{
    uint32_t hash = UINT32_C(2166136261) ^ table->seed;

    for (; *name; name++)
        hash = (hash ^ (uint8_t)*name) * UINT32_C(16777619);
    return (hash ^ hash >> 16) % N_BUCKETS;
}

static size_t bucket_of_address(uint32_t address)
{
    return address % N_BUCKETS; /* they are given in turn */
}

/* -- the list -- */

static void list_remove(struct names_table *table, struct named_address *entry)
{
    *(entry->older ? &entry->older->newer : &table->oldest) = entry->newer;
    *(entry->newer ? &entry->newer->older : &table->newest) = entry->older;
    entry->older = entry->newer = NULL;
}

static void list_append(struct names_table *table, struct named_address *entry)
{
    entry->older = table->newest;
    *(table->newest ? &table->newest->newer : &table->oldest) = entry;
    table->newest = entry;
}

/* -- entries -- */

static void forget_oldest(struct names_table *table)
{
    struct named_address *entry = table->oldest;
    struct named_address **link = &table->names[bucket_of_name(table, entry->name)];

    while (*link != entry)
        link = &(*link)->next_name;
    *link = entry->next_name;
    link = &table->addresses[bucket_of_address(entry->address)];
    while (*link != entry)
        link = &(*link)->next_address;
    *link = entry->next_address;
    list_remove(table, entry);
    free(entry);
    table->count--;
}

static struct named_address *find_name(const struct names_table *table, const char *name)
{
    struct named_address *entry = table->names[bucket_of_name(table, name)];

    while (entry && !streq(entry->name, name))
        entry = entry->next_name;
    return entry;
}

static struct named_address *find_address(const struct names_table *table, uint32_t address)
{
    struct named_address *entry = table->addresses[bucket_of_address(address)];

    while (entry && entry->address != address)
        entry = entry->next_address;
    return entry;
}

/* The next one that nobody has: there are more addresses than names. */
static uint32_t draw_address(struct names_table *table)
{
    uint32_t address;

    do {
        address = FIRST_ADDRESS + table->next;
        table->next = (table->next + 1) % N_ADDRESSES;
    } while (find_address(table, address));
    return address;
}

static struct named_address *add(struct names_table *table, const char *name)
{
    size_t size = strlen(name) + 1;
    struct named_address *entry = calloc(1, sizeof(*entry) + size);
    struct named_address **link;

    if (!entry)
        return NULL;
    memcpy(entry->name, name, size);
    entry->address = draw_address(table);
    link = &table->names[bucket_of_name(table, name)];
    entry->next_name = *link;
    *link = entry;
    link = &table->addresses[bucket_of_address(entry->address)];
    entry->next_address = *link;
    *link = entry;
    list_append(table, entry);
    table->count++;
    return entry;
}

int names_table_assign(struct names_table *table, const char *name, struct in_addr *ret)
{
    struct named_address *entry = find_name(table, name);

    if (entry && entry->n_holds == 0) {
        list_remove(table, entry);
        list_append(table, entry);
    } else if (!entry) {
        if (table->count == GATE_NAMES_MAX && !table->oldest)
            return -ENOBUFS;
        if (table->count == GATE_NAMES_MAX)
            forget_oldest(table);
        entry = add(table, name);
        if (!entry)
            return -ENOMEM;
    }
    ret->s_addr = htonl(entry->address);
    return 0;
}

struct named_address *names_table_find(struct names_table *table, struct in_addr address)
{
    return find_address(table, ntohl(address.s_addr));
}

const char *named_address_name(const struct named_address *named)
{
    return named->name;
}

void names_table_hold(struct names_table *table, struct named_address *named)
{
    if (named->n_holds++ == 0)
        list_remove(table, named);
}

void names_table_release(struct names_table *table, struct named_address *named)
{
    if (--named->n_holds == 0)
        list_append(table, named);
}
