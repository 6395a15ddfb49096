package report

// style is the look of a page, on light and on dark ground and on paper.
const style = `:root{color-scheme:light dark;--ink:#1f2328;--soft:#59636e;--line:#d1d9e0;--ground:#fff;
--card:#f6f8fa;--good:#1a7f37;--bad:#cf222e;--stopped:#9a6700;--bar:#0969da}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--soft:#9198a1;--line:#3d444d;--ground:#0d1117;
--card:#151b23;--good:#3fb950;--bad:#ff7b72;--stopped:#d29922;--bar:#58a6ff}}
body{margin:0;background:var(--ground);color:var(--ink);font:15px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:1.5rem}
h1{font-size:1.5rem;margin:0 0 .25rem;overflow-wrap:anywhere}
h2{font-size:1.1rem;margin:0 0 .5rem}
section{margin:1.5rem 0}
.verdict{margin:0;font-weight:600}
.good{color:var(--good)}.bad{color:var(--bad)}.stopped{color:var(--stopped)}
dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}
dt{color:var(--soft)}dd{margin:0;overflow-wrap:anywhere;font-family:ui-monospace,monospace;font-size:.9em}
table{border-collapse:collapse}
th,td{padding:.2rem .75rem .2rem 0;text-align:left;vertical-align:top;border-bottom:1px solid var(--line)}
th{font-weight:500}td{font-variant-numeric:tabular-nums}
.many td,.many th{white-space:nowrap}
.doc,.note{color:var(--soft)}
.wide{overflow-x:auto}
pre{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.75rem;overflow-x:auto;
font:13px/1.4 ui-monospace,monospace;margin:0}
svg{max-width:100%;height:auto}
.bar{fill:var(--bar)}.axis{fill:var(--soft);font-size:11px}
@media print{main{max-width:none}pre{white-space:pre-wrap}}
`
