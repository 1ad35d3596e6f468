/** The style sheet of the HTML report: light and dark by the reader's system, readable on paper and on a narrow screen. */
export const HTML_STYLE = `
:root { --ground: #f5f6f4; --card: #ffffff; --text: #1f2933; --muted: #5b6773; --line: #dfe4e8; --accent: #c2410c;
  --good: #15703c; --doubt: #9a5b00; --bad: #b42318; --code: #eef1f3; }
@media (prefers-color-scheme: dark) { :root { --ground: #0d1114; --card: #14191e; --text: #e6eaee; --muted: #9aa7b4; --line: #2c353e;
  --accent: #fb8b5a; --good: #4ade80; --doubt: #fbbf4d; --bad: #f98a80; --code: #1d242b; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--text); font: 16px/1.55 system-ui, -apple-system, "Segoe UI", sans-serif; }
header, main, footer { max-width: 1360px; margin: 0 auto; padding: 0 20px; }
header { padding-top: 28px; }
.brand { margin: 0; color: var(--accent); font-weight: 700; letter-spacing: 0.08em; text-transform: uppercase; font-size: 13px; }
h1 { margin: 4px 0 0; font-size: 30px; line-height: 1.2; }
h2 { margin: 40px 0 4px; font-size: 24px; }
h3 { margin: 0 0 6px; font-size: 18px; }
.sub, .question, .note, .notes, footer { color: var(--muted); }
h3.group { margin: 28px 0 10px; }
.sub { margin: 6px 0 0; }
.question { margin: 0 0 14px; font-style: italic; }
.note { margin: 0 0 10px; font-size: 14px; max-width: 90ch; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 10px; padding: 16px 18px; margin: 0 0 16px; }
.answer { border-left: 5px solid var(--accent); }
.answer p { margin: 0 0 8px; max-width: 85ch; }
.caveats { margin: 0; padding-left: 20px; color: var(--muted); font-size: 14px; }
.partial { border: 2px solid var(--bad); border-radius: 8px; padding: 10px 14px; }
.validity { border-left: 5px solid var(--good); }
.validity-inconclusive { border-left-color: var(--doubt); }
.validity-failed { border-left-color: var(--bad); }
.validity p { margin: 0 0 6px; }
.validity ul { margin: 6px 0 0; padding-left: 20px; font-size: 14px; }
.status-ok, .level-high { color: var(--good); }
.status-inconclusive, .level-medium { color: var(--doubt); }
.status-failed, .level-low { color: var(--bad); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 16px; margin-bottom: 16px; }
figure.card { margin: 0; min-width: 0; }
figcaption { font-weight: 600; margin-bottom: 8px; }
.canvas { position: relative; height: 320px; }
.canvas[hidden] { display: none; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; font-variant-numeric: tabular-nums; }
th { color: var(--muted); font-weight: 600; border-bottom: 2px solid var(--line); }
th, td { padding: 5px 8px; white-space: nowrap; }
td { border-bottom: 1px solid var(--line); }
.left { text-align: left; }
.right { text-align: right; }
summary { cursor: pointer; color: var(--muted); font-size: 14px; }
details[open] > summary { margin-bottom: 8px; }
details details { margin: 8px 0; }
pre { background: var(--code); border-radius: 6px; padding: 10px 12px; overflow-x: auto; font-size: 13px; max-height: 480px; }
code { font-family: ui-monospace, SFMono-Regular, Menlo, monospace; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 16px; margin: 0; font-size: 14px; }
dt { color: var(--muted); }
dd { margin: 0; overflow-wrap: anywhere; }
nav ul { display: flex; flex-wrap: wrap; gap: 6px 18px; padding: 0; list-style: none; }
a { color: var(--accent); }
footer { padding-bottom: 32px; font-size: 14px; }
@media (max-width: 600px) { dl { grid-template-columns: 1fr; } dt { margin-top: 6px; } }
@media print { body { background: #fff; } .card { break-inside: avoid; } .canvas { height: 260px; } }
`;
