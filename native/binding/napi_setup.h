// The only include of node-addon-api.
#pragma once

#include <napi.h>
