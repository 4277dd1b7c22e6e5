import type { SanaModule } from '../../models/sana-transformer-config.ts';
import { nativeModule } from './native-names.ts';

/** How a file names the layers that it adapts. */
export type Spelling = 'diffusers' | 'unprefixed' | 'peft' | 'comfyui' | 'kohya' | 'kohya-native' | 'lycoris';

/** What a name in a file stands for. */
export interface Place {
  readonly spelling: Spelling;
  /** The module, or those that are stacked in one native layer, in the order of its rows. */
  readonly parts: readonly string[];
  /** A layer that no frontend adapts (the depth-wise convolution): what a file says of it is left out. */
  readonly dropped: boolean;
}

/** kohya's rule: every dot becomes an underscore. It cannot be undone, so names are looked up, never taken apart. */
export function flatten(name: string): string {
  return name.replaceAll('.', '_');
}

function namesOf(module: string): readonly (readonly [string, Spelling])[] {
  return [
    [`transformer.${module}`, 'diffusers'],
    [module, 'unprefixed'],
    [`base_model.model.${module}`, 'peft'],
    [`base_model.model.transformer.${module}`, 'peft'],
    [`lora_unet_${flatten(module)}`, 'kohya'],
    [`lora_transformer_${flatten(module)}`, 'kohya'],
    [`lycoris_${flatten(module)}`, 'lycoris'],
  ];
}

function nativeNamesOf(name: string): readonly (readonly [string, Spelling])[] {
  return [
    [`diffusion_model.${name}`, 'comfyui'],
    [`model.diffusion_model.${name}`, 'comfyui'],
    [name, 'comfyui'],
    [`base_model.model.${name}`, 'peft'],
    [`lora_unet_${flatten(name)}`, 'kohya-native'],
    [`lycoris_${flatten(name)}`, 'lycoris'],
  ];
}

/** Every name that some program gives to a model's modules, and what it stands for. */
export function placesOf(modules: ReadonlyMap<string, SanaModule>): ReadonlyMap<string, Place> {
  const places = new Map<string, Place>();
  const add = (name: string, place: Place): void => {
    if (!places.has(name)) places.set(name, place);
  };
  const addAll = (module: string, dropped: boolean): void => {
    for (const [name, spelling] of namesOf(module)) add(name, { spelling, parts: [module], dropped });
    const native = nativeModule(module);
    if (native?.parts[0] !== module) return;
    for (const [name, spelling] of nativeNamesOf(native.name)) add(name, { spelling, parts: native.parts, dropped });
  };
  for (const module of modules.keys()) {
    addAll(module, false);
    if (module.endsWith('.ff.conv_inverted')) addAll(module.replace(/conv_inverted$/, 'conv_depth'), true);
  }
  return places;
}
