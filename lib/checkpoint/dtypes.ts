// Element types of checkpoint tensors: our name (numpy's and torch's), the name in a safetensors header, and the
// size in bytes. A checkpoint may hold types the device has no arithmetic for; they can be listed and copied, and
// only loading them is refused. Source: the safetensors format, https://huggingface.co/docs/safetensors.

const table = {
  float64: { tag: 'F64', bytes: 8 },
  float32: { tag: 'F32', bytes: 4 },
  float16: { tag: 'F16', bytes: 2 },
  bfloat16: { tag: 'BF16', bytes: 2 },
  float8_e4m3fn: { tag: 'F8_E4M3', bytes: 1 },
  float8_e5m2: { tag: 'F8_E5M2', bytes: 1 },
  float8_e8m0fnu: { tag: 'F8_E8M0', bytes: 1 },
  complex64: { tag: 'C64', bytes: 8 },
  int64: { tag: 'I64', bytes: 8 },
  uint64: { tag: 'U64', bytes: 8 },
  int32: { tag: 'I32', bytes: 4 },
  uint32: { tag: 'U32', bytes: 4 },
  int16: { tag: 'I16', bytes: 2 },
  uint16: { tag: 'U16', bytes: 2 },
  int8: { tag: 'I8', bytes: 1 },
  uint8: { tag: 'U8', bytes: 1 },
  bool: { tag: 'BOOL', bytes: 1 },
} as const;

export type TensorDtype = keyof typeof table;

const byTag = new Map<string, TensorDtype>(
  (Object.keys(table) as TensorDtype[]).map((dtype) => [table[dtype].tag, dtype]),
);

/** The tags a safetensors header may use, for messages. */
export const knownTags = [...byTag.keys()];

/** The type a safetensors tag such as `BF16` stands for; undefined when there is none. */
export function dtypeFromTag(tag: unknown): TensorDtype | undefined {
  return typeof tag === 'string' ? byTag.get(tag) : undefined;
}

export function tagOf(dtype: TensorDtype): string {
  return table[dtype].tag;
}

export function bytesPerElement(dtype: TensorDtype): number {
  return table[dtype].bytes;
}

/** Bytes of a dense tensor; undefined when the shape is no list of whole numbers >= 0 or the product is too large. */
export function denseBytes(dtype: TensorDtype, shape: unknown): number | undefined {
  if (!Array.isArray(shape)) return undefined;
  let bytes = bytesPerElement(dtype);
  let empty = false;
  for (const size of shape) {
    if (!Number.isSafeInteger(size) || size < 0) return undefined;
    if (size === 0) empty = true;
    else bytes *= size;
    if (!Number.isSafeInteger(bytes)) return undefined;
  }
  return empty ? 0 : bytes;
}
