import { stripVTControlCharacters } from 'node:util';

import { renderToString } from 'ink';
import { render } from 'ink-testing-library';
import { afterEach, describe, expect, it, vi } from 'vitest';

import { Dashboard } from '../../../src/dashboard/dashboard.tsx';
import { LookContext } from '../../../src/dashboard/look.ts';
import { createMarks } from '../../../src/dashboard/marks.ts';
import type { RunControls } from '../../../src/dashboard/run-controls.ts';
import { createRunView } from '../../../src/dashboard/run-view.ts';
import { textOfFrame } from '../../../src/dashboard/screen.ts';
import type { TrainEvent } from '../../../src/events.ts';
import { createPlainLog } from '../../../src/log/plain-log.ts';

const terminal = { protocol: 'blocks', colors: 'none', cell: { width: 10, height: 20 } } as const;
const marks = createMarks(
  terminal,
  () => undefined,
  () => undefined,
);
const look = {
  colors: 'none',
  cellRatio: 2,
  // A picture of its step's number, as wide and high as its box.
  marks: {
    text: marks.text,
    picture: (path: string, columns: number, rows: number) =>
      marks.text(
        `${path} ${columns} ${rows}`,
        Array.from({ length: rows }, () => path.slice(-5, -4).repeat(columns)),
        columns,
      ),
  },
} as const;

/** A frame of Ink's as the screen shows it, without weights. */
function textOf(frame: string): string {
  return textOfFrame(frame, marks.find)
    .map((line) => stripVTControlCharacters(line).trimEnd())
    .join('\n');
}

/** The whole screen at once, without a keyboard. */
function still(state: ReturnType<typeof trained>, columns: number, rows?: number): string {
  return textOf(renderToString(screen(state, controls(), columns, rows), { columns }));
}

/** A run of forty steps with two prompts, two of whose pictures were made. */
function trained(...more: readonly TrainEvent[]) {
  const run = createRunView(createPlainLog(1e9));
  let time = 1_700_000_000_000;
  const apply = (event: TrainEvent): void => run.apply({ ...event, time: (time += 1000) });
  apply({
    kind: 'run',
    name: 'dog',
    runDir: 'run',
    model: 'sana-pico',
    firstStep: 0,
    maxTrainSteps: 100,
    config: { dataset: { sources: [{ trigger_word: 'sks' }] } },
  });
  const sample = (step: number, index: number): void =>
    apply({
      kind: 'sample',
      step,
      index,
      prompt: `prompt ${index}`,
      seed: 7,
      path: `${index}/${step / 20}.png`,
      seconds: 1,
    });
  for (const index of [0, 1]) sample(0, index);
  for (let step = 1; step <= 40; step++) {
    apply({
      kind: 'step',
      step,
      maxTrainSteps: 100,
      loss: 1 / step + (step % 2) / 10,
      gradNorm: 0.25,
      learningRate: Math.min(step, 20) * 1e-5,
      seconds: { data: 0.1, compute: 1.8, update: 0.1 },
      examples: [],
      memoryMiB: 812,
    });
    if (step % 20 === 0) for (const index of [0, 1]) sample(step, index);
  }
  for (const event of more) apply(event);
  return { run, now: time };
}

function controls(isOwn = true) {
  return {
    sample: vi.fn<RunControls['sample']>(),
    prompt: vi.fn<RunControls['prompt']>(),
    checkpoint: vi.fn<RunControls['checkpoint']>(),
    pause: vi.fn<RunControls['pause']>(),
    stop: vi.fn<RunControls['stop']>(),
    leave: vi.fn<RunControls['leave']>(),
    isOwn,
  };
}

const redraw = vi.fn<() => void>();

function screen({ run, now }: ReturnType<typeof trained>, keys: RunControls, columns = 80, rows = 24) {
  return (
    <LookContext value={look}>
      <Dashboard
        view={run.view}
        columns={columns}
        rows={rows}
        now={now}
        controls={keys}
        onReadWarnings={run.readWarnings}
        onRedraw={redraw}
      />
    </LookContext>
  );
}

const open: { unmount: () => void }[] = [];
afterEach(() => {
  for (const { unmount } of open.splice(0)) unmount();
});

/** The dashboard with a keyboard. */
async function start(state: ReturnType<typeof trained>, keys: RunControls) {
  const app = render(screen(state, keys));
  open.push(app);
  const frame = (): string => textOf(app.lastFrame() ?? '');
  // Pictures are read, and keys listened to, after the first frame.
  await vi.waitFor(() => expect(frame()).toContain('222222'), { timeout: 5000, interval: 5 });
  return {
    frame,
    /** Presses keys and waits for a frame that shows, or no longer shows, a text. */
    async press(inputs: string, expected: { readonly shows: string } | { readonly hides: string }): Promise<void> {
      app.stdin.write(inputs);
      await vi.waitFor(
        () => {
          app.rerender(screen(state, keys));
          if ('shows' in expected) expect(frame()).toContain(expected.shows);
          else expect(frame()).not.toContain(expected.hides);
        },
        { timeout: 5000, interval: 5 },
      );
    },
  };
}

const [up, down, right, left, escape, interrupt] = ['\u001b[A', '\u001b[B', '\u001b[C', '\u001b[D', '\u001b', '\u0003'];

describe('Dashboard', () => {
  it('fills 80 by 24', async () => {
    const { frame } = await start(trained({ kind: 'warning', message: 'the disk is nearly full' }), controls());
    expect(frame()).toMatchInlineSnapshot(`
      "dog: sks on sana-pico                                            2 min 00 s left
      train    ━━━━━━━━━╸────────────── 40/100 2.0 s a step, norm 0.25         1.0 s ⠋
      data 0.10 s, forward and backward 1.8 s, update 0.10 s, memory 812 MiB
      loss 0.025, smoothed 0.07423, steps 1 to 40 ────────────────────────────────────
          1.1 ⠱⡀
              ⠈⠘⢄⡀
               ⠘⣄⠈⠒⠤⣀
                 ⠉⠢⢄⣀⠉⠑⠒⠒⠒⠤⠤⣀⣀⣀⣀⣀⡀
        0.025          ⠉⠁⠈⠑⠒⠉⠒⠤⠔⠊⠈⠉⠉⠉⠉⠉⠉⠑⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠒⠢⠤⠔⠒⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤
      learning rate 2.0e-4 ───────────────────────────────────────────────────────────
       2.0e-4                   ⣀⣀⣀⣀⣀⡠⠤⠤⠤⠒⠒⠒⠒⠒⠊⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉⠉
       1.0e-5 ⣀⣀⣀⠤⠤⠤⠤⠤⠔⠒⠒⠒⠊⠉⠉⠉⠉⠉
      samples 1/2 "prompt 0", seed 7 ─────────────────────────────────────────────────
      000000000000 111111111111 222222222222
      000000000000 111111111111 222222222222
      000000000000 111111111111 222222222222
      000000000000 111111111111 222222222222
      000000000000 111111111111 222222222222
      000000000000 111111111111 222222222222
      step 0       step 20      >step 40
      ! the disk is nearly full                                           (1, w: read)
      sample at step 40: 1/2.png (1.0 s)
      warning: the disk is nearly full
      s sample  c checkpoint  p pause  t prompt  arrows pictures  ? help  q stop"
    `);
  });

  it('fills 200 by 60', () => {
    const state = trained(
      {
        kind: 'validation',
        step: 40,
        loss: 0.5,
        bins: [
          { from: 0, to: 0.5, loss: 0.4 },
          { from: 0.5, to: 1, loss: 0.6 },
        ],
      },
      {
        kind: 'metrics',
        step: 40,
        model: 'clip-pico',
        samples: [{ index: 0, prompt: 'prompt 0', seed: 7, role: 'subject', clipI: 0.8123, clipT: 0.3 }],
        subject: { clipI: 0.75, clipT: 0.25 },
        class: { clipI: 0.1, clipT: 0.2, clipIToStart: 0.875 },
        seconds: 1,
      },
    );
    const lines = still(state, 200, 60).split('\n');
    expect(lines).toHaveLength(60);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(200);
    const text = lines.join('\n');
    for (const part of [
      'dog: sks on sana-pico',
      '2 min 00 s left',
      'metrics CLIP-I 0.75, CLIP-T 0.25, class kept 0.88 at step 40',
      'validation 0.5 at step 40',
      'sigma 0.50 to 1.00 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━ 0.6',
      'step 40 (newest), CLIP-I 0.812, CLIP-T 0.300',
    ]) {
      expect(text).toContain(part);
    }
  });

  it.each([
    [20, 8],
    [40, 12],
    [80, 24],
    [109, 40],
    [110, 30],
  ])('stays within %d by %d', (columns, rows) => {
    const lines = still(trained(), columns, rows).split('\n');
    expect(lines.length).toBeLessThanOrEqual(rows);
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns);
  });

  it('shows stages before training', () => {
    const run = createRunView(() => undefined);
    run.apply({ kind: 'stage', stage: 'cache', done: 0, total: 8, what: 'latents', time: 0 });
    run.apply({ kind: 'stage', stage: 'cache', done: 2, total: 8, what: 'latents', time: 4000 });
    const text = still({ run, now: 5000 }, 80);
    expect(text).toContain('cache    ━━━━━━────────────────── 2/8 latents, 11 s left, 2.0 s each');
  });

  it('tells the run what keys say', async () => {
    const keys = controls();
    const { press } = await start(trained(), keys);
    await press('s', { shows: 'sampling after this step' });
    await press('c', { shows: 'saving after this step' });
    await press('p', { shows: 'paused; p goes on' });
    await press('p', { hides: 'paused' });
    expect(keys.sample).toHaveBeenCalledOnce();
    expect(keys.checkpoint).toHaveBeenCalledOnce();
    expect(keys.pause.mock.calls).toEqual([[true], [false]]);
  });

  it.each(['q', interrupt])('asks before it stops (%j)', async (key) => {
    const keys = controls();
    const { press } = await start(trained(), keys);
    await press(key, { shows: 'Stop after this step, saved?' });
    await press('n', { hides: 'Stop after' });
    expect(keys.stop).not.toHaveBeenCalled();
    await press(key, { shows: 'Stop after this step, saved?' });
    await press('y', { shows: 'stopping' });
    expect(keys.stop).toHaveBeenCalledOnce();
    expect(keys.leave).not.toHaveBeenCalled();
    await press(interrupt, { shows: 'stopping' });
    await vi.waitFor(() => expect(keys.leave).toHaveBeenCalledOnce());
  });

  it('takes letters that are typed at once one by one', async () => {
    const keys = controls();
    const { press } = await start(trained(), keys);
    await press('scqy', { shows: 'stopping' });
    for (const key of ['sample', 'checkpoint', 'stop'] as const) expect(keys[key]).toHaveBeenCalledOnce();
  });

  it('leaves the run of another process alone', async () => {
    const keys = controls(false);
    const { press } = await start(trained(), keys);
    await press('q', { hides: 'Stop after' });
    await vi.waitFor(() => expect(keys.leave).toHaveBeenCalledOnce());
    await press('x', { shows: 'Stop after' });
    await press('y', { shows: 'stopping' });
    expect(keys.stop).toHaveBeenCalledOnce();
  });

  it('takes a prompt, and looks at its picture when it is there', async () => {
    const state = trained();
    const keys = controls();
    const { frame, press } = await start(state, keys);
    await press('t', { shows: 'Enter samples, Esc leaves it' });
    // Letters are no commands now.
    await press('qsx dg', { shows: 'prompt qsx dg' });
    await press(left, { shows: 'prompt qsx dg' });
    await press('o', { shows: 'prompt qsx dog' });
    await press(`${interrupt}t`, { shows: 'prompt  ' });
    await press('sks dug', { shows: 'prompt sks dug' });
    await press('\u007f\u007f', { hides: 'dug' });
    await press('og', { shows: 'prompt sks dog' });
    await press('\u001b[200~ in\r\na\thut\u001b[201~', { shows: 'prompt sks dog in a hut' });
    await press('\r', { shows: 'sampling after this step: "sks dog in a hut"' });
    expect(keys.prompt.mock.calls).toEqual([['sks dog in a hut']]);
    for (const key of ['sample', 'stop', 'leave', 'checkpoint'] as const) expect(keys[key]).not.toHaveBeenCalled();

    const sample = { kind: 'sample', prompt: 'sks dog in a hut', seed: 0, path: 'typed-1/7.png', seconds: 1 } as const;
    state.run.apply({ ...sample, step: 40, index: 1000, time: state.now });
    await press('l', { shows: 'typed-1/7.png' });
    await press('l', { shows: 'samples 3/3 "sks dog in a hut"' });
    expect(frame()).toContain('777777');
    // What was typed before comes back.
    await press('t', { shows: 'Enter samples' });
    await press(up, { shows: 'prompt sks dog in a hut' });
    await press(escape, { hides: 'Enter samples' });
    expect(keys.prompt).toHaveBeenCalledOnce();
  });

  it('takes what is pasted for no command', async () => {
    const keys = controls();
    const { press } = await start(trained(), keys);
    await press('\u001b[200~scqy\u001b[201~?', { shows: 'another prompt' });
    for (const key of ['sample', 'checkpoint', 'stop'] as const) expect(keys[key]).not.toHaveBeenCalled();
  });

  it('draws the screen anew on Ctrl-L, and knows Alt from no Alt', async () => {
    const keys = controls();
    const { press } = await start(trained(), keys);
    await press('\u001bs\u001bc\u000c', { shows: 'samples 1/2' });
    await vi.waitFor(() => expect(redraw).toHaveBeenCalledOnce());
    expect(keys.sample).not.toHaveBeenCalled();
  });

  it('shows no text of an event that a terminal would obey', async () => {
    const state = trained({ kind: 'warning', message: 'a\u001b]0;title\u0007b\u001b[2Jc\u0085d\u{100000}e' });
    const { frame } = await start(state, controls());
    expect(frame()).toContain('! abc d e');
  });

  it('moves between prompts and steps', async () => {
    const { frame, press } = await start(trained(), controls());
    expect(frame()).toContain('samples 1/2 "prompt 0", seed 7');
    expect(frame()).toContain('>step 40');
    await press(down, { shows: 'samples 2/2 "prompt 1", seed 7' });
    await press(down, { shows: 'samples 1/2' });
    await press(up, { shows: 'samples 2/2' });
    await press(left, { shows: '>step 20' });
    await press(left, { shows: '>step 0' });
    await press(left, { shows: '>step 0' });
    await press(right, { shows: '>step 20' });
    await press(right, { shows: '>step 40' });
  });

  it('shows help, the log, and warnings until they are read', async () => {
    const { frame, press } = await start(trained({ kind: 'warning', message: 'the disk is nearly full' }), controls());
    expect(frame()).toMatch(/^! the disk is nearly full +\(1, w: read\)$/m);
    await press('w', { hides: '! the disk' });
    await press('?', { shows: 'another prompt' });
    await press('l', { shows: 'sample at step 20: 0/1.png' });
    await press(escape, { shows: 'samples 1/2' });
  });

  it('says how a run ended, and asks nothing then', async () => {
    const keys = controls();
    const { press } = await start(trained({ kind: 'end', reason: 'done', step: 100 }), keys);
    await press('s', { shows: 'done at step 100' });
    await press('q', { hides: 'Stop after' });
    await vi.waitFor(() => expect(keys.leave).toHaveBeenCalledOnce());
    expect(keys.sample).not.toHaveBeenCalled();
  });
});
