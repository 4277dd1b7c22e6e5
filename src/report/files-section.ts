import { basename } from 'node:path';

import { formatBytes } from '../io/format-bytes.ts';
import { type Html, html } from './html.ts';
import type { RunRecord } from './run-record.ts';

type Exported = RunRecord['exports'][number];

/** How each kind of file is used, with a prompt that fits. */
function usage({ format, path }: Exported, { model, samples, config }: RunRecord): Html {
  const prompt = samples[0]?.prompt ?? '';
  const hasNoInstruction =
    config?.model.complex_human_instruction === 'none' ||
    (config?.model.complex_human_instruction === 'auto' && config.model.path === 'sana-pico');
  const file = basename(path);
  const own = html`<p>With sana-train, from the run’s folder:</p>
    <pre tabindex="0">
sana-train sample ${model} --adapter ${path} --prompt ${JSON.stringify(prompt)}${hasNoInstruction && ' --chi none'}</pre>`;
  switch (format) {
    case 'diffusers':
      return html`<p>With diffusers 0.34 or later:</p>
        <pre tabindex="0">
pipe = SanaPipeline.from_pretrained(${JSON.stringify(model)}, torch_dtype=torch.float32)
pipe.load_lora_weights(".", weight_name=${JSON.stringify(file)})
image = pipe(${JSON.stringify(prompt)}${hasNoInstruction && ', complex_human_instruction=None'}).images[0]</pre>
        ${own}`;
    case 'comfyui':
      return html`<p>
        With ComfyUI: put the file into <code>models/loras</code> and load it with “Load LoRA (model only)”, after a
        loader of Sana.
      </p>`;
    case 'kohya':
      return html`<p>For programs that read kohya’s names: put the file into their folder of LoRAs.</p>`;
    case 'lycoris':
      return html`<p>With LyCORIS, on a pipeline of diffusers, and with SimpleTuner:</p>
        <pre tabindex="0">
network, _ = lycoris.create_lycoris_from_weights(1.0, ${JSON.stringify(file)}, pipe.transformer)
network.merge_to()</pre>
        ${own}`;
    case 'merged':
      return html`<p>The whole model with the adapter in it: it takes the place of ${model}, without an adapter.</p>`;
    case 'captions':
      return html`<p>All captions with their scores, one JSON a line; the next run takes them from here.</p>`;
    case 'page':
      return html`<p>The captions beside their pictures, as a page for a browser.</p>`;
    default:
      return html``;
  }
}

/** What was trained, then what was made on the way. */
function adaptersFirst(exports: readonly Exported[]): readonly Exported[] {
  const isAside = ({ format }: Exported): boolean => format === 'captions' || format === 'page';
  return exports.toSorted((a, b) => Number(isAside(a)) - Number(isAside(b)));
}

/** What the runs wrote, and how to use it. */
export function filesSection(records: readonly RunRecord[]): Html {
  const parts = records.flatMap((record) =>
    adaptersFirst(record.exports).map(
      (exported) =>
        html`<article class="card">
          <h3>
            <code>${exported.path}</code><span class="tag">${exported.format}</span
            ><span class="quiet small"
              >${records.length > 1 && `${record.label} `}${exported.bytes !== undefined && formatBytes(exported.bytes)}</span
            >
          </h3>
          ${usage(exported, record)}
        </article>`,
    ),
  );
  return html`<section aria-labelledby="files">
    <h2 id="files">Files</h2>
    ${parts.length > 0 ? html`<div class="files">${parts}</div>` : html`<p>Nothing was exported yet: the run has not come to its end.</p>`}
  </section>`;
}
