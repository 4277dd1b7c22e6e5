import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { UserError } from '../../src/errors.ts';
import type { Tensor } from '../../src/graph/tensor.ts';
import { parsePythonJson } from '../../src/io/python-json.ts';
import { openSafetensors, readTensor } from '../../src/io/safetensors.ts';

const casesSchema = z.array(
  z.object({
    kind: z.string().regex(/^[a-z_]+$/),
    name: z.string(),
    tol: z.number().positive(),
    params: z.record(z.string(), z.unknown()),
    inputs: z.string().optional(),
    expected: z.string(),
  }),
);

/** A case as cases.json lists it, its tensors still in their files. */
export type CaseEntry = z.infer<typeof casesSchema>[number];

/** What a kind's `run` gets. */
export interface ParityCase {
  readonly kind: string;
  readonly name: string;
  /** As make_cases.py wrote them; parse them with zod. */
  readonly params: Readonly<Record<string, unknown>>;
  readonly inputs: ReadonlyMap<string, Tensor>;
  /** The folder with pipeline/ and the adapter files. */
  readonly folder: string;
  /** Names of the expected tensors. */
  readonly expectedNames: readonly string[];
}

/** A file of tools/parity/kinds, named for its kind with dashes: lora_grad is lora-grad.ts. */
export interface KindModule {
  /** Computes what the case expects, by the functions that training and sampling use. Further tensors are ignored. */
  run(parityCase: ParityCase): Promise<ReadonlyMap<string, Tensor>>;
  /** 'absolute' compares |got - expected| with tol itself. @default 'relative' */
  readonly comparison?: 'relative' | 'absolute';
  /** Releases what `run` kept between cases; called once at the end. */
  dispose?(): Promise<void>;
}

/** The cases of a folder that make_cases.py wrote. @throws UserError when cases.json is missing or not of that form */
export async function readCases(folder: string): Promise<readonly CaseEntry[]> {
  const file = path.join(folder, 'cases.json');
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    throw new UserError(`${file} cannot be read; name a folder that make_cases.py wrote.`, { cause });
  }
  const parsed = casesSchema.safeParse(parsePythonJson(text));
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw new UserError(`${file}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a list of cases'}.`);
}

/** All tensors of a safetensors file of the folder, in memory. */
export async function readTensors(folder: string, file: string): Promise<ReadonlyMap<string, Tensor>> {
  const { tensors } = await openSafetensors(path.join(folder, file));
  const read = new Map<string, Tensor>();
  for (const [name, location] of tensors) read.set(name, await readTensor(location));
  return read;
}

/** The tensor of that name. @throws RangeError naming the ones there are */
export function inputOf(inputs: ReadonlyMap<string, Tensor>, name: string): Tensor {
  const found = inputs.get(name);
  if (!found) throw new RangeError(`the case has no tensor ${name}; it has ${[...inputs.keys()].join(', ')}`);
  return found;
}
