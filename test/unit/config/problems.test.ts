import { describe, expect, it } from 'vitest';

import { minimal, problems } from './config-file.ts';

describe('loadConfig: what is wrong', () => {
  it('is told all at once, in the order of the file', async () => {
    const text = `model: sana-pico
dataset:
  path: ../photos
  resolution: 500
  instance_promt: a dog
  background_color: red
train:
  max_train_stepz: 3
  optimizer: adam
  gradient_checkpointing: yes
  lr_scheduler: cosin
  train_batch_size: 0
  lr_warmup_steps: many
lora:
  rank: 1.5
  target_modules: to_q
sample:
  width: 33
  prompts: [{ prompts: a }]
`;
    expect(await problems(text)).toEqual([
      'test.yaml:4:15: dataset.resolution is 500; use auto, a multiple of 32 from 64 such as 512 or 1024, or a list of those.',
      'test.yaml:5:3: dataset.instance_promt is no option; did you mean dataset.instance_prompt?',
      'test.yaml:6:21: dataset.background_color is "red"; use a colour such as "#ffffff", in quotes.',
      'test.yaml:8:3: train.max_train_stepz is no option; did you mean train.max_train_steps?',
      'test.yaml:9:14: train.optimizer.name is "adam"; use one of adamw, prodigy, came, lion, adafactor. Did you mean adamw?',
      'test.yaml:10:27: train.gradient_checkpointing is "yes"; use true or false. YAML 1.2 has no yes and no.',
      'test.yaml:11:17: train.lr_scheduler is "cosin"; use constant, constant_with_warmup, linear, cosine, cosine_with_restarts, polynomial or piecewise_constant. Did you mean cosine?',
      'test.yaml:12:21: train.train_batch_size is 0; use a whole number from 1 (1 to 8 are usual).',
      'test.yaml:13:20: train.lr_warmup_steps is "many"; use a whole number from 0 (usual: 0 to a tenth of the run).',
      'test.yaml:15:9: lora.rank is 1.5; use a whole number from 1 to 4096 (4 to 64 are usual).',
      'test.yaml:16:19: lora.target_modules is "to_q"; use a list, not empty, of which each is a text.',
      'test.yaml:18:10: sample.width is 33; use auto or a multiple of 32 from 32 to 8192.',
      'test.yaml:19:13: sample.prompts.0.prompt is missing; it should be a text.',
      'test.yaml:19:15: sample.prompts.0.prompts is no option; did you mean sample.prompts.0.prompt?',
    ]);
  });

  it.each([
    ['learning_rate: 1e-4', 'test.yaml:3:1: learning_rate is no option here; use train.learning_rate.'],
    ['train: { lr: 1e-4 }', 'test.yaml:3:10: train.lr is no option here; use train.learning_rate.'],
    ['train: { batch_size: 2 }', 'test.yaml:3:10: train.batch_size is no option here; use train.train_batch_size.'],
    ['output_dir: out', 'test.yaml:3:1: output_dir is no option here; use run_dir.'],
    ['lora: { network_dim: 8 }', 'test.yaml:3:9: lora.network_dim is no option here; use lora.rank.'],
    ['train: { rank: 8 }', 'test.yaml:3:10: train.rank is no option here; use lora.rank.'],
    ['scale_lr: true', 'test.yaml:3:1: scale_lr is no option: train.learning_rate is used as it is.'],
    ['lora: { rnak: 8 }', 'test.yaml:3:9: lora.rnak is no option; did you mean lora.rank?'],
    ['learnin_rate: 1', 'test.yaml:3:1: learnin_rate is no option; did you mean train.learning_rate?'],
    [
      'train: { max-train-steps: 8 }',
      'test.yaml:3:10: train.max-train-steps is no option; did you mean train.max_train_steps?',
    ],
    ['log: { colour: red }', 'test.yaml:3:8: log.colour is no option; there are ui, every, tensorboard, report.'],
    [
      'train: { precision: int4 }',
      'test.yaml:3:21: train.precision is "int4"; use fp32, int8 or nf4. Did you mean nf4?',
    ],
    [
      'train: { precision: BF16 }',
      'test.yaml:3:21: train.precision is "BF16"; use fp32, int8 or nf4. Did you mean fp32?',
    ],
    ['train: { precision: nf }', 'test.yaml:3:21: train.precision is "nf"; use fp32, int8 or nf4. Did you mean nf4?'],
    ['train: { load_in_4bit: true }', 'test.yaml:3:10: train.load_in_4bit is no option here; use train.precision.'],
    [
      'train: { optimizer: { name: adamw, d0: 1 } }',
      'test.yaml:3:36: train.optimizer.d0 is no option; there are name, betas, eps, weight_decay.',
    ],
    ['__proto__: { a: 1 }', expect.stringMatching(/^test.yaml:3:1: __proto__ is no option/)],
    ['constructor: 1', expect.stringMatching(/^test.yaml:3:1: constructor is no option/)],
    ['lora: { toString: 1 }', expect.stringMatching(/^test.yaml:3:9: lora.toString is no option/)],
    [
      'lora: 8',
      expect.stringMatching(/^test.yaml:3:7: lora is 8; use a mapping with keys such as type, rank, alpha\./),
    ],
  ])('%s', async (line, message) => {
    expect(await problems(`${minimal}${line}\n`)).toEqual([message]);
  });

  it('names what is missing', async () => {
    expect(await problems('train: { seed: 1 }')).toEqual([
      expect.stringMatching(/^test.yaml:1:1: model is missing; it should be sana-pico, a Hugging Face id/),
      'test.yaml:1:1: dataset is missing; it should be a folder of pictures.',
    ]);
    expect(await problems('model: sana-pico\ndataset: { repeats: 2 }')).toEqual([
      'test.yaml:2:10: dataset.path is missing; name the folder of your pictures.',
    ]);
    expect(await problems('')).toEqual([
      'test.yaml: the file is empty; a config has sections such as model, dataset and train.',
    ]);
    expect(await problems('- a')).toEqual([expect.stringMatching(/^test.yaml:1:1: the file holds \["a"\];/)]);
  });

  it('finds what two options get wrong together beside a wrong one', async () => {
    expect(await problems(`${minimal}lora: { rank: 0 }\ntrain: { max_train_steps: 5, num_train_epochs: 5 }`)).toEqual([
      expect.stringContaining('lora.rank is 0'),
      'test.yaml:4:48: train has max_train_steps and num_train_epochs; keep one of them.',
    ]);
  });

  it('keeps control characters of a file out of the terminal', async () => {
    const [message = ''] = await problems(`${minimal}"\\e[31mred": 1\n`);
    expect(message).not.toContain('\u001b');
    expect(message).toContain('\\u001b[31mred');
  });
});

describe('loadConfig: YAML', () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    'b: &b [*a,*a,*a,*a,*a,*a,*a]',
    'c: &c [*b,*b,*b,*b,*b,*b]',
    'd: [*c,*c,*c]',
  ];
  it.each([
    [
      'a key that stands twice',
      'model: a\nmodel: b',
      'test.yaml:2:1: this key stands twice in its section; remove one of them.',
    ],
    [
      'two documents',
      'model: a\n---\nmodel: b',
      'test.yaml:2:1: a config is one document; remove the --- and what follows, or make two files.',
    ],
    ['a tab', 'model:\n\tpath: a', 'test.yaml:2:1: YAML indents with spaces; replace the tab.'],
    ['a tag', 'model: !!js/function a', expect.stringMatching(/^test.yaml:1:8: tags/)],
    ['an alias without an anchor', 'model: *a', expect.stringMatching(/^test.yaml.*: (an alias|its aliases)/)],
    ['aliases that multiply', bomb.join('\n'), expect.stringMatching(/^test.yaml: its aliases/)],
    ['deep nesting', '['.repeat(20_000), expect.stringMatching(/^test.yaml: it is nested too deeply/)],
    ['too much text', `# ${'x'.repeat(1_100_000)}`, expect.stringMatching(/^test.yaml: it has 1100002 characters/)],
  ])('refuses %s', async (_, text, message) => {
    expect(await problems(text)).toEqual([message]);
  });
});
