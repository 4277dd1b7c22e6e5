import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { createGraph } from '../../../src/graph/graph.ts';
import { matMul } from '../../../src/graph/ops/matmul.ts';
import { float32 } from '../../../src/graph/tensor.ts';
import { input, type Value } from '../../../src/graph/value.ts';

// Run by onnxruntime.test.ts as a process of its own: prints a result, and then ends in the way that it is told to.
const SIDE = 1024;
const [how] = process.argv.slice(2);
const engine = createOnnxruntimeEngine({ threads: 1 });
const x = input('x', ['N', 'N']);
let y: Value = x;
for (let i = 0; i < 60; i++) y = matMul(y, x);
const executable = await engine.compile(createGraph({ y }), new Map());
const { y: one } = await executable.run({ x: float32([1, 1], [1]) });
process.stdout.write(`${one?.data.join()}\n`);

if (how !== 'idle') {
  executable.run({ x: float32([SIDE, SIDE], new Float32Array(SIDE ** 2)) }).catch((error: unknown) => {
    process.stdout.write(`${String(error)}\n`);
  });
  // The run takes longer than this.
  setTimeout(() => {
    if (how === 'throw') throw new Error('in the middle of a run');
    void engine.close();
  }, 30);
}
