/**
 * Sana's complex human instructions (CHI): what stands before every caption, so that Gemma reads it as a request
 * for a picture's description. They are constants of the trained models; a caption's hidden states depend on them.
 */

/** NVlabs' configs put "Enhanced prompt" into double quotes and diffusers' pipeline into single ones: other token ids. */
function instruction(quote: '"' | "'"): readonly string[] {
  return [
    `Given a user prompt, generate an ${quote}Enhanced prompt${quote} that provides detailed visual descriptions suitable for image generation. Evaluate the level of detail in the user prompt:`,
    '- If the prompt is simple, focus on adding specifics about colors, shapes, sizes, textures, and spatial relationships to create vivid and concrete scenes.',
    '- If the prompt is already detailed, refine and enhance the existing details slightly without overcomplicating.',
    'Here are examples of how to transform or refine prompts:',
    '- User Prompt: A cat sleeping -> Enhanced: A small, fluffy white cat curled up in a round shape, sleeping peacefully on a warm sunny windowsill, surrounded by pots of blooming red flowers.',
    '- User Prompt: A busy city street -> Enhanced: A bustling city street scene at dusk, featuring glowing street lamps, a diverse crowd of people in colorful clothing, and a double-decker bus passing by towering glass skyscrapers.',
    'Please generate only the enhanced description for the prompt below and avoid including any additional commentary or evaluations:',
    // The trailing space merges with the caption's first word into one token.
    'User Prompt: ',
  ];
}

/** The names under which a config chooses an instruction. */
export type ChiName = 'diffusers' | 'nvlabs';

/**
 * The lines of each instruction by its name.
 * `diffusers`: the default of SanaPipeline's `complex_human_instruction`;
 * `nvlabs`: `text_encoder.chi_prompt` of NVlabs/Sana's configs/sana_config, with which the models were trained.
 */
export const chiLines: Readonly<Record<ChiName, readonly string[]>> = {
  diffusers: instruction("'"),
  nvlabs: instruction('"'),
};
