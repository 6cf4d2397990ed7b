#!/usr/bin/env bash
# On a machine with a GPU, a CUDA toolkit and Python, but without Node: unpacks the archive of pack.mjs, compiles the CUDA
# library for the GPU at hand, and runs what is asked for, in this order. A step that fails does not stop the next one;
# the exit status says whether all passed.
#
#   scripts/gpu/run.sh [--archive file] [--folder dir] [--no-compile] [--limit seconds] [step ...]
#
# A command that takes longer than the limit (default 540 seconds) is ended: kernels that wait for each other do so for ever.
#
#   devices   what the addon says about this machine (always first)
#   tests     the operations' tests on every GPU (the default), products with every kernel
#   model     perplexities on cuda:0 beside the CPU's, float and quantized, of the bundled model and of one packed besides
#   memory    the tests under compute-sanitizer's memcheck, without the slow cases
#   races     the same under racecheck
#   bench     rates of the operations on cuda:0, then of torch's where Python has torch, then the job
#   job       two whole runs on a generated checkpoint of LLaMA-3-8B's sizes, beside what was predicted
set -uo pipefail

archive=build/gpu/ballast-gpu.tar.xz
folder=${TMPDIR:-/tmp}/ballast-gpu
compile=yes
limit=540
steps=()
while [ $# -gt 0 ]; do
  case $1 in
    --archive) archive=$2; shift ;;
    --folder) folder=$2; shift ;;
    --no-compile) compile=no ;;
    --limit) limit=$2; shift ;;
    devices | tests | model | memory | races | bench | job) steps+=("$1") ;;
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
archive=$(realpath "$archive")
cd "$folder/ballast" || exit 1
export PATH="$PWD/bin:$PATH:${CUDA_HOME:-/usr/local/cuda}/bin"

failed=0
step() {
  echo "== $*"
  timeout --kill-after=10 "$limit" "$@" || { failed=1; echo "== failed: $*"; }
}

# The CUDA library for the first GPU, by nvcc alone, once for an archive. It follows the nvcc: one of CUDA 12 serves drivers
# that are too old for the packed library.
build() {
  local capability built=build/gpu/ballast-cuda.so
  command -v nvcc >/dev/null || { echo "== no nvcc: the library stays as it was packed"; return 0; }
  capability=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d '.')
  [ -n "$capability" ] || { echo "== no GPU: the library stays as it was packed"; return 0; }
  [ "$capability" = 90 ] && capability=90a
  echo "== compiling the library for compute capability $capability"
  mkdir -p build/gpu
  [ "$built" -nt "$archive" ] || compile "$capability" "$built" >build/gpu/log 2>&1 || { tail -n 40 build/gpu/log; return 1; }
  cp "$built" build/Release/
}

compile() {
  local one="nvcc -std=c++20 -O3 -DNDEBUG -gencode arch=compute_$1,code=sm_$1 --options-file cuda/nvcc.options -Xcompiler=-fPIC -I."
  local runtime=-static-libstdc++,-static-libgcc exports=--version-script=cuda/exports.map
  ls cuda/*.cu cuda/*.cc native/core/{dtype,error,shape}.cc |
    xargs -P "$(nproc)" -I{} sh -c "$one -c {} -o build/gpu/\$(basename {}).o" &&
    nvcc -shared -cudart static -Xcompiler="$runtime" -Xlinker="$exports,--gc-sections,--exclude-libs,ALL" \
      -o "$2" build/gpu/*.o
}

vitest() { step node node_modules/vitest/vitest.mjs run -t cuda: "$@"; }

# Every status is looked at by the backend itself, and some tests ask for what must fail.
sanitize() {
  step compute-sanitizer --tool "$@" --error-exitcode 1 --target-processes all --require-cuda-init no \
    --report-api-errors no node node_modules/vitest/vitest.mjs run test/native -t cuda: --pool=forks \
    --maxWorkers=1 --testTimeout=600000 --exclude '**/factorize*' --exclude '**/gptq*'
}

[ $compile = no ] || build || { failed=1; echo "== failed: the library stays as it was packed"; }
step node dist/cli/main.js devices
# Without a GPU every test would be skipped, which is no failure.
node dist/cli/main.js devices --json | tr -d ' \n' | grep '"cuda:[0-9]*","available":true' >/dev/null ||
  { echo "== failed: no GPU can be used"; exit 1; }
for name in "${steps[@]}"; do
  case $name in
    tests)
      vitest --maxWorkers=8 test/native
      BALLAST_CUDA_PRODUCTS=mma.sync vitest --maxWorkers=8 test/native/{factorize,gptq,descend}.test.ts
      BALLAST_CUDA_PRODUCTS=wgmma-pairs vitest --maxWorkers=8 test/native/{matmul,second-moment,factorize,gptq,descend}.test.ts
      ;;
    model)
      step node scripts/gpu/perplexity.mjs
      [ ! -d model ] || step node scripts/gpu/perplexity.mjs --model model --text text.txt
      ;;
    memory) sanitize memcheck --track-stream-ordered-races all ;;
    races) sanitize racecheck ;;
    bench)
      step node scripts/gpu/rates.mjs cuda:0
      step python3 scripts/gpu/torch-rates.py
      step node scripts/gpu/job.mjs cuda:0
      ;;
    job) step node scripts/gpu/job.mjs cuda:0 ;;
  esac
done
exit $failed
