// Prints the quota of the control groups below a root. processors.test.ts compiles it: a released
// addon has no use for another root than the real one.
#include "native/core/processors.h"

#include <cstdio>

int main(int count, char** arguments) {
  if (count != 2) return 2;
  std::printf("%g\n", ballast::ProcessorQuota(arguments[1]));
}
