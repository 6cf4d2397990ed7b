// What is measured: every cell is one quantization of one model. Names are those of the tables, values are options of
// `quantize`; what an installed version refuses (a method it does not know yet) is skipped by whoever runs the cell.

export const texts = ['wikitext2-test.txt', 'books-heldout.txt', 'shakespeare.txt'];
export const sequenceLength = 512;
export const seeds = [0, 1, 2];

export const schemes = {
  w4: { bits: 4 },
  w3: { bits: 3 },
  w2g64: { bits: 2, groupSize: 64 },
  w2: { bits: 2 },
};

export const methods = {
  RTN: { method: 'rtn' },
  'RTN + refit': { method: 'rtn', refit: 'scales' },
  GPTQ: { method: 'gptq' },
  descent: { method: 'descent' },
  comq: { method: 'comq' },
};

/** What the joint fit of GPTQ is without its second half: beside the method itself in a few places. */
export const withoutRefit = { 'GPTQ, no refit': { method: 'gptq', refit: 'none' } };

export const fits = {
  none: { compensation: 'none' },
  sequential: { fit: 'sequential' },
  joint: { fit: 'joint' },
  asymmetric: { fit: 'joint', target: 'float' },
  position: { fit: 'sequential', compensation: 'position' },
};

/** Which inputs statistics are taken on. The third way, quantized inputs in true sequence, is the default. */
export const paths = {
  float: { propagate: 'float' },
  'quantized, stale': { propagate: 'quantized', trueSequential: false },
};

const joint = { joint: fits.joint };
const folder = (name) => name.replaceAll(/[ ,+]+/g, '-');

export const cellId = ({ model, scheme, method, fit, path, clip, seed }) =>
  [model, scheme, folder(method), fit, path && folder(path), clip && 'clip', `seed-${seed}`]
    .filter(Boolean)
    .join('/');

function cell(place) {
  const { scheme, method, fit, path, clip, seed } = place;
  return {
    ...place,
    id: cellId(place),
    options: {
      ...{ samples: 64, sequenceLength, sampling: 'random', seed },
      ...schemes[scheme],
      ...{ ...methods, ...withoutRefit }[method],
      ...fits[fit],
      ...(path ? paths[path] : {}),
      ...(clip ? { clip: 'mse' } : {}),
    },
  };
}

/** All cells, one seed after the other, so that a run that is cut short has whole tables of fewer seeds. */
export function grid() {
  return seeds.flatMap((seed) => [
    ...product({ model: ['opt-7m'], scheme: ['w3', 'w2g64', 'w2', 'w4'] }, methods, fits, seed),
    ...product(
      { model: ['opt-7m-shifted'], scheme: ['w3'] },
      methods,
      { none: 0, sequential: 0, joint: 0, asymmetric: 0 },
      seed,
    ),
    ...product({ model: ['opt-7m'], scheme: ['w3', 'w2g64', 'w2'] }, withoutRefit, joint, seed),
    ...product({ model: ['opt-7m-shifted'], scheme: ['w3'] }, withoutRefit, joint, seed),
    ...product(
      { model: ['opt-7m-shifted'], scheme: ['w3'], path: 'float' },
      { GPTQ: 0 },
      { sequential: 0, joint: 0 },
      seed,
    ),
    ...product(
      { model: ['opt-7m'], scheme: ['w3', 'w2g64'], path: 'float' },
      withoutRefit,
      joint,
      seed,
    ),
    ...Object.keys(paths).flatMap((path) =>
      product(
        { model: ['opt-7m'], scheme: ['w3', 'w2g64'], path },
        { GPTQ: 0 },
        { sequential: 0, joint: 0 },
        seed,
      ),
    ),
    ...product(
      { model: ['opt-7m'], scheme: ['w3', 'w2g64'], clip: true },
      { GPTQ: 0 },
      { none: 0, sequential: 0, joint: 0 },
      seed,
    ),
  ]);
}

function product({ model: models, scheme: ofSchemes, ...rest }, ofMethods, ofFits, seed) {
  return models.flatMap((model) =>
    ofSchemes.flatMap((scheme) =>
      Object.keys(ofMethods).flatMap((method) =>
        Object.keys(ofFits).map((fit) => cell({ model, scheme, method, fit, seed, ...rest })),
      ),
    ),
  );
}
