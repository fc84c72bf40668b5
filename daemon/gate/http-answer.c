/* See http-answer.h. */
#include "http-answer.h"

#include "caged-limits.h"
#include "http-head.h"
#include "util.h"

void http_answer_deinit(struct http_answer *answer)
{
    free(answer->head);
    *answer = (struct http_answer){0};
}

static int append(struct http_answer *answer, const char *data, size_t size)
{
    char *head = realloc(answer->head, answer->size + size);
    if (!head)
        return -ENOMEM;
    memcpy(head + answer->size, data, size);
    answer->head = head;
    answer->size += size;
    return 0;
}

/* Writes the next head if it is whole. Returns the bytes of it that were used, 0 if it is not
 * whole. */
static ssize_t pass_head(struct http_answer *answer, const char *data, size_t size, char *out,
                         size_t out_size, size_t *ret_written, const char **ret_why)
{
    struct http_answer_head head;
    ssize_t found = http_head_find(data, size, &answer->scanned, ret_why);

    if (found == 0 && size < GATE_HEAD_SIZE_MAX)
        return 0;
    if (found == 0 || found > GATE_HEAD_SIZE_MAX) {
        *ret_why = "the head of its answer is too long";
        return -EBADMSG;
    }
    int r = found < 0 ? (int)found : http_answer_parse(data, (size_t)found, &head, ret_why);
    if (r < 0)
        return r;
    ssize_t written = http_answer_write(&head, out, out_size);
    if (written < 0)
        return written;
    answer->scanned = 0;
    answer->final = head.status >= 200;
    *ret_written = (size_t)written;
    return found;
}

/* What is not used yet: behind the final head it is passed on, else it waits for more. */
static size_t keep_rest(struct http_answer *answer, size_t used, char *out)
{
    size_t rest = answer->size - used;

    if (!answer->final) {
        memmove(answer->head, answer->head + used, rest);
        answer->size = rest;
        return 0;
    }
    memcpy(out, answer->head + used, rest);
    free(answer->head);
    answer->head = NULL;
    answer->size = 0;
    return rest;
}

int http_answer_take(struct http_answer *answer, const char *data, size_t size, char **ret,
                     size_t *ret_size, const char **ret_why)
{
    size_t used = 0, filled = 0, written;
    ssize_t n = 1;

    if (append(answer, data, size) < 0)
        return -ENOMEM;
    /* Each header (four bytes at least) can grow by the space behind its colon. */
    size_t allocated = answer->size * 2 + HTTP_REWRITE_EXTRA;
    AUTO_FREE char *out = malloc(allocated);
    if (!out)
        return -ENOMEM;
    while (n > 0 && !answer->final) {
        n = pass_head(answer, answer->head + used, answer->size - used, out + filled,
                      allocated - filled, &written, ret_why);
        if (n < 0)
            return (int)n;
        if (n > 0) {
            used += (size_t)n;
            filled += written;
        }
    }
    filled += keep_rest(answer, used, out + filled);
    *ret = filled > 0 ? TAKE_PTR(out) : NULL;
    *ret_size = filled;
    return 0;
}
