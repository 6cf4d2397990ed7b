import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { readDocuments } from '../../lib/calibration/documents.js';
import { WorkerConnection } from '../../lib/worker-connection.js';

async function fileWith(name: string, content: string | Uint8Array): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'ballast-test-'));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  await writeFile(join(directory, name), content);
  return join(directory, name);
}

function fixture(name: string): string {
  return fileURLToPath(new URL(`./fixtures/${name}`, import.meta.url));
}

describe('readDocuments', () => {
  it('takes a text file whole, unchanged', async () => {
    const text = '\n a\r\n\tb é 𝛽 \n\n';
    expect(await readDocuments(await fileWith('a.txt', text))).toEqual([text]);
  });

  it('takes a field of each JSON line, skipping blank ones', async () => {
    const path = await fileWith(
      'a.jsonl',
      '{"text": "x\\n", "body": "1"}\r\n\n{"text": "y", "body": "2"}',
    );
    expect(await readDocuments(path)).toEqual(['x\n', 'y']);
    expect(await readDocuments(path, { field: 'body' })).toEqual(['1', '2']);
  });

  it('takes a nested field, and a name with a dot where there is one', async () => {
    const nested = '{"a": {"b": [{"c": "deep"}]}}';
    const path = await fileWith('a.jsonl', `${nested}\n{"a.b.0.c": "plain", "a": {"b": []}}`);
    expect(await readDocuments(path, { field: 'a.b.0.c' })).toEqual(['deep', 'plain']);
    for (const field of ['a.b', 'a.b.1.c', 'a.b.length', 'toString']) {
      await expect(readDocuments(path, { field })).rejects.toThrow(/fields are: a;/);
    }
  });

  it('leaves out a byte order mark, and only there', async () => {
    const text = await fileWith('a.txt', '\ufeffa\ufeffb');
    expect(await readDocuments(text)).toEqual(['a\ufeffb']);
    const lines = await fileWith('a.jsonl', '\ufeff{"text": "x"}\n{"text": "y"}');
    expect(await readDocuments(lines)).toEqual(['x', 'y']);
  });

  it('ends lines of JSON at line feeds alone', async () => {
    const odd = 'a\u2028b\u2029c\u0085d';
    const long = 'é'.repeat(200_000);
    const path = await fileWith('a.jsonl', `{"text": "${odd}"}\n{"text": "${long}"}\r\n`);
    expect(await readDocuments(path)).toEqual([odd, long]);
  });

  it.each(['snappy', 'zstd'])('takes a column of a parquet file (%s)', async (codec) => {
    const path = fixture(`${codec}.parquet`);
    expect(await readDocuments(path)).toEqual(['first', '', 'third é']);
    await expect(readDocuments(path, { field: 'body' })).rejects.toMatchObject({
      code: 'ERR_DATA',
      message: expect.stringContaining("column 'body'"),
    });
    await expect(readDocuments(path, { field: 'id' })).rejects.toThrow(
      /'id', row 1 of .* a bigint/,
    );
  });

  it('reads a parquet file in many replies, in order, and closes their worker', async () => {
    const close = vi.spyOn(WorkerConnection.prototype, 'close');
    onTestFinished(() => close.mockRestore());
    const texts = await readDocuments(fixture('long.parquet'));
    expect(texts.map((text) => text.length)).toEqual(Array(6).fill(800_000));
    expect(texts.map((text) => text[0]).join('')).toBe('abcdef');
    expect(close).toHaveBeenCalledTimes(1);
  });

  it('takes a nested column of a parquet file', async () => {
    const path = fixture('nested.parquet');
    expect(await readDocuments(path, { field: 'meta.text' })).toEqual(['a', 'b']);
    await expect(readDocuments(path, { field: 'turns.0.content' })).rejects.toThrow(
      /'turns.0.content', row 2 of .* received nothing/,
    );
    await expect(readDocuments(path, { field: 'text' })).rejects.toThrow(
      /columns are: meta, turns/,
    );
  });

  it('names the row that has no text', async () => {
    const path = fixture('missing-text.parquet');
    await expect(readDocuments(path)).rejects.toThrow(/row 2 of .* received nothing/);
  });

  const wrong: [string, string, string | Uint8Array, RegExp][] = [
    ['a line that is no JSON', 'a.jsonl', '{"text": "x"}\n{"text"', /Expected JSON in line 2 of/],
    [
      'a line without the field',
      'a.jsonl',
      '{"body": "x"}',
      /'text' in line 1 of .* fields are: body/,
    ],
    ['a field that is no text', 'a.jsonl', '{"text": 1}', /'text' in line 1 .* received a number/],
    ['a field that is null', 'a.jsonl', '{"text": null}', /'text' in line 1 .* received null/],
    ['a line that is no object', 'a.jsonl', '["text"]', /fields are: none/],
    ['another suffix', 'a.csv', 'x', /\.txt, \.jsonl or \.parquet/],
    ['no UTF-8', 'a.txt', Uint8Array.of(0x61, 0xff), /Expected UTF-8/],
    [
      'a line that is no UTF-8',
      'a.jsonl',
      Buffer.from('{"a": "é"}\n', 'latin1'),
      /UTF-8 .* line 1 of/,
    ],
    ['an empty file', 'a.txt', '', /it is empty/],
    ['no lines', 'a.jsonl', '\n\n', /it is empty/],
    ['no parquet', 'a.parquet', 'PAR1 but not really PAR1', /Expected a parquet file/],
    ['an empty parquet', 'a.parquet', '', /Expected a parquet file/],
    // Version 1, no schema element, no row, no row group.
    [
      'a parquet without a schema',
      'a.parquet',
      'PAR1\x15\x02\x19\x0c\x16\x00\x19\x0c\x00\x09\x00\x00\x00PAR1',
      /Expected a parquet file/,
    ],
  ];

  it.each(wrong)('refuses %s', async (_, name, content, message) => {
    const error = await readDocuments(await fileWith(name, content)).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'ERR_DATA' });
    expect(error.message).toMatch(message);
    expect(error.message).toContain(name);
  });

  it.each(['a.txt', 'a.jsonl', 'a.parquet'])('begins nothing after a signal: %s', async (name) => {
    const content =
      name === 'a.parquet' ? await readFile(fixture('snappy.parquet')) : '{"text": ""}';
    const path = await fileWith(name, content);
    const reading = readDocuments(path, { signal: AbortSignal.abort() });
    await expect(reading).rejects.toMatchObject({
      code: 'ERR_ABORTED',
      message: `The reading of ${path} was aborted.`,
    });
  });

  it('ends the worker of a parquet file when a signal fires', async () => {
    const controller = new AbortController();
    const exits: Promise<unknown>[] = [];
    process.once('worker', (worker) => {
      exits.push(once(worker, 'exit'));
      // It has decoded a part, which waits to be taken.
      worker.once('message', () => controller.abort());
    });
    const reading = readDocuments(fixture('long.parquet'), controller);
    await expect(reading).rejects.toMatchObject({ code: 'ERR_ABORTED' });
    expect(await Promise.all(exits)).toEqual([[1]]);
  });

  it.each(['a.txt', 'a.jsonl'])('says of a directory that it is one: %s', async (name) => {
    const path = join(dirname(await fileWith('other', '')), name);
    await mkdir(path);
    await expect(readDocuments(path)).rejects.toThrow(/it is a directory; name a file in it/);
  });

  it('names a file that is not there', async () => {
    await expect(readDocuments('/nowhere/a.txt')).rejects.toThrow(/no such file; check the path/);
    await expect(readDocuments('/nowhere/a.jsonl')).rejects.toThrow(/no such file; check the path/);
    await expect(readDocuments('/nowhere/a.parquet')).rejects.toThrow(
      /no such file; check the path/,
    );
    await expect(readDocuments(`/${'a'.repeat(300)}.txt`)).rejects.toThrow(/its name is too long/);
  });
});
