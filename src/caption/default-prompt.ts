/** What vision-language models are asked where the config does not say. */
export const defaultPrompt =
  'Describe this picture in one paragraph, as a prompt for an image generator would: the subject, what it does, the place, colours, light and style. Say only what can be seen, and nothing about the picture as such.';
