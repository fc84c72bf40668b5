/* Text for people: messages on stderr, strings of strangers made harmless for a terminal, times. */
#pragma once

#include <stdint.h>
#include <stdio.h>

#include "util.h"

/* Prints UTF-8 text with every control character (C0, DEL, C1) and every bidirectional override
 * as \xNN, so that a name cannot move the cursor or lie about its order. */
void text_print(FILE *file, const char *text);

/* The same into a buffer; cut at its end, always terminated. */
void text_make_safe(const char *text, char *buffer, size_t size);

/* "cagectl: ...\n" and "  hint ...\n" on stderr, both made safe. */
void say(const char *format, ...) PRINTF_LIKE(1, 2);
void say_hint(const char *format, ...) PRINTF_LIKE(1, 2);

/* What say() said last, made safe, without "cagectl: "; "" before that. Valid until the next. */
const char *said_last(void);

/* "42s", "5m 3s", "2h 10m", "3d 4h". */
void duration_format(uint64_t seconds, char *buffer, size_t size);

/* Local date and time of microseconds since 1970, to the millisecond. */
void time_format(uint64_t usec, char *buffer, size_t size);

/* Where requests went: "host:port", "[::1]:port"; without a host "(several)" or, for one, "-". Not
 * made safe; cut at the end of the buffer. */
void target_format(const char *host, uint64_t port, uint64_t count, char *buffer, size_t size);
