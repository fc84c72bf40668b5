/* What passes between cagedd and caged-init: which descriptors the new process finds, the records
 * of the sealed specification, and the messages on the control socket (SOCK_SEQPACKET, one message
 * of records each; common/records.h is the encoding).
 *
 * The order: cagedd starts caged-init in its cgroups and in fresh namespaces; caged-init reads the
 * specification, builds the root file system, forks the agent's process and drops all privileges of
 * both; cagedd meanwhile makes the network, then sends GO; caged-init lets the agent's process
 * execute its command and answers STARTED (or FAILED at any time), and once EXITED. A control
 * socket that ends on cagedd's side ends the cage; one that ends on caged-init's side before
 * STARTED is a failure, before EXITED a death. */
#pragma once

#include <stdint.h>

/* Descriptors at the start of caged-init. 0 is /dev/null; 1 and 2 are the agent's output pipes,
 * or /dev/null when the agent gets a terminal. */
enum init_fd {
    INIT_FD_CONTROL = 3,   /* SOCK_SEQPACKET to cagedd */
    INIT_FD_SPEC = 4,      /* sealed memfd of the records below */
    INIT_FD_WORKSPACE = 5, /* detached mount (open_tree(2), OPEN_TREE_CLONE), not yet idmapped */
    INIT_FD_SECCOMP = 6,   /* sealed memfd: struct sock_filter[], native order */
    INIT_FD_PROTECTED = 7, /* memfd, or /dev/null: gets struct protected_folder of scan-proto.h */
    INIT_FD_MOUNTS = 8,    /* detached mounts, one for each INIT_SPEC_MOUNT, in their order */
    INIT_FD_COUNT = 16,    /* INIT_FD_MOUNTS + CARD_MOUNTS_MAX */
};

#define INIT_SPEC_VERSION 5

/* Records of the specification. `once` ones must stand there exactly once. */
enum init_spec_record {
    INIT_SPEC_VERSION_NUMBER = 1, /* u64, once: INIT_SPEC_VERSION */
    INIT_SPEC_AGENT_ID,           /* string, once: also the host name of the cage */
    INIT_SPEC_UID_BASE,           /* u64, once: first uid and gid of the agent's own range */
    INIT_SPEC_OWNER_UID,          /* u64, once: as whom the agent acts on disk, never 0 */
    INIT_SPEC_OWNER_GID,          /* u64, once: the same for the group */
    INIT_SPEC_FOLDER_UID,         /* u64, once: whose the workspace folder itself is on disk */
    INIT_SPEC_FOLDER_GID,         /* u64, once: the same for the group */
    INIT_SPEC_MAX_OPEN_FILES,     /* u64, once: RLIMIT_NOFILE, soft and hard */
    INIT_SPEC_TMPFS_BYTES,        /* u64, once: size= of each tmpfs that the agent can write */
    INIT_SPEC_TERMINAL,           /* u64, once: 1 gives the agent a PTY as 0, 1, 2 and its tty */
    INIT_SPEC_TERMINAL_ROWS,      /* u64, once: its size before the agent looks; 0: unknown */
    INIT_SPEC_TERMINAL_COLUMNS,   /* u64, once */
    INIT_SPEC_NAME_SERVER,        /* u64, once: an IPv4 address, host order; 0: none */
    INIT_SPEC_PROTECT_GIT,        /* u64, once: 1: protect-git.h */
    INIT_SPEC_ARGUMENT,           /* string, 1 or more: argv; [0] is looked up in PATH */
    INIT_SPEC_ENVIRONMENT,        /* string, any number: NAME=value */
    INIT_SPEC_FILE,       /* path NUL content: root's, 0644, in folders that are root's, 0755 */
    INIT_SPEC_AGENT_FILE, /* path NUL content: the agent's, 0644, in folders of the agent's */
    INIT_SPEC_MOUNT,      /* struct init_spec_mount_ids, then the target as a string; any number up
                             to CARD_MOUNTS_MAX */
    INIT_SPEC_WORKSPACE,  /* string, once: the workspace's path on the host, as the kernel names it
                           */
};

/* As whom the agent acts in a mount besides the workspace: neither 0. `folder_...` is whose the
 * folder itself is on disk, where the agent may write in a folder of somebody else's; otherwise
 * the same as the agent's. */
struct init_spec_mount_ids {
    uint32_t writable; /* 0 or 1 */
    uint32_t uid, gid;
    uint32_t folder_uid, folder_gid;
};

/* Messages. */
enum init_message_record {
    INIT_MESSAGE_GO = 1,  /* to init, empty: the network is ready */
    INIT_MESSAGE_STARTED, /* from init, empty; with it a pidfd of the agent and, for a terminal,
                             the PTY's master */
    INIT_MESSAGE_FAILED,  /* from init, string: the step that failed, then: */
    INIT_MESSAGE_ERRNO,   /*   u64: the positive errno */
    INIT_MESSAGE_DETAIL,  /*   string, may be missing: what it was about (a path, a command) */
    INIT_MESSAGE_EXITED,  /* from init, u64: the agent's wait status (waitpid(2)) */
};

/* Each agent's own range of uids and gids of the host, from uid_base on. All but the last are
 * mapped into the cage, where they count from 0; the last is its gate's. */
#define CAGE_UID_RANGE 65536u
#define CAGE_UIDS (CAGE_UID_RANGE - 1)
#define CAGE_GATE_OFFSET (CAGE_UID_RANGE - 1)

/* Inside the cage. */
#define CAGE_AGENT_UID 1000 /* uid and gid of the agent: "agent" */
#define CAGE_INIT_UID 999   /* uid and gid of PID 1, so that the agent cannot touch it */
#define CAGE_TTY_GID 5      /* group of the PTY's slave */
#define CAGE_NOBODY 65534   /* uid and gid of a workspace folder that is not the agent's own */
#define CAGE_HOME "/home/agent"
#define CAGE_WORKSPACE "/workspace"
#define CAGE_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"
