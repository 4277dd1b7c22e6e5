/** A process of its own that tries one engine, and sends what came of it: a library may end it, or never come back. */
import { engineNames, probeEngine } from './probe-engine.ts';

const name = engineNames.find((known) => known === process.argv[2]);
if (name) process.send?.(await probeEngine(name), () => process.disconnect());
