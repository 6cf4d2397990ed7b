// Results on stdout: tables for people, or one JSON object for machines. Everything else belongs on stderr.

import Table from 'cli-table3';

/** Plain characters and no colours: tables end up in files and issues too. Numbers stand on the right. */
export function printTable(
  rows: readonly (readonly string[])[],
  head: readonly string[] = [],
): void {
  const table = new Table({
    head: [...head],
    style: { head: [], border: [], compact: true },
    colAligns: head.length > 2 ? head.map((_, i) => (i === 0 ? 'left' : 'right')) : [],
  });
  table.push(...rows.map((row) => [...row]));
  process.stdout.write(`${table.toString()}\n`);
}

export function printJson(value: object): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

/** Names of linears in one line; experts that differ by their numbers alone are told once. */
export function alike(names: readonly string[]): string {
  return [...new Set(names.map((name) => name.replaceAll(/\.\d+\./g, '.*.')))].join(', ');
}
