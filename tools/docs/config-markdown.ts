import { describeType } from '../../src/config/describe-type.ts';
import { sourceOptionNames } from '../../src/config/dataset-section.ts';
import type { SchemaNode } from '../../src/config/schema-node.ts';

const introduction = `# The config file

<!-- Made by \`npm run docs\` from src/config. Change it there. -->

A run is described by one YAML file. It says only what differs from the defaults, which train Sana as it was trained:

\`\`\`yaml
# yaml-language-server: $schema=./config.schema.json
model: sana-pico
dataset:
  path: ../examples/dog
  instance_prompt: a photo of sks dog
train:
  max_train_steps: 400
\`\`\`

With the first line an editor completes and checks the options as you type (VS Code with the YAML extension, and others);
it names config.schema.json, which lies beside this page.

- **Mistakes** are all told at once, each with its line and column, the value, and what to write. A key that does not
  exist is a mistake, never ignored. Names of diffusers' scripts, kohya's scripts, OneTrainer, SimpleTuner and ai-toolkit
  are recognised, and answered with the name here.
- **The command line** overrides the file: \`--set train.max_train_steps=1000 --set lora.rank=8\`. The value is YAML;
  items of a list go by number from 0: \`--set dataset.sources.0.repeats=5\`.
- **Paths** that are read (pictures, models, masks) start at the folder of the config file, so a config works from
  everywhere. Paths that are written (\`run_dir\`, caches) start at the working directory, and so do all paths of \`--set\`.
  \`\${NAME}\` in a path is replaced by the environment variable, \`\${NAME:-text}\` by the text where the variable is not
  set or empty, and \`~\` by the home folder; an undefined variable is a mistake. Nothing but paths is replaced.
- **YAML** is version 1.2: \`true\` and \`false\` (not yes and no), and \`1e-4\` is a number. One document; no key twice.
- \`auto\` leaves a choice to the model or the machine, and \`null\` is none. A run's folder holds \`config.yaml\` with every
  option as it was resolved: \`sana-train runs/NAME/config.yaml\` goes on with the run, and with \`--set run_dir=FOLDER\`
  repeats it.
- **Resuming** (\`train.resume_from_checkpoint\`) refuses changes that would make it another run. Options marked with ↻
  may be changed.

"From" says where a default comes from: "NVlabs' configs" are configs/sana_config of NVlabs/Sana, "diffusers' script" is
examples/dreambooth/train_dreambooth_lora_sana.py, "the example" the command in its README. Without a name it is ours.
`;

/** Text in a cell of a table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

function code(value: unknown): string {
  return `\`${typeof value === 'string' && value === '' ? '""' : typeof value === 'string' ? value : JSON.stringify(value)}\``;
}

function defaultOf(node: SchemaNode, isRequired: boolean): string {
  if (isRequired) return '*required*';
  if (node.docs?.defaultText !== undefined) return node.docs.defaultText;
  if (node.default === undefined) return '';
  return node.docs?.shorthand !== undefined ? code(Object.values(node.default as object)[0]) : code(node.default);
}

function typeOf(node: SchemaNode): string {
  if (node.docs?.path === undefined) return describeType(node);
  const kind = { input: 'path to read', output: 'path to write', model: 'path to read, or id' }[node.docs.path];
  const words = node.docs.words ?? [];
  const nullable = node.anyOf?.some(({ type }) => type === 'null') === true ? ', or null' : '';
  return `${[...words, kind].join(', ')}${nullable}`;
}

function row(name: string, node: SchemaNode, isRequired: boolean): string {
  const { about = '', usual, source, mayChange } = node.docs ?? {};
  const meaning = usual === undefined ? about : `${about} Usual: ${usual}.`;
  const cells = [
    `\`${name}\`${mayChange ? ' ↻' : ''}`,
    typeOf(node),
    defaultOf(node, isRequired),
    meaning,
    source ?? '',
  ];
  return `| ${cells.map(cell).join(' | ')} |`;
}

const head = ['| Option | Value | Default | Meaning | From |', '| --- | --- | --- | --- | --- |'];

function table(node: SchemaNode, leaveOut: readonly string[] = []): string {
  const rows = Object.entries(node.properties ?? {})
    .filter(([name]) => !leaveOut.includes(name))
    .map(([name, inner]) => row(name, inner, node.required?.includes(name) === true));
  return [...head, ...rows].join('\n');
}

/** One table a kind, such as an optimizer. */
function tablesOfKinds(kinds: readonly SchemaNode[], key: string, title: (kind: string) => string): string[] {
  return kinds.map((kind) => {
    const chosen = kind.properties?.[key];
    const about = chosen?.docs?.about;
    return `### ${title(String(chosen?.const))}\n\n${about === undefined ? '' : `${about}\n\n`}${table(kind, [key])}`;
  });
}

/** docs/config.md: a table a section, from the schema. */
export function configMarkdown(root: SchemaNode): string {
  const parts = [introduction.trimEnd()];
  for (const [name, section] of Object.entries(root.properties ?? {})) {
    if (!section.properties) {
      parts.push(`## ${name}`, [...head, row(name, section, false)].join('\n'));
      continue;
    }
    parts.push(`## ${name}`, section.docs?.about ?? '', table(section));
    if (name === 'dataset') {
      parts.push(
        `A source of \`dataset.sources\` has a \`path\` and any of: ${sourceOptionNames.map((option) => `\`${option}\``).join(', ')}.`,
      );
    }
    if (name === 'train') {
      parts.push(
        ...tablesOfKinds(section.properties['optimizer']?.oneOf ?? [], 'name', (kind) => `train.optimizer: ${kind}`),
      );
    }
    if (name === 'caption') {
      const { items } = section.properties['captioners'] ?? {};
      const kinds = items && !('length' in items) ? (items.oneOf ?? []) : [];
      parts.push(...tablesOfKinds(kinds, 'type', (kind) => `caption.captioners: type: ${kind}`));
    }
  }
  return `${parts.join('\n\n')}\n`;
}
