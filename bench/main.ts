import { Command } from 'commander';

import { addCaptionsCommand } from './captions.ts';
import { addCostCommand } from './cost.ts';
import { addDashboardCommand } from './dashboard.ts';
import { addDataCommand } from './data.ts';
import { addEventLoopCommand } from './event-loop.ts';
import { addFullCommands } from './full.ts';
import { addPicturesCommand } from './memory-of-pictures.ts';
import { addPlotCommand } from './plot.ts';
import { addMakeCommand } from './random-model.ts';
import { addSolversCommand } from './solvers.ts';
import { addStepCommand } from './step.ts';
import { addVersusCommand } from './versus.ts';

const program = new Command('bench').description('measurements; docs/benchmarks.md has what they gave');
addStepCommand(program);
addVersusCommand(program);
addEventLoopCommand(program);
addDashboardCommand(program);
addCostCommand(program);
addDataCommand(program);
addPicturesCommand(program);
addSolversCommand(program);
addFullCommands(program);
addMakeCommand(program);
addPlotCommand(program);
addCaptionsCommand(program);
await program.parseAsync();
