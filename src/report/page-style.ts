/**
 * The page's style. Colours of lines are Okabe and Ito's, which people who see few colours tell apart; darker on light
 * and lighter on dark, so that lines stand out by 3 to 1 and texts by 4.5 to 1.
 */
export const pageStyle = `
:root {
  color-scheme: light dark;
  --back: #ffffff; --card: #f5f5f3; --text: #1c1c1a; --quiet: #5c5c58; --rule: #d6d6d1; --link: #0b5cad;
  --c0: #0b66ad; --c1: #b34700; --c2: #007a58; --c3: #a3428a; --c4: #7a6000; --c5: #3b6f94; --c6: #333333; --c7: #a01c1c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #161615; --card: #21211f; --text: #ececea; --quiet: #a9a9a4; --rule: #3d3d3a; --link: #7dbdf5;
    --c0: #63b3f0; --c1: #f29a5c; --c2: #3ccb9f; --c3: #e39ccb; --c4: #e5d24a; --c5: #9cc4de; --c6: #dddddd; --c7: #f28b82;
  }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 76rem; padding: 1.5rem clamp(0.75rem, 3vw, 2.5rem) 4rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 0.25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 0.75rem; border-bottom: 1px solid var(--rule); padding-bottom: 0.25rem; }
h3 { font-size: 1rem; margin: 0; }
p { margin: 0.25rem 0; }
a { color: var(--link); }
.quiet, .chart p, figcaption { color: var(--quiet); }
.chart h3 { color: var(--text); }
nav ul { display: flex; flex-wrap: wrap; gap: 0 1.25rem; padding: 0; list-style: none; margin: 0.75rem 0 0; }
input[type='range'] { width: 100%; min-height: 1.5rem; margin: 0; accent-color: var(--c0); }
:focus-visible { outline: 3px solid var(--c0); outline-offset: 2px; }
table { border-collapse: collapse; min-width: min(100%, 40rem); font-size: 0.95rem; overflow-wrap: break-word; }
th, td { text-align: left; vertical-align: top; padding: 0.35rem 1.25rem 0.35rem 0; border-bottom: 1px solid var(--rule); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
pre { background: var(--card); padding: 0.75rem; overflow-x: auto; border-radius: 6px; font-size: 0.85rem; }
code { font-size: 0.9em; }
details { margin: 0.75rem 0; }
summary { cursor: pointer; }
.warning { border-left: 4px solid var(--c1); padding-left: 0.75rem; }
.prompts { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 17rem), 1fr)); }
.prompts.several { grid-template-columns: 1fr; }
.prompt { background: var(--card); border-radius: 8px; padding: 0.75rem; display: flex; flex-direction: column; gap: 0.5rem; }
.runs { display: grid; gap: 0.75rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 9rem), 1fr)); flex: 1; }
.runs figure { margin: 0; }
.runs img { display: block; width: 100%; height: auto; border-radius: 4px; max-width: 512px; }
.runs img[hidden] { display: none; }
.prompt label, .reader { display: grid; grid-template-columns: auto 1fr auto; gap: 0.5rem; align-items: center; }
.reader { font-size: 0.85rem; color: var(--quiet); }
.value { min-width: 3rem; text-align: right; font-variant-numeric: tabular-nums; }
.charts { display: grid; gap: 2rem 2.5rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.chart { margin: 0; min-width: 0; }
.chart p { font-size: 0.85rem; }
.plot { position: relative; height: 15rem; margin: 0.5rem 0.5rem 1.75rem 4rem; border-left: 1px solid var(--rule); }
.plot svg { width: 100%; height: 100%; display: block; overflow: hidden; }
.plot path { fill: none; vector-effect: non-scaling-stroke; }
.grid { stroke: var(--rule); }
.cursor { stroke: var(--quiet); stroke-dasharray: 3 3; }
.line { stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
.line.faint { stroke-width: 1; opacity: 0.45; }
.line.dot { stroke-width: 6; stroke-linecap: round; }
.plot path.band { fill: currentColor; opacity: 0.15; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.c4 { color: var(--c4); } .c5 { color: var(--c5); } .c6 { color: var(--c6); } .c7 { color: var(--c7); }
.ytick, .xtick { position: absolute; font-size: 0.75rem; color: var(--quiet); white-space: nowrap; }
.ytick { right: calc(100% + 0.4rem); transform: translateY(-50%); }
.xtick { top: calc(100% + 0.3rem); transform: translateX(-50%); }
.legend { display: flex; flex-wrap: wrap; gap: 0 1rem; font-size: 0.85rem; font-variant-numeric: tabular-nums; min-height: 1.5em; }
.key::before { content: ''; display: inline-block; width: 1.1em; height: 3px; background: currentColor; margin-right: 0.4em;
  vertical-align: middle; }
.key.faint::before { height: 1px; }
.pictures img { width: 4rem; height: 4rem; object-fit: cover; border-radius: 4px; display: block; }
@media (max-width: 40rem) { .plot { margin-left: 3.25rem; height: 12rem; } }
@media print { nav, input, .reader { display: none; } .prompt, figure { break-inside: avoid; } }
`;

/** Without scripts all pictures of a prompt are seen, one below the other. */
export const styleWithoutScripts = '.runs img[hidden]{display:block}';
