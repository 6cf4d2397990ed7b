// Where a long text is cut is asked of whoever tokenizes it, near multiples of a length, and nothing of it is lost but what
// they say.

import { expect, it } from 'vitest';
import { piecesOf } from '../../lib/checkpoint/tokenizer/text-pieces.js';

const text = Array.from({ length: 200_000 }, (_, i) => `word${i}`).join(' ');

it('asks for no cut of a text that is not long', async () => {
  const short = text.slice(0, 500_000);
  const pieces = await piecesOf(short, () => Promise.reject(new Error('It was asked.')));
  expect(pieces).toEqual([short]);
});

it('cuts at spaces and gives all between them', async () => {
  const pieces = await piecesOf(text, async (window) => {
    const end = window.indexOf(' ', window.length / 2);
    return { end, begin: end + 1 };
  });
  expect(pieces.length).toBeGreaterThan(4);
  expect(pieces.join(' ')).toBe(text);
  for (const piece of pieces) expect(piece).toMatch(/^word\d.*\d$/);
});

it('goes on to the next place where there is no cut', async () => {
  let asked = 0;
  const whole = await piecesOf(text, async () => void asked++);
  expect(whole).toEqual([text]);
  expect(asked).toBeGreaterThan(3);
  asked = 0;
  const halves = await piecesOf(text, async () =>
    asked++ === 1 ? { end: 7, begin: 7 } : undefined,
  );
  expect(halves).toHaveLength(2);
  expect(halves.join('')).toBe(text);
});
