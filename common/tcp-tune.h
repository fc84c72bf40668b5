/* What each TCP connection of ours gets: no delays, and probes that find a peer that vanished. A
 * listener hands it on to what it accepts (tcp(7), socket(7): Linux copies it), so cagedd does it
 * once for all connections of an agent to its gate. */
#pragma once

/* Failures do not matter. */
void tcp_tune(int fd);
