import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';

import type { TrainHooks } from '../../trainers/lora.ts';
import { formatConfig } from '../config/resolved-config.ts';
import type { Config } from '../config/schema.ts';
import { EngineError } from '../engine/engine-error.ts';
import type { Engine } from '../engine/engine.ts';
import type { TrainEvent } from '../events.ts';
import { writeText } from '../io/atomic-write.ts';
import { removeLeftovers } from '../io/temporary-path.ts';
import { chooseEngine } from './choose-engine.ts';
import { createEngine, engineSpeed } from './create-engine.ts';
import { exportRun } from './export-run.ts';
import { cacheLatents, cachePrompts, createCacheRepair } from './fill-cache.ts';
import { checkWritable } from './preflight.ts';
import { prepareRun } from './prepare-run.ts';
import { checkpointToResume } from './resume-point.ts';
import { lockRun } from './run-lock.ts';
import { plannedPrompts, plannedSamples } from './run-plan.ts';
import { sampledSteps, writeGrids } from './run-samples.ts';
import { trainAdapter } from './train-adapter.ts';

/** What a run needs beside its config. */
export interface TrainRunOptions {
  readonly config: Config;
  /** The run's name: the config file's. */
  readonly name: string;
  /** Of sana-train, for what files say of themselves. */
  readonly version: string;
  /** 'auto', 'never', or a checkpoint's folder. */
  readonly resume: string;
  /** Ends the stages before training at once; training finishes its step, saves and stops. */
  readonly signal?: AbortSignal;
  /** Asked between steps, as trainLora asks. */
  readonly control?: TrainHooks['control'];
  /** Opens the engine of a name. @default createEngine */
  readonly openEngine?: typeof createEngine;
}

/**
 * A whole run, from pictures to an adapter: check, cache, train, export. Everything is told as events; the caller shows
 * and records them.
 *
 * @throws UserError for everything that the user can mend
 */
export async function* trainRun(options: TrainRunOptions): AsyncGenerator<TrainEvent> {
  // What the cache has to say comes between events.
  const notices: string[] = [];
  let { config, resume } = options;
  for (;;) {
    try {
      for await (const event of runStages({ ...options, config, resume }, notices)) {
        for (const message of notices.splice(0)) yield { kind: 'warning', message };
        if (event.kind === 'checkpoint') resume = event.path;
        yield event;
      }
      return;
    } catch (error) {
      if (!mayGoOnOnCpu(error, config)) throw error;
      yield { kind: 'warning', message: `${error.message} As model.engine_failure says, the run goes on on the CPU.` };
      config = { ...config, model: { ...config.model, engine: 'cpu' } };
    }
  }
}

/** Whether a device that failed, and not the run, is the matter, and the user said what to do then. */
function mayGoOnOnCpu(error: unknown, { model }: Config): error is EngineError {
  if (!(error instanceof EngineError) || model.engine_failure !== 'cpu' || model.engine === 'cpu') return false;
  return error.trouble === 'memory' || error.trouble === 'lost';
}

async function* runStages(options: TrainRunOptions, notices: string[]): AsyncGenerator<TrainEvent> {
  const { config, name, version, signal } = options;
  const runDir = config.run_dir;
  await checkWritable([runDir, ...(config.dataset.cache_dir === null ? [] : [config.dataset.cache_dir])]);
  await mkdir(runDir, { recursive: true });
  const lock = await lockRun(runDir);
  await removeLeftovers(runDir, '**/.*.tmp');
  let opened: Engine | undefined;
  try {
    const { engine: wanted, text_encoder_precision: textPrecision } = config.model;
    const isExact = config.train.precision === 'fp32' && textPrecision === 'fp32';
    const chosen = await chooseEngine(isExact ? wanted : 'cpu');
    if (chosen.reason !== undefined) yield { kind: 'log', message: chosen.reason };
    const { openEngine = createEngine } = options;
    const engine = (opened = openEngine({ engine: chosen.name, threads: config.model.threads }));
    const gigaflops = await engineSpeed(engine, chosen.name);
    const resumeFrom = await checkpointToResume(config, options.resume);
    await writeText(join(runDir, 'config.yaml'), formatConfig(config));
    const run = yield* prepareRun({
      config,
      name,
      engine,
      gigaflops,
      firstStep: resumeFrom?.step ?? 0,
      onNotice: (notice) => notices.push(notice),
      ...(signal && { signal }),
    });
    const { pipeline, cache, models, plan, firstStep, modules } = run;

    // Latents and texts of all that is left, then the encoders are let go.
    const stage = { engine, cache, models, ...(signal && { signal }) };
    yield* cachePrompts(plannedPrompts(plan, firstStep, models), { ...stage, loadEncoder: pipeline.loadPromptEncoder });
    yield* cacheLatents(plannedSamples(plan, firstStep), {
      ...stage,
      loadVae: pipeline.loadVae,
      vaeOptions: pipeline.vaeOptions,
    });

    const { outcome, step, parameters, sampler, metrics } = yield* trainAdapter(run, {
      version,
      resumeFrom,
      repair: createCacheRepair(stage, pipeline),
      ...(signal && { signal }),
      ...(options.control && { control: options.control }),
    });
    if (outcome === 'stopped') {
      yield { kind: 'end', reason: 'stopped', step, message: `saved; the same command goes on from step ${step}` };
      return;
    }

    yield* exportRun({
      config,
      runDir,
      step,
      modules,
      parameters,
      sampler,
      ...(metrics && { metrics }),
      ...(signal && { signal }),
    });
    const steps = await sampledSteps(runDir, plan.samples.length);
    if (steps.length > 0) await writeGrids(runDir, plan.samples, steps);
    yield { kind: 'end', reason: 'done', step, message: join(runDir, 'adapter') };
  } finally {
    await opened?.close();
    await lock.release();
  }
}
