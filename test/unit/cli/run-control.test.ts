import { describe, expect, it, vi } from 'vitest';

import { createRunControl } from '../../../src/cli/run-control.ts';

function stopSignals() {
  const controller = new AbortController();
  return { signal: controller.signal, request: () => controller.abort(), release: () => undefined };
}

describe('createRunControl', () => {
  it('answers what was asked for once', async () => {
    const control = createRunControl(stopSignals(), () => Promise.resolve());
    expect(await control.ask()).toEqual({ stop: false, sample: false, checkpoint: false, prompts: [] });
    control.command('sample');
    control.command('checkpoint');
    control.command({ prompt: 'a dog' });
    control.command({ prompt: 'a cat' });
    expect(await control.ask()).toEqual({ stop: false, sample: true, checkpoint: true, prompts: ['a dog', 'a cat'] });
    expect(await control.ask()).toEqual({ stop: false, sample: false, checkpoint: false, prompts: [] });
  });

  it.each(['go-on', 'stop'] as const)('waits while it is paused, until %s', async (command) => {
    const onPause = vi.fn<(isPaused: boolean) => Promise<void>>(() => Promise.resolve());
    const control = createRunControl(stopSignals(), onPause);
    control.command('pause');
    const answered = vi.fn<(answer: object) => void>();
    const answer = control.ask().then(answered);
    await vi.waitFor(() => expect(onPause).toHaveBeenCalledWith(true));
    control.command('sample');
    await Promise.resolve();
    expect(answered).not.toHaveBeenCalled();
    control.command(command);
    await answer;
    expect(answered).toHaveBeenCalledWith({ stop: command === 'stop', sample: true, checkpoint: false, prompts: [] });
    expect(onPause).toHaveBeenLastCalledWith(false);
  });
});
