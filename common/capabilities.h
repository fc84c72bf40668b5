/* Giving up capabilities (capabilities(7)) by system calls alone: without a library, memory of the
 * heap or a file. */
#pragma once

/* Empties the bounding set, so that no program that is executed later brings any back. Needs
 * CAP_SETPCAP, so it comes before capabilities_drop(). 0 or -errno. */
int capabilities_drop_bounding_set(void);

/* Empties the ambient, effective, permitted and inheritable sets. 0 or -errno. */
int capabilities_drop(void);
