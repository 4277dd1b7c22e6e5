import type { ExportFormat } from './format-names.ts';

/** The name of an adapter's file, or of a merged model's folder, in a format. */
export function exportFileName(format: ExportFormat, name: string, layout: 'diffusers' | 'native'): string {
  switch (format) {
    case 'diffusers':
      return `${name}-diffusers.safetensors`;
    case 'comfyui':
      return `${name}-comfyui.safetensors`;
    case 'kohya':
      return `${name}-kohya.safetensors`;
    case 'lycoris':
      return `${name}-lycoris.safetensors`;
    case 'merged':
      return layout === 'native' ? `${name}-merged.safetensors` : `${name}-merged`;
  }
}
