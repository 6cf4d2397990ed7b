// What a bench measures, from the command line. What is wrong there is told in a sentence.
import { existsSync } from 'node:fs';
import { parseArgs } from 'node:util';

const usage = `npm run bench -- [suite…]        products algebra memory job reference; default all but the last
  --python <path>                compare with torch there
  --threads <n>                  default one per processor
  --sets <names>                 instruction sets, comma-separated; default the best that the machine has; with how
                                 they form float32 products: avx512_bf16+six
  --precisions <names>           default float32,bfloat16
  --tokens <counts>              rows of products, default 2048,16384
  --peer-states float32          products take and give float32 on both sides, torch's too, instead of their own dtype
  --pairs <n>                    turns of each measurement, default 5
  --widths, --models, --samples, --sequence, --method     of the job; see job/run.mjs. '' for no widths, no models
  --quick                        a few shapes
  --out <file>                   default bench/results/<suites>.json`;

const known = {
  python: { type: 'string' },
  threads: { type: 'string', default: '0' },
  sets: { type: 'string', default: '' },
  precisions: { type: 'string', default: 'float32,bfloat16' },
  tokens: { type: 'string', default: '2048,16384' },
  'peer-states': { type: 'string', default: '' },
  pairs: { type: 'string', default: '5' },
  widths: { type: 'string', default: '768,1024,2048' },
  models: { type: 'string' },
  samples: { type: 'string', default: '64' },
  sequence: { type: 'string', default: '512' },
  method: { type: 'string', default: 'gptq' },
  quick: { type: 'boolean', default: false },
  help: { type: 'boolean', short: 'h', default: false },
  out: { type: 'string' },
};

/** Ends the program with a sentence. */
export function wrong(message) {
  console.error(message);
  process.exit(2);
}

function parse() {
  try {
    return parseArgs({ allowPositionals: true, options: known });
  } catch (error) {
    return wrong(`${error.message}\n\n${usage}`);
  }
}

const split = (text) => text.split(',').filter((part) => part !== '');

/** The suites to run, one of `all` each, and everything else that was asked for. */
export function readOptions(all, otherwise) {
  const { values, positionals } = parse();
  if (values.help) {
    console.log(usage);
    process.exit(0);
  }
  const counts = (option, least = 1) => {
    const list = split(values[option]).map(Number);
    if (list.every((count) => Number.isInteger(count) && count >= least)) return list;
    return wrong(
      `Expected whole numbers from ${least} on for --${option} but received ${values[option]}.`,
    );
  };
  const count = (option, least) => {
    const list = counts(option, least);
    return list.length === 1 ? list[0] : wrong(`Expected one number for --${option}.`);
  };
  const oneOf = (option, names) => {
    const other = split(values[option]).find((name) => !names.includes(name));
    if (other !== undefined) wrong(`Expected ${names} for --${option} but received ${other}.`);
    return split(values[option]);
  };
  const suites = positionals.length > 0 ? positionals : otherwise;
  const unknown = suites.filter((suite) => !all.includes(suite));
  if (unknown.length > 0) wrong(`No suite ${unknown}; there are ${all}.`);
  const missing = split(values.models ?? '').filter((directory) => !existsSync(directory));
  if (missing.length > 0) wrong(`No model in ${missing}; none are --models ''.`);
  return {
    ...values,
    suites,
    sets: values.sets === '' ? [''] : split(values.sets),
    threads: count('threads', 0),
    pairs: count('pairs'),
    samples: count('samples'),
    sequence: count('sequence'),
    peerStates: oneOf('peer-states', ['float32'])[0] ?? '',
    precisions: oneOf('precisions', ['float32', 'bfloat16']),
    tokens: counts('tokens'),
    widths: counts('widths'),
  };
}
