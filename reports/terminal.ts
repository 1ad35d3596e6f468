/** The report on a terminal: the verdict in words and the summary table, narrow enough to be read without scrolling sideways. */
import { stripVTControlCharacters, styleText } from 'node:util';
import type { ResultDocument } from '../harness/result.ts';
import { buildReportView, type ScenarioView, type Table } from './view-model.ts';

export interface TerminalOptions {
  /** Colours; false where output is no terminal. */
  color: boolean;
  /** Columns of the terminal: paragraphs are folded, and tables lose their least columns. Default 100. */
  width?: number;
}

type Style = 'bold' | 'dim' | 'green' | 'yellow' | 'red' | 'cyan';

/** @returns lines ending in a newline */
export function renderTerminal(result: ResultDocument, options: TerminalOptions): string {
  const view = buildReportView(result);
  const width = Math.max(40, Math.min(options.width ?? 100, 120));
  const paint = (style: Style, text: string) =>
    options.color ? styleText(style, text, { validateStream: false }) : text;
  const lines: string[] = [];
  if (view.partial !== null) lines.push(paint('red', `PARTIAL RESULT: ${view.partial}`), '');
  for (const scenario of view.scenarios) lines.push(...scenarioLines(scenario, width, paint), '');
  return `${lines.join('\n').trimEnd()}\n`;
}

function scenarioLines(scenario: ScenarioView, width: number, paint: (style: Style, text: string) => string): string[] {
  const lines = [
    paint('bold', scenario.title),
    ...fold(scenario.question, width).map((line) => paint('dim', line)),
    '',
  ];
  const [summary] = scenario.tables;
  if (summary) lines.push(...tableLines(summary, width, paint), '');
  for (const table of scenario.tables.filter((candidate) => candidate.essential)) {
    lines.push(paint('bold', table.title), ...tableLines(table, width, paint), '');
  }
  lines.push(...fold(scenario.headline, width).map((line) => paint('bold', line)));
  lines.push(...scenario.answer.flatMap((paragraph) => [...fold(paragraph, width), '']));
  lines.push(paint('dim', `Confidence: ${scenario.confidence}.`));
  for (const caveat of scenario.caveats) lines.push(...bullet(caveat, width).map((line) => paint('dim', line)));
  const failed = scenario.validity.length > 0;
  lines.push('', paint(failed ? 'yellow' : 'green', `Validity: ${scenario.validitySummary}`));
  for (const item of scenario.validity.slice(0, 10)) {
    lines.push(...bullet(`${item.status}: ${item.where}: ${item.detail}`, width).map((line) => paint('yellow', line)));
  }
  if (scenario.validity.length > 10) lines.push(`  … and ${scenario.validity.length - 10} more in the report`);
  for (const note of scenario.notes) lines.push(...bullet(note, width));
  return lines;
}

/** What a narrow terminal can do without, first to go first; the other reports have all of it. */
const DISPENSABLE = [
  ...['service p99', 'p99.9', 'resident', 'server CPU/op', 'p50'],
  ...['postponed', 'copied', 'each took', 'oldest lost', 'pause', 'keys back', 'rewrites'],
];
const GAP = 2;

function columnWidths(table: Table): number[] {
  return table.columns.map((column, i) =>
    Math.max(displayWidth(column.label), ...table.rows.map((row) => displayWidth(row[i]!))),
  );
}

/** The table without the columns that do not fit, and their names. */
function fitted(table: Table, width: number): { table: Table; dropped: string[] } {
  const dropped: string[] = [];
  let fits = table;
  for (const label of DISPENSABLE) {
    const needed = columnWidths(fits).reduce((sum, size) => sum + size + GAP, -GAP);
    if (needed <= width) break;
    const at = fits.columns.findIndex((column) => column.label === label);
    if (at < 0) continue;
    dropped.push(label);
    fits = {
      ...fits,
      columns: fits.columns.filter((_, i) => i !== at),
      rows: fits.rows.map((row) => row.filter((_, i) => i !== at)),
    };
  }
  return { table: fits, dropped };
}

function tableLines(whole: Table, width: number, paint: (style: Style, text: string) => string): string[] {
  const { table, dropped } = fitted(whole, width);
  const widths = columnWidths(table);
  const row = (cells: string[]) =>
    cells
      .map((cell, i) => {
        const gap = ' '.repeat(widths[i]! - displayWidth(cell));
        return table.columns[i]!.align === 'right' ? gap + cell : cell + gap;
      })
      .join(' '.repeat(GAP))
      .trimEnd();
  return [
    paint('cyan', row(table.columns.map((column) => column.label))),
    paint('dim', widths.map((size) => '─'.repeat(size)).join(' '.repeat(GAP))),
    ...table.rows.map((cells) => colorStatus(row(cells), cells.at(-1)!, paint)),
    ...(dropped.length > 0 ? [paint('dim', `(not shown for want of width: ${dropped.join(', ')})`)] : []),
  ];
}

function colorStatus(line: string, status: string, paint: (style: Style, text: string) => string): string {
  if (/^(ok|not run)$/.test(status)) return line;
  return paint(/failed/i.test(status) ? 'red' : 'yellow', line);
}

/** Columns that a text takes, wide East Asian characters counting two. */
function displayWidth(text: string): number {
  let width = 0;
  for (const char of stripVTControlCharacters(text)) {
    const code = char.codePointAt(0)!;
    width +=
      code >= 0x1100 && /\p{sc=Han}|\p{sc=Hiragana}|\p{sc=Katakana}|\p{sc=Hangul}|\p{Emoji_Presentation}/u.test(char)
        ? 2
        : 1;
  }
  return width;
}

function bullet(text: string, width: number): string[] {
  return fold(text, width - 4).map((line, i) => (i === 0 ? `  - ${line}` : `    ${line}`));
}

/** Folds a paragraph at blanks; a word longer than the width stands on a line of its own. */
export function fold(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(/\s+/).filter((part) => part !== '')) {
    if (line !== '' && displayWidth(line) + 1 + displayWidth(word) > width) {
      lines.push(line);
      line = word;
    } else {
      line = line === '' ? word : `${line} ${word}`;
    }
  }
  if (line !== '') lines.push(line);
  return lines;
}
