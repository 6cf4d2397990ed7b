// torch in a child process that stays for a whole suite: it is asked for one measurement at a time, so that its turns
// and ours alternate on an otherwise idle machine. Where an instruction set is forced on us, torch's libraries are held
// to the same one.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** What oneDNN, MKL and torch call our instruction sets. */
const limits = {
  generic: ['SSE41', 'SSE4_2', 'default'],
  avx2: ['AVX2', 'AVX2', 'avx2'],
  avx512: ['AVX512_CORE', 'AVX512', 'avx512'],
  avx512_bf16: ['AVX512_CORE_BF16', 'AVX512_E3', 'avx512'],
};

function environmentFor(instructionSet) {
  const [onednn, mkl, torch] = limits[instructionSet] ?? [];
  if (onednn === undefined) return process.env;
  return {
    ...process.env,
    ONEDNN_MAX_CPU_ISA: onednn,
    MKL_ENABLE_INSTRUCTIONS: mkl,
    ATEN_CPU_CAPABILITY: torch,
  };
}

/** A Python program that answers each line of JSON with another, and says first which torch it has. */
export class TorchPeer {
  #child;
  #answers;

  constructor(python, program, threads = 0, instructionSet = '') {
    const file = fileURLToPath(new URL(program, import.meta.url));
    const stdio = ['pipe', 'pipe', 'inherit'];
    this.#child = spawn(python, [file, String(threads)], {
      env: environmentFor(instructionSet),
      stdio,
    });
    // A program that is not there ends its output at once, which is noticed below.
    this.#child.on('error', () => {});
    this.#answers = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Its version; rejects where this Python has no torch. */
  async version() {
    return (await this.#next()).torch;
  }

  async ask(request) {
    this.#child.stdin.write(`${JSON.stringify(request)}\n`);
    return this.#next();
  }

  close() {
    this.#child.stdin.end();
  }

  async #next() {
    const { value, done } = await this.#answers.next();
    if (done) throw new Error('The Python program ended early; what it said stands above.');
    return JSON.parse(value);
  }
}
