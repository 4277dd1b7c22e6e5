import { adafactor } from './adafactor.ts';
import type { AdafactorOptions } from './adafactor.ts';
import { adamw } from './adamw.ts';
import type { AdamWOptions } from './adamw.ts';
import { came } from './came.ts';
import type { CameOptions } from './came.ts';
import { lion } from './lion.ts';
import type { LionOptions } from './lion.ts';
import type { Optimizer } from './optimizer.ts';
import { prodigy } from './prodigy.ts';
import type { ProdigyOptions } from './prodigy.ts';

/** An optimizer's name with its options; what is absent keeps that optimizer's default. */
export type OptimizerOptions =
  | ({ readonly name: 'adamw' } & AdamWOptions)
  | ({ readonly name: 'prodigy' } & ProdigyOptions)
  | ({ readonly name: 'came' } & CameOptions)
  | ({ readonly name: 'lion' } & LionOptions)
  | ({ readonly name: 'adafactor' } & AdafactorOptions);

/** The optimizer of that name. */
export function createOptimizer(options: OptimizerOptions): Optimizer {
  switch (options.name) {
    case 'adamw':
      return adamw(options);
    case 'prodigy':
      return prodigy(options);
    case 'came':
      return came(options);
    case 'lion':
      return lion(options);
    case 'adafactor':
      return adafactor(options);
  }
}
