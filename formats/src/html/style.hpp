// SPDX-License-Identifier: MIT
// The style of every page. Pictures take their colours from it by class: s0 to s7 for series, h0 to
// h7 for shades, so that both schemes are one document.
#pragma once

#include <string_view>

namespace lowbit::html {

/// Colours of series, and shades of heat maps.
inline constexpr int series_colours = 8;
inline constexpr int shades = 8;

// Shades run from the page's own colour to a strong orange, in one hue, so that their order can be
// seen without colour vision.
inline constexpr std::string_view style_sheet = R"css(:root {
  --page: #ffffff; --card: #f6f7f9; --text: #1c2330; --soft: #5b6472; --line: #d9dde3;
  --s0: #2f6fd0; --s1: #d9600a; --s2: #12866a; --s3: #a23b9c; --s4: #8b6b00; --s5: #c8324a;
  --s6: #3a8fa3; --s7: #6a6f78;
  --h0: #fff8ef; --h1: #feead2; --h2: #fdd5a8; --h3: #fdb87c; --h4: #f98f50; --h5: #e8642b;
  --h6: #c43d10; --h7: #8f2306; --t0: #1c2330; --t1: #ffffff;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --card: #1c2027; --text: #e4e8ee; --soft: #9aa4b2; --line: #333a45;
    --s0: #78a9ff; --s1: #ff9b57; --s2: #45cfa5; --s3: #dd92e6; --s4: #d8b848; --s5: #ff7a8c;
    --s6: #74cbe0; --s7: #a7afba;
    --h0: #201d1b; --h1: #35231a; --h2: #4f2c19; --h3: #6f3818; --h4: #954816; --h5: #bf5c18;
    --h6: #e67d35; --h7: #ffae70; --t0: #e4e8ee; --t1: #14171c;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1180px; margin: 0 auto; padding: 1.2rem 1rem 4rem; }
h1 { font-size: 1.5rem; margin: 0 0 .2rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem; padding-top: .8rem; border-top: 1px solid var(--line);
  overflow-wrap: anywhere; }
p { max-width: 46rem; margin: .4rem 0; overflow-wrap: anywhere; }
.subtitle, figcaption .note, .note { color: var(--soft); }
.tiles { display: flex; flex-wrap: wrap; gap: .6rem; margin: 1rem 0; }
.tiles div { background: var(--card); border-radius: 6px; padding: .5rem .9rem; min-width: 8rem; }
.tiles dt { color: var(--soft); font-size: .8rem; }
.tiles dd { margin: 0; font-size: 1.25rem; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; max-width: 100%; margin: .6rem 0; }
table { border-collapse: collapse; font-size: .84rem; }
th, td { padding: .22rem .6rem; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; unicode-bidi: isolate; }
th { font-weight: 600; vertical-align: bottom; }
th[scope=row] { font-weight: 400; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
table.heat td { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap;
  border: 1px solid var(--page); }
table.heat th[scope=col] { text-align: right; }
table.heat th:first-child { text-align: left; overflow-wrap: anywhere; min-width: min(19rem, 38vw);
  max-width: 26rem; position: sticky; left: 0; background: var(--page); }
.h0 { background: var(--h0); color: var(--t0); } .h1 { background: var(--h1); color: var(--t0); }
.h2 { background: var(--h2); color: var(--t0); } .h3 { background: var(--h3); color: var(--t0); }
.h4 { background: var(--h4); color: var(--t0); } .h5 { background: var(--h5); color: var(--t1); }
.h6 { background: var(--h6); color: var(--t1); } .h7 { background: var(--h7); color: var(--t1); }
.key { display: flex; flex-wrap: wrap; font-size: .8rem; color: var(--soft); align-items: center; gap: .2rem .4rem; }
.key i { display: inline-block; width: 1.1rem; height: .8rem; }
.beside { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr));
  gap: 1.2rem; align-items: start; }
figure { margin: .6rem 0; max-width: 500px; }
figcaption { font-weight: 600; font-size: .92rem; margin-bottom: .3rem; overflow-wrap: anywhere; }
figure > .note { font-size: .82rem; margin: .3rem 0 0; }
.legend { display: flex; flex-wrap: wrap; gap: .2rem .9rem; font-size: .82rem; list-style: none;
  margin: 0 0 .3rem; padding: 0; }
.legend li { unicode-bidi: isolate; overflow-wrap: anywhere; }
.legend svg { width: 18px; height: 10px; vertical-align: middle; margin-right: .3rem; display: inline; }
svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--soft); font: 12px system-ui, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums; }
svg .value { fill: var(--text); }
svg .grid { stroke: var(--line); stroke-width: 1; }
svg .axis { stroke: var(--soft); stroke-width: 1; }
svg .mark { fill: none; stroke: currentColor; stroke-width: 2; stroke-linejoin: round; }
svg .dot { fill: currentColor; stroke: var(--page); stroke-width: 1.5; }
svg .ring { fill: none; stroke: currentColor; stroke-width: 1.5; }
svg .bar { fill: currentColor; }
.s0 { color: var(--s0); } .s1 { color: var(--s1); } .s2 { color: var(--s2); } .s3 { color: var(--s3); }
.s4 { color: var(--s4); } .s5 { color: var(--s5); } .s6 { color: var(--s6); } .s7 { color: var(--s7); }
details { margin: .5rem 0; }
summary { cursor: pointer; color: var(--soft); }
code, .code { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .95em; }
@media print { main { max-width: none; } .scroll { overflow: visible; } }
)css";

}  // namespace lowbit::html
