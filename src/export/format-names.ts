/** Formats of an adapter's file. */
export const adapterFormats = ['diffusers', 'comfyui', 'kohya', 'lycoris'] as const;

/** What an adapter can be written as; `merged` is the whole model with it. */
export const exportFormats = [...adapterFormats, 'merged'] as const;

/** Precisions of files. */
export const filePrecisions = ['fp32', 'bf16', 'fp16'] as const;

/** One of {@link adapterFormats}. */
export type AdapterFormat = (typeof adapterFormats)[number];

/** One of {@link exportFormats}. */
export type ExportFormat = (typeof exportFormats)[number];

/** One of {@link filePrecisions}. */
export type FilePrecision = (typeof filePrecisions)[number];
