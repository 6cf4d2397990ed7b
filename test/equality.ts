// Typed arrays of the same bytes are equal at once: element by element, as vitest goes, a million numbers take seconds.

import { expect } from 'vitest';

const bytesOf = (view: ArrayBufferView) =>
  Buffer.from(view.buffer, view.byteOffset, view.byteLength);

expect.addEqualityTesters([
  (a: unknown, b: unknown) =>
    ArrayBuffer.isView(a) &&
    ArrayBuffer.isView(b) &&
    a.constructor === b.constructor &&
    bytesOf(a).equals(bytesOf(b))
      ? true
      : // Otherwise as ever: NaN equals NaN of another pattern, and a difference is shown.
        undefined,
]);
