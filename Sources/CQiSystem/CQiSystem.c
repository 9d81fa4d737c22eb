#include "CQiSystem.h"
