import { UserError } from '../errors.ts';

/**
 * What is the matter with an engine: it is not there, has no kernel for an op, has too little memory, or its device was
 * lost while it computed.
 */
export type EngineTrouble = 'absent' | 'op' | 'memory' | 'lost';

/** An engine that cannot do what it is asked: a sentence with the remedy, and what kind of trouble it is. */
export class EngineError extends UserError {
  readonly trouble: EngineTrouble;

  constructor(trouble: EngineTrouble, message: string, options?: ErrorOptions) {
    super(message, options);
    this.trouble = trouble;
  }
}
