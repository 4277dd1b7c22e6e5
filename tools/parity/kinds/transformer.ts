import { toFloat32, type Tensor } from '../../../src/graph/tensor.ts';
import { createPredictor } from '../../../src/models/predict-velocity.ts';
import { inputOf, type ParityCase } from '../cases.ts';
import { closeSharedEngine, sharedEngine, transformerOf } from '../pipeline.ts';

export async function run(parityCase: ParityCase): Promise<ReadonlyMap<string, Tensor>> {
  const { inputs } = parityCase;
  const predictor = await createPredictor(sharedEngine(), await transformerOf(parityCase));
  const guidance = inputs.get('guidance');
  const sample = await predictor.predict(inputOf(inputs, 'hidden_states'), {
    promptEmbeds: inputOf(inputs, 'encoder_hidden_states'),
    promptAttentionMask: inputOf(inputs, 'encoder_attention_mask'),
    timesteps: [...toFloat32(inputOf(inputs, 'timestep'))],
    ...(guidance && { guidance: [...toFloat32(guidance)] }),
  });
  await predictor.dispose();
  return new Map([['sample', sample]]);
}

export const dispose = closeSharedEngine;
