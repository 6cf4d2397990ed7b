// What the figures must show, each as a number beside its bound.

import { deviation, heldOut, mean, meanError, meanPerplexity } from './figures.mjs';

const percent = (share) => `${(share * 100).toFixed(1)} %`;
const at = (scheme, method, fit, model = 'opt-7m') => ({ model, scheme, method, fit });

/** How far the mean held-out error of `better` lies below that of `base`, as a share; undefined without cells. */
function below(figures, better, base) {
  const pairs = figures.pairs(better, base);
  if (pairs.length === 0) return undefined;
  return 1 - mean(pairs.map(([a]) => meanError(a))) / mean(pairs.map(([, b]) => meanError(b)));
}

function notAbove(figures, better, base) {
  const pairs = figures.pairs(better, base);
  const linears = pairs.flatMap(([a, b]) =>
    a.layers.map((layer, i) => heldOut(layer) <= heldOut(b.layers[i])),
  );
  return linears.length === 0 ? undefined : mean(linears.map(Number));
}

function gapClosed(figures, path) {
  const float = figures.float.get('opt-7m-shifted');
  const of = (fit) => ({ ...at('w3', 'GPTQ', fit, 'opt-7m-shifted'), path });
  const pairs = figures.pairs(of('joint'), of('sequential'));
  if (float === undefined || pairs.length === 0) return undefined;
  const [joint, sequential] = [0, 1].map((i) => mean(pairs.map((pair) => meanPerplexity(pair[i]))));
  return (sequential - joint) / (sequential - mean(float));
}

function shiftSeen(figures, method, path) {
  const of = (model) => ({ ...at('w3', method, 'joint', model), path });
  const pairs = figures.pairs(of('opt-7m-shifted'), of('opt-7m'));
  if (pairs.length === 0) return undefined;
  const [shifted, plain] = [0, 1].map((i) => mean(pairs.map((pair) => meanPerplexity(pair[i]))));
  return Math.abs(shifted / plain - 1);
}

const onPath = (path) => (path === undefined ? '' : ` on ${path} inputs`);

function timeRatio(figures, scheme) {
  const pairs = figures.pairs(
    at(scheme, 'descent', 'joint'),
    at(scheme, 'GPTQ, no refit', 'joint'),
  );
  if (pairs.length === 0) return undefined;
  const [descent, gptq] = [0, 1].map((i) => mean(pairs.map((pair) => pair[i].seconds.quantize)));
  return descent / gptq;
}

/** Plain GPTQ's perplexity less descent's, in units of the larger spread over seeds. */
function gainInSpreads(figures) {
  const pairs = figures.pairs(at('w2', 'descent', 'joint'), at('w2', 'GPTQ', 'none'));
  if (pairs.length < 2) return undefined;
  const [descent, plain] = [0, 1].map((i) => pairs.map((pair) => meanPerplexity(pair[i])));
  return (mean(plain) - mean(descent)) / Math.max(deviation(descent), deviation(plain));
}

function worseByBias(figures) {
  const gated = [...figures.cells.values()].filter(
    ({ options }) => options.compensation !== 'none',
  );
  if (gated.length === 0) return undefined;
  const worse = ({ layers }) =>
    layers.filter((layer) => heldOut(layer) > layer.heldOutError).length;
  return gated.reduce((sum, cell) => sum + worse(cell), 0);
}

const both = ['w3', 'w2g64'];
const atLeast = (bound) => (value) => value >= bound;
const atMost = (bound) => (value) => value <= bound;

/** What the joint fit does to each linear. */
function linearClaims(figures) {
  return [undefined, 'float'].flatMap((path) =>
    both.map((scheme) => ({
      what: `GPTQ: linears whose held-out error is no higher by the joint fit than by the sequential${path ? ', both on the float inputs' : ''}, ${scheme}`,
      wanted: '≥ 95 %',
      value: notAbove(
        figures,
        { ...at(scheme, 'GPTQ', 'joint'), path },
        { ...at(scheme, 'GPTQ', 'sequential'), path },
      ),
      show: percent,
      meets: atLeast(0.95),
    })),
  );
}

/** How far one method's held-out error is below another's. */
function errorClaims(figures) {
  const lower = (what, bound, better, base) =>
    both.map((scheme) => ({
      what: `${what}, ${scheme}`,
      wanted: `≥ ${percent(bound)}`,
      value: below(figures, at(scheme, ...better), at(scheme, ...base)),
      show: percent,
      meets: atLeast(bound),
    }));
  const [gptq, rtn] = ['GPTQ', 'RTN'].map((method) => [method, 'sequential']);
  const descent = ['descent', 'joint'];
  return [
    ...lower('GPTQ: joint below sequential, held-out error', 0.015, ['GPTQ', 'joint'], gptq),
    ...lower('RTN with bias below RTN, held-out error', 0.1, rtn, ['RTN', 'none']),
    ...lower('RTN + refit with bias below RTN with bias', 0.15, ['RTN + refit', 'joint'], rtn),
    ...lower('descent with bias below GPTQ with bias (sequential)', 0.35, descent, gptq),
  ];
}

/** Where a few channels have large means. */
function shiftedClaims(figures) {
  return [
    ...['float', undefined].map((path) => ({
      what: `opt-7m-shifted, GPTQ${onPath(path)}: share of the gap to float that joint closes of what sequential leaves, w3`,
      wanted: '≥ 35 %',
      value: gapClosed(figures, path),
      show: percent,
      meets: atLeast(0.35),
    })),
    ...[
      ['GPTQ', 'float'],
      ['GPTQ', undefined],
      ['descent', undefined],
    ].map(([method, path]) => ({
      what: `opt-7m-shifted against opt-7m, ${method} joint${onPath(path)}: perplexity, difference of the means, w3`,
      wanted: '≤ 0.5 %',
      value: shiftSeen(figures, method, path),
      show: (value) => `${(value * 100).toFixed(2)} %`,
      meets: atMost(0.005),
    })),
  ];
}

export function claims(figures) {
  return [
    ...linearClaims(figures),
    ...errorClaims(figures),
    ...both.map((scheme) => ({
      what: `descent: time to quantize against GPTQ, ${scheme}`,
      wanted: '≤ 4 ×',
      value: timeRatio(figures, scheme),
      show: (value) => `${value.toFixed(1)} ×`,
      meets: atMost(4),
    })),
    ...shiftedClaims(figures),
    {
      what: 'descent + joint below plain GPTQ, perplexity, in spreads over seeds, w2',
      wanted: '> 1',
      value: gainInSpreads(figures),
      show: (value) => value.toFixed(1),
      meets: (value) => value > 1,
    },
    {
      what: 'linears of all cells whose held-out error the kept bias raised',
      wanted: '0',
      value: worseByBias(figures),
      show: String,
      meets: atMost(0),
    },
  ];
}

export function claimTable(figures) {
  const rows = claims(figures).map(({ what, wanted, value, show, meets }) =>
    value === undefined
      ? [what, wanted, '–', 'not run']
      : [what, wanted, show(value), meets(value) ? 'yes' : '**no**'],
  );
  return [['', 'wanted', 'measured', 'met'], ['---', '---:', '---:', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}
