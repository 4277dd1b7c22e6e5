import { describe, expect, it } from 'vitest';
import { parsePythonJson } from '../../../src/io/python-json.ts';

describe('parsePythonJson', () => {
  it("reads Python's words for numbers that JSON lacks", () => {
    const text = '{"a": -Infinity, "b": [Infinity, NaN, 1e3]}';
    expect(parsePythonJson(text)).toEqual({ a: Number.NEGATIVE_INFINITY, b: [Number.POSITIVE_INFINITY, null, 1000] });
  });

  it('leaves strings as they are', () => {
    expect(parsePythonJson('{"NaN": "to \\"Infinity\\" and NaN"}')).toEqual({ NaN: 'to "Infinity" and NaN' });
  });

  it('refuses what is not JSON otherwise', () => {
    expect(() => parsePythonJson('{"a": Infinit}')).toThrow(SyntaxError);
  });
});
