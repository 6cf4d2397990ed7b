// Codes of 2 to 8 bits, packed densely with the lowest bit first into 32-bit words (`Device.packCodes`). This is how
// compressed-tensors, GPTQ and ONNX hold codes; they differ only in the axis that a line of them runs along.

/** The axis of a row-major [rows, cols] matrix that lines run along: 1 packs each row, 0 each column. */
type PackedAxis = 0 | 1;

export function packedShape(
  [rows, cols]: readonly [rows: number, cols: number],
  bits: number,
  axis: PackedAxis,
): [number, number] {
  const wordsOf = (values: number) => Math.ceil((values * bits) / 32);
  return axis === 1 ? [rows, wordsOf(cols)] : [wordsOf(rows), cols];
}
