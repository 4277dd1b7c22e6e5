import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    setupFiles: ['test/matchers.ts'],
    projects: [
      {
        extends: true,
        test: { name: 'unit', testTimeout: 30_000, include: ['test/unit/**/*.test.{ts,tsx}', 'test/parity/*.test.ts'] },
      },
      // Each starts processes of the built command line; a slow machine may take seconds for one.
      {
        extends: true,
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.test.ts'],
          globalSetup: 'test/e2e/build.ts',
          testTimeout: 60_000,
        },
      },
    ],
  },
});
