import { UserError } from '../errors.ts';
import {
  bytesPerElement,
  elementCount,
  type Tensor,
  tensorBytes,
  tensorFromBytes,
  toFloat32,
} from '../graph/tensor.ts';
import { isTensorLocation, type LazyTensor, readTensor, type TensorLocation, type Weights } from '../io/safetensors.ts';
import type { Adapter } from '../lora/adapter-file.ts';
import { nativeParameter } from '../lora/formats/native-names.ts';
import { mergeDelta, moduleDelta } from '../lora/module-delta.ts';
import { roundValues } from './round-values.ts';

/** What floating tensors are stored as. */
export type StorageDType = 'float32' | 'bfloat16' | 'float16';

/** Tensors that are computed when it is their turn to be written. */
export type LazyWeights = ReadonlyMap<string, LazyTensor | TensorLocation | Tensor>;

/**
 * A model's weights with an adapter in them, computed in fp32 one at a time as they are read.
 * @param dtype of all; without it each tensor keeps its own
 */
export function mergedWeights(weights: Weights, adapter: Adapter, dtype?: StorageDType): LazyWeights {
  const merged = new Map<string, LazyTensor | TensorLocation | Tensor>();
  const missing = [...adapter.modules.keys()].find((name) => !weights.has(`${name}.weight`));
  if (missing !== undefined)
    throw new UserError(`The model has no ${missing}.weight for the adapter; use its own model.`);
  for (const [name, source] of weights) {
    const target = dtype ?? storageOf(source.dtype);
    const module = name.replace(/\.weight$/, '');
    const isAdapted = module !== name && adapter.modules.has(module);
    if (target === undefined || (!isAdapted && source.dtype === target)) {
      merged.set(name, source);
      continue;
    }
    merged.set(name, {
      dtype: target,
      shape: source.shape,
      async read() {
        // A copy: what is in memory already is not to be changed.
        const values = toFloat32(isTensorLocation(source) ? await readTensor(source) : source).slice();
        return stored(
          name,
          target,
          source.shape,
          isAdapted ? mergeDelta(values, moduleDelta(adapter, module)) : values,
        );
      },
    });
  }
  return merged;
}

function storageOf(dtype: Tensor['dtype']): StorageDType | undefined {
  return dtype === 'float32' || dtype === 'bfloat16' || dtype === 'float16' ? dtype : undefined;
}

function stored(name: string, dtype: StorageDType, shape: readonly number[], values: Float32Array): Tensor {
  const most = dtype === 'float16' ? 65504 : 3.38e38;
  if (!values.every((value) => Math.abs(value) <= most)) {
    throw new UserError(
      `${name} holds a number that ${dtype} cannot hold; ${dtype === 'float16' ? 'write bf16 or fp32' : 'use a smaller scale'}.`,
    );
  }
  return roundValues(dtype, shape, values);
}

/**
 * Weights by NVlabs' names, what is one layer there stacked: for ComfyUI.
 * @throws UserError for a parameter that NVlabs' model does not have
 */
export function nativeWeights(weights: LazyWeights): LazyWeights {
  const native = new Map<string, LazyTensor | TensorLocation | Tensor>();
  for (const name of weights.keys()) {
    const found = nativeParameter(name);
    if (!found) throw new UserError(`${name} has no place in NVlabs' model, so it cannot be written for ComfyUI.`);
    if (native.has(found.name)) continue;
    const sources = found.parts.map((part) => {
      const source = weights.get(part);
      if (!source) throw new UserError(`The model has no ${part}, which is a part of ${found.name}.`);
      return source;
    });
    const [first] = sources;
    if (!first) continue;
    if (sources.length === 1) {
      native.set(found.name, first);
      continue;
    }
    const [, ...rest] = first.shape;
    if (sources.some(({ dtype }) => dtype !== first.dtype)) {
      throw new UserError(`The parts of ${found.name} have several dtypes; name one with --dtype.`);
    }
    const rows = sources.reduce((sum, { shape }) => sum + (shape[0] ?? 1), 0);
    const shape = [rows, ...rest];
    native.set(found.name, {
      dtype: first.dtype,
      shape,
      async read() {
        const bytes = new Uint8Array(elementCount(shape) * bytesPerElement(first.dtype));
        let at = 0;
        for (const source of sources) {
          const part = tensorBytes(await resolved(source));
          bytes.set(part, at);
          at += part.length;
        }
        return tensorFromBytes(first.dtype, shape, bytes);
      },
    });
  }
  return native;
}

async function resolved(source: LazyTensor | TensorLocation | Tensor): Promise<Tensor> {
  if ('read' in source) return await source.read();
  return isTensorLocation(source) ? await readTensor(source) : source;
}

/** A file of NVlabs' names as a model of diffusers' names: parts of stacked layers are ranges of their rows. */
export function diffusersView(
  native: ReadonlyMap<string, TensorLocation>,
  names: Iterable<readonly [string, { readonly shape: readonly number[] }]>,
): Weights {
  const view = new Map<string, TensorLocation>();
  for (const [name, { shape }] of names) {
    const found = nativeParameter(name);
    const whole = found && native.get(found.name);
    if (!whole) continue;
    const byteLength = elementCount(shape) * bytesPerElement(whole.dtype);
    // q, k and v have as many rows each.
    const offset = whole.offset + found.parts.indexOf(name) * byteLength;
    view.set(name, { ...whole, shape, offset, byteLength });
  }
  return view;
}
