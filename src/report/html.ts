/** Text that is HTML already. */
export interface Html {
  readonly html: string;
}

type HtmlValue = string | number | Html | readonly Html[] | undefined | false;

const escapes: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function textOf(value: HtmlValue): string {
  if (value === undefined || value === false) return '';
  if (typeof value === 'object') return 'html' in value ? value.html : value.map(({ html }) => html).join('');
  return String(value).replaceAll(/[&<>"']/g, (character) => escapes[character] ?? '');
}

/**
 * HTML from a template: what is put in is escaped, unless it is HTML itself. Attribute values have to stand in quotes.
 * undefined and false are nothing.
 */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  return { html: parts.map((part, i) => part + textOf(values[i])).join('') };
}

/** A value as JSON for a script element, in which no text can end the element. */
export function scriptJson(value: unknown): Html {
  return { html: JSON.stringify(value).replaceAll('<', '\\u003c') };
}
