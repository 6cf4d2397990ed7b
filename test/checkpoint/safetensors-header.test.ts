import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readHeader } from '../../lib/checkpoint/safetensors-header.js';
import { temporaryFolder } from '../places.js';
import { safetensorsBytes } from './files.js';

async function headerOf(bytes: Uint8Array) {
  const path = join(await temporaryFolder(), 'model.safetensors');
  await writeFile(path, bytes);
  return readHeader(path);
}

const tensor = (begin: number, end: number, shape: unknown = [(end - begin) / 4]) => ({
  dtype: 'F32',
  shape,
  data_offsets: [begin, end],
});

describe('readHeader', () => {
  it('gives types, shapes and absolute offsets', async () => {
    const header = { __metadata__: { format: 'pt' }, b: tensor(8, 16, [2, 1]), a: tensor(0, 8) };
    const { tensors, metadata, fileBytes } = await headerOf(
      safetensorsBytes(header, Buffer.alloc(16)),
    );
    const start = fileBytes - 16;
    expect(tensors.get('b')).toMatchObject({ dtype: 'float32', shape: [2, 1], offset: start + 8 });
    expect(tensors.get('a')).toMatchObject({ shape: [2], offset: start, bytes: 8 });
    expect(metadata).toEqual({ format: 'pt' });
  });

  it('accepts scalars, empty tensors, trailing spaces and a name like __proto__', async () => {
    const text = `{"__proto__": ${JSON.stringify(tensor(0, 4, []))}, "none": ${JSON.stringify(tensor(4, 4, [0, 3]))}}   `;
    const { tensors } = await headerOf(safetensorsBytes(text, Buffer.alloc(4)));
    expect(tensors.get('__proto__')).toMatchObject({ shape: [], bytes: 4 });
    expect(tensors.get('none')).toMatchObject({ shape: [0, 3], bytes: 0 });
  });

  const eight = Buffer.alloc(8);
  const damaged: [string, Uint8Array, RegExp][] = [
    ['an empty file', Buffer.alloc(0), /at least 8 bytes but received 0/],
    ['a length beyond the file', safetensorsBytes({}, eight, 4096n), /claims 4096 bytes but/],
    [
      'a length beyond the limit',
      safetensorsBytes({}, eight, 2n ** 63n),
      /at most 100000000 bytes/,
    ],
    ['no JSON', safetensorsBytes('{"a": '), /Expected JSON/],
    ['no UTF-8', safetensorsBytes('{"\u00ff": 1}').fill(0xff, 10, 12), /not UTF-8/],
    ['no object', safetensorsBytes('[]'), /JSON object .* received an array/],
    ['an entry that is no object', safetensorsBytes({ a: 1 }), /dtype, shape .* 'a'/],
    [
      'a truncated file',
      safetensorsBytes({ a: tensor(0, 16) }, eight),
      /'a' ends at byte 16 .* only 8/,
    ],
    [
      'overlapping tensors',
      safetensorsBytes({ a: tensor(0, 8), b: tensor(4, 8) }, eight),
      /'b' overlaps tensor 'a'/,
    ],
    [
      'the same bytes twice',
      safetensorsBytes({ a: tensor(0, 8), b: tensor(0, 8) }, eight),
      /overlaps/,
    ],
    [
      'a hole',
      safetensorsBytes({ a: tensor(4, 8) }, eight),
      /4 bytes between the header and tensor 'a'/,
    ],
    ['trailing bytes', safetensorsBytes({ a: tensor(0, 4) }, eight), /4 bytes after tensor 'a'/],
    [
      'reversed offsets',
      safetensorsBytes({ a: tensor(8, 0, [2]) }, eight),
      /data_offsets of tensor 'a'/,
    ],
    ['negative offsets', safetensorsBytes({ a: tensor(-4, 4, [2]) }, eight), /received \[-4,4\]/],
    ['fractional offsets', safetensorsBytes({ a: tensor(0, 7.5, [2]) }, eight), /\[0,7.5\]/],
    [
      'a size that is not dtype × shape',
      safetensorsBytes({ a: tensor(0, 8, [3]) }, eight),
      /span 8 bytes but F32 \[3\] takes 12/,
    ],
    [
      'a negative shape',
      safetensorsBytes({ a: tensor(0, 8, [-2, -1]) }, eight),
      /shape of tensor 'a'/,
    ],
    [
      'a shape whose product overflows',
      safetensorsBytes({ a: tensor(0, 8, [2 ** 40, 2 ** 40]) }, eight),
      /shape of tensor 'a'/,
    ],
    [
      'a shape that is no list',
      safetensorsBytes({ a: tensor(0, 8, '2') }, eight),
      /shape of tensor 'a'/,
    ],
    [
      'an unknown dtype',
      safetensorsBytes({ a: { ...tensor(0, 8), dtype: 'F31' } }, eight),
      /dtype of tensor 'a' .* "F31"/,
    ],
    ['metadata that is no text', safetensorsBytes({ __metadata__: { a: 1 } }), /__metadata__/],
    [
      'a tensor twice',
      safetensorsBytes(
        `{"a": ${JSON.stringify(tensor(0, 8))}, "\\u0061": ${JSON.stringify(tensor(0, 8))}}`,
        eight,
      ),
      /'a' twice/,
    ],
    [
      'a key of a tensor twice',
      safetensorsBytes(
        '{"a": {"dtype": "F32", "shape": [1], "shape": [2], "data_offsets": [0, 8]}}',
        eight,
      ),
      /'shape' twice/,
    ],
  ];

  it.each(damaged)('refuses %s', async (_, bytes, message) => {
    const error = await headerOf(bytes).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'ERR_CHECKPOINT' });
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toContain('model.safetensors');
  });

  it('says when a file cannot be opened', async () => {
    await expect(readHeader('/nowhere/model.safetensors')).rejects.toMatchObject({
      code: 'ERR_IO',
      message: expect.stringContaining('no such file'),
    });
  });
});
