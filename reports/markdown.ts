/** The markdown report: all that the HTML report says in words and tables, with the PNG charts linked where they lie beside it. */
import type { ResultDocument } from '../harness/result.ts';
import { buildReportView, type ScenarioView, type Table } from './view-model.ts';

/** Text that markdown (also inside a table cell) shows as it is. */
export function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+!|<>~&]/g, (char) => {
    if (char === '<') return '&lt;';
    if (char === '>') return '&gt;';
    if (char === '&') return '&amp;';
    // Only these change the meaning in the middle of a line; escaping all would make the source unreadable.
    return '\\`*_[]|~'.includes(char) ? `\\${char}` : char;
  });
}

/**
 * @param pictures file names of the PNG charts by chart id, as written beside the report; charts without one are left out
 */
export function renderMarkdown(result: ResultDocument, pictures: ReadonlyMap<string, string> = new Map()): string {
  const view = buildReportView(result);
  const parts = [`# ${escapeMarkdown(view.title)}`, escapeMarkdown(view.subtitle)];
  if (view.partial !== null) parts.push(`**Partial result.** ${escapeMarkdown(view.partial)}`);
  for (const scenario of view.scenarios) parts.push(...scenarioParts(scenario, pictures));
  parts.push('## Provenance', 'To run it again:', fenced(view.command, 'sh'), pairs(view.provenance));
  return `${parts.join('\n\n')}\n`;
}

function scenarioParts(scenario: ScenarioView, pictures: ReadonlyMap<string, string>): string[] {
  const parts = [
    `## ${escapeMarkdown(scenario.title)}`,
    `*${escapeMarkdown(scenario.question)}*`,
    `**${escapeMarkdown(scenario.headline)}**`,
    ...scenario.answer.map(escapeMarkdown),
    `Confidence: **${escapeMarkdown(scenario.confidence)}**.`,
  ];
  if (scenario.caveats.length > 0) parts.push(bullets(scenario.caveats));
  const [summary, ...others] = scenario.tables;
  if (summary) parts.push(tableText(summary));
  const titled = (table: Table) => [`### ${escapeMarkdown(table.title)}`, ...noteText(table), tableText(table)];
  parts.push(...others.filter((table) => table.essential).flatMap(titled));
  parts.push('### Validity', escapeMarkdown(scenario.validitySummary));
  if (scenario.validity.length > 0) {
    parts.push(bullets(scenario.validity.map((item) => `${item.status}: ${item.where}: ${item.detail}`)));
  }
  if (scenario.notes.length > 0) parts.push(bullets(scenario.notes));
  for (const chart of scenario.charts) {
    const file = pictures.get(chart.id);
    if (file !== undefined) parts.push(`![${escapeMarkdown(chart.title)}](${encodeURI(file)})`);
  }
  parts.push(...others.filter((table) => !table.essential).flatMap(titled));
  parts.push('### Where these numbers come from', pairs(scenario.provenance));
  for (const part of scenario.appendices) {
    parts.push(`<details><summary>${escapeMarkdown(part.title)}</summary>`, fenced(part.text, ''), '</details>');
  }
  return parts;
}

function noteText(table: Table): string[] {
  return table.note === '' ? [] : [escapeMarkdown(table.note)];
}

function tableText(table: Table): string {
  const row = (cells: string[]) => `| ${cells.map(escapeMarkdown).join(' | ')} |`;
  return [
    row(table.columns.map((column) => column.label)),
    `| ${table.columns.map((column) => (column.align === 'right' ? '---:' : '---')).join(' | ')} |`,
    ...table.rows.map(row),
  ].join('\n');
}

function bullets(items: string[]): string {
  return items.map((item) => `- ${escapeMarkdown(item)}`).join('\n');
}

function pairs(rows: [string, string][]): string {
  return rows.map(([label, value]) => `- ${escapeMarkdown(label)}: ${escapeMarkdown(value)}`).join('\n');
}

/** A code block whose fence is longer than any run of back-ticks inside. */
function fenced(text: string, language: string): string {
  const longest = Math.max(2, ...(text.match(/`+/g) ?? []).map((run) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence}${language}\n${text}\n${fence}`;
}
