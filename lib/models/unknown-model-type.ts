// The error for a model type that no file serves. It names the architecture that resembles it most by name (its own, or
// one that the architecture's file lists as a relative), since that file is the place to start from.

import { BallastError } from '../errors.js';
import type { Architecture, BlockModel } from './model.js';

/** Beyond this share of the longer name's letters, likeness is chance. */
const farthest = 0.5;
/** Letters from which on a common beginning tells of a family. */
const familyName = 3;

export function unknownModelType(
  type: unknown,
  architectures: readonly Architecture<BlockModel>[],
): BallastError {
  const known = architectures.map(({ modelType }) => modelType).join(', ');
  const closest = typeof type === 'string' ? closestTo(type, architectures) : undefined;
  const hint = closest === undefined ? '' : ` The closest is ${closest.modelType}.`;
  const received = type === undefined ? 'there is none' : `received ${JSON.stringify(type)}`;
  return new BallastError(
    'ERR_UNSUPPORTED',
    `Expected a supported model_type in config.json (${known}) but ${received}.${hint} ` +
      'To add an architecture, write one file in lib/models/architectures and one line in lib/models/registry.ts: docs/add-a-model.md.',
  );
}

function closestTo(
  modelType: string,
  architectures: readonly Architecture<BlockModel>[],
): Architecture<BlockModel> | undefined {
  const distanceOf = ({ modelType: own, relatives = [] }: Architecture<BlockModel>) =>
    Math.min(...[own, ...relatives].map((name) => distance(modelType.toLowerCase(), name)));
  let closest: Architecture<BlockModel> | undefined;
  let least = farthest;
  for (const architecture of architectures) {
    const far = distanceOf(architecture);
    if (far < least) {
      closest = architecture;
      least = far;
    }
  }
  return closest;
}

/** Of two names, 0 … 1; a name that begins with the other, as variants of a family do, is near. */
function distance(a: string, b: string): number {
  if (a === b) return 0;
  const longer = Math.max(a.length, b.length);
  const shorter = Math.min(a.length, b.length);
  if (shorter >= familyName && (a.startsWith(b) || b.startsWith(a))) {
    return 0.1 * (1 - shorter / longer);
  }
  return editDistance(a, b) / longer;
}

/** Insertions, deletions and substitutions from one to the other (Levenshtein), one row of the table at a time. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const substitution = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substitution, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
