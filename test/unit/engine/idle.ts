import { createOnnxruntimeEngine } from '../../../src/engine/onnxruntime.ts';
import { createGraph } from '../../../src/graph/graph.ts';
import { mul } from '../../../src/graph/ops/elementwise.ts';
import { float32 } from '../../../src/graph/tensor.ts';
import { input } from '../../../src/graph/value.ts';

// Run by onnxruntime.test.ts: prints a result and ends, though it never closes the engine.
const engine = createOnnxruntimeEngine({ threads: 1 });
const executable = await engine.compile(createGraph({ y: mul(input('x', [2]), 2) }), new Map());
const { y } = await executable.run({ x: float32([2], [1, 2]) });
process.stdout.write(`${y?.data.join()}\n`);
