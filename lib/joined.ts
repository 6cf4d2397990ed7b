// Typed arrays one behind the other.

export function joined<T extends Int32Array | Float32Array>(parts: readonly T[]): T {
  const kind = (parts[0]?.constructor ?? Int32Array) as new (length: number) => T;
  const whole = new kind(joinedLength(parts));
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}

/** How many elements there are in all. */
export function joinedLength(parts: readonly { readonly length: number }[]): number {
  return parts.reduce((total, { length }) => total + length, 0);
}
