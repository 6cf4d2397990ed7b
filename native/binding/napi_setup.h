// The only include of node-addon-api. A worker thread may be terminated while a promise is being
// settled; its environment then takes no exceptions, and those that cannot be thrown must not end
// the process.
#pragma once

#define NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS
#include <napi.h>
