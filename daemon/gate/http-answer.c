/* See http-answer.h. */
#include "http-answer.h"

#include "util.h"

void http_answer_init(struct http_answer *answer, const struct http_request *request)
{
    *answer = (struct http_answer){
        .asked.head = request->method.size == 4 && memcmp(request->method.data, "HEAD", 4) == 0,
        .asked.version_minor = request->version_minor,
    };
    memcpy(answer->upgrade, request->upgrade, sizeof(answer->upgrade));
    answer->asked.upgrade = answer->upgrade;
}

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

/* A client that does not know interim answers (and few know more than 100) takes one for the final
 * one, and the final one for the answer to its next request, which may be for another host: so
 * that both say that there is no next one. */
static enum http_connection interim_connection(struct http_answer *answer)
{
    if (answer->status == 101)
        return HTTP_CONNECTION_UPGRADE;
    if (answer->status == 100)
        return HTTP_CONNECTION_UNSAID;
    answer->interim = true;
    return HTTP_CONNECTION_CLOSE;
}

static enum http_connection final_connection(struct http_answer *answer,
                                             const struct http_answer_head *head)
{
    bool framed = head->body != HTTP_BODY_UNTIL_CLOSE;

    answer->final = true;
    answer->kind = head->body;
    http_body_init(&answer->body, head->body, head->content_length);
    /* What a client sent along with a wish that was not granted need not be HTTP. */
    answer->persistent = answer->may_persist && framed && !answer->interim && !*answer->upgrade;
    answer->reusable =
        framed && answer->asked.version_minor > 0 && head->version_minor > 0 && !head->hop.close;
    if (!answer->persistent)
        return HTTP_CONNECTION_CLOSE;
    return answer->asked.version_minor > 0 ? HTTP_CONNECTION_UNSAID : HTTP_CONNECTION_KEEP;
}

/* A whole head. HTTP/1.0 clients know no interim ones: theirs do not pass. */
static ssize_t pass_head(struct http_answer *answer, const char *data, size_t size, char *out,
                         const char **ret_why)
{
    struct http_answer_head head;
    enum http_connection connection;

    int r = http_answer_parse(data, size, &answer->asked, &head, ret_why);
    if (r < 0)
        return r;
    answer->status = head.status;
    connection = head.status < 200 ? interim_connection(answer) : final_connection(answer, &head);
    if (head.status == 101)
        answer->final = true;
    else if (head.status < 200 && answer->asked.version_minor == 0)
        return 0;
    return http_answer_write(&head, connection, out, HTTP_ANSWER_HEAD_MAX);
}

static ssize_t find_end(struct http_answer *answer, const char *data, size_t size,
                        const char **ret_why)
{
    ssize_t found = http_head_find(data, size, &answer->scanned, ret_why);

    if (found > GATE_HEAD_SIZE_MAX || (found == 0 && size >= GATE_HEAD_SIZE_MAX)) {
        *ret_why = "the head of its answer is too long";
        return -EBADMSG;
    }
    return found;
}

ssize_t http_answer_take(struct http_answer *answer, const char *data, size_t size,
                         char out[static HTTP_ANSWER_HEAD_MAX], size_t *ret_used,
                         const char **ret_why)
{
    size_t before = answer->size;

    /* Most heads come in one piece, and are not copied. */
    if (before > 0 && append(answer, data, size) < 0)
        return -ENOMEM;
    const char *head = before > 0 ? answer->head : data;
    ssize_t found = find_end(answer, head, before + size, ret_why);
    if (found < 0)
        return found;
    *ret_used = size;
    if (found == 0)
        return before > 0 ? 0 : append(answer, data, size);
    *ret_used = (size_t)found - before;
    ssize_t n = pass_head(answer, head, (size_t)found, out, ret_why);
    free(answer->head);
    answer->head = NULL;
    answer->size = answer->scanned = 0;
    return n;
}
