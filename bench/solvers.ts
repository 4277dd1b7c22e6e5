import type { Command } from 'commander';

import { createFlowDpmSolver } from '../samplers/flow-dpm-solver.ts';
import { createFlowEuler } from '../samplers/flow-euler.ts';
import { createFlowUniPc } from '../samplers/flow-unipc.ts';
import type { Solver, SolverName } from '../samplers/solver.ts';
import { bundledModel, modelFolder } from '../src/pipeline/model-folder.ts';
import { openSolverStudy, relativeDistance } from './solver-study.ts';

const create: Readonly<Record<SolverName, (options: { steps: number; shift: number }) => Solver>> = {
  flow_dpm_solver: createFlowDpmSolver,
  flow_euler: createFlowEuler,
  flow_unipc: createFlowUniPc,
  flow_unipc_log_snr: (options) => createFlowUniPc({ ...options, spacing: 'log_snr' }),
};

const stepCounts: Readonly<Record<SolverName, readonly number[]>> = {
  flow_euler: [14, 20, 28, 50],
  flow_dpm_solver: [10, 14, 20, 28],
  flow_unipc: [10, 14, 20, 28],
  flow_unipc_log_snr: [10, 14, 20, 28],
};

/** Adds `bench solvers`: how far each solver's latents are from converged ones. */
export function addSolversCommand(program: Command): void {
  program
    .command('solvers')
    .description('distance to converged latents over their spread, by solver and steps, with guidance')
    .option('--model <model>', "a SanaPipeline's folder", bundledModel)
    .option('--prompts <n>', 'prompts of pico:score', Number, 64)
    .option('--guidance-scale <s>', 'guidance', Number, 4.5)
    .option('--shift <k>', 'shift of the noise levels', Number, 3)
    .option('--converged <n>', 'steps of Flow-DPM-Solver that count as converged', Number, 400)
    .action(
      async (options: {
        readonly model: string;
        readonly prompts: number;
        readonly guidanceScale: number;
        readonly shift: number;
        readonly converged: number;
      }) => {
        const { model, shift } = options;
        const study = await openSolverStudy(modelFolder(model), options);
        const converged = await study.denoise(createFlowDpmSolver({ steps: options.converged, shift }));
        console.log('| solver | steps | distance | the median picture |\n| --- | --- | --- | --- |');
        for (const name of Object.keys(stepCounts) as SolverName[]) {
          for (const steps of stepCounts[name]) {
            const latents = await study.denoise(create[name]({ steps, shift }));
            const { all, median } = relativeDistance(latents, converged, options.prompts);
            console.log(`| ${name} | ${steps} | ${all.toFixed(4)} | ${median.toFixed(4)} |`);
          }
        }
        await study.close();
      },
    );
}
