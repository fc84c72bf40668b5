/* Stands where cagedd stands: reads what caged-gate says on its control socket (standard input)
 * until its end, and answers nothing. */
#include "bench-net.h"

int main(void)
{
    char message[64 * 1024];

    while (recv(STDIN_FILENO, message, sizeof(message), 0) > 0)
        ;
    return EXIT_SUCCESS;
}
