// Elements of a gate.
const BUSY = 0;
const SHUT = 1;

/**
 * What two threads share to agree on when one of them is inside native code. A thread that is ended there takes the
 * whole process with it: the native part's next call into JavaScript fails where nothing can catch it.
 */
export type NativeGate = Int32Array;

/** A gate that is open and has nobody inside. */
export function createGate(): NativeGate {
  return new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
}

/** Whether a value that came from another thread is a gate. */
export function isGate(value: unknown): value is NativeGate {
  return value instanceof Int32Array && value.length === 2;
}

/** Runs `work`, which calls native code. @throws Error when the gate is shut */
export async function passGate<T>(gate: NativeGate, work: () => Promise<T>): Promise<T> {
  Atomics.store(gate, BUSY, 1);
  try {
    // Looked at after saying so: who shuts the gate either is seen here or sees this thread inside.
    if (Atomics.load(gate, SHUT) === 1) throw new Error('the engine was closed');
    return await work();
  } finally {
    Atomics.store(gate, BUSY, 0);
    Atomics.notify(gate, BUSY);
  }
}

/** Lets nobody pass from now on. */
export function shutGate(gate: NativeGate): void {
  Atomics.store(gate, SHUT, 1);
}

/** Blocks this thread until nobody is inside, `timeout` milliseconds at most. */
export function waitOutside(gate: NativeGate, timeout: number): void {
  Atomics.wait(gate, BUSY, 1, timeout);
}
