/* What every target has: its entry, and what it holds the code to. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); /* libFuzzer's name for it */

static inline void require(bool condition)
{
    if (!condition)
        abort();
}
