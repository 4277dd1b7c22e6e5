/** The look of captions.html, light and dark. */
export const captionsPageStyle = `
:root { color-scheme: light dark; --back: #fdfdfc; --card: #f1f1ee; --text: #1c1c1a; --quiet: #5c5c58; --rule: #d6d6d1;
  --link: #0b5cad; --mark: #b5d3ea; --bad: #a01c1c; }
@media (prefers-color-scheme: dark) { :root { --back: #161615; --card: #21211f; --text: #ececea; --quiet: #a9a9a4;
  --rule: #3d3d3a; --link: #7dbdf5; --mark: #234a66; --bad: #f28b82; } }
* { box-sizing: border-box; }
body { max-width: 80rem; margin: 0 auto; padding: 1.5rem clamp(0.75rem, 3vw, 2.5rem) 4rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 0.25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.75rem; border-bottom: 1px solid var(--rule); padding-bottom: 0.25rem; }
h3 { font-size: 1rem; }
p { margin: 0.25rem 0; }
a { color: var(--link); }
summary { cursor: pointer; }
:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
table { border-collapse: collapse; font-size: 0.95rem; overflow-wrap: break-word; }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 1.25rem 0.35rem 0; border-bottom: 1px solid var(--rule); }
.scroll { overflow-x: auto; margin-bottom: 1.25rem; }
.quiet { color: var(--quiet); }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 3px solid var(--link); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: ' \\25B2'; }
th[aria-sort=descending] button::after { content: ' \\25BC'; }
.captioned { width: 100%; }
.captioned td, .captioned th { padding: 0.6rem 1rem 0.6rem 0; vertical-align: top; }
.captioned td:nth-child(3) { width: 60%; }
th.number { white-space: normal; }
.captioned img { display: block; max-width: 128px; height: auto; border-radius: 4px; margin-bottom: 0.25rem; }
.captioned ul, .list { margin: 0; padding: 0; list-style: none; }
.captioned li { display: grid; grid-template-columns: 3.6rem 3.6rem minmax(0, 1fr); gap: 0 0.6rem; padding: 0.15rem 0; align-items: start; }
.captioned li > :nth-child(4) { grid-column: 3; }
th.number, .number { white-space: nowrap; font-variant-numeric: tabular-nums; text-align: right; }
td.number.drawn { padding-right: 0.25rem; }
.drawn { background: linear-gradient(90deg, var(--mark) var(--share), transparent var(--share)); }
.bad { color: var(--bad); }
.summary { display: grid; gap: 1.5rem 2.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.summary h3, .long h3 { margin: 0 0 0.25rem; }
tr:target { background: var(--card); }
@media (max-width: 44rem) {
  .captioned thead, .captioned tr, .captioned td { display: block; }
  .captioned thead tr { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; }
  .captioned tbody tr { border-bottom: 1px solid var(--rule); padding: 0.5rem 0; }
  .captioned th, .captioned td, .captioned td:nth-child(3) { border: 0; padding: 0.15rem 0; width: auto; }
  .captioned td.number { text-align: left; }
  .captioned td[data-label]::before { content: attr(data-label) ' '; color: var(--quiet); }
}
`;

/** Sorting needs no library: each row carries its keys. Text, because it runs in browsers. */
export const captionsPageScript = `
'use strict';
const body = document.querySelector('#rows');
for (const button of document.querySelectorAll('th button')) button.addEventListener('click', () => {
  const head = button.parentElement, key = button.dataset.key;
  const sign = head.getAttribute('aria-sort') === 'ascending' ? -1 : 1;
  for (const other of head.parentElement.children) other.removeAttribute('aria-sort');
  head.setAttribute('aria-sort', sign === 1 ? 'ascending' : 'descending');
  const value = (row) => row.dataset[key];
  const names = new Intl.Collator(undefined, { numeric: true });
  const compare = (a, b) => key === 'name' ? names.compare(value(a), value(b)) : value(a) - value(b);
  body.append(...[...body.rows].sort((a, b) => sign * compare(a, b)));
});
`;
