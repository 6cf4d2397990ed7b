// A long text in pieces that can be tokenized apart, so that threads share it and none needs memory for all of it. Where
// to cut is asked of the tokenizer itself: near each multiple of a length, at a place where it gives the same tokens for
// what surrounds the cut, whole and in two. Merges, word patterns and normalizers look no further than that. So pieces
// follow from text and tokenizer alone, whatever the number of threads, and a tokenizer that can be cut nowhere gets the
// text whole.

/** Where a piece of a text ends, and the next begins: the same place, or past a space that the tokenizer puts there itself. */
export interface Cut {
  readonly end: number;
  readonly begin: number;
}

/** Characters between two cuts, at least; some tenths of a second each. */
const pieceLength = 1 << 18;

/** Characters that are looked at around a cut. */
const windowLength = 2048;

/** `findCut` tells where a window of the text can be cut near its middle, if anywhere. */
export async function piecesOf(
  text: string,
  findCut: (window: string) => Promise<Cut | undefined>,
): Promise<string[]> {
  const count = Math.floor(text.length / pieceLength);
  const starts = Array.from(
    { length: Math.max(0, count - 1) },
    (_, i) => (i + 1) * pieceLength - windowLength / 2,
  );
  const cuts = await Promise.all(
    starts.map((start) => findCut(text.slice(start, start + windowLength))),
  );
  const pieces: string[] = [];
  let begin = 0;
  for (const [i, cut] of cuts.entries()) {
    const start = starts[i];
    if (cut === undefined || start === undefined) continue;
    pieces.push(text.slice(begin, start + cut.end));
    begin = start + cut.begin;
  }
  return [...pieces, text.slice(begin)];
}
