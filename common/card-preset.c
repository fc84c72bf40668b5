/* Which preset a card brings with it. */
#include "caged-limits.h"
#include "card.h"
#include "util.h"

const char *card_command_preset(const struct card *card)
{
    if (card->agent || card->command.count == 0)
        return NULL;
    const char *program = card->command.items[0], *slash = strrchr(program, '/');
    const char *name = slash ? slash + 1 : program;
    size_t length = strlen(name);

    return length > 0 && length <= CARD_AGENT_ID_MAX &&
                   strspn(name, CARD_AGENT_ID_CHARACTERS) == length
               ? name
               : NULL;
}

const char *card_preset(const struct card *card)
{
    if (card->agent)
        return card->agent;
    if (card->command.count == 0)
        return CARD_PRESET_DEFAULT;
    return card->command_has_preset ? card_command_preset(card) : NULL;
}
