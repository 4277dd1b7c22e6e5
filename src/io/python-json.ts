/**
 * Parses JSON as Python writes it: with Infinity, -Infinity and NaN, which JSON does not have and diffusers' scheduler
 * configs do (lambda_min_clipped). NaN becomes null.
 * @throws SyntaxError when it is not JSON otherwise
 */
export function parsePythonJson(text: string): unknown {
  // Strings are matched first, so that words within them stay. A number too large for a double parses as Infinity.
  return JSON.parse(
    text.replace(/"(?:[^"\\]|\\.)*"|\b(?:Infinity|NaN)\b/g, (token) => {
      if (token === 'Infinity') return '1e999';
      return token === 'NaN' ? 'null' : token;
    }),
  );
}
