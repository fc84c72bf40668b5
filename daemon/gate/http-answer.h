/* The answer to a plain http request as it passes: its heads (1xx ones, then the final one) are
 * read and written anew, what follows them passes as it is. Pure but for allocation; fuzzed with
 * the heads.
 *
 * The final head gets `Connection: close`, whatever the server said. Without it a client may send
 * its next request, perhaps for another host, on this connection (RFC 9112, section 9.3): that
 * request would go nowhere, and the server of the first could answer it in the other's name. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct http_answer {
    char *head; /* what has come of a head that is not whole */
    size_t size;
    size_t scanned;
    bool final; /* the final head was passed on */
};

void http_answer_deinit(struct http_answer *answer);

/* Takes in bytes of a server that has not sent its final head. *ret (free it; NULL if there is
 * nothing yet) is what may be passed on. 0; -EBADMSG with *ret_why (ret and ret_size untouched) if
 * it is no answer that can be read without doubt; -ENOMEM. */
int http_answer_take(struct http_answer *answer, const char *data, size_t size, char **ret,
                     size_t *ret_size, const char **ret_why);
