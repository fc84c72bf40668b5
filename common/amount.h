/* Amounts as people read them, in ASCII. Pure. */
#pragma once

#include <stdint.h>

struct amount {
    char text[32];
};

const char *amount_of_bytes(uint64_t bytes, struct amount *buffer); /* "0 B", "12 kB", "3.4 MB" */
const char *amount_of_time(uint64_t usec, struct amount *buffer);   /* "3 ms", "4.2 s", "2h 10m" */
const char *amount_of_count(uint64_t count, struct amount *buffer); /* "1,234" */
