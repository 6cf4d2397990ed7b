#!/usr/bin/env bash
# On a machine with a GPU, a CUDA toolkit and Python, but without Node: unpacks the archive of pack.mjs, compiles the CUDA
# library for the GPU at hand, and runs what is asked for, in this order. A step that fails does not stop the next one;
# the exit status says whether all passed.
#
#   scripts/gpu/run.sh [--archive file] [--folder dir] [--no-compile] [step ...]
#
#   devices   what the addon says about this machine (always first)
#   tests     the operations' tests on every GPU (the default), products with both kernels
#   memory    the same under compute-sanitizer's memcheck, without the slow cases
#   races     the same under racecheck
#   bench     rates of the operations on cuda:0, then of torch's where Python has torch, then the job
#   job       two whole runs on a generated checkpoint of LLaMA-3-8B's sizes, beside what was predicted
set -uo pipefail

archive=build/gpu/ballast-gpu.tar.xz
folder=${TMPDIR:-/tmp}/ballast-gpu
compile=yes
steps=()
while [ $# -gt 0 ]; do
  case $1 in
    --archive) archive=$2; shift ;;
    --folder) folder=$2; shift ;;
    --no-compile) compile=no ;;
    devices | tests | memory | races | bench | job) steps+=("$1") ;;
    *) echo "run.sh: Expected an option or a step but received '$1'." >&2; exit 2 ;;
  esac
  shift
done
[ ${#steps[@]} -gt 0 ] || steps=(tests)

mkdir -p "$folder"
# Python reads xz, which not every machine has.
python3 - "$archive" "$folder" <<'PYTHON' || exit 1
import sys, tarfile
with tarfile.open(sys.argv[1]) as archive:
    archive.extractall(sys.argv[2])
PYTHON
cd "$folder/ballast" || exit 1
export PATH="$PWD/bin:$PATH"

failed=0
step() {
  echo "== $*"
  "$@" || { failed=1; echo "== failed: $*"; }
}

build() {
  local capability
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '.')
  [ "$capability" = 90 ] && capability=90a
  cmake -S . -B build/gpu -DBALLAST_CUDA=ON -DBALLAST_CUDA_ARCHITECTURES="$capability-real" >build/cmake.log &&
    cmake --build build/gpu --target ballast_cuda --parallel "$(nproc)" >>build/cmake.log 2>&1 &&
    cp build/gpu/native/ballast-cuda.so build/Release/ ||
    { tail -n 40 build/cmake.log; return 1; }
}

sanitize() {
  compute-sanitizer --tool "$1" --error-exitcode 1 --target-processes all \
    node node_modules/vitest/vitest.mjs run test/native -t cuda: --pool=forks --maxWorkers=1 \
    --testTimeout=600000 --exclude '**/factorize*' --exclude '**/gptq*'
}

[ $compile = no ] || step build
step node dist/cli/main.js devices
for name in "${steps[@]}"; do
  case $name in
    tests)
      step node node_modules/vitest/vitest.mjs run test/native -t cuda:
      step env BALLAST_CUDA_PRODUCTS=mma.sync node node_modules/vitest/vitest.mjs run -t cuda: \
        test/native/{factorize,gptq,descend}.test.ts
      ;;
    memory) step sanitize memcheck ;;
    races) step sanitize racecheck ;;
    bench)
      step node scripts/gpu/rates.mjs cuda:0
      step python3 scripts/gpu/torch-rates.py
      step node scripts/gpu/job.mjs cuda:0
      ;;
    job) step node scripts/gpu/job.mjs cuda:0 ;;
  esac
done
exit $failed
