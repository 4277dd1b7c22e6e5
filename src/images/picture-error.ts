import { UserError } from '../errors.ts';

/** Why a picture cannot be used. */
export type PictureProblem = 'unreadable' | 'unsupported' | 'huge' | 'changed';

/** One picture that cannot be used; a data set reports it and goes on with the others. */
export class PictureError extends UserError {
  readonly problem: PictureProblem;

  /** @param message a sentence that names no file, since it may be one of an archive or of memory */
  constructor(problem: PictureProblem, message: string, options?: ErrorOptions) {
    super(message, options);
    this.problem = problem;
  }
}
