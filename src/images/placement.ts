/** A size in pixels. */
export interface Size {
  readonly height: number;
  readonly width: number;
}

/** A rectangle in pixels, its corner counted from the top left. */
export interface Rectangle {
  readonly top: number;
  readonly left: number;
  readonly height: number;
  readonly width: number;
}

/** How pixels are interpolated. */
export type Kernel = 'bicubic' | 'lanczos';

/**
 * How a picture, turned upright, becomes pixels: scaled to `resize`, cut to `crop`, then mirrored left to right if
 * `flip`. It is data, so that a cache can be keyed by it.
 */
export interface Placement {
  readonly resize: Size;
  readonly crop: Rectangle;
  readonly flip: boolean;
  readonly kernel: Kernel;
}

/** Rounds halves to even, as Python and numpy do. */
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  return value - floor === 0.5 ? floor + (floor % 2) : Math.round(value);
}

/**
 * The size to which a picture is scaled so that it covers `target` and one side fits exactly; the other is truncated.
 * As the data sets of NVlabs/Sana do it (diffusion/data/datasets/sana_data_multi_scale.py).
 */
export function coverSize(picture: Size, target: Size): Size {
  const byHeight = target.height / picture.height;
  const byWidth = target.width / picture.width;
  return byHeight > byWidth
    ? { height: target.height, width: Math.max(target.width, Math.floor(picture.width * byHeight)) }
    : { height: Math.max(target.height, Math.floor(picture.height * byWidth)), width: target.width };
}

/** Where a rectangle of size `target` is cut out of a picture scaled to `resize`. */
export type CropChoice = (resize: Size, target: Size) => { readonly top: number; readonly left: number };

/** The centre, an odd pixel rounded as torchvision's center_crop rounds it. */
export const centerCrop: CropChoice = (resize, target) => ({
  top: roundHalfEven((resize.height - target.height) / 2),
  left: roundHalfEven((resize.width - target.width) / 2),
});

/** Scales a picture to cover `target` and cuts it there. */
export function place(
  picture: Size,
  target: Size,
  {
    crop = centerCrop,
    flip = false,
    kernel = 'bicubic',
  }: { readonly crop?: CropChoice; readonly flip?: boolean; readonly kernel?: Kernel } = {},
): Placement {
  const resize = coverSize(picture, target);
  const { height, width } = target;
  return { resize, crop: { ...crop(resize, target), height, width }, flip, kernel };
}
