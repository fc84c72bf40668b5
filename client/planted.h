/* Files that an agent changed and that its user's own tools may run (`planted` of an Agent and of
 * an Event), for people. */
#pragma once

#include <jansson.h>

/* On stderr, each with the reason why it counts, and whether everything was looked at; nothing for
 * an agent that changed none. 0, or -EPROTO before anything is said. */
int planted_say(const json_t *agent);

/* The same as a section of `cagectl inspect`; nothing for an agent that was not looked after. */
int planted_print(const json_t *agent);

/* For a line of `cagectl events`: ", 3 files changed that your tools may run". */
int planted_print_count(const json_t *event);
