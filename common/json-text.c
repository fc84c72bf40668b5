#include "json-text.h"
