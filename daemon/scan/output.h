/* What was found, told to cagedd at once: at most so much of each kind that a flood of one hides no
 * other, and that all of it fits into a pipe, so that nothing here ever waits. */
#pragma once

#include "planted-kind.h"
#include "scan-proto.h"

/* A path from the workspace on. False: nobody reads any more. */
bool output_found(enum planted_kind kind, enum planted_change change, const char *path);

/* The last record. */
bool output_end(enum scan_result result);
