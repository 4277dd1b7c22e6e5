import { Worker } from 'node:worker_threads';

/**
 * Starts `name`, a module beside this one, in a thread of its own.
 *
 * Run from its sources, as the tests and benches do, the thread needs the TypeScript loader too; Node 20 does not pass
 * its parent's on, so the thread registers tsx (a development dependency) itself.
 *
 * @param workerData what the thread finds under that name in node:worker_threads
 */
export function startWorker(name: string, workerData: unknown): Worker {
  const source = import.meta.url;
  if (!source.endsWith('.ts')) return new Worker(new URL(`./${name}.js`, source), { workerData });
  const url = JSON.stringify(new URL(`./${name}.ts`, source).href);
  return new Worker(`import('tsx/esm/api').then(({ register }) => { register(); return import(${url}); })`, {
    eval: true,
    workerData,
  });
}
