/* Whether a card that root is to follow is root's own word. */
#include "card-trust.h"

#include <sys/stat.h>

#include "exit-status.h"
#include "text.h"

/* One file or folder of the path. */
static int check_one(const char *card, const char *path)
{
    struct stat st;

    if (lstat(path, &st) < 0) {
        say("cannot look at %s: %s", path, strerror(errno));
        return STATUS_FILE;
    }
    if (st.st_uid != 0)
        say("the card %s cannot be trusted: %s belongs to uid %u, not to root", card, path,
            st.st_uid);
    else if (st.st_mode & 022)
        say("the card %s cannot be trusted: others than root may write to %s (mode %04o)", card,
            path, st.st_mode & 07777);
    else
        return STATUS_OK;
    say_hint("the card says whose files an agent works on: keep it in /etc/caged/agents, "
             "root's, mode 0644 or less");
    return STATUS_PERMISSION;
}

int card_trust_check(const char *path, char **ret_resolved)
{
    AUTO_FREE char *resolved = realpath(path, NULL);
    int status;

    if (!resolved) {
        say("cannot read the card %s: %s", path, strerror(errno));
        say_hint("what a card holds: caged.card(5)");
        return STATUS_FILE;
    }
    status = check_one(path, "/");
    for (char *slash = strchr(resolved + 1, '/'); slash && status == STATUS_OK;
         slash = strchr(slash + 1, '/')) {
        *slash = 0;
        status = check_one(path, resolved);
        *slash = '/';
    }
    if (status == STATUS_OK)
        status = check_one(path, resolved);
    if (status != STATUS_OK)
        return status;
    *ret_resolved = TAKE_PTR(resolved);
    return STATUS_OK;
}

int card_trust_check_id(const struct options *options, const struct card_file *file)
{
    if (!option_given(options, OPTION_ID) || streq(options->id, file->card->agent_id))
        return STATUS_OK;
    say("%s: $.agent_id: found '%s', expected '%s': the unit's name is the agent's", file->name,
        file->card->agent_id, options->id);
    return STATUS_CARD;
}
