// The rows of a suite as one aligned table; columns that no row has are left out.
const columns = [
  ['GFLOP/s', ({ gflops }) => gflops?.toFixed(1)],
  ['of best', ({ shareOfBest }) => percent(shareOfBest)],
  ['GB/s', ({ gbps }) => gbps?.toFixed(1)],
  ['of copy', ({ shareOfCopy }) => percent(shareOfCopy)],
  ['ms', ({ seconds }) => (seconds * 1e3).toFixed(seconds < 0.01 ? 3 : 1)],
  ['torch ms', ({ peerSeconds: s }) => s && (s * 1e3).toFixed(s < 0.01 ? 3 : 1)],
  ['torch / ours', ({ ratio }) => ratio?.toFixed(2)],
];

const percent = (share) => share && `${Math.round(100 * share)} %`;

export function printRows(title, rows) {
  console.log(`\n${title}`);
  const shown = columns.filter(([, cell]) => rows.some((row) => cell(row) !== undefined));
  const names = rows.map(({ name, dtype }) => `  ${name}, ${dtype}`);
  const width = Math.max(...names.map(({ length }) => length));
  const line = (name, cells) =>
    console.log(name.padEnd(width), cells.map((cell) => (cell ?? '').padStart(12)).join(''));
  line(
    '',
    shown.map(([heading]) => heading),
  );
  for (const [i, row] of rows.entries()) {
    line(
      names[i],
      shown.map(([, cell]) => cell(row)),
    );
  }
}
