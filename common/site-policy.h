/* The site policy: which users may run which agents, and with how much. Rules in order, the first
 * that matches a user holds, and who matches none may run nothing. A rule is a set of ceilings; a
 * card may ask for less and never for more. Used by `cagectl policy` and, with authority, by
 * cagedd. The reference is policy/policy.schema.json, the text for people caged.policy(5). Pure but
 * for allocation, with one exception: site_policy_resolve() looks up users and groups. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "card.h"
#include "host-pattern.h"
#include "util.h"

/* Whose rule is looked for: a peer of the daemon's, by the kernel's word. */
struct policy_subject {
    uid_t uid;
    gid_t gid;
    const gid_t *groups; /* supplementary ones, borrowed */
    size_t n_groups;
};

/* Users and groups as a policy names them. */
struct policy_who {
    struct string_list users, groups; /* names or numbers as written; "*" among users is everybody
                                         but root */
    uid_t *uids;                      /* by site_policy_resolve() */
    gid_t *gids;
    size_t n_uids, n_gids;
    bool everybody; /* "*" */
};

/* Hosts that lists of cards are held against: the patterns of texts.items, one by one. */
struct policy_hosts {
    struct string_list texts; /* as written */
    struct host_pattern *patterns;
};

/* What somebody else than an agent's owner and root may do with it. */
enum policy_right {
    POLICY_SEE,    /* List, Inspect, Hosts, Logs, History, Audit, Wait, Events */
    POLICY_STOP,   /* Stop, Kill */
    POLICY_CHANGE, /* Reload, ChangeHosts */
    POLICY_RIGHT_COUNT,
};

struct policy_access {
    struct policy_who who;
    unsigned rights; /* bits 1u << POLICY_SEE, ...; each other right implies that bit */
};

/* For all agents of one user together, their gates included. 0: no limit. */
struct policy_total {
    uint64_t memory_mb;
    uint64_t memory_percent; /* of the host's memory; never beside memory_mb */
    uint64_t max_processes;
};

struct policy_rule {
    char *name; /* "developers", or "rule 2" */
    struct policy_who who;
    uint64_t max_agents;        /* of one user at once */
    uint64_t spawns_per_minute; /* of one user; 0: no limit */
    struct card_limits limits;  /* the most that a card may have of each; UINT64_MAX: no limit */
    struct policy_total total;
    uint64_t max_ttl_seconds;           /* 0: none; holds also where the card has none */
    struct string_list workspace_roots; /* absolute paths; "/" is every place */
    struct string_list mount_roots;     /* for the card's mounts; none: no mounts */
    struct string_list writable_mount_roots;
    struct string_list excluded_file_systems; /* types as in /proc/self/mountinfo: "nfs4" */
    struct policy_hosts allowed_hosts;        /* for names and what is globally routable */
    struct policy_hosts private_hosts;        /* for what is not, and for names of private_hosts */
    struct policy_hosts parent_proxies;       /* for a card's proxy */
    struct string_list environment;           /* names of variables; "LC_*", "*" */
    struct string_list presets;               /* names; "*" */
    struct string_list seccomp_profiles;      /* names; "*" */
    bool command;                             /* a card may have a command of its own */
    bool transparent;                         /* a card may have `transparent` */
    bool unprotected;                         /* a card may leave out a kind of `protect` */
    bool metadata;         /* "*" is metadata services of clouds too: root's rule alone */
    bool namespaced_peers; /* also from a user or PID namespace of their own, or from a cage */
    struct policy_access *access;
    size_t n_access;
};

struct site_policy {
    struct policy_rule *rules;
    size_t n_rules;
};

/* What is wrong with a policy; as in struct card_error, and where in the text. */
struct policy_error {
    struct card_error at; /* "$.rules[1].max_agents" */
    int line, column;     /* 1-based; 0: it is about no place in the text */
};

/* "FILE:3:5: $.rules: found X, expected Y": as all say it. Without the place or the path where it
 * has none. Cut at the end of the buffer, always terminated. */
void policy_error_format(const struct policy_error *error, const char *file, char *buffer,
                         size_t size);

/* Parses and validates the text of a policy. 0 with a policy for site_policy_free(); -EINVAL with
 * *ret_error filled; -ENOMEM. */
int site_policy_parse_text(const char *text, size_t size, struct site_policy **ret,
                           struct policy_error *ret_error);

/* Fills in the numbers of all users and groups that are named (getpwnam_r(3), getgrnam_r(3): it may
 * ask a server, and take its time). A name that nobody has matches nobody; each such name is told
 * by `unknown`, which may be NULL. 0 or -errno, if a name could not be looked up for another
 * reason. */
int site_policy_resolve(struct site_policy *policy,
                        void (*unknown)(void *user, const char *rule, const char *what,
                                        const char *name),
                        void *user);

struct site_policy *site_policy_free(struct site_policy *policy);
DEFINE_CLEANUP(struct site_policy, site_policy_free);

/* The first rule that matches, borrowed from the policy, or NULL. Root is matched by a rule that
 * names root or uid 0 among its users alone, and else gets site_policy_root_rule(). `policy` may be
 * NULL: no rules. */
const struct policy_rule *site_policy_find(const struct site_policy *policy,
                                           const struct policy_subject *subject);

/* A rule without any ceiling, but for namespaced_peers: that is for a policy to say. Static. */
const struct policy_rule *site_policy_root_rule(void);

/* Whether `subject`, neither root nor the owner, has this right over agents of the rule's users.
 * `rule` may be NULL: nobody has. */
bool policy_rule_grants(const struct policy_rule *rule, const struct policy_subject *subject,
                        enum policy_right right);

/* Holds a card against a rule. What the card leaves open is lowered to the ceiling (limits, time to
 * live). 0, or -EPERM with *ret_error about the first key that is over, and the card as it was:
 * `path` "$.resource_limits.memory_mb", `found` what the card asks for ("8192"), `expected` the
 * ceiling ("at most 4096"); the rule's name is for the caller to add. What only a descriptor can
 * tell (workspace_roots, mount_roots, file systems) is not asked here. Whether the card's command
 * has a preset is to be looked up before (installed_find_preset()); likewise for what follows. */
int policy_rule_hold(const struct policy_rule *rule, struct card *card,
                     struct card_error *ret_error);

/* Each ceiling beside what the card asks for: an array of
 * {key, ceiling, asked, effective, ok: bool, reason: string if not ok}; texts for people, but for
 * `key` (of the card, "resource_limits.memory_mb", or of the rule where no key of the card asks:
 * "max_agents") and `ok`. Some is not ok exactly if policy_rule_hold() refuses. The card is not
 * changed. New reference, or NULL without memory. */
json_t *policy_rule_explain(const struct policy_rule *rule, const struct card *card);

/* What a policy says of a card of the subject's, as ExplainPolicy answers (io.caged.varlink): no
 * `rule` if none matches, no `index` of the one that root has without a policy, which may be NULL.
 * New reference, or NULL without memory. */
json_t *site_policy_explain(const struct site_policy *policy, const struct policy_subject *subject,
                            const struct card *card);

/* Whether one entry of allowed_hosts is within the rule, as policy_rule_hold() asks it of a card's:
 * 0, or -EPERM with *ret_error, whose `path` is empty. For entries that come while an agent runs.
 * -EINVAL, likewise, if it is no entry at all. */
int policy_rule_hold_host(const struct policy_rule *rule, const char *entry,
                          struct card_error *ret_error);

/* Whether an entry of private_hosts is within the rule, as policy_rule_hold() asks it of a card's.
 */
bool policy_rule_has_private_host(const struct policy_rule *rule,
                                  const struct host_pattern *private_host);

const char *policy_right_to_string(enum policy_right right); /* "see", "stop", "change" */
int policy_right_from_string(const char *name, enum policy_right *ret); /* 0 or -EINVAL */
