"""The style of the page."""

from __future__ import annotations

from typing import Final

STYLE: Final = """
:root{color-scheme:light dark;--paper:#fff;--ink:#1c2024;--faint:#59636e;--line:#d8dee4;--card:#f6f8fa;
--under:#b35900;--over:#1f6feb;--billed:#57606a;--captured:#1a7f5a;--good:#116329;--bad:#a40e26}
@media(prefers-color-scheme:dark){:root{--paper:#0f1216;--ink:#e6edf3;--faint:#7d8590;--line:#30363d;--card:#171c22;
--under:#f0a35e;--over:#6cb0ff;--billed:#9aa4af;--captured:#4cc38a;--good:#6fdd8b;--bad:#ff8f8f}}
*{box-sizing:border-box}
body{margin:0 auto;max-width:1180px;padding:1.5rem 1.25rem 3rem;background:var(--paper);color:var(--ink);
font:15px/1.5 system-ui,sans-serif;overflow-wrap:break-word}
td,#inputs code,.verdict,#inputs td:first-child{overflow-wrap:anywhere}td:first-child{overflow-wrap:break-word}
h1{font-size:1.7rem;margin:0}h2{font-size:1.25rem;margin:2.2rem 0 .6rem}h3{font-size:1rem;margin:1.6rem 0 .2rem}
header p,h3+p{margin:.1rem 0 .5rem;color:var(--faint)}header .state{color:var(--ink)}
.cards{display:grid;grid-template-columns:repeat(4,1fr);gap:.75rem;margin:1.2rem 0}
.cards div{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.7rem .9rem}
.cards dt{color:var(--faint)}.cards dd{margin:0;font-size:1.5rem;font-variant-numeric:tabular-nums}
.cards dd.sub{font-size:.85rem;color:var(--faint);min-height:1.3em}
.verdict b{margin-right:.4em}.good{color:var(--good)}.bad{color:var(--bad)}
figure{margin:0 0 1rem}figure svg{display:block;width:100%;height:auto}
.narrow{display:none}
figcaption{display:flex;gap:1.2rem;flex-wrap:wrap;color:var(--ink);font-size:.9rem}
.key::before{content:"";display:inline-block;width:.8em;height:.8em;margin-right:.4em;background:currentColor;
background:var(--mark);print-color-adjust:exact;-webkit-print-color-adjust:exact}
.key.under{--mark:var(--under)}.key.over{--mark:var(--over)}.key.billed{--mark:var(--billed)}.key.captured{--mark:var(--captured)}
table{border-collapse:collapse;width:100%;font-size:.9rem}
th{text-align:left;color:var(--faint);font-weight:600}
th,td{padding:.35rem .6rem .35rem 0;vertical-align:top;border-bottom:1px solid var(--line)}
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
#causes td:first-child{white-space:nowrap}
code{font-size:.85em}
data{white-space:nowrap}
@media screen and (max-width:700px){body{padding:1rem .9rem 2rem;overflow-wrap:anywhere}.wide{display:none}.narrow{display:block}
.cards{grid-template-columns:1fr 1fr}.cards dd{font-size:1.2rem}
thead{position:absolute;clip-path:inset(50%);width:1px;height:1px;overflow:hidden}
table,tbody,tr{display:block}tr{border-bottom:1px solid var(--line);padding:.5rem 0}
td,td.n{display:grid;grid-template-columns:6.8rem 1fr;gap:.4rem;border:0;padding:.1rem 0;text-align:left;white-space:normal}
td:empty{display:none}#causes td:first-child{white-space:normal}
td::before{content:attr(data-h);color:var(--faint)}}
@media print{:root{--paper:#fff;--ink:#000;--faint:#555;--line:#bbb;--card:#fff;--under:#b35900;--over:#1f6feb;--billed:#57606a;
--captured:#1a7f5a;--good:#116329;--bad:#a40e26}body{max-width:none;padding:0;font-size:10pt}h2,h3{break-after:avoid}
table{font-size:8pt}th,td{padding:.2rem .5rem .2rem 0}td:first-child{white-space:nowrap}
#causes td:nth-child(5){width:38%}#causes td:nth-child(6){width:26%}
tr,figure,.cards div{break-inside:avoid}thead{display:table-header-group}svg *{print-color-adjust:exact}}
"""
