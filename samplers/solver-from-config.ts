import { z } from 'zod';
import { UserError } from '../src/errors.ts';
import { createFlowDpmSolver } from './flow-dpm-solver.ts';
import { createFlowEuler } from './flow-euler.ts';
import { createFlowUniPc } from './flow-unipc.ts';
import type { Solver, SolverName } from './solver.ts';

/** What a caller decides; the rest comes from the checkpoint's scheduler_config.json. */
export interface SolverChoice {
  readonly steps: number;
  /** @default the solver of the config's _class_name */
  readonly solver?: SolverName;
  /** @default the config's flow_shift or shift */
  readonly shift?: number;
}

// Fields of the classes that change the numbers; unsupported values of the others are named in `unsupported`.
const configSchema = z.looseObject({
  _class_name: z.string(),
  num_train_timesteps: z.literal(1000).default(1000),
  flow_shift: z.number().positive().optional(),
  shift: z.number().positive().optional(),
  solver_order: z.literal([1, 2, 3]).default(2),
  solver_type: z.enum(['midpoint', 'heun', 'logrho', 'bh1', 'bh2']).optional(),
  lower_order_final: z.boolean().default(true),
});

const classes: Readonly<Record<string, SolverName>> = {
  DPMSolverMultistepScheduler: 'flow_dpm_solver',
  FlowMatchEulerDiscreteScheduler: 'flow_euler',
  UniPCMultistepScheduler: 'flow_unipc',
};

/** What these fields must be where they are present: other values mean another solver than those here. */
const required: Readonly<Record<string, Readonly<Record<string, unknown>>>> = {
  flow_dpm_solver: {
    algorithm_type: 'dpmsolver++',
    prediction_type: 'flow_prediction',
    use_flow_sigmas: true,
    final_sigmas_type: 'zero',
    thresholding: false,
    use_karras_sigmas: false,
    use_exponential_sigmas: false,
    use_beta_sigmas: false,
    use_lu_lambdas: false,
    use_dynamic_shifting: false,
    variance_type: null,
  },
  flow_euler: {
    use_dynamic_shifting: false,
    use_karras_sigmas: false,
    use_exponential_sigmas: false,
    use_beta_sigmas: false,
    invert_sigmas: false,
    stochastic_sampling: false,
    shift_terminal: null,
  },
  flow_unipc: {
    prediction_type: 'flow_prediction',
    use_flow_sigmas: true,
    predict_x0: true,
    final_sigmas_type: 'zero',
    thresholding: false,
    use_karras_sigmas: false,
    use_exponential_sigmas: false,
    use_beta_sigmas: false,
    use_dynamic_shifting: false,
    shift_terminal: null,
    solver_p: null,
  },
};

const dpmTypes = ['midpoint', 'heun'] as const;
const uniPcTypes = ['bh1', 'bh2'] as const;

/** These have another value in diffusers when they are absent, so a config for Sana must say them. */
const mustBePresent = ['prediction_type', 'use_flow_sigmas'];

/**
 * The solver that a checkpoint's scheduler_config.json describes. When the caller names another solver than the
 * config's, only the shift is taken from it.
 * @param config the parsed JSON; diffusers writes -Infinity into it, which JSON.parse refuses: use parsePythonJson
 * @param source the file's name, for messages
 * @throws UserError naming the first field that is not supported
 */
export function solverFromConfig(config: unknown, choice: SolverChoice, source = 'scheduler_config.json'): Solver {
  const parsed = configSchema.safeParse(config);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    throw new UserError(`${source}: ${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'not a scheduler config'}.`);
  }
  const { _class_name: className, ...fields } = parsed.data;
  const own = classes[className];
  if (own === undefined) {
    throw new UserError(`${source}: _class_name is ${className}; supported are ${Object.keys(classes).join(' and ')}.`);
  }
  const name = choice.solver ?? own;
  if (name === own) checkRequired(fields, name, source);
  const shift = choice.shift ?? fields.flow_shift ?? fields.shift ?? 1;
  const common = { steps: choice.steps, shift };
  // Another solver's order and type say nothing of this one.
  const { solver_order: solverOrder, lower_order_final: lowerOrderFinal, solver_type: type } = fields;
  const order = name === own ? { solverOrder, lowerOrderFinal } : {};
  switch (name) {
    case 'flow_euler':
      return createFlowEuler(common);
    case 'flow_dpm_solver':
      return createFlowDpmSolver({ ...common, ...order, ...typeOf(dpmTypes, type) });
    case 'flow_unipc':
      return createFlowUniPc({ ...common, ...order, ...typeOf(uniPcTypes, type) });
    case 'flow_unipc_log_snr':
      return createFlowUniPc({ ...common, spacing: 'log_snr' });
  }
}

/**
 * The field's value where the solver has it. diffusers puts its default in the place of a type that it knows from its other
 * multistep solvers, so that a config may be handed from one to the other.
 */
function typeOf<T extends string>(types: readonly T[], type: string | undefined): { readonly solverType?: T } {
  const solverType = types.find((known) => known === type);
  return solverType === undefined ? {} : { solverType };
}

function checkRequired(fields: Readonly<Record<string, unknown>>, name: SolverName, source: string): void {
  for (const [field, value] of Object.entries(required[name] ?? {})) {
    const isAbsent = !(field in fields) && !mustBePresent.includes(field);
    if (isAbsent || fields[field] === value) continue;
    throw new UserError(
      `${source}: ${field} is ${JSON.stringify(fields[field]) ?? 'absent'}; only ${JSON.stringify(value)} is supported. ` +
        `Name another solver (${name === 'flow_euler' ? 'flow_dpm_solver' : 'flow_euler'}), or correct the file.`,
    );
  }
}
