// JavaScript has one kind of number and writes 30.0 as 30, but some clients read config.json with types and refuse a
// whole number where a fraction is declared (transformers 5, for one). So fields that a file wrote as floats are written
// as floats again.

/** A field, and a number with a point or an exponent. */
const floatField = /"((?:[^"\\]|\\.)*)"\s*:\s*-?\d+(?=[.eE])[\d.eE+-]+/g;
const wholeField = /^(\s*"((?:[^"\\]|\\.)*)": -?\d+)(,?)$/gm;

/** Names of the fields that a JSON text writes as floats. */
export function floatFields(json: string): Set<string> {
  return new Set(Array.from(json.matchAll(floatField), ([, name = '']) => name));
}

/** Indented JSON in which whole numbers of those fields keep a fraction. */
export function stringifyWithFloats(value: unknown, fields: ReadonlySet<string>): string {
  const text = JSON.stringify(value, null, 2);
  return text.replaceAll(wholeField, (line, number: string, name: string, comma: string) =>
    fields.has(name) ? `${number}.0${comma}` : line,
  );
}
