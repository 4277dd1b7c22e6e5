import type { ClipWindow } from '../metrics/clip-windows.ts';
import type { RgbPicture } from '../metrics/pillow-resize.ts';

/** Precision of a model's weights, as configs name it. */
export type WeightsDtype = 'auto' | 'fp32' | 'fp16' | 'int8' | 'int4';

/** Where models come from. */
export interface ModelAccess {
  /** Whether the hub may be asked; folders never are. */
  readonly remote: boolean;
  /** The hub's address. */
  readonly host: string;
  /** Where downloads are kept. */
  readonly cacheDir: string;
  /** Threads of a matrix product; onnxruntime's own choice if absent. */
  readonly threads?: number;
}

/** A picture with captions to be rated. */
export interface PictureTexts {
  /** What its embeddings are remembered by for its next captions: the hash of its file. */
  readonly hash: string;
  readonly picture: RgbPicture;
  readonly texts: readonly string[];
}

/** How a caption is worded. */
export interface Generation {
  /** What the model is asked; absent for the one that suits it. */
  readonly prompt?: string;
  readonly maxNewTokens: number;
}

/** What the process that runs transformers.js is asked. Models are loaded once and known by their names. */
export type Request =
  | {
      readonly kind: 'load';
      readonly role: 'captioner' | 'clip';
      /** A folder's path, absolute, or an id of the hub. */
      readonly model: string;
      readonly dtype: WeightsDtype;
      readonly access: ModelAccess;
    }
  | { readonly kind: 'caption'; readonly model: string; readonly picture: RgbPicture; readonly generation: Generation }
  | {
      readonly kind: 'score';
      readonly model: string;
      readonly items: readonly PictureTexts[];
      readonly window: ClipWindow;
    }
  | {
      readonly kind: 'embed';
      readonly model: string;
      readonly pictures: readonly RgbPicture[];
      readonly texts: readonly string[];
    };

/** A numbered request. */
export interface Envelope {
  readonly id: number;
  readonly request: Request;
}

/** The answer to the request of that number. */
export interface Reply {
  readonly id: number;
  /** Of a model that was loaded: pixels of the shorter side that it scales every picture to. */
  readonly looksAt?: number;
  readonly text?: string;
  /** A rating for each text of each picture. */
  readonly ratings?: readonly (readonly Rating[])[];
  readonly embeddings?: ClipEmbeddings;
  readonly error?: { readonly message: string; readonly isUserError: boolean };
}

/** What a CLIP makes of pictures and texts, in their order: a vector each, of one width. */
export interface ClipEmbeddings {
  readonly pictures: readonly Float32Array[];
  readonly texts: readonly Float32Array[];
}

/** How well a caption fits a picture. */
export interface Rating {
  /** 100 x cosine of CLIP's embeddings. */
  readonly score: number;
  /** Tokens that are over what CLIP reads at once; 0 for a caption that fits. */
  readonly excess: number;
}
