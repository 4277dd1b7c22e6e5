// Writes src/optim/kernels-wasm.ts from src/optim/kernels.wat: `npm run kernels`.
import { fileURLToPath } from 'node:url';

import { writeText } from '../../src/io/atomic-write.ts';
import { assembleKernels, kernelsModule } from './assemble-kernels.ts';

await writeText(fileURLToPath(new URL(`../../${kernelsModule}`, import.meta.url)), await assembleKernels());
