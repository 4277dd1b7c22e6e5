import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Crc32c } from '@aws-crypto/crc32c';
import { describe, expect, it } from 'vitest';
import { openTensorboardLog } from '../../../src/log/tensorboard.ts';

describe('openTensorboardLog', () => {
  it('writes records of length, masked CRC-32C, data and masked CRC-32C', async () => {
    expect(new Crc32c().update(new TextEncoder().encode('123456789')).digest() >>> 0).toBe(0xe3069283); // RFC 3720's check value
    const folder = await mkdtemp(join(tmpdir(), 'sana-train-tensorboard-'));
    const log = await openTensorboardLog(folder, 1_700_000_000_000);
    await log.append({
      kind: 'validation',
      time: 1_700_000_001_000,
      step: 7,
      loss: 0.5,
      bins: [{ from: 0, to: 1, loss: 0.5 }],
    });
    const mean = { clipI: 0.75, clipT: 0.25 };
    const samples = [{ index: 1, prompt: 'a dog', seed: 0, role: 'class', ...mean, clipIToStart: 0.5 }] as const;
    const metrics = { kind: 'metrics', step: 7, model: 'clip', samples, subject: mean, seconds: 1 } as const;
    await log.append({ ...metrics, time: 1_700_000_001_000 });
    await log.close();
    const [name = ''] = await readdir(join(folder, 'tensorboard'));
    expect(name).toMatch(/^events\.out\.tfevents\.1700000000\./);
    const file = await readFile(join(folder, 'tensorboard', name));
    const records: string[] = [];
    for (let at = 0; at < file.length;) {
      const length = Number(file.readBigUInt64LE(at));
      const [header, data] = [file.subarray(at, at + 8), file.subarray(at + 12, at + 12 + length)];
      for (const [bytes, stored] of [
        [header, file.readUInt32LE(at + 8)],
        [data, file.readUInt32LE(at + 12 + length)],
      ] as const) {
        const unmasked = (stored - 0xa282ead8) >>> 0;
        expect(((unmasked << 15) | (unmasked >>> 17)) >>> 0).toBe(new Crc32c().update(bytes).digest() >>> 0);
      }
      records.push(data.toString('latin1'));
      at += 16 + length;
    }
    expect(records).toHaveLength(3);
    expect(records[0]).toContain('brain.Event:2');
    expect(records[1]).toContain('validation/sigma_0.00_1.00');
    for (const tag of ['metrics/subject/clip_i', 'metrics_2: a dog/clip_i_to_step_0'])
      expect(records[2]).toContain(tag);
    expect(records[2]).not.toContain('metrics/class');
    await rm(folder, { recursive: true });
  });
});
