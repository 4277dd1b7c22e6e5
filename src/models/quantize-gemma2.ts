import { tensor } from '../graph/tensor.ts';
import { assertFinite } from '../io/assert-finite.ts';
import { digestedFile } from '../io/digested-file.ts';
import type { LazyTensor } from '../io/safetensors.ts';
import { gemma2LayerTensors } from './gemma2-config.ts';
import type { Gemma2 } from './gemma2.ts';
import { outputScales, quantizeOutputs, readWeight } from './quantize-matrix.ts';
import type { QuantizeOptions } from './quantize-transformer.ts';
import { quantizedNames } from './quantized-products.ts';

// Raised when the same weights are quantised in another way.
const version = '1';

/**
 * The text encoder with the matrices of its layers in 8 bits too, each output channel with a scale of its own: a byte for
 * each of their numbers. They lie in a file, made once with one matrix in memory at a time, from which they are mapped
 * into memory like all others.
 * @throws UserError for NaN in the weights, naming the tensor, when the disk is full and the like
 */
export async function quantizeGemma2(
  model: Gemma2,
  { file, modelKey, limit, signal }: QuantizeOptions,
): Promise<Gemma2> {
  const { config, weights, prefix } = model;
  const tensors = new Map<string, LazyTensor>();
  for (let layer = 0; layer < config.num_hidden_layers; layer++) {
    for (const [name, [out = 1, inner]] of gemma2LayerTensors(config)) {
      if (inner === undefined) continue;
      const key = `${prefix}layers.${layer}.${name}`;
      const names = quantizedNames(key.replace(/\.weight$/, ''));
      const read = async (): Promise<{ kernel: Float32Array; scales: Float32Array }> => {
        const kernel = await readWeight(weights, key);
        const scales = outputScales(kernel, out, inner, limit);
        if (!scales.every(Number.isFinite)) await assertFinite(new Map([...weights].filter(([one]) => one === key)));
        return { kernel, scales };
      };
      tensors.set(names.forwardScales, {
        dtype: 'float32',
        shape: [out],
        read: async () => tensor('float32', [out], (await read()).scales),
      });
      tensors.set(names.forward, {
        dtype: 'int8',
        shape: [inner, out],
        read: async () => {
          const { kernel, scales } = await read();
          return tensor('int8', [inner, out], quantizeOutputs(kernel, out, inner, scales));
        },
      });
    }
  }
  const metadata = { format: `sana-train text int8 ${version}`, key: modelKey, limit: String(limit) };
  const quantized = await digestedFile({ file, metadata, tensors, ...(signal && { signal }) });
  return { ...model, weights: new Map([...weights, ...quantized]) };
}
