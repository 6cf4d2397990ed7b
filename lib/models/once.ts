// What a held point makes needless is not computed; what is needed twice, once.

import type { Tensor } from '../device/index.js';

export function once(compute: () => Tensor): () => Tensor {
  let made: Tensor | undefined;
  return () => {
    made ??= compute();
    return made;
  };
}
