import { z } from 'zod';

import { count, optionDocs } from './option.ts';

/** Ways to show a run. */
export const uiNames = ['auto', 'ink', 'plain', 'json'] as const;

/** `log`: how the run is shown and recorded. */
export const logSection = z
  .strictObject({
    ui: z.enum(uiNames).default('auto').register(optionDocs, {
      about:
        '`ink` is the dashboard, `plain` a line a step, `json` an event a line for programs. `--ui` on the command line says the same.',
      defaultText: '`auto`: `ink` in a terminal, else `plain`',
      mayChange: true,
    }),
    every: count.default(1).register(optionDocs, {
      about: '`plain`: a line every so many steps. events.jsonl always has every step.',
      mayChange: true,
      otherNames: ['logging_steps', 'log_every', 'log_interval'],
    }),
    tensorboard: z
      .boolean()
      .default(true)
      .register(optionDocs, {
        about: 'Writes `tensorboard/` in `run_dir`: curves, samples and the config, for `tensorboard --logdir runs`.',
        source: "diffusers' script (`--report_to`)",
        mayChange: true,
        otherNames: ['report_to', 'log_with', 'tensorboard_expose'],
      }),
    report: z.boolean().default(true).register(optionDocs, {
      about: 'Writes `report.html` in `run_dir` at the end: samples by step, curves and settings in one file.',
      mayChange: true,
    }),
  })
  .register(optionDocs, { about: 'How a run is shown. `events.jsonl` in `run_dir` is always written.' });
