// Typed arrays one behind the other.

export function joined<T extends Int32Array | Float32Array>(parts: readonly T[]): T {
  const kind = (parts[0]?.constructor ?? Int32Array) as new (length: number) => T;
  const whole = new kind(parts.reduce((total, { length }) => total + length, 0));
  let end = 0;
  for (const part of parts) {
    whole.set(part, end);
    end += part.length;
  }
  return whole;
}
