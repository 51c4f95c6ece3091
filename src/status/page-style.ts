// The status page's look: one style sheet, light and dark, from a phone's width on.

/** The style sheet; the page's Content-Security-Policy names its hash, so that no other style counts. */
export const PAGE_STYLE = `
:root {
  color-scheme: light dark;
  --back: #f6f7f9; --card: #fff; --text: #1c2430; --dim: #5d6877; --line: #dfe3e8;
  --good: #1a7f4b; --busy: #2563b8; --warn: #a86200; --bad: #c0262d; --none: #8a94a3;
  --good-back: #e3f4ea; --warn-back: #fff1d9; --bad-back: #fde7e7;
}
@media (prefers-color-scheme: dark) {
  :root {
    --back: #12161c; --card: #1b2129; --text: #e4e8ee; --dim: #9aa5b4; --line: #2d3541;
    --good: #4cc38a; --busy: #6aa6f0; --warn: #f0b04c; --bad: #ff7b7b; --none: #768293;
    --good-back: #16301f; --warn-back: #36290f; --bad-back: #3b1a1c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--back); color: var(--text); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 68rem; margin: 0 auto; padding: 1rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem .75rem; margin: .5rem 0 1rem; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 0 0 .5rem; }
p { margin: .25rem 0; }
header p, footer, .dim { color: var(--dim); font-size: .875rem; font-weight: 400; }
header p { flex-basis: 100%; margin: 0; }
section { background: var(--card); border: 1px solid var(--line); border-radius: .6rem; padding: .9rem 1rem; margin: 0 0 1rem; }
.badge { border-radius: 1rem; padding: .1rem .7rem; font-weight: 600; font-size: .9rem; }
.badge.good { background: var(--good-back); color: var(--good); }
.badge.warn { background: var(--warn-back); color: var(--warn); }
.badge.bad { background: var(--bad-back); color: var(--bad); }
section.warn { border-left: .3rem solid var(--warn); }
section.bad { border-left: .3rem solid var(--bad); }
ul { margin: .25rem 0; padding-left: 1.2rem; }
dl { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: .75rem; margin: 0; }
dt { color: var(--dim); font-size: .85rem; }
dd { margin: 0; font-size: 1.3rem; font-weight: 600; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
dd small { display: block; font-size: .8rem; font-weight: 400; color: var(--dim); }
.good dd { color: var(--good); } .busy dd { color: var(--busy); } .warn dd { color: var(--warn); } .bad dd { color: var(--bad); }
svg.share { display: block; width: 100%; height: .6rem; margin: 0 0 .9rem; border-radius: .3rem; background: var(--line); }
svg .good { fill: var(--good); } svg .busy { fill: var(--busy); } svg .wait { fill: var(--none); }
svg .bad { fill: var(--bad); } svg .warn { fill: var(--warn); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-top: 1px solid var(--line); }
th { border-top: 0; color: var(--dim); font-weight: 500; white-space: nowrap; }
td[data-name] { font-variant-numeric: tabular-nums; white-space: nowrap; }
dl + .scroll { margin-top: .9rem; }
td.name { overflow-wrap: anywhere; min-width: 8rem; }
td.reason { overflow-wrap: anywhere; min-width: 11rem; }
code { font: .875em ui-monospace, monospace; background: var(--back); border: 1px solid var(--line); border-radius: .3rem; padding: 0 .3rem; white-space: nowrap; }
a { color: var(--busy); }
@media (max-width: 40rem) {
  main { padding: .6rem; }
  thead { display: none; }
  table, tbody, tr, td { display: block; }
  tr { border-top: 1px solid var(--line); padding: .4rem 0; }
  td { border: 0; padding: 0; }
  td.name { font-weight: 500; }
  td[data-name] { display: inline-block; margin-right: 1rem; }
  td[data-name]::before { content: attr(data-name) ' '; color: var(--dim); }
}
`;
