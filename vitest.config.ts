// Tests run from the TypeScript sources; the addon and dist/ (for the tests that start processes) are made by
// `npm test` beforehand, see scripts/prepare.mjs. Files run in forked processes, as many as two at a time: the thread
// pool of the addon already uses every core.
import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    setupFiles: ['test/equality.ts'],
    pool: 'forks',
    maxWorkers: 2,
    // What takes seconds takes minutes where the machine is shared; some set-ups compile.
    testTimeout: 300_000,
    hookTimeout: 600_000,
  },
});
