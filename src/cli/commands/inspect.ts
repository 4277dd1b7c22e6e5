import type { Command } from 'commander';
import type { SafetensorsFile } from '../../io/safetensors.ts';

/** The file as aligned text: a summary, the metadata, then a line a tensor with dtype, shape and name. */
export function formatFile({ path, metadata, tensors }: SafetensorsFile): string {
  let elements = 0;
  let bytes = 0;
  const rows: (readonly [string, string, string])[] = [];
  for (const [name, { dtype, shape, byteLength }] of tensors) {
    elements += shape.reduce((product, size) => product * size, 1);
    bytes += byteLength;
    rows.push([dtype, `[${shape.join(', ')}]`, name]);
  }
  const count = (value: number) => value.toLocaleString('en-US');
  const lines = [`${path}: ${count(tensors.size)} tensors, ${count(elements)} elements, ${count(bytes)} bytes`];
  const keys = Object.keys(metadata);
  const keyWidth = Math.max(0, ...keys.map((key) => key.length));
  if (keys.length > 0) lines.push('', 'metadata');
  for (const key of keys) lines.push(`  ${key.padEnd(keyWidth)}  ${metadata[key]}`);
  const dtypeWidth = Math.max(0, ...rows.map(([dtype]) => dtype.length));
  const shapeWidth = rows.reduce((width, [, shape]) => Math.max(width, shape.length), 0);
  if (rows.length > 0) lines.push('', 'tensors');
  for (const [dtype, shape, name] of rows) {
    lines.push(`  ${dtype.padEnd(dtypeWidth)}  ${shape.padEnd(shapeWidth)}  ${name}`);
  }
  return `${lines.join('\n')}\n`;
}

/** The same facts for programs; tensors in the order of their names in the file's header. */
export function fileToJson({ path, metadata, tensors }: SafetensorsFile): string {
  const list = [...tensors].map(([name, { dtype, shape }]) => ({ name, dtype, shape }));
  return `${JSON.stringify({ path, metadata, tensors: list }, null, 2)}\n`;
}

interface InspectOptions {
  readonly json?: boolean;
  readonly tensors?: boolean;
}

/** What `sana-train inspect` prints of a file or an adapter's folder. */
async function inspect(path: string, { json = false, tensors = false }: InspectOptions): Promise<string> {
  const { openSafetensors } = await import('../../io/safetensors.ts');
  const { findAdapter } = await import('../../lora/formats/adapter-source.ts');
  const file = await openSafetensors((await findAdapter(path)).path);
  const { isSanaAdapter, readAnyAdapter } = await import('../../lora/formats/read-any-adapter.ts');
  if (tensors || !isSanaAdapter(file.tensors.keys())) return json ? fileToJson(file) : formatFile(file);
  const { describeAdapter, formatDescription } = await import('../../export/describe-adapter.ts');
  const { UserError } = await import('../../errors.ts');
  try {
    const description = describeAdapter(await readAnyAdapter(path));
    if (!json) return formatDescription(path, description);
    return `${JSON.stringify({ ...JSON.parse(fileToJson(file)), adapter: description }, null, 2)}\n`;
  } catch (error) {
    // What cannot be loaded can still be looked at.
    if (!(error instanceof UserError)) throw error;
    return json ? fileToJson(file) : `${formatFile(file)}\n${error.message}\n`;
  }
}

/** `sana-train inspect FILE`: what an adapter is and who loads it; of other files, what stands in the header. */
export function define(command: Command): void {
  command
    .argument('<file>', "a .safetensors file, or an adapter's folder")
    .option('--json', 'print JSON for programs')
    .option('--tensors', "list an adapter's tensors, as those of other files")
    .addHelpText(
      'after',
      `
Examples:
  $ sana-train inspect pytorch_lora_weights.safetensors
  $ sana-train inspect --json diffusion_pytorch_model.safetensors`,
    )
    .action(async (path: string, options: InspectOptions) => {
      process.stdout.write(await inspect(path, options));
    });
}
