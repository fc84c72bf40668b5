/* The answer to a plain http request as it passes: its heads (interim ones, then the final one) are
 * read and written anew, and its body passes as it is, up to its end. Pure but for allocation;
 * fuzzed with the heads.
 *
 * The client learns from the final head alone whether its connection goes on, so that is settled
 * there: it does if the client wants it to, its request was whole by then, and the end of the
 * answer is beyond doubt. Everything else closes. */
#pragma once

#include "caged-limits.h"
#include "http-body.h"
#include "http-head.h"

struct http_answer {
    struct http_asked asked;
    char upgrade[GATE_UPGRADE_MAX + 1]; /* of `asked` */
    bool may_persist; /* the caller's part of it; may change up to the final head */
    char *head;       /* what has come of a head that is not whole */
    size_t size;
    size_t scanned;
    bool final;      /* the final head was passed on, or a 101 */
    bool persistent; /* then: the client was told that its connection stays */
    bool reusable;   /* then: the server's can take another request once the body has ended */
    bool interim;    /* there were interim heads that older clients take for final ones */
    int status;      /* of the last head */
    enum http_body_kind kind;
    struct http_body body;
};

/* What a rewritten head may need. */
#define HTTP_ANSWER_HEAD_MAX (GATE_HEAD_SIZE_MAX + HTTP_REWRITE_EXTRA)

void http_answer_init(struct http_answer *answer, const struct http_request *request);
void http_answer_deinit(struct http_answer *answer);

/* Takes bytes of a server that has not sent its final head, up to the end of one head, which is
 * written to `out`. Returns its size, 0 if it is not whole yet (all bytes were taken, or it is one
 * that does not pass); *ret_used says how many were. -EBADMSG with *ret_why if it is no answer that
 * can be read without doubt; -ENOMEM. */
ssize_t http_answer_take(struct http_answer *answer, const char *data, size_t size,
                         char out[static HTTP_ANSWER_HEAD_MAX], size_t *ret_used,
                         const char **ret_why);
