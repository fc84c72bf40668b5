/* Refusals of what is no call; the contract stands in the header. */
#include "server/connection-refuse.h"

#include "caged-limits.h"
#include "util.h"

/* As if a call had come that wants an answer: no flag of an earlier one counts. */
static void begin(struct connection *c)
{
    c->busy = true;
    c->oneway = false;
}

/* The place is named as the client's card has it, where it lies in one. */
void connection_refuse_text(struct connection *c, const struct json_text_error *error)
{
    static const char card[] = "$.parameters.card";
    bool in_card = has_prefix(error->path, card);

    begin(c);
    connection_error(c, "io.caged.InvalidCard",
                     json_pack("{s:s+, s:s, s:s}", "path", in_card ? "$" : "",
                               error->path + (in_card ? strlen(card) : 0), "found", error->found,
                               "expected", "JSON (UTF-8, no key twice, no NUL)"));
}

void connection_refuse_size(struct connection *c)
{
    begin(c);
    connection_error(c, "io.caged.InvalidCard",
                     json_pack("{s:s, s:s, s:o}", "path", "$", "found",
                               "a message that is too long", "expected",
                               json_sprintf("a card of %d KiB at most", CARD_SIZE_MAX / 1024)));
    c->broken = true;
}

void connection_refuse_descriptors(struct connection *c)
{
    begin(c);
    connection_busy(c, client_load_find_excess(&c->load));
    c->broken = true;
}

/* Another user's process has come to this connection, or a program that is another user's for its
 * caller made it. What it sent stays unread; who connected can connect again. */
void connection_refuse_sender(struct connection *c)
{
    const struct ucred *sender = &c->sender;

    begin(c);
    connection_error(
        c, "io.caged.NotPermitted",
        json_pack(
            "{s:s, s:o}", "what", "connection", "reason",
            sender->pid == 0 && c->peer.pid != 0
                ? json_string("the kernel does not tell who sent this: connect again")
                : json_sprintf("uid %u, gid %u made it, and uid %u, gid %u sent this: connect "
                               "as the user who sends",
                               c->peer.uid, c->peer.gid, sender->uid, sender->gid)));
    c->broken = true;
}
