/** What Python's str.strip() removes; JavaScript's trim() also takes U+FEFF and leaves U+001C to U+001F and U+0085. */
const pythonSpace = '[\\t-\\r\\u001c-\\u0020\\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]';
const outerSpace = new RegExp(`^${pythonSpace}+|${pythonSpace}+$`, 'g');

/**
 * A prompt as Sana's pipeline cleans it before the tokenizer: lower case, no white space around it
 * (SanaPipeline._text_preprocessing with its default, clean_caption False). White space within stays as it is.
 * The other choice, clean_caption True, is left out: it needs bs4 and ftfy, without which diffusers falls back to this,
 * and it removes every Chinese character and Japanese kanji.
 */
export function cleanPrompt(prompt: string): string {
  return prompt.toLowerCase().replace(outerSpace, '');
}
