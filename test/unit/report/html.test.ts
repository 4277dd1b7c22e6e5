import { describe, expect, it } from 'vitest';

import { html, scriptJson } from '../../../src/report/html.ts';

describe('html', () => {
  it('escapes what is put in, but not what is HTML', () => {
    const prompt = `"a" <b> & 'c'`;
    expect(html`<p title="${prompt}">${html`<i>${1}</i>`}${[html`x`, html`y`]}${undefined}${false}</p>`.html).toBe(
      '<p title="&quot;a&quot; &lt;b&gt; &amp; &#39;c&#39;"><i>1</i>xy</p>',
    );
  });
});

describe('scriptJson', () => {
  it('cannot end its element', () => {
    const { html: text } = scriptJson({ prompt: '</script><!--' });
    expect(text).not.toContain('<');
    expect(JSON.parse(text)).toEqual({ prompt: '</script><!--' });
  });
});
