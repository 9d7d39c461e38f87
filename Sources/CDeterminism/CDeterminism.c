#include "CDeterminism.h"
