// The classes of an image classifier, from config.json.

import type { ConfigReader } from './config-reader.js';
import type { VisionModel } from './model.js';

/** Absent labels are two, as in transformers. */
export function readLabels(reader: ConfigReader): Pick<VisionModel, 'labels' | 'classes'> {
  const names = reader.object('id2label');
  if (names === undefined) return { labels: new Map(), classes: reader.count('num_labels', 2) };
  const labels = new Map<string, number>();
  let classes = 0;
  while (names.has(`${classes}`)) labels.set(names.string(`${classes}`), classes++);
  if (classes === 0) throw reader.unsupported('id2label', 'names of the classes 0, 1, 2 …');
  return { labels, classes };
}
