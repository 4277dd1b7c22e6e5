import { mkdir, open, readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

import { Crc32c } from '@aws-crypto/crc32c';
import protobuf from 'protobufjs';
import { stringify } from 'yaml';

import type { MeanMetrics, TimedEvent } from '../events.ts';
import { fileError } from '../io/file-error.ts';

/**
 * The part of TensorBoard's event format that is written here: messages, fields and types as in tensorboard's
 * event.proto, summary.proto and tensor.proto.
 */
const { Event } = (() => {
  const root = protobuf.Root.fromJSON({
    nested: {
      Event: {
        fields: {
          wallTime: { type: 'double', id: 1 },
          step: { type: 'int64', id: 2 },
          fileVersion: { type: 'string', id: 3 },
          summary: { type: 'Summary', id: 5 },
        },
      },
      Summary: { fields: { value: { rule: 'repeated', type: 'Value', id: 1 } } },
      Value: {
        fields: {
          tag: { type: 'string', id: 1 },
          simpleValue: { type: 'float', id: 2 },
          image: { type: 'Image', id: 4 },
          tensor: { type: 'Tensor', id: 8 },
          metadata: { type: 'Metadata', id: 9 },
        },
      },
      Image: {
        fields: {
          height: { type: 'int32', id: 1 },
          width: { type: 'int32', id: 2 },
          colorspace: { type: 'int32', id: 3 },
          encodedImageString: { type: 'bytes', id: 4 },
        },
      },
      Tensor: { fields: { dtype: { type: 'int32', id: 1 }, stringVal: { rule: 'repeated', type: 'bytes', id: 8 } } },
      Metadata: { fields: { pluginData: { type: 'PluginData', id: 1 } } },
      PluginData: { fields: { pluginName: { type: 'string', id: 1 } } },
    },
  });
  return { Event: root.lookupType('Event') };
})();

const DT_STRING = 7;
const RGB = 3;

/** CRC-32C as record files store it: rotated by 15 bits and offset, so that CRCs of data with CRCs in it stay random. */
function maskedCrc(bytes: Uint8Array): number {
  const crc = new Crc32c().update(bytes).digest();
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A record: length, its CRC, the data, its CRC. */
function record(data: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(16 + data.length);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return bytes;
}

/** Writes a run's events for TensorBoard. */
export interface TensorboardLog {
  append(event: TimedEvent): Promise<void>;
  close(): Promise<void>;
}

/**
 * Opens tensorboard/events.out.tfevents.* of a run: scalars (loss, learning rate, gradient norm, seconds, memory,
 * validation, CLIP's cosines), pictures, and the config as text. A resumed run begins another file beside the first, which TensorBoard
 * joins.
 * @throws UserError when it cannot be written
 */
export async function openTensorboardLog(runDir: string, now: number): Promise<TensorboardLog> {
  const folder = join(runDir, 'tensorboard');
  const path = join(folder, `events.out.tfevents.${Math.floor(now / 1000)}.${hostname()}.${process.pid}.0`);
  await mkdir(folder, { recursive: true });
  const handle = await open(path, 'a').catch((error: unknown) => {
    throw fileError(error, 'write', path);
  });
  const write = async (time: number, step: number, value: readonly object[]): Promise<void> => {
    const message = { wallTime: time / 1000, step, summary: { value } };
    await handle.appendFile(record(Event.encode(message).finish()));
  };
  await handle.appendFile(record(Event.encode({ wallTime: now / 1000, fileVersion: 'brain.Event:2' }).finish()));

  return {
    async append(event) {
      switch (event.kind) {
        case 'run': {
          const text = `    ${stringify(event.config).replaceAll('\n', '\n    ')}`;
          const tensor = { dtype: DT_STRING, stringVal: [new TextEncoder().encode(text)] };
          await write(event.time, event.firstStep, [
            { tag: 'config', tensor, metadata: { pluginData: { pluginName: 'text' } } },
          ]);
          return;
        }
        case 'step': {
          const { data, compute, update } = event.seconds;
          const scalars = {
            'train/loss': event.loss,
            'train/learning_rate': event.learningRate,
            'train/grad_norm': event.gradNorm,
            'time/seconds_per_step': data + compute + update,
            'time/data': data,
            'time/compute': compute,
            'time/update': update,
            'memory/resident_mib': event.memoryMiB,
          };
          await write(event.time, event.step, scalarValues(scalars));
          return;
        }
        case 'validation': {
          const bins = event.bins.map(
            ({ from, to, loss }) => [`validation/sigma_${from.toFixed(2)}_${to.toFixed(2)}`, loss] as const,
          );
          await write(
            event.time,
            event.step,
            scalarValues({ 'validation/loss': event.loss, ...Object.fromEntries(bins) }),
          );
          return;
        }
        case 'metrics': {
          const means = { subject: event.subject, class: event.class };
          const scalars = Object.entries(means).flatMap(([role, mean]) => metricScalars(`metrics/${role}`, mean));
          const prompts = event.samples.flatMap(({ index, prompt, ...metrics }) =>
            metricScalars(`metrics_${index + 1}: ${prompt.slice(0, 80)}`, metrics),
          );
          await write(event.time, event.step, scalarValues(Object.fromEntries([...scalars, ...prompts])));
          return;
        }
        case 'sample': {
          const png = await readFile(join(runDir, event.path));
          // Width and height stand at fixed places of a PNG's first chunk.
          const image = {
            width: png.readUInt32BE(16),
            height: png.readUInt32BE(20),
            colorspace: RGB,
            encodedImageString: png,
          };
          await write(event.time, event.step, [
            { tag: `samples/${event.index + 1}: ${event.prompt.slice(0, 80)}`, image },
          ]);
          return;
        }
        default:
          return;
      }
    },
    close: () => handle.close(),
  };
}

/** CLIP's cosines as scalars: those that were measured. */
function metricScalars(name: string, metrics: MeanMetrics | undefined): readonly (readonly [string, number])[] {
  const { clipI, clipT, clipIToStart } = metrics ?? {};
  const scalars = { clip_i: clipI, clip_t: clipT, clip_i_to_step_0: clipIToStart };
  return Object.entries(scalars).flatMap(([key, value]) =>
    value === undefined ? [] : [[`${name}/${key}`, value] as const],
  );
}

function scalarValues(scalars: Readonly<Record<string, number>>): readonly object[] {
  return Object.entries(scalars).map(([tag, simpleValue]) => ({ tag, simpleValue }));
}
