const units = ['bytes', 'kB', 'MB', 'GB', 'TB'] as const;

/** Bytes as people say them: 512 bytes, 3.4 GB. Units are powers of 1000, as disks are sold and files listed. */
export function formatBytes(bytes: number): string {
  const power = Math.min(units.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, bytes)) / 3)));
  const value = bytes / 1000 ** power;
  return `${power === 0 || value >= 100 ? Math.round(value) : value.toFixed(1)} ${units[power] ?? ''}`;
}
