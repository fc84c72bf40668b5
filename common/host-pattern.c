#include "host-pattern.h"
