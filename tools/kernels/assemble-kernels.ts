import { readFile } from 'node:fs/promises';

import wabt from 'wabt';

/** The generated module, by its path in the repository. */
export const kernelsModule = 'src/optim/kernels-wasm.ts';

/** What `kernelsModule` holds: src/optim/kernels.wat, assembled. */
export async function assembleKernels(): Promise<string> {
  const { parseWat } = await wabt();
  const module = parseWat('kernels.wat', await readFile(new URL('../../src/optim/kernels.wat', import.meta.url)), {
    simd: true,
  });
  const { buffer } = module.toBinary({});
  module.destroy();
  return `// Made by \`npm run kernels\` of kernels.wat. Change it there.

/** The WebAssembly module of kernels.wat, in base64. */
export const kernelsWasm =
  '${Buffer.from(buffer).toString('base64')}';
`;
}
