import { availableParallelism } from 'node:os';

/**
 * How many pictures are decoded at a time, a thread each. Fewer would leave cores idle, more would only take memory;
 * libuv decodes on four threads unless told otherwise.
 */
export const decodeConcurrency = Math.max(2, Math.min(4, availableParallelism()));
