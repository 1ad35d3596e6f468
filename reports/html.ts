/**
 * The HTML report: one file, no request to anywhere. Chart.js and the data are inlined; without JavaScript every number is still there,
 * since each chart stands over the table that holds its numbers.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import type { ResultDocument } from '../harness/result.ts';
import { chartConfig, DARK_PALETTE, LIGHT_PALETTE } from './chart-config.ts';
import { HTML_STYLE } from './html-style.ts';
import { buildReportView, type Chart, type ScenarioView, type Table } from './view-model.ts';

/** Text as HTML text or attribute value. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** JSON that may stand inside a script element: no "<" is left that could end it. */
export function scriptJson(value: unknown): string {
  return JSON.stringify(value)
    .replaceAll('<', '\\u003c')
    .replaceAll('\u2028', '\\u2028')
    .replaceAll('\u2029', '\\u2029');
}

/** @returns the whole document */
export function renderHtml(result: ResultDocument): string {
  const view = buildReportView(result);
  const charts = view.scenarios.flatMap((scenario) => scenario.charts);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="cachelab">
<title>${escapeHtml(view.title)}</title>
<style>${HTML_STYLE}</style>
</head>
<body>
<header>
<p class="brand">cachelab</p>
<h1>${view.scenarios.map((scenario) => escapeHtml(scenario.title)).join(' · ') || 'No scenario was run'}</h1>
<p class="sub">${escapeHtml(view.subtitle)}</p>
${view.partial === null ? '' : `<p class="partial"><strong>Partial result.</strong> ${escapeHtml(view.partial)}</p>`}
${view.scenarios.length > 1 ? `<nav aria-label="Scenarios"><ul>${view.scenarios.map((s) => `<li><a href="#${s.id}">${escapeHtml(s.title)}</a></li>`).join('')}</ul></nav>` : ''}
</header>
<main>
${view.scenarios.map(scenarioHtml).join('\n')}
<section class="card" aria-labelledby="provenance">
<h2 id="provenance">Provenance</h2>
<p>To run it again:</p>
<pre class="command"><code>${escapeHtml(view.command)}</code></pre>
${definitionList(view.provenance)}
</section>
</main>
<footer><p>Made by cachelab from result.json; <code>cachelab report result.json</code> draws it again.</p></footer>
<script>${chartLibrary()}</script>
<script>
(function () {
  var charts = ${scriptJson(charts)};
  var palettes = { light: ${scriptJson(LIGHT_PALETTE)}, dark: ${scriptJson(DARK_PALETTE)} };
  var chartConfig = ${chartConfig.toString()};
${HTML_SCRIPT}
})();
</script>
</body>
</html>
`;
}

/** A summary, or another essential table, of more rows than this comes after the charts. */
const LONG_TABLE_ROWS = 16;

/** Draws, and draws anew when the reader's colour scheme changes. */
const HTML_SCRIPT = `  var dark = window.matchMedia('(prefers-color-scheme: dark)');
  var drawn = [];
  function draw() {
    drawn.forEach(function (chart) { chart.destroy(); });
    drawn = [];
    Chart.defaults.font.family = 'system-ui, sans-serif';
    charts.forEach(function (chart) {
      var canvas = document.getElementById('chart-' + chart.id);
      if (!canvas) return;
      canvas.parentElement.hidden = false;
      var still = window.matchMedia('(prefers-reduced-motion: reduce)').matches;
      var config = chartConfig(chart, dark.matches ? palettes.dark : palettes.light, true);
      if (still) config.options.animation = false;
      drawn.push(new Chart(canvas, config));
    });
  }
  dark.addEventListener('change', draw);
  window.addEventListener('beforeprint', function () { drawn.forEach(function (chart) { chart.resize(); }); });
  draw();`;

function scenarioHtml(scenario: ScenarioView): string {
  const behindCharts = new Set(scenario.charts.map((chart) => chart.table));
  const [summary, ...others] = scenario.tables;
  // What the scenario is about is read before the charts; the rest is looked up.
  const essential = others.filter((table) => table.essential);
  const rest = others.filter((table) => !table.essential && !behindCharts.has(table.id));
  // A matrix of many cells is better seen before it is read.
  const isLong = (table: Table) => table.rows.length > LONG_TABLE_ROWS;
  const long = summary !== undefined && isLong(summary);
  const shown = (table: Table) => tableHtml(table, true);
  return `<section class="scenario" id="${scenario.id}">
<h2>${escapeHtml(scenario.title)}</h2>
<p class="question">${escapeHtml(scenario.question)}</p>
<div class="answer card">
<h3>${escapeHtml(scenario.headline)}</h3>
${scenario.answer.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`).join('\n')}
<p class="confidence">Confidence: <strong class="level-${escapeHtml(scenario.confidence)}">${escapeHtml(scenario.confidence)}</strong></p>
${list(scenario.caveats, 'caveats')}
</div>
${summary && !long ? tableHtml(summary, true) : ''}
${essential
  .filter((table) => !isLong(table))
  .map(shown)
  .join('\n')}
${validityHtml(scenario)}
${list(scenario.notes, 'notes')}
${chartGroups(scenario)}
${summary && long ? tableHtml(summary, true) : ''}
${[...essential.filter(isLong), ...rest].map(shown).join('\n')}
<details class="card"><summary>Where these numbers come from</summary>
${definitionList(scenario.provenance)}
${scenario.appendices.map((part) => `<details><summary>${escapeHtml(part.title)}</summary><pre><code>${escapeHtml(part.text)}</code></pre></details>`).join('\n')}
</details>
</section>`;
}

function chartGroups(scenario: ScenarioView): string {
  const groups = new Map<string, Chart[]>();
  for (const chart of scenario.charts) {
    const group = groups.get(chart.group);
    if (group === undefined) groups.set(chart.group, [chart]);
    else group.push(chart);
  }
  const parts: string[] = [];
  let single: Chart[] = [];
  const flush = () => {
    if (single.length > 0) parts.push(chartGrid(single, scenario));
    single = [];
  };
  for (const [name, charts] of groups) {
    // A heading over one chart of the same name would only repeat it; such charts share a grid.
    if (charts.length === 1 && charts[0]!.title === name) {
      single.push(charts[0]!);
      continue;
    }
    flush();
    parts.push(`<h3 class="group">${escapeHtml(name)}</h3>`, chartGrid(charts, scenario));
  }
  flush();
  return parts.join('\n');
}

function chartGrid(charts: Chart[], scenario: ScenarioView): string {
  return `<div class="charts">\n${charts.map((chart) => chartHtml(chart, scenario)).join('\n')}\n</div>`;
}

function validityHtml(scenario: ScenarioView): string {
  const worst = scenario.validity.some((item) => item.status === 'failed')
    ? 'failed'
    : scenario.validity.some((item) => item.status === 'inconclusive')
      ? 'inconclusive'
      : 'ok';
  const word = worst === 'ok' ? 'Valid' : worst === 'failed' ? 'Some runs failed' : 'Some runs are inconclusive';
  const items = scenario.validity
    .map(
      (item) =>
        `<li><strong class="status-${item.status}">${item.status}</strong> ${escapeHtml(item.where)}: ${escapeHtml(item.detail)}</li>`,
    )
    .join('');
  return `<div class="validity card validity-${worst}"><h3>${word}</h3><p>${escapeHtml(scenario.validitySummary)}</p>${items === '' ? '' : `<details${scenario.validity.length <= 8 ? ' open' : ''}><summary>${scenario.validity.length} findings</summary><ul>${items}</ul></details>`}</div>`;
}

function chartHtml(chart: Chart, scenario: ScenarioView): string {
  const table = scenario.tables.find((candidate) => candidate.id === chart.table);
  return `<figure class="card">
<figcaption>${escapeHtml(chart.title)}</figcaption>
<div class="canvas" hidden><canvas id="chart-${chart.id}" role="img" aria-label="${escapeHtml(chart.description)}"></canvas></div>
<details><summary>Table</summary>${table ? tableHtml(table, false) : ''}</details>
</figure>`;
}

function tableHtml(table: Table, withTitle: boolean): string {
  const head = table.columns
    .map((column) => `<th scope="col" class="${column.align}">${escapeHtml(column.label)}</th>`)
    .join('');
  const body = table.rows
    .map(
      (row) =>
        `<tr>${row.map((cell, i) => `<td class="${table.columns[i]!.align}${cellClass(cell)}">${escapeHtml(cell)}</td>`).join('')}</tr>`,
    )
    .join('\n');
  const title = withTitle ? `<h3>${escapeHtml(table.title)}</h3>` : '';
  const note = table.note === '' ? '' : `<p class="note">${escapeHtml(table.note)}</p>`;
  const inner = `${title}${note}<div class="scroll" tabindex="0" role="region" aria-label="${escapeHtml(table.title)}"><table><thead><tr>${head}</tr></thead><tbody>
${body}
</tbody></table></div>`;
  return withTitle ? `<div class="card table">${inner}</div>` : inner;
}

function cellClass(cell: string): string {
  if (cell === 'ok') return ' status-ok';
  if (/^(FAILED|failed)$/.test(cell)) return ' status-failed';
  return /inconclusive$/i.test(cell) ? ' status-inconclusive' : '';
}

function list(items: string[], className: string): string {
  if (items.length === 0) return '';
  return `<ul class="${className}">${items.map((item) => `<li>${escapeHtml(item)}</li>`).join('')}</ul>`;
}

function definitionList(rows: [string, string][]): string {
  return `<dl>${rows.map(([label, value]) => `<dt>${escapeHtml(label)}</dt><dd>${escapeHtml(value)}</dd>`).join('')}</dl>`;
}

/** Chart.js as one script. Its source must not be able to end the script element that holds it. */
function chartLibrary(): string {
  const require = createRequire(import.meta.url);
  const path = join(dirname(require.resolve('chart.js')), 'chart.umd.js');
  return readFileSync(path, 'utf8')
    .replace(/\n\/\/# sourceMappingURL=.*\s*$/, '\n')
    .replaceAll('</script', '<\\/script');
}
