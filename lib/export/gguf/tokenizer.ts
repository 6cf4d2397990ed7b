// The tokenizer of a checkpoint as GGUF metadata. To parse and encode a vocabulary of 128,000 tokens takes seconds, so a
// worker thread does that: the event loop stays free.

import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { damagedJson, readJsonBytes, readJsonObject } from '../../checkpoint/bounded-json.js';
import { BallastError, type ErrorCode } from '../../errors.js';
import { WorkerConnection } from '../../worker-connection.js';
import type { Metadata } from './metadata.js';

type Json = Readonly<Record<string, unknown>>;

/** What the worker is to read. */
export interface Question {
  /** Of tokenizer.json, for messages. */
  readonly path: string;
  readonly tokenizerBytes: Uint8Array;
  /** tokenizer_config.json. */
  readonly settings: Json;
  readonly template: string | undefined;
  readonly config: Json;
  readonly vocabularySize: number;
}

export interface Reply {
  /** What `encodeValue` makes of each value. */
  readonly values?: Readonly<Record<string, Uint8Array>>;
  readonly problem?: string;
  /** Absent where tokenizer.json is no JSON. */
  readonly code?: ErrorCode;
}

/** Errors: ERR_CHECKPOINT without tokenizer.json, ERR_UNSUPPORTED for a kind that GGUF metadata cannot say. */
export async function tokenizerMetadata(
  directory: string,
  config: Json,
  vocabularySize: number,
): Promise<Metadata> {
  const path = join(directory, 'tokenizer.json');
  const tokenizerBytes = await readJsonBytes(path);
  if (tokenizerBytes === undefined) {
    throw new BallastError(
      'ERR_CHECKPOINT',
      `Expected a tokenizer.json in ${directory} for format gguf; save the tokenizer with a recent version of transformers.`,
    );
  }
  const settings = (await readJsonObject(join(directory, 'tokenizer_config.json'))) ?? {};
  const template = await chatTemplate(directory, settings);
  const values = await answerTo({
    ...{ path, tokenizerBytes, settings, template },
    ...{ config, vocabularySize },
  });
  return Object.fromEntries(
    Object.entries(values).map(([name, value]) => [name, { type: 'encoded', value }]),
  );
}

async function answerTo(question: Question): Promise<Readonly<Record<string, Uint8Array>>> {
  const worker = new WorkerConnection<Reply>(
    new URL('./tokenizer-worker.js', import.meta.url),
    question,
  );
  try {
    const { values = {}, problem, code } = await worker.receive();
    if (problem === undefined) return values;
    throw code === undefined ? damagedJson(new Error(problem)) : new BallastError(code, problem);
  } finally {
    await worker.close();
  }
}

async function chatTemplate(directory: string, settings: Json): Promise<string | undefined> {
  const file = await readFile(join(directory, 'chat_template.jinja'), 'utf8').catch(
    () => undefined,
  );
  const template = file ?? settings.chat_template;
  return typeof template === 'string' ? template : undefined;
}
