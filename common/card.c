#include "card.h"
