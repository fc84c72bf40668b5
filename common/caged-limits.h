/* Every limit that a user can run into, with its name and its number. Nothing else in the tree may
 * write such a number. Sizes are in bytes and times in seconds unless the name says otherwise. */
#pragma once

/* -- the card (caged.card(5)) -- */
#define CARD_SIZE_MAX (64 * 1024)
#define CARD_NESTING_MAX 16
#define CARD_AGENT_ID_MAX 63
#define CARD_AGENT_ID_CHARACTERS "abcdefghijklmnopqrstuvwxyz0123456789-"
#define CARD_PATH_MAX 4095
#define CARD_USER_MAX 255
#define CARD_COMMAND_MAX 256 /* words, the words after `--` included */
#define CARD_HOSTS_MAX 256
#define CARD_ENVIRONMENT_MAX 256
#define CARD_PROXY_MAX 1024
#define CARD_MOUNTS_MAX 8
#define CARD_MOUNT_TARGET_MAX 255
#define PROXY_AUTH_SIZE_MAX 1024 /* user:password of a parent proxy, in a file */
#define CARD_MEMORY_MB_MIN 16
#define CARD_MEMORY_MB_MAX (16 * 1024 * 1024)
#define CARD_MEMORY_MB_DEFAULT 4096
#define CARD_MEMORY_HIGH_MB_MIN 16
#define CARD_MEMORY_HIGH_MB_MAX (16 * 1024 * 1024)
#define CARD_MEMORY_HIGH_MB_DEFAULT 0 /* none */
#define CARD_SWAP_MB_MIN 0
#define CARD_SWAP_MB_MAX (16 * 1024 * 1024)
#define CARD_SWAP_MB_DEFAULT 0
#define CARD_CPU_SHARES_MIN 2 /* the kernel's own bounds for cpu.shares */
#define CARD_CPU_SHARES_MAX 262144
#define CARD_CPU_SHARES_DEFAULT 1024
#define CARD_CPU_QUOTA_PERCENT_MIN 1
#define CARD_CPU_QUOTA_PERCENT_MAX (100 * 1024) /* 1024 processors */
#define CARD_CPU_QUOTA_PERCENT_DEFAULT 0        /* none */
#define CARD_IO_WEIGHT_MIN 1                    /* the kernel's own bounds for io.weight */
#define CARD_IO_WEIGHT_MAX 10000
#define CARD_IO_WEIGHT_DEFAULT 0 /* none */
/* Not less: who waits for an agent's writes (sync(2), the journal of a file system that is shared)
 * waits as long as the limit makes them take. */
#define CARD_IO_BPS_MIN 1048576
#define CARD_IO_BPS_MAX 1099511627776 /* 1 TiB */
#define CARD_IO_BPS_DEFAULT 0         /* none */
#define CARD_IO_IOPS_MIN 100
#define CARD_IO_IOPS_MAX 1000000000
#define CARD_IO_IOPS_DEFAULT 0 /* none */
#define CARD_PROCESSES_MIN 1
#define CARD_PROCESSES_MAX 4194304
#define CARD_PROCESSES_DEFAULT 512
#define CARD_OPEN_FILES_MIN 16
#define CARD_OPEN_FILES_MAX 1048576
#define CARD_OPEN_FILES_DEFAULT 1024
#define CARD_SECCOMP_PROFILE_DEFAULT "default"
#define CARD_TTL_MAX (366 * 24 * 3600)
#define FOLDER_DEPTH_MAX 128 /* how many folders deep a workspace or mount may lie */
#define API_KEY_SIZE_MAX 4096
#define PRESET_SIZE_MAX (64 * 1024) /* a file of policy/agents/ */

/* -- the site policy (caged.policy(5)) -- */
#define POLICY_SIZE_MAX (256 * 1024)
#define POLICY_NESTING_MAX 8
#define POLICY_RULES_MAX 256
#define POLICY_RULE_NAME_MAX 63
#define POLICY_RULE_NAME_CHARACTERS                                                                \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 -_."
#define POLICY_NAMES_MAX 256      /* users, or groups, in one list */
#define POLICY_HOSTS_MAX 256      /* patterns in one list */
#define POLICY_ROOTS_MAX 64       /* folders in one list */
#define POLICY_WORDS_MAX 256      /* variables, presets and the like in one list */
#define POLICY_VARIABLE_MAX 255   /* characters of a variable's name */
#define POLICY_FILE_SYSTEM_MAX 63 /* characters of the type of one */
#define POLICY_ACCESS_MAX 64      /* entries of one rule */
#define POLICY_SPAWNS_MAX 1000000
#define POLICY_PERCENT_MAX 100
#define POLICY_UNKNOWN_MAX 32                      /* names that nobody has, and that are told */
#define POLICY_ACCOUNT_SIZE_MAX (16 * 1024 * 1024) /* bytes of one, by nss(5) */
#define SPAWN_RATE_USERS_MAX 1024 /* whose attempts are remembered: daemon/policy/spawn-rate.h */
#define SECCOMP_PROFILES_MAX 64   /* in the data folder */

/* -- the wire (io.caged.varlink) -- */
#define WIRE_REQUEST_SIZE_MAX (64 * 1024 + 4096) /* a whole card and the call around it */
#define WIRE_REPLY_SIZE_MAX (16 * 1024 * 1024)   /* what a client takes from the daemon */
#define WIRE_NESTING_MAX (CARD_NESTING_MAX + 2)  /* a card inside a call's parameters */
#define WIRE_DESCRIPTORS_MAX 16                  /* with one message */
#define WIRE_OUTPUT_BUFFER_MAX (1024 * 1024)     /* unsent replies of one connection */
#define CONNECTIONS_MAX 1024                     /* root is not turned away */
#define CONNECTIONS_PER_UID_MAX 128
#define CONNECTION_IDLE_HALF_MESSAGE 30 /* how long half a request may stay half */
#define CLOSES_PER_UID_MAX 32 /* of a user's descriptors, that hang: daemon/server/closer.h */
/* Calls under way: those that are not answered at once. Fewer than connections, so that who has as
 * many as can be still gets a Stop through. Root is not turned away. */
#define CALLS_MAX 896
#define CALLS_PER_UID_MAX 112
/* Of all connections together: what of requests came already, and what of replies nobody took. Over
 * it a connection gets more only when it has taken all that it was sent, and in small pieces; calls
 * are turned away. Root's are not counted. */
#define WIRE_BUFFERED_MAX (128 * 1024 * 1024)
#define WIRE_BUFFERED_PER_UID_MAX (16 * 1024 * 1024)
#define WIRE_DESCRIPTORS_PER_UID_MAX 512 /* that came and are not used yet */

#define SUBORDINATE_UIDS_FILE_MAX (4 * 1024 * 1024) /* /etc/subuid, read for who connects */

/* A daemon that ends when idle (daemon/leave.h): seconds for clients that have no call under way,
 * and then for those that do not take their last replies. */
#define LEAVE_QUIET 30
#define LEAVE_DRAIN 5

/* -- agents -- */
#define CAGE_TERMINALS_MAX 64 /* PTYs in one cage: all cages of the host share some 3000 */
#define AGENTS_MAX 1024
#define AGENTS_PER_UID_MAX 256    /* root: AGENTS_MAX */
#define AGENTS_ENDED_KEPT 32      /* of each owner: ended agents that can still be asked about */
#define AGENTS_ENDED_KEPT_ALL 512 /* of all together: daemon/agent/ended-agents.h */
#define REFUSED_HOSTS_MAX 256     /* of each agent: refused hosts that are remembered */
#define AGENT_SPAWN_TIMEOUT 30
#define AGENT_STOP_GRACE 10
#define AGENT_STOP_GRACE_MAX 3600
#define AGENT_RING_SIZE (1024 * 1024) /* output kept in memory for late followers */
#define AGENT_LINE_MAX (48 * 1024)    /* a longer line is passed on in pieces */
/* All agents' output kept in memory, those that ended included: where they are so many that it
 * would be more, each keeps an equal part, but this much. */
#define AGENT_RINGS_MAX (512 * 1024 * 1024)
#define AGENT_RINGS_PER_UID_MAX (64 * 1024 * 1024) /* root's are counted too */
#define AGENT_RING_SIZE_MIN (64 * 1024)
#define EVENT_RING_SIZE (1024 * 1024)

/* -- the log: what is not written yet (log-queue.h) -- */
#define LOG_UNSENT_PAUSE (256 * 1024)    /* of one agent: its output and its gate wait */
#define LOG_UNSENT_MAX (4 * 1024 * 1024) /* of one agent, or of the daemon's own entries */
#define LOG_FLUSH_TIMEOUT 5              /* when the daemon ends */

/* -- History: journalctl(1) on a user's behalf -- */
#define HISTORIES_MAX 64        /* at once; root is not turned away */
#define HISTORIES_PER_UID_MAX 8 /* each is a process, for as long as its client reads */
#define HISTORY_SYNC_TIMEOUT 30 /* for journald to have written what it was sent */
#define HISTORY_TIME_MAX 128    /* a time as a client words it (systemd.time(7)) */
#define HISTORY_TIME_CHARACTERS                                                                    \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 +-:.,/@_"
#define HISTORY_MEMORY_MAX (128 * 1024 * 1024) /* RLIMIT_DATA */
#define HISTORY_FILES_MAX 8192                 /* of the journal, open at once */

/* -- protect: ["git"], for each workspace; what is more is refused -- */
#define PROTECT_FOLDERS_MAX 16384     /* folders at its top */
#define PROTECT_REPOSITORIES_MAX 1024 /* at its top, with their submodules and worktrees */
#define PROTECT_PATH_MAX 1024         /* bytes of the path to one of these */
#define PROTECT_HOOKS_MAX 1024        /* names in one hooks folder */
#define PROTECT_DEPTH_MAX 16   /* folders in the name of a submodule, and submodules in one */
#define PROTECT_NAMED_MAX 4096 /* files and folders that configurations name */
#define PROTECT_CONFIG_BYTES_MAX 16777216 /* of all configurations that are read: 16 MiB */
#define PROTECT_INCLUDE_DEPTH_MAX 10      /* git's own bound (git-config(1)) */

/* -- the report of planted files, for each agent's end -- */
#define SCAN_SECONDS 5           /* then it is ended; what it found by then is told */
#define SCAN_SECONDS_SHUTDOWN 2  /* the same while the daemon is being stopped */
#define SCAN_ENTRIES_MAX 4000000 /* names that are looked at */
#define SCAN_DEPTH_MAX 128       /* folders in one another */
#define SCAN_KIND_FILES_MAX 8    /* files of one kind that are told of; the rest is counted */
#define SCAN_KIND_BYTES_MAX 1024 /* and of their paths together */
#define SCAN_PATH_MAX 511        /* a longer path is cut */
#define SCAN_OUTPUT_MAX (64 * 1024)
#define SCAN_MEMORY_MAX (16 * 1024 * 1024) /* RLIMIT_AS */

/* Processes that were started and have not yet taken their descriptors:
 * daemon/process/start-channel.h. */
#define START_CHANNELS 120
#define START_CHANNELS_PER_UID_MAX 24

/* -- messages between our own programs -- */
#define SPEC_SIZE_MAX (512 * 1024)
#define SPEC_ENVIRONMENT_MAX (2 * CARD_ENVIRONMENT_MAX + 64) /* card, preset, the daemon's own */
#define HELPER_MESSAGE_MAX 8192

/* -- the gate, for each agent -- */
#define GATE_CONNECTIONS_MAX 1536
#define GATE_HEAD_SIZE_MAX (32 * 1024)
#define GATE_HEAD_TIMEOUT 30
#define GATE_HELLO_SIZE_MAX (16 * 1024) /* a TLS ClientHello: some 2 kB with post-quantum keys */
#define GATE_HELLO_TIMEOUT 15           /* from its first byte to its last */
#define GATE_DNS_TIMEOUT 10
#define GATE_DNS_IPV6_DELAY_MS 1000 /* for IPv6 addresses, when those of IPv4 are there */
#define GATE_DIAL_TIMEOUT 20        /* for one request, whatever the number of addresses */
#define GATE_DIAL_ATTEMPT_TIMEOUT 5 /* for one address, while another has no place to be tried */
#define GATE_DIAL_DELAY_MS 250      /* until another address is tried beside those that are */
#define GATE_DIAL_ATTEMPTS_MAX 4    /* of one request at once */
#define GATE_DIAL_EXTRA_MAX 128     /* of all requests at once, besides one for each */
#define GATE_DIAL_FAMILY_MEMORY 600 /* how long the family that was quicker is tried first */
#define GATE_CLOSE_TIMEOUT 2        /* how long a refused client may take to read why */
#define GATE_HEADERS_MAX 256        /* lines of one head */
#define GATE_HEAD_LINE_MAX (16 * 1024)
#define GATE_METHOD_MAX 32            /* characters */
#define GATE_CONNECTION_NAMES_MAX 16  /* fields that Connection takes away */
#define GATE_UPGRADE_MAX 128          /* bytes of what a request wants to change to */
#define GATE_CHUNK_EXTENSION_MAX 1024 /* of one chunk */
#define GATE_TRAILERS_SIZE_MAX (8 * 1024)
#define GATE_KEEPALIVE_TIMEOUT 60 /* how long a connection may wait for its next request */
#define GATE_ADDRESSES_MAX 16     /* of one name; further ones are not used */
#define GATE_LOOKUPS_MAX 2048     /* DNS questions under way, abandoned ones included */
#define GATE_REFUSING_MAX 64      /* connections over GATE_CONNECTIONS_MAX, being told so */
#define GATE_HOSTS_FILE_MAX (1024 * 1024)
#define GATE_MEMORY_MAX (256 * 1024 * 1024) /* RLIMIT_DATA */
/* Of a gate's cgroup: its own memory and what the kernel holds for it, sockets above all. Measured:
 * 1536 tunnels with every buffer full and both ends deaf are 95 MiB of its own and 695 MiB in the
 * buffers of sockets. (On cgroup v1 those have a sum of their own, of the same size.) */
#define GATE_CGROUP_MEMORY_MAX (1024 * 1024 * 1024)
#define GATE_BUFFER_SIZE (64 * 1024) /* one direction of one connection */
#define GATE_PIPES_MAX 32            /* for bulk, of all its connections */
#define GATE_PIPE_SIZE (1024 * 1024) /* all of them within pipe-user-pages-soft (pipe(7)) */
#define GATE_FORWARDS_MAX 16         /* loopback ports of the host led into a cage */
#define GATE_HELD_MAX 64             /* requests that wait for an operator (Spawn's ask_seconds) */
#define GATE_HELD_BURST 128          /* and new ones, which come back with: */
#define GATE_HELD_PER_SECOND 4
#define GATE_ASK_DEFAULT 60 /* how long */
#define GATE_ASK_MAX 600
#define GATE_NAMES_MAX 4096 /* names with a synthetic address, for a card with `transparent` */
/* How long a cage may keep such an address. Not long: a gate that dies takes its table along.
 * Asking again costs a datagram that leaves no machine. */
#define GATE_NAMES_TTL 10
#define GATE_LISTENERS_MAX (1 + GATE_FORWARDS_MAX + 2)
#define GATE_LISTEN_BACKLOG 128
/* A vanished peer is found after IDLE + PROBES * INTERVAL: tunnels have no idle time-out of their
 * own, since event streams may be silent for hours. */
#define GATE_KEEPALIVE_IDLE 60
#define GATE_KEEPALIVE_INTERVAL 15
#define GATE_KEEPALIVE_PROBES 8
#define GATE_RECORDS_BURST 256      /* decisions and ends at once that are told one by one */
#define GATE_RECORDS_PER_SECOND 64  /* and then; what is more is added up */
#define GATE_RECORDS_FOLDED_MAX 128 /* sums of records that differ, in one second */
#define GATE_RECORDS_UNSENT_MAX (256 * 1024) /* waiting for cagedd; then all are added up */
#define GATE_UPDATE_TIMEOUT 5 /* a gate that has not taken new hosts by then is killed */
