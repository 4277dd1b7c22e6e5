/**
 * The page's style. Colours of lines are Okabe and Ito's, which people who see few colours tell apart; darker on light
 * and lighter on dark, so that lines stand out by 3 to 1 and texts by 4.5 to 1.
 */
export const pageStyle = `
:root {
  color-scheme: light dark;
  --back: #faf9f6; --card: #ffffff; --sunk: #f1f0ec; --text: #1c1b19; --quiet: #605e58; --rule: #e3e1da; --edge: #c9c6bd;
  --link: #0b5cad; --shade: 0 1px 2px rgb(30 25 15 / 0.05), 0 4px 16px rgb(30 25 15 / 0.05);
  --good: #17693a; --good-back: #e2f2e6; --alert: #8f3a00; --alert-back: #fdefe2; --bad: #9c1f1f; --bad-back: #fbe7e5;
  --c0: #0b66ad; --c1: #b34700; --c2: #007a58; --c3: #a3428a; --c4: #7a6000; --c5: #3b6f94; --c6: #4a4a46; --c7: #a01c1c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #131312; --card: #1c1c1a; --sunk: #252522; --text: #eeede9; --quiet: #a8a69e; --rule: #30302c; --edge: #4a4943;
    --link: #8ac4f6; --shade: none;
    --good: #86d9a0; --good-back: #16301f; --alert: #f5b27a; --alert-back: #38230f; --bad: #f5a09a; --bad-back: #3d1a18;
    --c0: #63b3f0; --c1: #f29a5c; --c2: #3ccb9f; --c3: #e39ccb; --c4: #e5d24a; --c5: #9cc4de; --c6: #d2d1cc; --c7: #f28b82;
  }
}
* { box-sizing: border-box; }
html { scroll-padding-top: 3.5rem; }
body { margin: 0 auto; max-width: 76rem; padding: 0 clamp(1rem, 3vw, 2.5rem) 5rem; background: var(--back);
  color: var(--text); font: 1rem/1.5 ui-sans-serif, system-ui, -apple-system, 'Segoe UI', 'Inter', sans-serif; overflow-wrap: anywhere; }
h1 { font-size: clamp(1.7rem, 4vw, 2.4rem); line-height: 1.1; letter-spacing: -0.02em; margin: 0; text-wrap: balance; }
h2 { font-size: 1.4rem; line-height: 1.2; letter-spacing: -0.01em; margin: 3.5rem 0 1rem; }
h3 { font-size: 1rem; line-height: 1.35; margin: 0; }
p { margin: 0.25rem 0; max-width: 70ch; }
a { color: var(--link); }
.quiet { color: var(--quiet); }
.small { font-size: 0.85rem; }
:focus-visible { outline: 2px solid var(--c0); outline-offset: 2px; border-radius: 3px; }

header { padding-top: clamp(1.5rem, 4vw, 3rem); }
.made { color: var(--quiet); font-size: 0.85rem; margin: 0 0 0.35rem; }
.facts { display: grid; grid-template-columns: repeat(var(--facts), auto); margin: 1.5rem 0 0; background: var(--card);
  border: 1px solid var(--rule); border-radius: 12px; box-shadow: var(--shade); overflow: hidden; }
.facts div { padding: 0.8rem 1rem; box-shadow: -1px -1px 0 var(--rule); }
.facts dt { color: var(--quiet); font-size: 0.8rem; }
.facts dd { margin: 0.1rem 0 0; font-size: 1.15rem; line-height: 1.3; font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
.facts dd small { display: block; font-size: 0.8rem; font-weight: 400; color: var(--quiet); }
@media (max-width: 66rem) { .facts { grid-template-columns: repeat(var(--half), 1fr); } }
.state { font-size: 0.85rem; font-weight: 600; border-radius: 99px; padding: 0.1rem 0.6rem; white-space: nowrap;
  background: var(--alert-back); color: var(--alert); }
.state.done { background: var(--good-back); color: var(--good); }
.state.failed { background: var(--bad-back); color: var(--bad); }
nav { position: sticky; top: 0; z-index: 2; background: var(--back); border-bottom: 1px solid var(--rule); margin: 1.25rem 0 0; }
nav ul { display: flex; gap: 0 1.5rem; padding: 0; list-style: none; margin: 0; overflow-x: auto; scrollbar-width: none; }
nav a { display: block; padding: 0.65rem 0; color: var(--quiet); text-decoration: none; font-size: 0.9rem; white-space: nowrap; }
nav a:hover { color: var(--text); box-shadow: inset 0 -2px var(--c0); }
nav a:focus-visible { outline-offset: -3px; }

input[type='range'] { appearance: none; width: 100%; height: 1.5rem; margin: 0; background: none; cursor: pointer; }
input[type='range']::-webkit-slider-runnable-track { height: 4px; border-radius: 2px; background: var(--edge); }
input[type='range']::-moz-range-track { height: 4px; border-radius: 2px; background: var(--edge); }
input[type='range']::-webkit-slider-thumb { appearance: none; width: 16px; height: 16px; margin-top: -6px; border-radius: 50%;
  background: var(--c0); border: 3px solid var(--card); box-shadow: 0 0 0 1px var(--c0); }
input[type='range']::-moz-range-thumb { width: 10px; height: 10px; border-radius: 50%; background: var(--c0);
  border: 3px solid var(--card); box-shadow: 0 0 0 1px var(--c0); }
@media (forced-colors: active) { input[type='range'] { appearance: auto; } }
input[type='checkbox'] { accent-color: var(--c0); width: 1rem; height: 1rem; margin: 0 0.4rem 0 0; vertical-align: -0.12rem; }

table { border-collapse: collapse; font-size: 0.9rem; overflow-wrap: break-word; width: 100%; }
th, td { text-align: left; vertical-align: top; padding: 0.55rem 1.5rem 0.55rem 0; border-bottom: 1px solid var(--rule); }
th:last-child, td:last-child { padding-right: 0; }
tbody tr:last-child > * { border-bottom: 0; }
thead th, thead td { color: var(--quiet); font-weight: 500; font-size: 0.8rem; vertical-align: bottom; }
tbody th { font-weight: 500; }
.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
th.part { padding-left: 1.25rem; font-weight: 400; color: var(--quiet); }
.differs td { font-weight: 600; }
.differs td.quiet { font-weight: 400; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 12px; box-shadow: var(--shade); padding: 1.1rem 1.25rem; }
.scroll { overflow-x: auto; padding: 0.4rem 1.25rem; }
td .key { white-space: nowrap; }
header .scroll { margin-top: 1.25rem; }
.scroll-plain { overflow-x: auto; }
.runs-table th:first-child { min-width: 8rem; }
section > p, .bar { margin-bottom: 0.9rem; }
section > h3 { margin: 1.5rem 0 0.6rem; }
pre { background: var(--sunk); padding: 0.85rem 1rem; margin: 0.4rem 0; overflow-x: auto; border-radius: 8px; font-size: 0.82rem; line-height: 1.55; }
code, pre { font-family: ui-monospace, 'SF Mono', 'Cascadia Mono', 'DejaVu Sans Mono', Menlo, monospace; }
code { font-size: 0.88em; }
details { margin: 0.75rem 0; }
summary { cursor: pointer; color: var(--quiet); font-size: 0.9rem; width: fit-content; }
.warnings { margin: 1.5rem 0 0; }
.warning { background: var(--alert-back); border-radius: 8px; padding: 0.6rem 0.9rem; margin: 0.5rem 0; max-width: none; font-size: 0.9rem; }
.warning strong { color: var(--alert); }

.bar { display: flex; flex-wrap: wrap; gap: 0.5rem 2rem; align-items: baseline; justify-content: space-between; margin: 0 0 1rem; }
.prompts { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 18rem), 1fr)); }
.prompts.several { grid-template-columns: repeat(auto-fill, minmax(min(100%, calc(var(--runs) * 14rem)), 1fr)); }
.prompt { padding: 0; overflow: hidden; display: flex; flex-direction: column; }
.several .prompt { padding-top: 1rem; }
.prompt > * { margin-left: 1rem; margin-right: 1rem; }
.several .prompt .runs { margin: 0.75rem 1rem 0; }
.prompt h3 { margin-top: 0.8rem; font-weight: 600; }
.several .prompt h3 { margin-top: 0; }
.runs { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fill,
  minmax(min(100%, max(9rem, calc((100% - (var(--runs) - 1) * 1rem) / var(--runs)))), 1fr)); }
.runs figure { margin: 0; display: flex; flex-direction: column; max-width: 32rem; }
.prompts:not(.several) :is(.runs, figure) { display: contents; }
.prompts:not(.several) img { order: -1; margin: 0; }
.prompts:not(.several) .prompt > .quiet { order: 1; }
.prompts:not(.several) figcaption { margin: 0.1rem 1rem 0; order: 2; }
.prompts:not(.several) label { order: 3; }
.runs img { display: block; width: 100%; height: auto; background: var(--sunk); }
.several .runs img { border-radius: 8px; }
.runs img[hidden] { display: none; }
.runs figcaption { display: flex; flex-wrap: wrap; gap: 0 0.9rem; font-size: 0.85rem; color: var(--quiet); min-height: 1.3rem; }
.several .runs figcaption { margin: 0.5rem 0 0; }
.scores { font-variant-numeric: tabular-nums; }
.prompt label { display: grid; grid-template-columns: 1fr auto; gap: 0.9rem; align-items: center; margin-top: auto; padding: 0.5rem 0 0.9rem; }
.value { min-width: 4.5rem; text-align: right; font-size: 0.85rem; font-variant-numeric: tabular-nums; }
.tag { display: inline-block; font-size: 0.78rem; color: var(--quiet); background: var(--sunk); border-radius: 99px; padding: 0.05rem 0.6rem; }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }

.charts { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
.charts.three { grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); }
.chart { margin: 0; min-width: 0; display: flex; flex-direction: column; }
.chart.wide { grid-column: 1 / -1; }
.chart figcaption { display: grid; grid-template-columns: 1fr auto; gap: 0 1rem; align-items: baseline; }
.chart figcaption p { grid-column: 1 / -1; font-size: 0.85rem; color: var(--quiet); }
.chart .value { color: var(--quiet); }
.plot { position: relative; flex: 1; min-height: 13rem; margin: 0.9rem 0.5rem 2.4rem 3.25rem; }
.wide .plot { min-height: 17rem; }
.plot svg { position: absolute; inset: 0; width: 100%; height: 100%; display: block; overflow: hidden; border-bottom: 1px solid var(--edge); }
.plot path { fill: none; vector-effect: non-scaling-stroke; }
.grid { stroke: var(--rule); }
.cursor { stroke: var(--quiet); stroke-dasharray: 3 3; }
.line { stroke: currentColor; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.line.faint { stroke-width: 1; opacity: 0.4; }
.line.dot, .mark { stroke: currentColor; stroke-width: 7; stroke-linecap: round; }
.plot path.band { fill: currentColor; opacity: 0.14; }
.c0 { color: var(--c0); } .c1 { color: var(--c1); } .c2 { color: var(--c2); } .c3 { color: var(--c3); }
.c4 { color: var(--c4); } .c5 { color: var(--c5); } .c6 { color: var(--c6); } .c7 { color: var(--c7); }
.ytick, .xtick { position: absolute; font-size: 0.75rem; color: var(--quiet); white-space: nowrap; font-variant-numeric: tabular-nums; }
.ytick { right: calc(100% + 0.6rem); transform: translateY(-50%); }
.xtick { top: calc(100% + 0.7rem); transform: translateX(-50%); }
.plot input { position: absolute; left: -8px; width: calc(100% + 16px); bottom: -0.75rem; }
.plot input::-webkit-slider-runnable-track { background: none; }
.plot input::-moz-range-track { background: none; }
.legend { display: flex; flex-wrap: wrap; gap: 0.1rem 1.1rem; font-size: 0.85rem; font-variant-numeric: tabular-nums; margin: 0; max-width: none; }
.key::before { content: ''; display: inline-block; width: 0.65em; height: 0.65em; border-radius: 50%; background: currentColor; margin-right: 0.45em; }
.key.faint::before { height: 2px; width: 1em; border-radius: 0; vertical-align: 0.25em; }
.key b { color: var(--text); font-weight: 500; }

.pictures img { width: 3.5rem; height: 3.5rem; object-fit: cover; border-radius: 6px; display: block; }
.pictures td, .pictures th { vertical-align: middle; }
.pictures td:first-child { width: 5rem; }
.pictures p { margin: 0.15rem 0; }
.words { min-width: 14rem; }
.pictures .words { min-width: 18rem; }
.settings td:not(:last-child) { min-width: 9rem; }
.gauge { display: block; height: 4px; border-radius: 2px; background: var(--sunk); margin-top: 0.25rem; min-width: 5rem; overflow: hidden; }
.gauge i { display: block; height: 100%; background: var(--c0); }
.gauge.high i { background: var(--c1); }
.share { display: flex; gap: 2px; height: 12px; border-radius: 6px; overflow: hidden; margin: 0.4rem 0 0.5rem; }
.share span { background: currentColor; min-width: 2px; }
.columns { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); align-items: start; }
.files { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 30rem), 1fr)); align-items: start; }
.files article { min-width: 0; }
.files h3 .tag, .files h3 .quiet { font-weight: 400; }
.files h3 { display: flex; flex-wrap: wrap; gap: 0.25rem 0.75rem; align-items: baseline; margin-bottom: 0.4rem; }
.files article p { font-size: 0.9rem; margin-top: 0.7rem; }
@media (max-width: 40rem) {
  h2 { margin-top: 2.75rem; }
  .facts { grid-template-columns: 1fr 1fr; }
  .facts div:last-child:nth-child(odd) { grid-column: 1 / -1; }
  .words { min-width: 10rem; }
  .pictures .words { min-width: 26rem; }
  .card { padding: 0.9rem 1rem; }
  .scroll { padding: 0.25rem 1rem; }
  .prompt { padding: 0; }
  .plot { margin-left: 2.9rem; }
}
@media print {
  nav, input, .prompt label { display: none; }
  body { max-width: none; background: none; }
  .card, figure { break-inside: avoid; box-shadow: none; }
}
`;

/** Without scripts all pictures of a prompt are seen, one below the other. */
export const styleWithoutScripts = '.runs img[hidden]{display:block}';
