/** What captions.html has beyond the look of reports. */
export const captionsPageStyle = `
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 3px solid var(--c0); outline-offset: 2px; }
th[aria-sort=ascending] button::after { content: ' \\25B2'; }
th[aria-sort=descending] button::after { content: ' \\25BC'; }
.pictures { width: 100%; }
.pictures img { width: auto; height: auto; max-width: 128px; margin-bottom: 0.25rem; }
.pictures ul, .list { margin: 0; padding: 0; list-style: none; }
.pictures li { display: grid; grid-template-columns: 3.6rem 3.6rem minmax(12rem, 1fr); gap: 0 0.6rem; padding: 0.15rem 0; }
.pictures li > :last-child:nth-child(4) { grid-column: 3; }
.number { font-variant-numeric: tabular-nums; text-align: right; }
.bar { background: linear-gradient(90deg, color-mix(in srgb, var(--c0) 30%, transparent) var(--share), transparent var(--share)); }
.bad { color: var(--c7); }
.summary { display: grid; gap: 1.5rem 2.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 22rem), 1fr)); }
.summary table { min-width: 0; }
.summary h3 { margin-bottom: 0.25rem; }
tr:target { background: var(--card); }
@media (max-width: 44rem) {
  .pictures thead, .pictures tr, .pictures td { display: block; }
  .pictures thead tr { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; }
  .pictures tbody tr { border-bottom: 1px solid var(--rule); padding: 0.5rem 0; }
  .pictures th, .pictures td { border: 0; padding: 0.15rem 0; }
  .pictures td.number { text-align: left; }
  .pictures td.number::before { content: attr(data-label) ' '; color: var(--quiet); }
  .pictures li { grid-template-columns: 3.2rem 3.2rem minmax(0, 1fr); }
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
