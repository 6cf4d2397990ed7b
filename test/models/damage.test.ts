// Damage to any field and any tensor, for every registered architecture: whatever a model reads, once without it and
// once of another kind, is one sentence of the right code that names it.

import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Checkpoint } from '../../lib/checkpoint/checkpoint.js';
import { Device, type Tensor } from '../../lib/device/index.js';
import { BallastError } from '../../lib/errors.js';
import {
  advance,
  checkpointModel,
  embed,
  loadStoredBlock,
  loadWeights,
  openCompanions,
} from '../../lib/execution/index.js';
import {
  architectures,
  isLanguageModel,
  readBlockModel,
  visionArchitectures,
} from '../../lib/models/index.js';
import * as vision from '../vision/fixtures.js';
import { type Config, directoryOf, readAs, variants } from './tiny.js';

const directories = [
  ...variants.map(directoryOf),
  ...vision.variants.map((variant) => vision.directoryOf(variant)),
];

let device: Device;
beforeAll(() => {
  device = Device.open('cpu', { threads: 1 });
});
afterAll(() => device.close());

const all = [...architectures, ...visionArchitectures].map(({ modelType }) => modelType);

async function checkpointOf(modelType: string): Promise<Checkpoint> {
  for (const directory of directories) {
    const checkpoint = await Checkpoint.open(directory);
    if (checkpoint.config.model_type === modelType) return checkpoint;
  }
  throw new Error(`No tiny checkpoint of ${modelType}.`);
}

/** The object of config.json that describes the model, and config.json with another one in its place. */
function sectionOf(config: Config) {
  const { text_config } = config;
  return text_config === undefined
    ? { section: config, replace: (changed: Config) => changed }
    : {
        section: text_config as Config,
        replace: (changed: Config) => ({ ...config, text_config: changed }),
      };
}

/** The fields of that object that reading a model asks for; copying it asks for none. */
function fieldsRead(
  { section: config, replace }: ReturnType<typeof sectionOf>,
  tensors: ReadonlySet<string>,
): string[] {
  const asked = new Set<string>();
  const recording = new Proxy(config, {
    get(target, field) {
      asked.add(String(field));
      return target[String(field)];
    },
    ownKeys: () => [],
  });
  readBlockModel(replace(recording), tensors);
  asked.delete('model_type');
  return [...asked].filter((field) => config[field] !== undefined && config[field] !== null);
}

/** The error of reading `config`; undefined where it reads. */
function errorOf(config: Config, tensors: ReadonlySet<string>): unknown {
  try {
    readBlockModel(config, tensors);
    return undefined;
  } catch (error) {
    return error;
  }
}

/** Checks that it is ours, one sentence, and names what is wrong. */
function expectSentence(error: unknown, codes: readonly string[], part: string | RegExp): void {
  expect(error, `${part}`).toBeInstanceOf(BallastError);
  const { code, message } = error as BallastError;
  expect(codes, message).toContain(code);
  expect(message).toMatch(part);
  expect(message).toMatch(/^[^\n]+\.$/);
}

/** The checkpoint with tensor `name` absent, or one row too short. */
function damaged(source: Checkpoint, name: string, how: 'absent' | 'short'): Checkpoint {
  const tensors = new Map(source.tensors);
  const info = source.tensor(name);
  const [first = 1, ...rest] = info.shape;
  if (how === 'absent') tensors.delete(name);
  else tensors.set(name, { ...info, shape: [first - 1, ...rest] });
  const { directory, config } = source;
  return Object.assign(Object.create(Checkpoint.prototype), { directory, config, tensors });
}

/** Runs one sample through the whole model. */
async function run(checkpoint: Checkpoint): Promise<void> {
  const model = readBlockModel(checkpoint.config, new Set(checkpoint.tensors.keys()));
  const stored = checkpointModel(device, readAs(model, checkpoint), model);
  const sequence = isLanguageModel(model) ? 8 : (model as unknown as { sequence: number }).sequence;
  const context = { device, sequence };
  const { image } = model as unknown as { image: Record<'channels' | 'height' | 'width', number> };
  const sample = isLanguageModel(model)
    ? new Int32Array(sequence)
    : new Float32Array(image.channels * image.height * image.width);
  const companions = await openCompanions(stored, model);
  using embedding = await loadWeights(device, checkpoint, model.embedTensors);
  const [state] = await embed(model, embedding, [sample], context);
  let x = state as Tensor;
  for (let index = 0; index < model.blocks; index++) {
    using block = await loadStoredBlock(stored, model, index, context, companions);
    const states = [x];
    await advance(device, block, states);
    [x] = states as [Tensor];
  }
  using head = await stored.loadWeights(model.headTensors);
  using logits = device.scope(() => model.head(x, head, context));
  await logits.read();
}

describe.each(all)('%s', (modelType) => {
  test('every field of config.json, of another type or absent', async () => {
    const { config, tensors } = await checkpointOf(modelType);
    const names = new Set(tensors.keys());
    const parts = sectionOf(config);
    const { section, replace } = parts;
    const fields = fieldsRead(parts, names);
    let needed = 0;
    for (const field of fields) {
      const wrong = typeof section[field] === 'string' ? 7 : 'seven';
      const error = errorOf(replace({ ...section, [field]: wrong }), names);
      expectSentence(error, ['ERR_CHECKPOINT', 'ERR_UNSUPPORTED'], field);
      const absent = errorOf(replace({ ...section, [field]: undefined }), names);
      if (absent === undefined) continue;
      // The default for one field may contradict another.
      expectSentence(absent, ['ERR_CHECKPOINT', 'ERR_UNSUPPORTED'], field);
      needed++;
    }
    expect(needed).toBeGreaterThan(2);
  });

  test('every tensor, absent or too short', async () => {
    const source = await checkpointOf(modelType);
    const model = readBlockModel(source.config, new Set(source.tensors.keys()));
    const outer = [...model.embedTensors, ...model.headTensors].sort();
    expect(Object.keys(model.outerShapes)).toEqual(expect.arrayContaining(outer));
    await run(source);
    const blocks = Array.from({ length: model.blocks }, (_, i) => `${model.blockName(i)}.`);
    // One block stands for all.
    const names = [...source.tensors.keys()].filter(
      (name) =>
        !name.startsWith(`${model.blockName(0)}.`) &&
        !model.otherParts?.some((part) => `.${name}`.includes(`.${part}.`)),
    );
    for (const name of names) {
      // Blocks name norms by their own names.
      const block = blocks.find((each) => name.startsWith(each)) ?? '';
      const own = name.slice(block.length);
      const absent = await failure(damaged(source, name, 'absent'));
      // Without a certain name others are looked for, so that another one may be missed first.
      expectSentence(absent, ['ERR_CHECKPOINT'], /tensor '|the checkpoint has no /);
      expectSentence(await failure(damaged(source, name, 'short')), ['ERR_CHECKPOINT'], own);
    }
  });
});

function failure(checkpoint: Checkpoint): Promise<unknown> {
  return run(checkpoint).then(
    () => undefined,
    (error: unknown) => error,
  );
}
