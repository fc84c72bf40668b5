#include "varlink-stream.h"
