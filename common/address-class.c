#include "address-class.h"
