/* The pipes through which bulk is spliced: a bounded number for the whole process, made when they
 * are wanted. A flow holds one only while something is in it. */
#pragma once

#include <stdbool.h>

/* An empty, non-blocking pipe: read from the first, write to the second. 0; -EAGAIN if all are in
 * use; -errno. */
int pipe_pool_take(int ret[2]);

/* Takes it back, and sets both to -EBADF. What is not empty is closed: nobody else may ever find a
 * byte in it. */
void pipe_pool_give(int pipe[2], bool empty);

/* Closes those that wait for use. */
void pipe_pool_deinit(void);
