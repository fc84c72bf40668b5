/* The messages of a batch (linux/netfilter/nfnetlink.h, nf_tables.h): table, chain, rule. */
#include "network/tproxy-rule.h"

#include <arpa/inet.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netlink.h>
#include <netinet/ip.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>
#include <sys/socket.h>

#include "util.h"

#define TABLE "caged"
#define CHAIN "transparent"
#define PRIORITY_MANGLE (-150) /* NF_IP_PRI_MANGLE, where tproxy belongs */
#define BATCH_SIZE 2048

/* Sequence numbers; the rule alone asks for an answer when all is well. */
enum { SEQUENCE_BEGIN = 1, SEQUENCE_TABLE, SEQUENCE_CHAIN, SEQUENCE_RULE, SEQUENCE_END };

struct batch {
    _Alignas(struct nlmsghdr) char data[BATCH_SIZE];
    size_t size;
};

static void nlmsg_freep(struct nl_msg **message)
{
    if (*message)
        nlmsg_free(*message);
}

/* A message of the batch with its nfnetlink header, or NULL. */
static struct nl_msg *message_new(unsigned sequence, int type, int flags, uint8_t family,
                                  uint16_t resource)
{
    const struct nfgenmsg header = {
        .nfgen_family = family, .version = NFNETLINK_V0, .res_id = htons(resource)};
    struct nl_msg *message = nlmsg_alloc_size(BATCH_SIZE);

    if (message && (!nlmsg_put(message, 0, sequence, type, 0, NLM_F_REQUEST | flags) ||
                    nlmsg_append(message, (void *)&header, sizeof(header), NLMSG_ALIGNTO) < 0)) {
        nlmsg_free(message);
        return NULL;
    }
    return message;
}

static struct nl_msg *table_message_new(unsigned sequence, int type, int flags)
{
    return message_new(sequence, (NFNL_SUBSYS_NFTABLES << 8) | type, NLM_F_CREATE | flags,
                       NFPROTO_IPV4, 0);
}

static int batch_add(struct batch *batch, struct nl_msg *message)
{
    size_t size = NLMSG_ALIGN(nlmsg_hdr(message)->nlmsg_len);

    if (size > sizeof(batch->data) - batch->size)
        return -E2BIG;
    memcpy(batch->data + batch->size, nlmsg_hdr(message), size);
    batch->size += size;
    return 0;
}

static int add_mark(struct batch *batch, unsigned sequence, int type)
{
    CLEANUP(nlmsg_freep)
    struct nl_msg *message = message_new(sequence, type, 0, AF_UNSPEC, NFNL_SUBSYS_NFTABLES);

    return message ? batch_add(batch, message) : -ENOMEM;
}

static int add_table(struct batch *batch)
{
    CLEANUP(nlmsg_freep)
    struct nl_msg *message = table_message_new(SEQUENCE_TABLE, NFT_MSG_NEWTABLE, 0);

    if (!message || nla_put_string(message, NFTA_TABLE_NAME, TABLE) < 0)
        return -ENOMEM;
    return batch_add(batch, message);
}

static int put_be32(struct nl_msg *message, int attribute, uint32_t value)
{
    return nla_put_u32(message, attribute, htonl(value));
}

static int add_chain(struct batch *batch)
{
    CLEANUP(nlmsg_freep)
    struct nl_msg *message = table_message_new(SEQUENCE_CHAIN, NFT_MSG_NEWCHAIN, 0);
    struct nlattr *hook;
    int r = message ? 0 : -ENOMEM;

    if (r < 0)
        return r;
    r |= nla_put_string(message, NFTA_CHAIN_TABLE, TABLE);
    r |= nla_put_string(message, NFTA_CHAIN_NAME, CHAIN);
    hook = nla_nest_start(message, NFTA_CHAIN_HOOK);
    r |= hook ? 0 : -ENOMEM;
    r |= put_be32(message, NFTA_HOOK_HOOKNUM, NF_INET_PRE_ROUTING);
    r |= put_be32(message, NFTA_HOOK_PRIORITY, (uint32_t)PRIORITY_MANGLE);
    if (r < 0)
        return -ENOMEM;
    (void)nla_nest_end(message, hook);
    r |= put_be32(message, NFTA_CHAIN_POLICY, NF_ACCEPT);
    r |= nla_put_string(message, NFTA_CHAIN_TYPE, "filter");
    return r < 0 ? -ENOMEM : batch_add(batch, message);
}

/* -- the rule's expressions -- */

static int put_value(struct nl_msg *message, int attribute, const void *value, int size)
{
    struct nlattr *nest = nla_nest_start(message, attribute);

    if (!nest || nla_put(message, NFTA_DATA_VALUE, size, value) < 0)
        return -ENOMEM;
    return nla_nest_end(message, nest);
}

struct expression {
    struct nlattr *element, *data;
};

static int begin(struct nl_msg *message, const char *name, struct expression *ret)
{
    ret->element = nla_nest_start(message, NFTA_LIST_ELEM);
    if (!ret->element || nla_put_string(message, NFTA_EXPR_NAME, name) < 0)
        return -ENOMEM;
    ret->data = nla_nest_start(message, NFTA_EXPR_DATA);
    return ret->data ? 0 : -ENOMEM;
}

static int end(struct nl_msg *message, const struct expression *expression, int r)
{
    if (r < 0)
        return -ENOMEM;
    (void)nla_nest_end(message, expression->data);
    (void)nla_nest_end(message, expression->element);
    return 0;
}

static int put_compare(struct nl_msg *message, const void *value, int size)
{
    struct expression e;
    int r = begin(message, "cmp", &e);

    if (r < 0)
        return r;
    r |= put_be32(message, NFTA_CMP_SREG, NFT_REG_1);
    r |= put_be32(message, NFTA_CMP_OP, NFT_CMP_EQ);
    r |= put_value(message, NFTA_CMP_DATA, value, size);
    return end(message, &e, r);
}

static int put_destination(struct nl_msg *message, struct in_addr network, unsigned prefix_length)
{
    const struct in_addr mask = {.s_addr = htonl(~UINT32_C(0) << (32 - prefix_length))};
    const struct in_addr zero = {0};
    struct expression e;
    int r = begin(message, "payload", &e);

    if (r < 0)
        return r;
    r |= put_be32(message, NFTA_PAYLOAD_DREG, NFT_REG_1);
    r |= put_be32(message, NFTA_PAYLOAD_BASE, NFT_PAYLOAD_NETWORK_HEADER);
    r |= put_be32(message, NFTA_PAYLOAD_OFFSET, offsetof(struct iphdr, daddr));
    r |= put_be32(message, NFTA_PAYLOAD_LEN, sizeof(network));
    r = end(message, &e, r);
    if (r < 0 || begin(message, "bitwise", &e) < 0)
        return -ENOMEM;
    r |= put_be32(message, NFTA_BITWISE_SREG, NFT_REG_1);
    r |= put_be32(message, NFTA_BITWISE_DREG, NFT_REG_1);
    r |= put_be32(message, NFTA_BITWISE_LEN, sizeof(mask));
    r |= put_value(message, NFTA_BITWISE_MASK, &mask, sizeof(mask));
    r |= put_value(message, NFTA_BITWISE_XOR, &zero, sizeof(zero));
    r = end(message, &e, r);
    return r < 0 ? r : put_compare(message, &network, sizeof(network));
}

static int put_protocol(struct nl_msg *message, uint8_t protocol)
{
    struct expression e;
    int r = begin(message, "meta", &e);

    if (r < 0)
        return r;
    r |= put_be32(message, NFTA_META_DREG, NFT_REG_1);
    r |= put_be32(message, NFTA_META_KEY, NFT_META_L4PROTO);
    r = end(message, &e, r);
    return r < 0 ? r : put_compare(message, &protocol, sizeof(protocol));
}

static int put_tproxy(struct nl_msg *message, uint16_t port)
{
    const uint16_t value = htons(port);
    struct expression e;
    int r = begin(message, "immediate", &e);

    if (r < 0)
        return r;
    r |= put_be32(message, NFTA_IMMEDIATE_DREG, NFT_REG_1);
    r |= put_value(message, NFTA_IMMEDIATE_DATA, &value, sizeof(value));
    r = end(message, &e, r);
    if (r < 0 || begin(message, "tproxy", &e) < 0)
        return -ENOMEM;
    r |= put_be32(message, NFTA_TPROXY_FAMILY, NFPROTO_IPV4);
    r |= put_be32(message, NFTA_TPROXY_REG_PORT, NFT_REG_1);
    return end(message, &e, r);
}

static int add_rule(struct batch *batch, struct in_addr network, unsigned prefix_length,
                    uint16_t port)
{
    CLEANUP(nlmsg_freep)
    struct nl_msg *message =
        table_message_new(SEQUENCE_RULE, NFT_MSG_NEWRULE, NLM_F_APPEND | NLM_F_ACK);
    struct nlattr *expressions;
    int r = message ? 0 : -ENOMEM;

    if (r < 0)
        return r;
    r |= nla_put_string(message, NFTA_RULE_TABLE, TABLE);
    r |= nla_put_string(message, NFTA_RULE_CHAIN, CHAIN);
    expressions = nla_nest_start(message, NFTA_RULE_EXPRESSIONS);
    if (r < 0 || !expressions)
        return -ENOMEM;
    r |= put_destination(message, network, prefix_length);
    r |= put_protocol(message, IPPROTO_TCP);
    r |= put_tproxy(message, port);
    if (r < 0)
        return -ENOMEM;
    (void)nla_nest_end(message, expressions);
    return batch_add(batch, message);
}

/* -- the answer -- */

/* The kernel has answered by the time that sendmsg(2) returns: errors in the messages' order, and
 * after success the one that the rule asked for. */
static int take_answer(struct nl_sock *netlink)
{
    union {
        struct nlmsghdr header;
        char data[BATCH_SIZE * 2];
    } answer;
    ssize_t n = recv(nl_socket_get_fd(netlink), &answer, sizeof(answer), MSG_DONTWAIT);

    if (n < 0)
        return negative_errno();
    if (!nlmsg_ok(&answer.header, (int)n) || answer.header.nlmsg_type != NLMSG_ERROR ||
        nlmsg_datalen(&answer.header) < (int)sizeof(struct nlmsgerr))
        return -EBADMSG;
    const struct nlmsgerr *error = nlmsg_data(&answer.header);
    if (error->error < 0)
        return error->error;
    return error->msg.nlmsg_seq == SEQUENCE_RULE ? 0 : -EBADMSG;
}

int tproxy_rule_load(struct nl_sock *netlink, struct in_addr network, unsigned prefix_length,
                     uint16_t port)
{
    struct batch batch = {.size = 0};
    int r = add_mark(&batch, SEQUENCE_BEGIN, NFNL_MSG_BATCH_BEGIN);

    if (r == 0)
        r = add_table(&batch);
    if (r == 0)
        r = add_chain(&batch);
    if (r == 0)
        r = add_rule(&batch, network, prefix_length, port);
    if (r == 0)
        r = add_mark(&batch, SEQUENCE_END, NFNL_MSG_BATCH_END);
    if (r < 0)
        return r;
    if (send(nl_socket_get_fd(netlink), batch.data, batch.size, 0) < 0)
        return negative_errno();
    return take_answer(netlink);
}
