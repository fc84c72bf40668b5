/* Exit statuses of cagectl; cagectl(1) lists them. Most are those of sysexits.h(3head). */
#pragma once

enum exit_status {
    STATUS_OK = 0,
    STATUS_USAGE = 64,       /* unknown verb or option, missing argument */
    STATUS_CARD = 65,        /* the card or the policy is not valid */
    STATUS_FILE = 66,        /* a card, workspace or key file cannot be opened or read */
    STATUS_NO_AGENT = 67,    /* no such agent, or it does not run */
    STATUS_NO_DAEMON = 69,   /* cagedd cannot be reached, or went away */
    STATUS_INTERNAL = 70,    /* out of memory and the like */
    STATUS_CAGE = 71,        /* the cage could not be built, or broke */
    STATUS_EXISTS = 73,      /* an agent of this id runs already */
    STATUS_OUTPUT = 74,      /* standard output cannot be written */
    STATUS_BUSY = 75,        /* a limit of the daemon is reached: try later */
    STATUS_PROTOCOL = 76,    /* the daemon answered what cagectl does not understand */
    STATUS_PERMISSION = 77,  /* not permitted */
    STATUS_UNSUPPORTED = 78, /* the host cannot give what the card asks for */
    STATUS_TTL = 124,    /* the agent's time was over, and it left no status but 0: timeout(1) */
    STATUS_SIGNAL = 128, /* plus the number of the signal */
};
